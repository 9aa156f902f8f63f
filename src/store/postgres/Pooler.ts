/**
 * Connection poolers between a client and the server, such as PgBouncer. In transaction mode a pooler lends a session of
 * the server to a connection for one transaction only: statements that were prepared, `LISTEN` and settings of the
 * session stay behind in whichever session had them.
 */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Failure from "./Failure.ts"

/** What a connection leads to. */
export interface Route {
  /** Connections share the sessions of the server, by the transaction. */
  readonly isShared: boolean
  /** Settings in the startup packet are taken; a pooler refuses those that it does not know. */
  readonly takesParameters: boolean
}

/** How often two connections are compared: an idle pooler is found at the first time, a busy one soon after. */
const maxComparisons = 20

/** Finds out, on one connection of its own, or on two where there is a pooler. */
export const find = (config: PgConnection.Config): Effect.Effect<Route, SqlError> =>
  Effect.scoped(Effect.gen(function*() {
    let takesParameters = true
    const connect = Effect.suspend(() =>
      PgConnection.make(takesParameters ? config : { ...config, startupParameters: undefined })
    )
    const first = yield* Effect.catchIf(connect, Failure.isRefusedPacket, () => {
      takesParameters = false
      return connect
    })
    // A pooler answers with numbers of its own, for they name its client's connection, not the server's session
    if (first.processId === (yield* sessionOf(first))) return { isShared: false, takesParameters }
    return { isShared: yield* shareSessions(first, yield* connect), takesParameters }
  }))

/** Two open connections that meet in a session do not own it, and neither does one that changes it. */
const shareSessions = Effect.fnUntraced(function*(
  first: PgConnection.PgConnection,
  second: PgConnection.PgConnection
) {
  const own = yield* sessionOf(first)
  for (let comparison = 0; comparison < maxComparisons; comparison++) {
    if ((yield* sessionOf(second)) === own || (yield* sessionOf(first)) !== own) return true
  }
  return false
})

const sessionOf = (connection: PgConnection.PgConnection) =>
  Effect.map(connection.queryValues("SELECT pg_backend_pid()", [], false), ([row]) => row?.[0])
