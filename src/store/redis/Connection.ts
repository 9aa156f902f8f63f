/**
 * The `Redis` service on a client of its own, tuned for a store: it says at once that a server is out of reach instead
 * of keeping commands for later, notices a connection that died in silence, and comes back by itself.
 */
import { Deferred, Effect, type Scope } from "effect"
import * as Redis from "effect/persistence/Redis"
import { createClient } from "redis"
import { StoreError } from "../../domain/Errors.ts"
import * as Failure from "./Failure.ts"

/**
 * - `disableOfflineQueue`: a command that cannot be sent fails now. Kept for later, it would be carried out long after
 *   its caller has given up.
 * - `pingInterval` and `socketTimeout`: a connection on which nothing arrives for 10 s, not even the answer to a ping, is
 *   dead. Without them a half-open connection is noticed when the operating system does, after minutes.
 * - `timeout` 0: the store's own limit on answers counts from the same moment and needs no timer per command.
 */
const makeClient = (url: string, reconnectStrategy: false | ((retries: number, cause: Error) => number | Error)) =>
  createClient({
    url,
    disableOfflineQueue: true,
    pingInterval: 3000,
    commandOptions: { timeout: 0 },
    socket: { connectTimeout: 5000, socketTimeout: 10_000, reconnectStrategy }
  })

type Client = ReturnType<typeof makeClient>

/** Waits between attempts to connect again: doubling from 50 ms to 2 s, for as long as it takes. */
const reconnectAfterMs = (retries: number): number => Math.min(50 * 2 ** Math.min(retries, 10), 2000)

/** Connects, or fails with what to do about it; closes with the scope. */
export const make = Effect.fnUntraced(function*(
  url: string
): Effect.fn.Return<Redis.Redis["Service"], StoreError, Scope.Scope> {
  const client = yield* Effect.mapError(open(yield* persistent(url)), (error) => unreachable(url, error))
  return yield* Redis.make({
    send: sendOn(client),
    subscribe: (channel, onMessage) => subscribe(url, channel, onMessage),
    connect: Effect.suspend(() => {
      const reserved = makeClient(url, false)
      // whoever sent a command learns of its failure anyway; an error that nobody listens to would be thrown
      reserved.on("error", () => {})
      return Effect.as(tryPromise(() => reserved.connect()), {
        send: sendOn(reserved),
        close: Effect.sync(() => close(reserved))
      })
    })
  })
})

/** A client that connects again for ever once it has been connected, and says so once per outage. */
const persistent = (url: string): Effect.Effect<Client> =>
  Effect.map(Effect.context<never>(), (context) => {
    const log = Effect.runForkWith(context)
    let established = false
    let lost = false
    const client = makeClient(url, (retries, cause) => established ? reconnectAfterMs(retries) : cause)
    client.on("error", (cause: Error) => {
      if (!established || lost) return
      lost = true
      log(Effect.logWarning(`lost the connection to Redis (${cause.message}); connecting again until it is back`))
    })
    client.on("ready", () => {
      established = true
      if (lost) log(Effect.logInfo("connected to Redis again"))
      lost = false
    })
    return client
  })

/**
 * Subscribes on a connection of its own. It does not connect again by itself: whoever listens has to know that hints
 * were lost.
 */
const subscribe = (
  url: string,
  channel: string,
  onMessage: (message: Redis.RedisMessage) => void
): Effect.Effect<Effect.Effect<void, Redis.RedisError>, Redis.RedisError, Scope.Scope> =>
  Effect.suspend(() => {
    const ended = Deferred.makeUnsafe<void, Redis.RedisError>()
    const client = makeClient(url, false)
    client.on("error", (cause) => Deferred.doneUnsafe(ended, Effect.fail(new Redis.RedisError({ cause }))))
    return open(client).pipe(
      Effect.andThen(tryPromise(() => client.subscribe(channel, (message) => onMessage({ channel, message })))),
      Effect.as(Deferred.await(ended))
    )
  })

/** Connects a client, which is closed with the scope, however far it came. */
const open = (client: Client): Effect.Effect<Client, Redis.RedisError, Scope.Scope> =>
  Effect.acquireRelease(Effect.succeed(client), (client) => Effect.sync(() => close(client))).pipe(
    Effect.andThen(tryPromise(() => client.connect())),
    Effect.as(client)
  )

const tryPromise = <A>(evaluate: () => Promise<A>): Effect.Effect<A, Redis.RedisError> =>
  Effect.tryPromise({ try: evaluate, catch: (cause) => new Redis.RedisError({ cause }) })

const sendOn = (client: Client) => <A = unknown>(command: string, ...args: ReadonlyArray<string>) =>
  tryPromise(() => client.sendCommand([command, ...args]) as Promise<A>)

const close = (client: Client): void => {
  if (client.isOpen) client.destroy()
}

const unreachable = (url: string, error: Redis.RedisError): StoreError => {
  const { reason } = Failure.storeError("open", error)
  return new StoreError({ operation: `open ${withoutPassword(url)}`, reason, cause: error.cause })
}

/** The address as errors show it. */
const withoutPassword = (url: string): string => url.replace(/\/\/[^@/]*@/, "//")
