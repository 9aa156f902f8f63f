/**
 * The connections to the server: what they lead to, and whether they are alive.
 *
 * Their sockets are watched: a network that goes dead without a word (a router that forgot the connection, a
 * pulled cable) is not reported. A query on such a connection would wait until the operating system gives
 * up, for a quarter of an hour.
 *
 * A connection is dead when something was asked and nothing has been heard for longer than the server may take for any
 * statement. Others that have been silent as long and are at rest are closed with it: they probably are dead as well, and
 * a new one costs little. What encryption hides is not seen here; there only the system's own probes help.
 */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Clock, Effect, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { Socket, type TcpNetConnectOpts } from "node:net"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import * as Failure from "./Failure.ts"

/** The server's word that the connection is encrypted from here on, the first that it says. */
const encrypted = Buffer.from("S")

/** Ends an answer: `ReadyForQuery`, its length, and `I` outside of a transaction. */
const ready = Buffer.from([0x5a, 0, 0, 0, 5])
const atRest = "I".charCodeAt(0)

/** A socket that knows whether an answer is due. */
class WatchedSocket extends Socket {
  /** Whether something was asked and has not been answered to its end. */
  waiting = false
  /** Whether the last answer left the connection outside of any transaction. */
  resting = true
  /** When something was last asked or heard. */
  activeAt = 0
  /** Nothing of what is said can be seen, so neither silence nor an answer that is due. */
  private hidden = false
  private heardAny = false
  private readonly now: () => number
  private tail = Buffer.alloc(0)

  constructor(now: () => number) {
    super()
    this.now = now
    this.activeAt = now()
  }

  override _write(chunk: unknown, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.asked()
    super._write(chunk, encoding, callback)
  }

  override _writev(
    chunks: Array<{ chunk: unknown; encoding: BufferEncoding }>,
    callback: (error?: Error | null) => void
  ): void {
    this.asked()
    super._writev?.(chunks, callback)
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (Buffer.isBuffer(chunk)) this.heard(chunk)
    return super.push(chunk, encoding)
  }

  private asked(): void {
    if (this.hidden) return
    if (!this.waiting) this.activeAt = this.now()
    this.waiting = true
  }

  private heard(chunk: Buffer): void {
    if (this.hidden) return
    if (!this.heardAny && chunk.equals(encrypted)) {
      this.hidden = true
      this.waiting = false
      this.activeAt = Infinity
      return
    }
    this.heardAny = true
    this.activeAt = this.now()
    this.tail = Buffer.concat([this.tail, chunk.subarray(-6)]).subarray(-6)
    // What arrives unasked, a notification, begins no answer
    if (!this.waiting || !this.tail.subarray(0, 5).equals(ready)) return
    this.waiting = false
    this.resting = this.tail[5] === atRest
  }
}

/** The host and port of a URL; nothing where it names neither, such as one for a socket in the file system. */
export const addressOf = (url: string): TcpNetConnectOpts | undefined => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  return parsed === undefined || parsed.hostname === "" || parsed.searchParams.has("host")
    ? undefined
    : {
      host: decodeURIComponent(parsed.hostname).replace(/^\[(.*)\]$/, "$1"),
      port: parsed.port === "" ? 5432 : Number(parsed.port),
      keepAlive: true,
      keepAliveInitialDelay: 10_000,
      noDelay: true
    }
}

/** Makes sockets to an address, and closes those that are dead until the scope closes. */
export const watchedSockets = Effect.fnUntraced(function*(
  address: TcpNetConnectOpts,
  silenceMs: number
): Effect.fn.Return<{ readonly stream: () => Socket }, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = () => MonotonicClock.millis(clock)
  const sockets = new Set<WatchedSocket>()

  const closeDead = Effect.sync(() => {
    const silent = [...sockets].filter(({ activeAt }) => now() - activeAt >= silenceMs)
    if (!silent.some(({ waiting }) => waiting)) return
    for (const socket of silent) {
      if (socket.waiting || socket.resting) socket.destroy(new Error(`the server was silent for ${silenceMs} ms`))
    }
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(silenceMs / 8), closeDead)))

  const stream = () => {
    const socket = new WatchedSocket(now)
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    return socket.connect(address)
  }
  return { stream }
})

/**
 * What a connection leads to: the server, or a connection pooler before it, such as PgBouncer. In transaction mode a pooler
 * lends a session of the server to a connection for one transaction only: statements that were prepared, `LISTEN` and
 * settings of the session stay behind in whichever session had them.
 */
export interface Route {
  /** Connections share the sessions of the server, by the transaction. */
  readonly isShared: boolean
  /** Settings in the startup packet are taken; a pooler refuses those that it does not know. */
  readonly takesParameters: boolean
}

/** How often two connections are compared: an idle pooler is found at the first time, a busy one soon after. */
const maxComparisons = 20

/** Finds out what connections lead to, on one of its own, or on two where there is a pooler. */
export const routeOf = (config: PgConnection.Config): Effect.Effect<Route, SqlError> =>
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
