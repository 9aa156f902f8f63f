/**
 * The Redis store as layers: several machines share one queue with the least latency.
 *
 * How safe tasks are is the server's setting: `docs/redis.md` says which gives which promise. Each write is one Lua script,
 * so it happens entirely or not at all, on a single server as on one slot of a cluster. What a script does not decide by itself is
 * read by one, decided by `Settlement`, and written by another one where it is still as it was read.
 */
import { Clock, Config, Context, Duration, Effect, Layer, Redacted, type Scope } from "effect"
import { RateLimiter } from "effect/persistence"
import { Redis } from "effect/persistence/Redis"
import * as Bounds from "../../domain/Bounds.ts"
import type { StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import * as LogModule from "../../domain/LogModule.ts"
import { Budget } from "../Admission.ts"
import * as Coalescer from "../Coalescer.ts"
import { Aftermath } from "../Dependencies.ts"
import {
  demandSettings,
  type ServerServices,
  settingNames,
  type StoreSettings,
  withoutTransactions
} from "../Driver.ts"
import { EventLog } from "../EventLog.ts"
import { InstanceStore } from "../InstanceStore.ts"
import { Notifier } from "../Notifier.ts"
import { RecordStore } from "../RecordStore.ts"
import { promotion, TaskStore } from "../TaskStore.ts"
import { Refusals } from "../WriteHealth.ts"
import * as Archive from "./Archive.ts"
import * as Attempt from "./Attempt.ts"
import * as Claim from "./Claim.ts"
import * as Connection from "./Connection.ts"
import * as Dependencies from "./Dependencies.ts"
import * as Enqueue from "./Enqueue.ts"
import * as Events from "./Events.ts"
import * as Failure from "./Failure.ts"
import * as Hints from "./Hints.ts"
import * as Instances from "./Instances.ts"
import * as Lanes from "./Lanes.ts"
import * as Operate from "./Operate.ts"
import * as Passes from "./Passes.ts"
import * as Read from "./Read.ts"
import * as Records from "./Records.ts"
import * as Runner from "./Runner.ts"
import * as Server from "./Server.ts"
import * as Task from "./Task.ts"

/** The name of a deployment, unless configured. */
export const defaultPrefix = "taskforge"

/** Which tasks on the server are meant, and how the store behaves. */
export interface Options extends StoreSettings {
  /**
   * Tells deployments on one server apart. All keys begin with it in braces, so that a cluster keeps them together:
   * `{taskforge}:…` by default.
   */
  readonly prefix?: string | undefined
  /**
   * For tests: a key, with the same prefix, that holds `+n` to move the store's clock by n milliseconds, or `n` to stop
   * it there. By default the clock is the server's.
   */
  readonly clockKey?: string | undefined
  /**
   * How long an answer is waited for; with `layerUrl`, also how long a connection may be silent. A third of the pools'
   * lease is the longest that makes sense. Default 5 s.
   */
  readonly answerWithin?: Duration.Input | undefined
}

/** How long an answer is waited for, unless configured. */
const defaultAnswerWithin = Duration.seconds(5)

/** What the names of all keys begin with. In braces, so that all are in one slot of a cluster. */
const rootOf = ({ prefix }: Options): string => `{${prefix ?? defaultPrefix}}`

const answerWithinMsOf = ({ answerWithin }: Options): number =>
  Math.ceil(Duration.toMillis(answerWithin ?? defaultAnswerWithin))

/** The same with the address of a server. */
export interface UrlOptions extends Options {
  /** `redis://user:password@host:6379/0`, or `rediss://` with TLS. Of a cluster, any node. */
  readonly url: Redacted.Redacted | string
}

const names: Bounds.Names<UrlOptions> = { ...settingNames, prefix: 1, clockKey: 1, answerWithin: 1, url: 1 }

/**
 * The store on the `Redis` service of the environment, for instance `NodeRedis.layer` of `@effect/platform-node`. That
 * client decides what happens while the server is out of reach, and whether a cluster is followed; `layerUrl` brings one
 * that is tuned for it.
 */
export const layer = (
  options: Options = {}
): Layer.Layer<ServerServices, StoreError | StoreIncompatible, Redis> => Layer.effectContext(make(options))

/**
 * The store on the server at an address.
 *
 * @example
 * ```ts
 * import { RedisStore } from "taskforge/redis"
 *
 * const StoreLive = RedisStore.layerUrl({ url: "redis://localhost:6379" })
 * ```
 */
export const layerUrl = (
  { url: given, ...options }: UrlOptions
): Layer.Layer<ServerServices, StoreError | StoreIncompatible> => {
  const url = Redacted.isRedacted(given) ? Redacted.value(given) : given
  Bounds.demand("url", aUrl, url ?? "")
  return Layer.provide(
    layer(options),
    Layer.effect(Redis, Connection.make({ url, key: rootOf(options), answerWithinMs: answerWithinMsOf(options) }))
  )
}

/** Another type, which a program without types may give, would be taken for a server that is out of reach, for ever. */
const aUrl: Bounds.Bound<unknown> = {
  expected: "an address such as redis://localhost:6379, as a text or Redacted",
  accepts: (url) => typeof url === "string" && url !== ""
}

/** The same with options from configuration. */
export const layerConfig = (
  options: Config.Wrap<UrlOptions>
): Layer.Layer<ServerServices, StoreError | StoreIncompatible | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layerUrl))

/** Tasks and endings in one script at most, when they come from many callers: enough to share a round trip. */
const shareSize = 25

/** Characters of a payload or a result count as more tasks: a script blocks the server while it is read. */
const weights = Coalescer.weights(64 * 1024)

const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Context.Context<ServerServices>, StoreError | StoreIncompatible, Redis | Scope.Scope> {
  const { capacity, headStartMs, maxCrashes } = demandSettings(options, names)
  const redis = yield* Redis
  const root = rootOf(options)
  const keys = options.clockKey === undefined ? [root] : [root, options.clockKey]
  const clock = yield* Clock.Clock
  const refusals = new Refusals(clock)
  const runner = Runner.make(redis, keys, answerWithinMsOf(options), refusals)

  yield* inspect(redis)
  // No lease runs yet, and a machine that starts is slow: the time that a short lease leaves for an answer is too little
  const patient = Runner.make(redis, keys, Math.max(answerWithinMsOf(options), Duration.toMillis(defaultAnswerWithin)))
  yield* Server.agree(patient, `The Redis store ${root}`, headStartMs, options.readOnly)

  const aftermath = new Aftermath()
  const tasks = Task.make(runner, headStartMs, aftermath)
  const attempt = Attempt.make(runner, tasks, maxCrashes, aftermath)
  const operate = Operate.make(runner, tasks)
  const { memory, ...queries } = Read.make(runner, capacity)
  const lanes = Lanes.make(runner)
  const budget = options.maxBytes === undefined
    ? undefined
    : new Budget(options.maxBytes, memory, clock)
  if (budget !== undefined) yield* budget.measureFor(0)
  const hints = yield* Hints.make(redis, `${root}:hints`)
  const enqueue = Enqueue.make(runner, capacity, headStartMs, budget, aftermath)
  const dependencies = Dependencies.make(runner, aftermath)
  const claim = Claim.make(runner, tasks, headStartMs, dependencies.tell)

  const taskStore = TaskStore.of({
    ...withoutTransactions,
    ...attempt,
    ...operate,
    ...queries,
    ...Passes.make(runner),
    ...dependencies,
    enqueue: yield* Coalescer.inParts({
      // The claim of an idle instance follows on the same connection, so it finds what is on its way
      run: (groups) => Effect.andThen(Effect.sync(hints.wake), enqueue(groups)),
      weightOf: weights.ofGroup,
      max: shareSize
    }),
    claim,
    settle: yield* Coalescer.inParts({
      run: attempt.settle,
      weightOf: weights.ofEnd,
      max: shareSize
    }),
    stranded: (runnable, limit) => Effect.andThen(claim(promotion), lanes.stranded(runnable, limit)),
    announcesRoom: true,
    archive: Archive.make(runner, tasks, headStartMs, aftermath),
    writeHealth: Server.writeHealth(runner, root, refusals),
    laneCounts: lanes.laneCounts
  })
  return Context.make(TaskStore, taskStore).pipe(
    Context.add(Notifier, hints),
    Context.add(InstanceStore, Instances.make(runner)),
    Context.add(RecordStore, Records.make(runner, { tasks, capacity, headStartMs, budget, aftermath })),
    Context.add(EventLog, Events.make(runner)),
    Context.add(RateLimiter.RateLimiterStore, yield* rateLimits(root))
  )
})

/** Refuses a server that is too old, and says what it promises. */
const inspect = Effect.fnUntraced(function*(redis: Redis["Service"]) {
  const facts = yield* Effect.mapError(Server.read(redis), (error) => Failure.storeError("open", error))
  yield* Server.check(facts)
  for (const risk of Server.risks(facts)) {
    yield* Effect.annotateLogs(Effect.logWarning(risk.message), { risk: risk._tag })
  }
  const persistence = `Redis persistence: ${Server.persistence(facts)}`
  yield* Effect.annotateLogs(Server.isKept(facts) ? Effect.logInfo(persistence) : Effect.logWarning(persistence), {
    redis: facts.version
  })
}, LogModule.within("store"))

/** Counts of rate limits below a root, shared by all instances: keys that Redis forgets at a time of its clock. */
const rateLimits = Effect.fnUntraced(function*(root: string) {
  const redis = yield* Redis
  const prefix = `${root}:rate:`
  const store = yield* RateLimiter.makeStoreRedis({ prefix })

  return RateLimiter.RateLimiterStore.of({
    ...store,
    fixedWindow: (options) =>
      Effect.flatMap(store.fixedWindow(options), (counted) => {
        const { key, limit = Infinity, refillRate, tokens } = options
        // Redis rounds the end up with each token. What ends later was counted before the clock was set back
        const maxMs = Math.max(limit, tokens) * (Duration.toMillis(refillRate) + 1)
        if (counted[1] <= maxMs) return Effect.succeed(counted)
        const forgotten = Effect.mapError(redis.send("DEL", `${prefix}${key}`), (cause) =>
          new RateLimiter.RateLimiterError({
            reason: new RateLimiter.RateLimitStoreError({ message: "Failed to forget a rate limit", cause })
          }))
        return Effect.andThen(forgotten, store.fixedWindow(options))
      })
  })
})
