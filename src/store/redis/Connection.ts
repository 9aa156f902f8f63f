/**
 * The `Redis` service on a client of its own, tuned for a store: it says at once that a server is out of reach instead
 * of keeping commands for later, notices a connection that died in silence, and comes back by itself.
 *
 * In a cluster it is connected to the node that has the deployment's keys. They are in one slot, whose node changes when the
 * slot is moved, or when its node dies and a replica takes over.
 */
import { Deferred, Effect, Option, Schedule, Schema, type Scope } from "effect"
import * as Redis from "effect/persistence/Redis"
import { createClient } from "redis"
import { StoreError } from "../../domain/Errors.ts"
import * as LogModule from "../../domain/LogModule.ts"
import * as Redaction from "../../domain/Redaction.ts"
import * as Failure from "./Failure.ts"

/** Where the server is, and how long it may be silent. */
export interface Options {
  readonly url: string
  /** Any of the deployment's keys: they are all in one slot of a cluster. */
  readonly key?: string | undefined
  /** How long an answer is waited for, in milliseconds. A connection on which a ping gets none by then is dead. */
  readonly answerWithinMs: number
}

/**
 * - `disableOfflineQueue`: a command that cannot be sent fails now. Kept for later, it would be carried out long after
 *   its caller has given up.
 * - `reconnectStrategy` and `socketTimeout` are not used: a client that connects again by itself waits for ever for the
 *   first answer on a connection that died in silence, and the timeout of a socket starts again with each write.
 * - `timeout` 0: the store's own limit on answers counts from the same moment and needs no timer per command.
 */
const makeClient = ({ answerWithinMs, url }: Options) =>
  createClient({
    url,
    disableOfflineQueue: true,
    commandOptions: { timeout: 0 },
    socket: { connectTimeout: answerWithinMs, reconnectStrategy: false }
  })

type Client = ReturnType<typeof makeClient>

/** Waits between attempts to connect again: doubling from 50 ms to 1 s, for as long as it takes. */
const reconnect = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")])

/** Connects, or fails with what to do about it; closes with the scope. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Redis.Redis["Service"], StoreError, Scope.Scope> {
  const current = yield* Effect.mapError(keepConnected(options), (error) => unreachable(options.url, error))
  return yield* Redis.make({
    send: (command, ...args) =>
      Effect.suspend(() => {
        const connection = current()
        return connection === undefined ? Effect.fail(offline) : sendOn(connection)(command, ...args)
      }),
    subscribe: (channel, onMessage) =>
      Effect.suspend(() => subscribe({ ...options, url: current()?.url ?? options.url }, channel, onMessage)),
    connect: Effect.suspend(() => {
      const reserved = makeClient({ ...options, url: current()?.url ?? options.url })
      // the sender of a command learns of its failure anyway; an error without a listener would be thrown
      reserved.on("error", () => {})
      return Effect.as(tryPromise(() => reserved.connect()), {
        send: sendOn({ client: reserved, abandon: () => close(reserved) }),
        close: Effect.sync(() => close(reserved))
      })
    })
  })
})

const offline = new Redis.RedisError({ cause: new Error("offline") })

/** A client that is connected. */
interface Connection {
  readonly url: string
  readonly client: Client
  /** Fails when the connection is dead or given up. */
  readonly ended: Effect.Effect<never, Redis.RedisError>
  /** Gives the connection up, because its server does not have the keys any more. */
  readonly abandon: (error: Redis.RedisError) => void
}

/**
 * The connection there is now. The first one has to succeed; after that a new one takes the place of each that is lost,
 * for ever, with one line in the log per outage.
 */
const keepConnected = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<() => Connection | undefined, Redis.RedisError, Scope.Scope> {
  const first = yield* Deferred.make<void, Redis.RedisError>()
  let current: Connection | undefined
  let lost = false
  /** Servers that may know where the keys are, the one to be asked next at the front. */
  let servers: ReadonlyArray<string> = [options.url]

  const report = Effect.fnUntraced(function*(error: Redis.RedisError) {
    if ((yield* Deferred.fail(first, error)) || lost) return
    lost = true
    yield* ofStore(
      Effect.logWarning(`lost the connection to Redis (${reasonOf(error)}); connecting again until it is back`)
    )
  })

  const attempt = Effect.suspend(() => openHome({ ...options, url: servers[0]! })).pipe(
    Effect.tapError((error) => {
      servers = [...servers.slice(1), servers[0]!]
      return report(error)
    })
  )

  /** Connects, for as long as it takes, and lasts as long as the connection. */
  const session = Effect.scoped(Effect.gen(function*() {
    const connection = yield* Effect.retry(attempt, reconnect)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        current = undefined
      })
    )
    servers = [...new Set([connection.url, ...yield* peersOf(options, connection), options.url])]
    current = connection
    if (lost) yield* ofStore(Effect.logInfo("connected to Redis again"))
    lost = false
    yield* Deferred.succeed(first, undefined)
    yield* connection.ended.pipe(Effect.catch(report))
  }))
  yield* Effect.forkScoped(Effect.forever(session))
  yield* Deferred.await(first)
  return () => current
})

/** How often a node of a cluster may name another one before it is believed that they don't know. */
const maxHops = 5

const isReplica = new Redis.RedisError({ cause: new Error("READONLY it is a replica") })

/** Opens a connection to the server that has the keys: the one that is asked, or the one that it names. */
const openHome = (options: Options, hops = maxHops): Effect.Effect<Connection, Redis.RedisError, Scope.Scope> =>
  Effect.flatMap(open(options), (connection) => {
    const { client } = connection
    const { key } = options
    if (key === undefined) return Effect.succeed(connection)
    const asked = Effect.andThen(
      tryPromise(() => client.exists(key)),
      Effect.filterOrFail(
        tryPromise(() => client.info("replication")),
        (replication) => !replication.includes("role:slave"),
        () => isReplica
      )
    )
    return within(options, asked).pipe(
      Effect.as(connection),
      Effect.catch((error) => {
        close(client)
        const home = movedTo(options.url, error.cause)
        return home === undefined || hops === 0 ? Effect.fail(error) : openHome({ ...options, url: home }, hops - 1)
      })
    )
  })

/** The nodes of the cluster, which may answer when this one has died; nothing where there is no cluster. */
const peersOf = (options: Options, { client, url }: Connection): Effect.Effect<ReadonlyArray<string>> =>
  Effect.match(within(options, tryPromise(() => client.sendCommand(["CLUSTER", "SLOTS"]))), {
    onSuccess: (slots) => nodesOf(url, slots),
    onFailure: () => []
  })

/** Subscribes on a connection of its own. It does not subscribe again: listeners have to know that hints were lost. */
const subscribe = (
  options: Options,
  channel: string,
  onMessage: (message: Redis.RedisMessage) => void
): Effect.Effect<Effect.Effect<void, Redis.RedisError>, Redis.RedisError, Scope.Scope> =>
  Effect.flatMap(open(options), ({ client, ended }) =>
    Effect.as(
      within(options, tryPromise(() => client.subscribe(channel, (message) => onMessage({ channel, message })))),
      ended
    ))

/** Connects a client, which is closed with the scope. */
const open = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Connection, Redis.RedisError, Scope.Scope> {
  const broken = yield* Deferred.make<never, Redis.RedisError>()
  const abandon = (error: Redis.RedisError): void => void Deferred.doneUnsafe(broken, Effect.fail(error))
  const client = makeClient(options)
  client.on("error", (cause) => abandon(new Redis.RedisError({ cause })))
  const closing = Effect.sync(() => close(client))
  yield* Effect.acquireRelease(
    Effect.onError(within(options, tryPromise(() => client.connect())), () => closing),
    () => closing,
    { interruptible: true }
  )
  const pinging = Effect.sleep(options.answerWithinMs / 4).pipe(
    Effect.andThen(within(options, tryPromise(() => client.ping()))),
    Effect.forever
  )
  return { url: options.url, client, ended: Effect.raceFirst(Deferred.await(broken), pinging), abandon }
})

/** An answer that has to come in time. */
const within = <A>(
  { answerWithinMs }: Options,
  answer: Effect.Effect<A, Redis.RedisError>
): Effect.Effect<A, Redis.RedisError> =>
  Effect.timeoutOrElse(answer, {
    duration: answerWithinMs,
    orElse: () => Effect.fail(new Redis.RedisError({ cause: new Error(`no answer within ${answerWithinMs} ms`) }))
  })

const tryPromise = <A>(evaluate: () => Promise<A>): Effect.Effect<A, Redis.RedisError> =>
  Effect.tryPromise({ try: evaluate, catch: (cause) => new Redis.RedisError({ cause }) })

const sendOn =
  ({ abandon, client }: Pick<Connection, "abandon" | "client">) =>
  <A = unknown>(command: string, ...args: ReadonlyArray<string>): Effect.Effect<A, Redis.RedisError> =>
    Effect.tryPromise({
      try: () => client.sendCommand([command, ...args]) as Promise<A>,
      catch: (cause) => {
        const error = new Redis.RedisError({ cause })
        if (isElsewhere(cause)) abandon(error)
        return error
      }
    })

const close = (client: Client): void => {
  if (client.isOpen) client.destroy()
}

const reasonOf = ({ cause }: Redis.RedisError): string => cause instanceof Error ? cause.message : String(cause)

const unreachable = (url: string, error: Redis.RedisError): StoreError => {
  const { reason } = Failure.storeError("open", error)
  return new StoreError({ operation: `open ${Redaction.url(url)}`, reason, cause: error.cause })
}

/** The address of a node, with the credentials and the protocol of another one. */
const at = (url: string, host: string, port: number): string => {
  const address = new URL(url)
  // a cluster that doesn't know its own host leaves it to the client
  if (host !== "") address.hostname = host.includes(":") ? `[${host}]` : host
  address.port = String(port)
  return address.href
}

/** The node that has the keys, from the refusal of one that does not; `undefined` for any other error. */
export const movedTo = (url: string, error: unknown): string | undefined => {
  const moved = error instanceof Error ? /^MOVED \d+ (.*):(\d+)/.exec(error.message) : null
  return moved === null ? undefined : at(url, moved[1]!, Number(moved[2]))
}

/**
 * Whether a server says that it is the wrong one: the slot has moved, or it has become a replica, and a new
 * connection may be led to the one that took its place. Redis 6 reports the latter from within a script.
 */
export const isElsewhere = (error: unknown): boolean =>
  error instanceof Error && (error.message.startsWith("MOVED ") || error.message.includes("READONLY "))

/** What `CLUSTER SLOTS` answers: ranges of slots, each with its nodes. */
const Slots = Schema.Array(Schema.TupleWithRest(Schema.Tuple([Schema.Finite, Schema.Finite]), [
  Schema.TupleWithRest(Schema.Tuple([Schema.NullOr(Schema.String), Schema.Finite]), [Schema.Unknown])
]))

const decodeSlots = Schema.decodeUnknownOption(Slots)

/** The nodes in an answer to `CLUSTER SLOTS`; none in one that is something else. */
export const nodesOf = (url: string, answer: unknown): ReadonlyArray<string> => {
  const slots = Option.getOrElse(decodeSlots(answer), () => [])
  const nodes = slots.flatMap(([, , ...members]) => members.map(([host, port]) => at(url, host ?? "", port)))
  return [...new Set(nodes)]
}

const ofStore = LogModule.within("store")
