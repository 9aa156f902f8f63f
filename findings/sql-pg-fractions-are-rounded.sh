#!/usr/bin/env bash
# Date: 2026-11-28. Versions: @effect/sql-pg 4.0.5, effect 4.1.0, node 24.21.0 (npm package), PostgreSQL 15.20.
#
# Surprise: a number with a fraction is sent as a double, which PostgreSQL casts where an integer is expected: LIMIT 1.5 gives
# two rows and LIMIT 2.5 gives two as well, since halves go to the even neighbour. As a string, the same value is refused, as
# every parameter was by clients that send text.
#
# What TaskForge does: the limits of its requests are whole numbers by their schemas; docs/postgres.md tells authors of
# handlers.
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
  const rows = "SELECT count(*)::int FROM (SELECT FROM generate_series(1, 9) LIMIT $1) n"
  const one = yield* valueOf(rows, [1.5])
  const two = yield* valueOf(rows, [2.5])
  const text = yield* valueOf(rows, ["2.5"])
  console.log("LIMIT 1.5:", JSON.stringify(one))
  console.log("LIMIT 2.5:", JSON.stringify(two))
  console.log("LIMIT \"2.5\":", JSON.stringify(text))
  return one.value === 2 && two.value === 2 && text.failed !== undefined
})

process.exitCode = (await Effect.runPromise(Effect.provide(program, client))) ? 0 : 1
if (process.exitCode !== 0) console.log("The behaviour has changed")
PROBE
node_modules/.bin/node probe.mjs
