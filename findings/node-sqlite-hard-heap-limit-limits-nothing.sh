#!/usr/bin/env bash
# Seen on 2026-11-28 with Node 24.21.0 (npm package node@24.21.0) and its node:sqlite.
#
# The surprise: PRAGMA hard_heap_limit answers the limit that was set, as SQLite documents it, but nothing is limited: a
# statement that builds a text of 40 MB succeeds under a limit of 8 MiB. Node builds SQLite with DEFAULT_MEMSTATUS=0, and
# without memory statistics SQLite does not know what it has allocated.
#
# What TaskForge does: sql_query and report run in processes that watch their own resident memory from a thread.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-save --no-audit --no-fund --silent node@24.21.0

cat >probe.mjs <<'JS'
import { DatabaseSync } from "node:sqlite"

const database = new DatabaseSync(":memory:")
const value = (sql) => Object.values(database.prepare(sql).get())[0]
console.log(`Node ${process.versions.node}, SQLite ${value("SELECT sqlite_version()")}`)
const options = database.prepare("PRAGMA compile_options").all().map((row) => row.compile_options)
const limit = value("PRAGMA hard_heap_limit = 8388608")
const length = value("SELECT length(hex(zeroblob(20000000)))")
const hasNoStatistics = options.includes("DEFAULT_MEMSTATUS=0")
console.log(`limit ${limit} bytes, text of ${length} characters, DEFAULT_MEMSTATUS=0: ${hasNoStatistics}`)
if (limit !== 8388608 || length !== 40000000 || !hasNoStatistics) {
  console.log("CHANGED: the limit holds now, or is answered otherwise")
  process.exitCode = 1
}
JS
node_modules/.bin/node --no-warnings probe.mjs
