#!/usr/bin/env bash
# Date: 2026-11-28. Versions: node 24.21.0 (npm package), its built-in SQLite.
#
# Surprise: `backup()` of `node:sqlite` copies 100 pages per step by default and holds nothing between two steps. When
# another connection writes to the file between them, SQLite begins again at the first page. A writer that is quicker
# than the whole copy keeps the backup from ending for as long as it writes; no error and no option say so.
#
# What TaskForge does: its `backup` task copies all pages in one step, which is one read transaction
# (src/handlers/Backup.ts). A read transaction that the source connection opens itself does it too.
#
# The script bounds everything: a writer makes 1,000 small writes, one per millisecond, and ends.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund node@24.21.0 >/dev/null
cat > probe.mjs <<'PROBE'
import { backup, DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"

const writesAtMost = 1000
console.log(`node ${process.version}, SQLite ${process.versions.sqlite}`)

const endsBesideWriter = async (name, options, hold) => {
  const writer = new DatabaseSync(`${name}.db`)
  writer.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE item (x)")
  writer.exec(`WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count LIMIT 2000)
    INSERT INTO item SELECT randomblob(4000) FROM count`)
  const source = new DatabaseSync(`${name}.db`, { readOnly: true })
  if (hold) source.exec("BEGIN; SELECT count(*) FROM sqlite_schema")
  let ended = false
  const copying = backup(source, `${name}-copy.db`, options).then(() => { ended = true })
  let writes = 0
  for (; writes < writesAtMost && !ended; writes++) {
    writer.exec("INSERT INTO item VALUES (1)")
    await sleep(1)
  }
  const result = ended
  // Without the writer each of them ends
  await copying
  if (hold) source.exec("ROLLBACK")
  source.close()
  writer.close()
  console.log(`${name}: ${result ? `ended after ${writes} writes` : `had not ended after ${writes} writes`}`)
  return result
}

const seen = [
  await endsBesideWriter("default", {}, false),
  await endsBesideWriter("one-step", { rate: 2 ** 31 - 1 }, false),
  await endsBesideWriter("read-transaction", {}, true)
]
if (String(seen) !== "false,true,true") {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
./node_modules/.bin/node probe.mjs
