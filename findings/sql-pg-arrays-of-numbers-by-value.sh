#!/usr/bin/env bash
# Date: 2026-11-28. Versions: @effect/sql-pg 4.0.5, effect 4.1.0, node 24.21.0 (npm package), PostgreSQL 15.20.
#
# Surprise: the client gives each number of an array a type by its value and refuses an array whose elements differ. [5, 6]
# works as a parameter, [5, 3000000000] and [5, 1.5] fail before anything is sent, also where the statement says
# `::bigint[]` or `::float8[]`. An array of ids works until the first id beyond 2^31.
#
# What TaskForge does: it names the type of every array (src/store/postgres/Database.ts); a plain number is no parameter of
# its statements at all. docs/postgres.md says how a handler names one.
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
  const small = yield* valueOf("SELECT $1::bigint[]::text", [[5, 6]])
  const mixed = yield* valueOf("SELECT $1::bigint[]::text", [[5, 3000000000]])
  const fraction = yield* valueOf("SELECT $1::float8[]::text", [[5, 1.5]])
  console.log("[5, 6]:", JSON.stringify(small))
  console.log("[5, 3000000000]:", JSON.stringify(mixed))
  console.log("[5, 1.5]:", JSON.stringify(fraction))
  return small.value === "{5,6}" && mixed.failed !== undefined && fraction.failed !== undefined
})

process.exitCode = (await Effect.runPromise(Effect.provide(program, client))) ? 0 : 1
if (process.exitCode !== 0) console.log("The behaviour has changed")
PROBE
node_modules/.bin/node probe.mjs
