#!/usr/bin/env bash
# Date: 2026-11-28. Versions: effect 4.1.0, @effect/sql-pg 4.0.5, PgBouncer 1.18.0 (Debian 12), PostgreSQL 15.
#
# Surprise: through PgBouncer in transaction mode a client that prepares statements, which @effect/sql-pg does by default,
# looks healthy: every plain statement works, because the driver parses a statement again whose name the session does not
# know. Transactions fail as soon as a connection meets another session of the server, for there the first missing name
# fails the transaction. With one session and one connection, as in a first try, nothing fails at all.
#
# What TaskForge does: it notices at start that connections share sessions, and prepares nothing
# (src/store/postgres/Pooler.ts).
#
# The script starts a PgBouncer of its own, not as root, in front of the PostgreSQL at PGHOST:PGPORT, and ends it.
set -euo pipefail
export PGHOST="${PGHOST:-127.0.0.1}" PGPORT="${PGPORT:-5432}" PGDATABASE="${PGDATABASE:-test}" PGUSER="${PGUSER:-postgres}"
bouncer=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
folder=$(mktemp -d)
pooler=
trap '[ -z "$pooler" ] || kill "$pooler" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund node@24.21.0 effect@4.1.0 @effect/sql-pg@4.0.5 >/dev/null

export POOLER_PORT
POOLER_PORT=$(./node_modules/.bin/node -e '
  const server = require("node:net").createServer().listen(0, "127.0.0.1", () => {
    console.log(server.address().port)
    server.close()
  })')
cat > pgbouncer.ini <<INI
[databases]
* = host=$PGHOST port=$PGPORT user=$PGUSER
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $POOLER_PORT
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
INI
chmod 755 "$folder"
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
"${as[@]}" "$bouncer" --version | head -n 1
"${as[@]}" "$bouncer" -q pgbouncer.ini 2>/dev/null &
pooler=$!

cat > probe.mjs <<'PROBE'
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Redacted, Schedule } from "effect"

const { PGDATABASE, PGUSER, POOLER_PORT } = process.env
const layer = (prepare) =>
  PgClient.layer({
    url: Redacted.make(`postgres://${PGUSER}@127.0.0.1:${POOLER_PORT}/${PGDATABASE}`),
    maxConnections: 3,
    prepare
  })

/** How many of 60 failed, three at a time. */
const failures = (run) =>
  Effect.map(
    Effect.forEach(Array.from({ length: 60 }, (_, index) => index), (index) => Effect.exit(run(index)), { concurrency: 3 }),
    (exits) => exits.filter(Exit.isFailure).length
  )

const program = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  yield* Effect.retry(sql`SELECT 1`, { times: 100, schedule: Schedule.spaced("50 millis") })
  const plain = (index) => Effect.andThen(Effect.sleep(index % 3), sql`SELECT ${index}::int AS n`)
  const first = yield* failures(plain)
  const inTransaction = yield* failures((index) => sql.withTransaction(plain(index)))
  return [first, inTransaction]
})
const run = (prepare) => Effect.runPromise(Effect.provide(program, layer(prepare)))
const [plain, transactions] = await run(undefined)
console.log(`by default: ${plain} of 60 plain statements failed, ${transactions} of 60 transactions`)
const unprepared = await run(false)
console.log(`with prepare: false: ${unprepared[0]} and ${unprepared[1]}`)
if (plain !== 0 || transactions === 0 || String(unprepared) !== "0,0") {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
./node_modules/.bin/node probe.mjs
