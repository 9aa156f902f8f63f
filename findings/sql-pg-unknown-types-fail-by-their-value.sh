#!/usr/bin/env bash
# Date: 2026-11-28. Versions: @effect/sql-pg 4.0.5, effect 4.1.0, node 24.21.0 (npm package), PostgreSQL 15.20.
#
# Surprise: the client takes the bytes of a type that it does not know for UTF-8. So whether a column of `money`, `xid8` or
# `pg_lsn` can be read depends on the value: 0.65 of `money` comes as seven zero bytes and an "A", 12.34 fails. The failure
# is found in the middle of an answer, so the client closes the session: an open transaction is rolled back, and the locks
# of the session are gone. A first test with a small value shows nothing of it.
#
# What TaskForge does: its statements select only types that a test lists (test/store/postgres/types.ts);
# docs/postgres.md has a table of what each type comes as, for handlers that use the same client.
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
  const pid = valueOf("SELECT pg_backend_pid()")
  const small = yield* valueOf("SELECT 0.65::money")
  const before = yield* pid
  const great = yield* valueOf("SELECT 12.34::money")
  const after = yield* pid
  const ended = before.value !== after.value
  console.log("0.65::money:", JSON.stringify(small))
  console.log("12.34::money:", JSON.stringify(great), ended ? "and the session has ended" : "in the same session")
  return small.value === "\0\0\0\0\0\0\0A" && great.failed !== undefined && ended
})

process.exitCode = (await Effect.runPromise(Effect.provide(program, client))) ? 0 : 1
if (process.exitCode !== 0) console.log("The behaviour has changed")
PROBE
node_modules/.bin/node probe.mjs
