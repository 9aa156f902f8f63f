#!/usr/bin/env bash
# Date:     2026-11-28
# Versions: npm 11.19.1 with dash 0.5.12 (Debian 12), Node 24.21.0 from npm's `node` package.
#
# The surprise: a program started by `npm start` gets one signal twice. A service manager or a terminal signals the whole
# process group, the program with it, and npm passes the signal on to the program, within a millisecond. A program that
# takes the second signal for "end at once", as many do, never stops in order. And a script without `exec` keeps a shell
# between npm and the program: a signal to npm alone then ends the shell and leaves the program running.
#
# What our product does: signals within a second of the first are that one again; the script of `npm start` uses `exec`;
# tests go through npm, npx, a process group and a bare process (test/e2e/launchers.test.ts).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-save --silent node@24.21.0 npm@11.19.1 >/dev/null
PATH="$folder/node_modules/.bin:$PATH"
echo "npm $(npm --version), Node $(node --version)"
npm pkg set scripts.replaced="exec node program.mjs" scripts.kept="node program.mjs" >/dev/null

cat >program.mjs <<'JS'
import { writeSync } from "node:fs"
let signals = 0
process.on("SIGTERM", () => {
  signals++
  if (signals === 1) setTimeout(() => { writeSync(1, `${signals}\n`); process.exit(0) }, 500)
})
setTimeout(() => { writeSync(1, "none\n"); process.exit(0) }, 4000)
writeSync(1, "ready\n")
JS

cat >start.mjs <<'JS'
import { spawn } from "node:child_process"
const [script, target] = process.argv.slice(2)
const npm = spawn("npm", ["run", "--silent", script], { detached: true, stdio: ["ignore", "pipe", "inherit"] })
let out = ""
npm.stdout.on("data", (data) => {
  if (out === "") setTimeout(() => process.kill(target === "group" ? -npm.pid : npm.pid, "SIGTERM"), 300)
  out += data
})
npm.on("close", () => console.log(out.trim().split("\n").at(-1)))
JS

group=$(node start.mjs replaced group)
lost=$(node start.mjs kept npm)
echo "SIGTERM to the process group, script with exec:  the program got $group"
echo "SIGTERM to npm, script without exec:             the program got $lost"
[ "$group" = 2 ] && [ "$lost" = none ] || { echo "The behaviour has changed"; exit 1; }
