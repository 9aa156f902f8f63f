#!/usr/bin/env bash
# Date: 2026-11-28. Versions: effect 4.1.0, @effect/sql-pg 4.0.5, PostgreSQL 15.
#
# Surprise: one event, a session that the server ends (pg_terminate_backend), reaches a program in different ways,
# depending on the moment. Outside of a transaction it is a typed error that calls itself retryable. In `withTransaction`
# it is a defect, because the rollback fails too, and Effect makes defects of both failures, also of an unrelated error
# that the body had failed with: `Effect.catch` and `Effect.retry` see none of them. Before the COMMIT it is a typed error
# that calls itself not retryable.
#
# What TaskForge does: its store and its workers look for an `SqlError` anywhere in the cause and decide by SQLSTATE
# (src/store/postgres/Failure.ts, src/worker/AttemptError.ts).
#
# The script uses the PostgreSQL at PGHOST:PGPORT, 127.0.0.1:5432 unless set; it ends its own sessions
# alone and leaves nothing behind.
set -euo pipefail
export PGHOST="${PGHOST:-127.0.0.1}" PGPORT="${PGPORT:-5432}" PGDATABASE="${PGDATABASE:-test}" PGUSER="${PGUSER:-postgres}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund node@24.21.0 effect@4.1.0 @effect/sql-pg@4.0.5 >/dev/null
cat > probe.mjs <<'PROBE'
import { PgClient } from "@effect/sql-pg"
import { Cause, Context, Effect, Exit, Layer, Redacted } from "effect"

const config = { url: Redacted.make(`postgres://${process.env.PGUSER}@${process.env.PGHOST}:${process.env.PGPORT}/${process.env.PGDATABASE}`) }
const open = (maxConnections) =>
  Effect.map(Layer.build(Layer.fresh(PgClient.layer({ ...config, maxConnections }))), (context) =>
    Context.get(context, PgClient.PgClient))

const describe = (exit) =>
  Exit.isSuccess(exit) ? "success" : exit.cause.reasons.map((reason) => {
    const error = Cause.isFailReason(reason) ? reason.error : reason.defect
    const what = error._tag === "SqlError" ? `SqlError retryable=${error.isRetryable}` : error._tag
    return `${Cause.isFailReason(reason) ? "error" : "defect"}: ${what}`
  }).join(", ")

const program = Effect.scoped(Effect.gen(function*() {
  const sql = yield* open(2)
  const other = yield* open(1)
  const [{ version }] = yield* sql`SELECT current_setting('server_version') AS version`
  console.log(`PostgreSQL ${version}, effect 4.1.0, @effect/sql-pg 4.0.5`)
  const end = Effect.gen(function*() {
    const [{ pid }] = yield* sql`SELECT pg_backend_pid() AS pid`
    yield* other`SELECT pg_terminate_backend(${pid})`
    yield* Effect.sleep("200 millis")
  })
  const duringSleep = (marked) =>
    Effect.all([
      marked,
      Effect.andThen(
        Effect.sleep("300 millis"),
        other.unsafe("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(29.5)'")
      )
    ], { concurrency: 2 })
  const sleep = sql.unsafe("SELECT pg_sleep(29.5)")
  const cases = {
    "during a plain statement": duringSleep(sleep),
    "during a statement of a transaction": duringSleep(sql.withTransaction(sleep)),
    "between two statements of a transaction": sql.withTransaction(Effect.andThen(end, sql`SELECT 1`)),
    "before the body of a transaction fails": sql.withTransaction(Effect.andThen(end, Effect.fail({ _tag: "Declined" }))),
    "before the commit": sql.withTransaction(end)
  }
  const seen = []
  for (const [name, effect] of Object.entries(cases)) {
    const text = describe(yield* Effect.exit(effect))
    console.log(`${name}: ${text}`)
    seen.push(text)
  }
  return seen
}))

const seen = await Effect.runPromise(program)
const lost = "SqlError retryable=true"
const ended = "SqlError retryable=false"
const expected = [
  [`error: ${lost}`],
  [`defect: ${lost}, defect: ${lost}`],
  [`defect: ${ended}, defect: ${ended}`],
  [`defect: Declined, defect: ${ended}`],
  [`error: ${ended}`]
]
if (seen.some((text, index) => !expected[index].includes(text))) {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
./node_modules/.bin/node probe.mjs
