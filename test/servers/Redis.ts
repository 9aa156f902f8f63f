/**
 * Redis (or Valkey) for tests: the server that `TEST_REDIS_URL` names, else the one on the default port, else one that
 * is started from an installed binary.
 */
import { Data, Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { createClient } from "redis"
import * as Program from "./Program.ts"

/** A server that answers. */
export interface RedisServer {
  readonly url: string
}

/** A server that belongs to the test: it may be killed and started again. */
export interface OwnRedis extends RedisServer, Program.Program {}

/** No answer, or an error for one. */
export class CommandFailed extends Data.TaggedError("CommandFailed")<{ readonly cause: unknown }> {
  override get message(): string {
    return this.cause instanceof Error ? this.cause.message : "no answer"
  }
}

const variable = "TEST_REDIS_URL"
const onDefaultPort = "redis://127.0.0.1:6379"

/** The server that tests share, started if there is none. */
export const find: Effect.Effect<RedisServer, Program.ServerMissing, Scope.Scope> = Effect.gen(function*() {
  const named = process.env[variable]
  if (named !== undefined && named !== "") {
    if (yield* Program.answers(command(named, "PING"))) return { url: named }
    return yield* new Program.ServerMissing({ reason: `${variable}=${named} names a Redis that does not answer` })
  }
  return (yield* Program.answers(command(onDefaultPort, "PING"))) ? { url: onDefaultPort } : yield* start()
})

/** The program, for tests that start a server of their own. */
export const installed: Effect.Effect<string, Program.ServerMissing> = Effect.suspend(() => {
  const binary = Program.findBinary(["redis-server", "valkey-server"])
  return binary === undefined
    ? new Program.ServerMissing({
      reason: `There is no Redis: set ${variable}, start one on port 6379, or install it (apt-get install redis-server)`
    })
    : Effect.succeed(binary)
})

/** Starts a server of the test's own, whatever else runs. `settings` are its directives, each with its value. */
export const start = Effect.fnUntraced(function*(
  settings: Readonly<Record<string, string>> = {}
): Effect.fn.Return<OwnRedis, Program.ServerMissing, Scope.Scope> {
  const binary = yield* installed
  const directives = { save: "", appendonly: "no", ...settings }
  const program = yield* Program.run({
    binary,
    folder: yield* Program.folderFor(undefined, "redis"),
    user: undefined,
    stopSignal: "SIGKILL",
    // where the nodes of a cluster talk to each other
    listensAbove: "cluster-enabled" in settings ? 10_000 : undefined,
    args: (port, folder) =>
      Object.entries({ port: String(port), bind: "127.0.0.1", dir: folder, ...directives })
        .flatMap(([name, value]) => [`--${name}`, value]),
    isReady: (port) => command(urlAt(port), "PING")
  })
  return { ...program, url: urlAt(program.port) }
})

/** A key prefix that nobody uses; its keys are removed with the scope. */
export const scratchPrefix = (server: RedisServer): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => `taskforge-test-${randomBytes(6).toString("hex")}`),
    (prefix) =>
      Effect.ignore(withClient(server.url, async (client) => {
        // Prefixes may stand in a hash tag
        for await (const keys of client.scanIterator({ MATCH: `*${prefix}*`, COUNT: 1000 })) {
          if (keys.length > 0) await client.unlink(keys)
        }
      }))
  )

/** One command on a connection of its own. */
export const command = (url: string, ...args: ReadonlyArray<string>): Effect.Effect<unknown, CommandFailed> =>
  withClient(url, (client) => client.sendCommand([...args]))

/** A connection that lasts as long as the scope: commands get through when the server takes no new ones. */
export const session = (
  url: string
): Effect.Effect<
  (...args: ReadonlyArray<string>) => Effect.Effect<unknown, CommandFailed>,
  CommandFailed,
  Scope.Scope
> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const client = clientOf(url)
        client.on("error", () => {})
        await client.connect()
        return client
      },
      catch: (cause) => new CommandFailed({ cause })
    }),
    (client) => Effect.sync(() => client.destroy())
  ).pipe(Effect.map((client) => (...args) =>
    Effect.tryPromise({
      try: () => client.sendCommand([...args]),
      catch: (cause) => new CommandFailed({ cause })
    })
  ))

const clientOf = (url: string) => createClient({ url, socket: { reconnectStrategy: false, connectTimeout: 60_000 } })

const withClient = <A>(
  url: string,
  use: (client: ReturnType<typeof clientOf>) => Promise<A>
): Effect.Effect<A, CommandFailed> =>
  Effect.tryPromise({
    try: async (signal) => {
      const client = clientOf(url)
      client.on("error", () => {})
      signal.addEventListener("abort", () => client.destroy())
      try {
        await client.connect()
        return await use(client)
      } finally {
        if (client.isOpen) client.destroy()
      }
    },
    catch: (cause) => new CommandFailed({ cause })
  })

const urlAt = (port: number): string => `redis://127.0.0.1:${port}`
