#!/usr/bin/env bash
# Date: 2026-11-28. Versions: effect 4.1.0, @effect/sql-pg 4.0.5, PostgreSQL 15.
#
# Surprise: when the server refuses to run a COMMIT, here because its prepared statement is gone, `withTransaction` fails
# and sends no ROLLBACK. The connection goes back into the pool in the middle of a failed transaction, and from then on
# everything on it, by whomever, answers 25P02, "current transaction is aborted", for as long as the connection lives.
# (`DEALLOCATE ALL` removes the statement here; behind a pooler another session that never had it does the same.)
#
# What TaskForge does: the store rolls back what rests in the pool when it meets 25P02 outside of a transaction, and does
# the operation again (src/store/postgres/Database.ts).
#
# The script uses the PostgreSQL at PGHOST:PGPORT, 127.0.0.1:5432 unless set, and leaves nothing behind.
set -euo pipefail
export PGHOST="${PGHOST:-127.0.0.1}" PGPORT="${PGPORT:-5432}" PGDATABASE="${PGDATABASE:-test}" PGUSER="${PGUSER:-postgres}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund node@24.21.0 effect@4.1.0 @effect/sql-pg@4.0.5 >/dev/null
cat > probe.mjs <<'PROBE'
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Redacted } from "effect"

const program = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  const [{ version }] = yield* sql`SELECT current_setting('server_version') AS version`
  console.log(`PostgreSQL ${version}, effect 4.1.0, @effect/sql-pg 4.0.5`)
  // prepares COMMIT
  yield* sql.withTransaction(sql`SELECT 1`)
  const commit = yield* Effect.exit(sql.withTransaction(sql`DEALLOCATE ALL`))
  console.log(`the transaction: ${Exit.isSuccess(commit) ? "committed" : "failed"}`)
  const codes = []
  for (let index = 0; index < 5; index++) {
    const exit = yield* Effect.exit(sql.unsafe(`SELECT ${index} AS n`))
    codes.push(Exit.isSuccess(exit) ? "success" : exit.cause.reasons[0].error.reason.cause.code)
  }
  console.log(`five plain statements afterwards: ${codes.join(", ")}`)
  return Exit.isFailure(commit) && codes.every((code) => code === "25P02")
})
const layer = PgClient.layer({ url: Redacted.make(`postgres://${process.env.PGUSER}@${process.env.PGHOST}:${process.env.PGPORT}/${process.env.PGDATABASE}`), maxConnections: 1 })
if (!(await Effect.runPromise(Effect.provide(program, layer)))) {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
./node_modules/.bin/node probe.mjs
