/** Reads the jobs and job schedulers of BullMQ in Redis. */
import { Effect, type Scope } from "effect"
import * as Scripts from "./BullMqScripts.ts"
import {
  type ImportedJob,
  type ImportedSchedule,
  type JobState,
  type Part,
  peers,
  type Source,
  SourceError
} from "./ImportedJob.ts"
import { connect, literal, type RedisSource } from "./RedisSource.ts"

/** Queues that are read at most. */
const maxQueues = 10_000

/** Schedules that are read of a queue at most. */
const maxSchedules = 10_000

/** Jobs of a page, and characters of their data, at most: a page is a request to the server. */
const page = { jobs: 500, characters: 300_000 }

/** Where jobs are, in the order in which workers take them. */
const places = [
  { place: Scripts.heldPlace, state: "waiting", kind: "held", count: "HLEN" },
  { place: "wait", state: "waiting", kind: "list", count: "LLEN" },
  { place: "paused", state: "waiting", kind: "list", count: "LLEN" },
  { place: "prioritized", state: "waiting", kind: "zset", count: "ZCARD" },
  { place: "delayed", state: "delayed", kind: "zset", count: "ZCARD" },
  { place: "failed", state: "failed", kind: "zset", count: "ZCARD" },
  { place: "active", state: "running", kind: "list", count: "LLEN" },
  { place: "waiting-children", state: "parent", kind: "zset", count: "ZCARD" }
] as const satisfies ReadonlyArray<{ place: string; state: JobState; kind: string; count: string }>

const kindOf = (place: string) => places.find((one) => one.place === place)!.kind

/** Opens it. `namespace` is the prefix of its keys. */
export const open = Effect.fnUntraced(function*(
  url: string,
  namespace: string,
  only: ReadonlyArray<string>
): Effect.fn.Return<Source, SourceError, Scope.Scope> {
  const redis = yield* connect(url)
  const metas = yield* redis.find(`${literal(namespace)}:*:meta`, maxQueues)
  const queues = metas.map((key) => key.slice(namespace.length + 1, -":meta".length))
    .filter((queue) => only.length === 0 || only.includes(queue))
  const version = yield* demandQueues(redis, namespace, queues)
  const keyOf = (queue: string, name: string) => `${namespace}:${queue}:${name}`
  const parts: Array<Part> = []
  const schedules: Array<ImportedSchedule> = []
  for (const queue of queues) {
    for (const { count, kind, place, state } of places) {
      const found = Number(yield* redis.send(count, keyOf(queue, place)))
      if (found > 0) parts.push({ queue, state, place, count: found, isHeld: kind === "held" })
    }
    schedules.push(...yield* schedulesOf(redis, keyOf(queue, "repeat"), queue))
  }

  const change = (script: string, queue: string, ids: ReadonlyArray<string>) =>
    ids.length === 0
      ? Effect.void
      : Effect.asVoid(redis.run(script, [keyOf(queue, Scripts.heldPlace)], [keyOf(queue, ""), ...ids]))

  return {
    peer: "bullmq",
    version,
    parts,
    schedules,
    page: (part, after) =>
      Effect.map(
        redis.run<ReadonlyArray<Scripts.JobRow>>(Scripts.page, [keyOf(part.queue, part.place)], [
          keyOf(part.queue, ""),
          kindOf(part.place),
          after ?? "",
          page.jobs,
          page.characters
        ]),
        (rows) => rows.map((row) => jobOf(part, row))
      ),
    hold: (part, jobs) =>
      jobs.length === 0 ? Effect.succeed(new Set<string>()) : Effect.map(
        redis.run<ReadonlyArray<string>>(Scripts.hold, [keyOf(part.queue, part.place)], [
          keyOf(part.queue, Scripts.heldPlace),
          part.place,
          kindOf(part.place),
          ...jobs.map(({ id }) => id)
        ]),
        (ids) => new Set(ids)
      ),
    release: (queue, ids) => change(Scripts.release, queue, ids),
    drop: (queue, ids) => change(Scripts.drop, queue, ids),
    dropSchedule: ({ id, queue }) =>
      Effect.asVoid(redis.run(Scripts.dropScheduler, [keyOf(queue, "repeat")], [keyOf(queue, ""), id]))
  }
})

/** Their version, which is the one that can be read. */
const demandQueues = Effect.fnUntraced(function*(
  redis: RedisSource,
  namespace: string,
  queues: ReadonlyArray<string>
): Effect.fn.Return<string, SourceError> {
  let version = ""
  for (const queue of queues) {
    const [type] = [yield* redis.send<string>("TYPE", `${namespace}:${queue}:meta`)]
    const text = type === "hash"
      ? yield* redis.send<string | null>("HGET", `${namespace}:${queue}:meta`, "version")
      : null
    const found = /(\d+)\.\d+\.\d+\S*$/.exec(text ?? "")
    if (Number(found?.[1]) !== peers.bullmq.major) {
      return yield* new SourceError({
        kind: "version",
        problem: `The queue ${JSON.stringify(queue)} was last used by ${
          text === null || text === "" ? "a version of BullMQ that does not say which" : text.replace(":", " ")
        }, and only BullMQ ${peers.bullmq.major} can be read`,
        advice: `Let BullMQ ${peers.bullmq.major} open it once, or leave it out with --queue.`
      })
    }
    version = found![0]
  }
  if (version !== "") return version
  const older = yield* redis.find(`${literal(namespace)}:*:id`, 1)
  return yield* new SourceError({
    kind: older.length === 0 ? "missing" : "version",
    problem: older.length === 0
      ? `There is no queue of BullMQ under the prefix ${JSON.stringify(namespace)}`
      : `The keys under ${
        JSON.stringify(namespace)
      } look like those of Bull, and only BullMQ ${peers.bullmq.major} can be read`,
    advice: "Name another prefix with --namespace, another database with the URL, and queues with --queue."
  })
})

/** The options of a job that are read. */
interface Options {
  readonly attempts?: unknown
  readonly backoff?: unknown
  readonly de?: { readonly ttl?: unknown }
}

const optionsOf = (text: string | null): Options => {
  try {
    const found: unknown = JSON.parse(text ?? "{}")
    return typeof found === "object" && found !== null ? found : {}
  } catch {
    return {}
  }
}

const jobOf = (part: Part, row: Scripts.JobRow): ImportedJob => {
  const [id, score, place, name, data, opts, timestamp, priority, made, key, scheduler, parent, holder, keyMs] = row
  const options = optionsOf(opts)
  const held = places.find((one) => one.place === place)
  const state = held?.state ?? part.state
  const attempts = Number(options.attempts)
  const backoff = backoffOf(options.backoff)
  const unfit = name === null
    ? "nothing is stored of it but its id"
    : parent !== null
    ? "a part of a flow: enqueue the flow here"
    : scheduler !== null && id.startsWith(`repeat:${scheduler}:`)
    ? "made by a job scheduler for its next tick: the schedule makes it here"
    : undefined
  return {
    queue: part.queue,
    id,
    stamp: Number(timestamp ?? 0).toString(36),
    name: name ?? "",
    data: data ?? "{}",
    state,
    urgency: 0 - (Number(priority) || 0),
    ...state === "delayed" && { dueAt: Math.floor(Number(score) / 0x1000) },
    attemptsMade: Number(made) || 0,
    maxAttempts: attempts >= 1 ? attempts : 1,
    ...backoff !== undefined && { backoff },
    // Another job may have the same id once its time is over: only the one that holds it keeps others away
    ...key !== null && holder === id && { key: { key, ...Number(keyMs) > 0 && { forMs: Number(keyMs) } } },
    cursor: `${score}|${id}`,
    ...unfit !== undefined && { unfit }
  }
}

const backoffOf = (backoff: unknown): string | undefined => {
  if (typeof backoff === "number") return backoff === 0 ? undefined : `fixed ${backoff} ms`
  if (typeof backoff !== "object" || backoff === null) return undefined
  const { delay, type } = backoff as { readonly type?: unknown; readonly delay?: unknown }
  return `${String(type)}${typeof delay === "number" ? ` ${delay} ms` : ""}`
}

const schedulesOf = Effect.fnUntraced(function*(
  redis: RedisSource,
  key: string,
  queue: string
): Effect.fn.Return<ReadonlyArray<ImportedSchedule>, SourceError> {
  const rows = yield* redis.run<ReadonlyArray<Scripts.SchedulerRow>>(Scripts.schedulers, [key], [maxSchedules])
  return rows.map(([id, next, name, data, opts, cron, every, timeZone, startAt, endAt, limit]): ImportedSchedule => {
    const { attempts, priority } = optionsOf(opts) as { readonly attempts?: unknown; readonly priority?: unknown }
    const unfit = name === null
      ? "a repeatable job of an older API: make it a job scheduler, or set a schedule here"
      : limit !== null
      ? "a schedule that ends after a number of ticks"
      : cron === null && every === null
      ? "a schedule that is neither a cron nor an interval"
      : undefined
    return {
      queue,
      id,
      name: name ?? "",
      data: data ?? "{}",
      ...cron !== null && { cron },
      ...cron === null && every !== null && { everyMs: Number(every), startAt: Number(next) },
      ...timeZone !== null && { timeZone },
      ...cron !== null && startAt !== null && { startAt: Number(startAt) },
      ...endAt !== null && { endAt: Number(endAt) },
      urgency: 0 - (Number(priority) || 0),
      maxAttempts: Number(attempts) >= 1 ? Number(attempts) : 1,
      ...unfit !== undefined && { unfit }
    }
  })
})
