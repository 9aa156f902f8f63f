#!/usr/bin/env bash
# Date: 2026-11-28. Versions: @effect/sql-pg 4.0.5, effect 4.1.0, node 24.21.0 (npm package), PostgreSQL 15.20.
#
# Surprise: of the types for dates and times, `date` and `timetz` come as strings, `timestamp` and `timestamptz` as Dates, but
# `time` comes as a bigint of microseconds, and `interval` as an object with one. So a row with such a column cannot be
# written as JSON: JSON.stringify throws.
#
# What TaskForge does: a handler that returns such a row fails with InvalidResult, which names the reason;
# docs/postgres.md has a table of what each type comes as.
#
# It needs a PostgreSQL: PGHOST and PGPORT, 127.0.0.1:5432 unless set; PGUSER postgres, PGDATABASE test. It stores nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund node@24.21.0 effect@4.1.0 @effect/sql-pg@4.0.5 >/dev/null
cat > probe.mjs <<'PROBE'
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Cause } from "effect"
import { readFileSync } from "node:fs"

const { PGDATABASE = "test", PGHOST = "127.0.0.1", PGPORT = "5432", PGUSER = "postgres" } = process.env
const client = PgClient.layer({
  host: PGHOST,
  port: Number(PGPORT),
  username: PGUSER,
  database: PGDATABASE,
  maxConnections: 1
})
const { version } = JSON.parse(readFileSync("node_modules/@effect/sql-pg/package.json", "utf8"))

/** What a statement's only value is, or why it failed. */
const valueOf = (text, parameters = []) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const exit = yield* Effect.exit(sql.unsafe(text, parameters).values)
    return Exit.isSuccess(exit)
      ? { value: exit.value[0][0] }
      : { failed: String(Cause.squash(exit.cause).reason?.cause?.message ?? Cause.squash(exit.cause)) }
  })

const program = Effect.gen(function*() {
  const server = (yield* valueOf("SHOW server_version")).value
  console.log(`node ${process.version}, @effect/sql-pg ${version}, PostgreSQL ${server}`)
  const time = yield* valueOf("SELECT '00:00:01'::time")
  const zoned = yield* valueOf("SELECT '00:00:01+00'::timetz")
  let thrown
  try {
    JSON.stringify(time)
  } catch (error) {
    thrown = String(error)
  }
  console.log("time:", time.value, "timetz:", zoned.value)
  console.log("JSON.stringify:", thrown)
  return time.value === 1000000n && typeof zoned.value === "string" && thrown !== undefined
})

process.exitCode = (await Effect.runPromise(Effect.provide(program, client))) ? 0 : 1
if (process.exitCode !== 0) console.log("The behaviour has changed")
PROBE
node_modules/.bin/node probe.mjs
