#!/usr/bin/env bash
# Date:     2026-11-28
# Versions: Node 24.21.0 from npm's `node` package, on Linux.
#
# The surprise: `process.exit()` does not end the process while something runs on libuv's thread pool, such as a key
# derivation, an image that is being encoded or a file that is being read: it waits, without a bound, and no promise or
# handler of the program runs any more. A signal's default action and `process.execve` end it at once.
#
# What our product does: a server ends by `process.execve`, or by the signal's default action where it is told to end at
# once (src/server/Ending.ts); tests stop it while a large image is encoded (test/e2e/shutdown.test.ts).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-save --silent node@24.21.0 >/dev/null
PATH="$folder/node_modules/.bin:$PATH"
echo "Node $(node --version)"

cat >end.mjs <<'JS'
import { pbkdf2 } from "node:crypto"
import { writeSync } from "node:fs"
// About 4 s of work, by what this machine does in a tenth of a second
const began = performance.now()
let rounds = 0
const { pbkdf2Sync } = await import("node:crypto")
while (performance.now() - began < 100) { pbkdf2Sync("a", "b", 10_000, 64, "sha512"); rounds += 10_000 }
pbkdf2("a", "b", rounds * 40, 64, "sha512", () => {})
setTimeout(() => {
  writeSync(1, `${Date.now()}\n`)
  if (process.argv[2] === "exit") process.exit(0)
  if (process.argv[2] === "signal") process.kill(process.pid, "SIGTERM")
  process.execve(process.execPath, [process.execPath, "--eval", ""], {})
}, 200)
JS

# Milliseconds from the call to the end of the process
took() {
  local called
  called=$(node --no-warnings end.mjs "$1" || true)
  echo $(($(date +%s%3N) - called))
}

by_exit=$(took exit)
by_signal=$(took signal)
by_execve=$(took execve)
echo "process.exit(0):            $by_exit ms"
echo "a signal's default action:  $by_signal ms"
echo "process.execve:             $by_execve ms"
[ "$by_exit" -gt 1000 ] || { echo "The behaviour has changed: process.exit did not wait"; exit 1; }
[ "$by_signal" -lt "$by_exit" ] && [ "$by_execve" -lt "$by_exit" ] || { echo "The behaviour has changed"; exit 1; }
