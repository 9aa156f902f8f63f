/**
 * The `Redis` service on a client of its own, tuned for a store: it says at once that a server is out of reach instead
 * of keeping commands for later, notices a connection that died in silence, and comes back by itself.
 */
import { Deferred, Effect, Schedule, type Scope } from "effect"
import * as Redis from "effect/persistence/Redis"
import { createClient } from "redis"
import { StoreError } from "../../domain/Errors.ts"
import * as Failure from "./Failure.ts"

/** Where the server is, and how long it may be silent. */
export interface Options {
  readonly url: string
  /** How long an answer is waited for, in milliseconds. A connection on which a ping gets none by then is dead. */
  readonly answerWithinMs: number
}

/**
 * - `disableOfflineQueue`: a command that cannot be sent fails now. Kept for later, it would be carried out long after
 *   its caller has given up.
 * - `reconnectStrategy` and `socketTimeout` are not used: a client that connects again by itself waits for ever for the
 *   first answer on a connection that died in silence, and the timeout of a socket starts anew with whatever is written.
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
        const client = current()
        return client === undefined ? Effect.fail(offline) : sendOn(client)(command, ...args)
      }),
    subscribe: (channel, onMessage) => subscribe(options, channel, onMessage),
    connect: Effect.suspend(() => {
      const reserved = makeClient(options)
      // whoever sent a command learns of its failure anyway; an error that nobody listens to would be thrown
      reserved.on("error", () => {})
      return Effect.as(tryPromise(() => reserved.connect()), {
        send: sendOn(reserved),
        close: Effect.sync(() => close(reserved))
      })
    })
  })
})

const offline = new Redis.RedisError({ cause: new Error("offline") })

/**
 * The client that is connected now. The first connection has to succeed; after that a new one takes the place of each
 * that is lost, for ever, with one line in the log per outage.
 */
const keepConnected = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<() => Client | undefined, Redis.RedisError, Scope.Scope> {
  const first = yield* Deferred.make<void, Redis.RedisError>()
  let current: Client | undefined
  let lost = false

  const report = Effect.fnUntraced(function*(error: Redis.RedisError) {
    if ((yield* Deferred.fail(first, error)) || lost) return
    lost = true
    yield* Effect.logWarning(`lost the connection to Redis (${reasonOf(error)}); connecting again until it is back`)
  })

  /** Connects, for as long as it takes, and lasts as long as the connection. */
  const session = Effect.scoped(Effect.gen(function*() {
    const { client, ended } = yield* Effect.retry(Effect.tapError(open(options), report), reconnect)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        current = undefined
      })
    )
    current = client
    if (lost) yield* Effect.logInfo("connected to Redis again")
    lost = false
    yield* Deferred.succeed(first, undefined)
    yield* ended.pipe(Effect.catch(report))
  }))
  yield* Effect.forkScoped(Effect.forever(session))
  yield* Deferred.await(first)
  return () => current
})

/** Subscribes on a connection of its own. It does not subscribe again: whoever listens has to know that hints were lost. */
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

/** Connects a client, which is closed with the scope. `ended` fails when its connection is dead. */
const open = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<
  { readonly client: Client; readonly ended: Effect.Effect<never, Redis.RedisError> },
  Redis.RedisError,
  Scope.Scope
> {
  const broken = yield* Deferred.make<never, Redis.RedisError>()
  const client = makeClient(options)
  client.on("error", (cause) => Deferred.doneUnsafe(broken, Effect.fail(new Redis.RedisError({ cause }))))
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
  return { client, ended: Effect.raceFirst(Deferred.await(broken), pinging) }
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

const sendOn = (client: Client) => <A = unknown>(command: string, ...args: ReadonlyArray<string>) =>
  tryPromise(() => client.sendCommand([command, ...args]) as Promise<A>)

const close = (client: Client): void => {
  if (client.isOpen) client.destroy()
}

const reasonOf = ({ cause }: Redis.RedisError): string => cause instanceof Error ? cause.message : String(cause)

const unreachable = (url: string, error: Redis.RedisError): StoreError => {
  const { reason } = Failure.storeError("open", error)
  return new StoreError({ operation: `open ${withoutPassword(url)}`, reason, cause: error.cause })
}

/** The address as errors show it. */
const withoutPassword = (url: string): string => url.replace(/\/\/[^@/]*@/, "//")
