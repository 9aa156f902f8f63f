/** What the server knows about itself: its health, its counts and the slots of all instances, and the routes that say it. */
import { Clock, Context, DateTime, Duration, Effect, Layer, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { StoreError } from "../domain/Errors.ts"
import { utc, utcNow } from "../domain/StoredTime.ts"
import * as StoredType from "../domain/StoredType.ts"
import * as ClaimWatch from "../explain/ClaimWatch.ts"
import type { Cause } from "../explain/Verdict.ts"
import * as StoreWatch from "../maintenance/StoreWatch.ts"
import { Supervisor, type Trouble } from "../observability/Supervisor.ts"
import type { BreakerView } from "../queue/Breakers.ts"
import type { QueuePage } from "../queue/Queues.ts"
import type { Scaling } from "../queue/Scaling.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import type { Counts } from "../store/Counts.ts"
import { version } from "../store/InstanceStore.ts"
import { Notifier } from "../store/Notifier.ts"
import { type Stranded, TaskStore } from "../store/TaskStore.ts"
import { WorkerPool } from "../worker/WorkerPool.ts"
import { Api } from "./api/Api.ts"
import type { LiveJson, ReadinessJson } from "./api/ProbesApi.ts"
import type { HealthJson, MeJson, StatsJson, WorkersJson } from "./api/SystemApi.ts"
import * as SystemApi from "./api/SystemApi.ts"
import { timestamp } from "./api/TaskJson.ts"
import * as Probes from "./Probes.ts"
import { CurrentVisitor, keyOf } from "./Visitor.ts"

/** How long the store may take to answer before health is red. */
const patience: Duration.Duration = Duration.seconds(2)

/** Breakers that are told at most. */
export const maxBreakers = 100

/** Queues that are told at most. */
const maxQueues = 200

/** What the store answers, or none when it fails or takes too long. */
const inTime = <A, E>(read: Effect.Effect<A, E>): Effect.Effect<Option.Option<A>> =>
  Effect.timeoutOption(read, patience).pipe(Effect.orElseSucceed(Option.none))

/** Where traces are shown: an address with `{trace_id}` in it. */
export const TraceUrl: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "taskforge/http/TraceUrl",
  { defaultValue: () => undefined }
)

/** Answers about the running system. */
export class SystemStatus extends Context.Service<SystemStatus, {
  readonly health: Effect.Effect<HealthJson>
  readonly live: Effect.Effect<LiveJson>
  readonly ready: Effect.Effect<ReadinessJson>
  readonly stats: Effect.Effect<typeof StatsJson.Type, StoreError>
  /** Who asks. A caller without a key that got this far needs none. */
  readonly me: Effect.Effect<typeof MeJson.Type>
  /** Slots of this process. */
  readonly slotCount: Effect.Effect<number>
  readonly workers: Effect.Effect<typeof WorkersJson.Type, StoreError>
  /** The store's counts, or none when it fails or takes too long. */
  readonly counts: Effect.Effect<Option.Option<Counts>>
  /** The need for slots, or none as for the counts. */
  readonly scaling: Effect.Effect<Option.Option<Scaling>>
  /** The first breakers by name, or none as for the counts. */
  readonly breakers: Effect.Effect<ReadonlyArray<BreakerView>>
  /** The first queues by name with their unfinished tasks, or none as for the counts. */
  readonly queues: Effect.Effect<Option.Option<QueuePage>>
  /** What holds up tasks that are due, or none as for the counts. */
  readonly heldUp: Effect.Effect<Option.Option<ReadonlyArray<Cause>>>
}>()("taskforge/http/SystemStatus") {
  /** The status of the engine around it. A process whose pool has no slots only produces. */
  static readonly layer = Layer.effect(
    SystemStatus,
    Effect.gen(function*() {
      const queue = yield* TaskQueue
      const supervisor = yield* Supervisor
      const store = yield* TaskStore
      const pool = yield* WorkerPool
      const { arriving } = yield* Notifier
      const clock = yield* Clock.Clock
      const startedAt = clock.monotonicTimeNanosUnsafe()

      const uptime = () => Number((clock.monotonicTimeNanosUnsafe() - startedAt) / 1_000_000n) / 1000
      /** Since when the store does not answer, and how often it was asked since. */
      let silence: { readonly since: DateTime.Utc; readonly failures: number } | undefined
      const counts = Effect.timeoutOption(queue.counts, patience).pipe(
        Effect.orElseSucceed(Option.none),
        Effect.tap((found) =>
          Effect.sync(() => {
            silence = Option.isSome(found)
              ? undefined
              : { since: silence?.since ?? utcNow(clock), failures: (silence?.failures ?? 0) + 1 }
          })
        )
      )
      const stranded = (found: Counts) =>
        findStranded(queue, store, found).pipe(
          Effect.timeoutOption(patience),
          Effect.map(Option.getOrElse(() => [])),
          Effect.orElseSucceed(() => [])
        )
      const slotCounts = Effect.gen(function*() {
        const count = yield* pool.concurrency
        return count === 0 ? null : { count, active: yield* pool.active }
      })

      const heldUp = yield* ClaimWatch.start(
        supervisor,
        // Nothing may have promoted what has become due, as only claims do
        Effect.map(store.counts, ({ pending, scheduled }) => pending + scheduled > 0),
        queue.verdict()
      )

      const health = Effect.gen(function*() {
        const asked = timestamp(utcNow(clock))
        const found = Option.getOrNull(yield* counts)
        const refusal = store.writeHealth && (yield* store.writeHealth.refusal)
        const troubles = [
          ...(silence === undefined ? [] : [{ part: "store", ...silence }]),
          ...(refusal === undefined
            ? []
            : [{ ...refusal, since: utc(refusal.since), part: StoreWatch.part, advice: refusal.error.advice }]),
          ...(yield* supervisor.troubles).filter(({ part }) => refusal === undefined || part !== StoreWatch.part),
          ...(found === null ? [] : (yield* stranded(found)).map(troubleOf))
        ].map(toJson)
        const facts = {
          timestamp: asked,
          version,
          uptime: uptime(),
          queue: { size: found && unfinished(found), capacity: found && found.capacity, closed: found === null },
          slots: yield* slotCounts,
          held_up: SystemApi.heldUpJson(heldUp()),
          ...(arriving === undefined ? {} : { hears_by: yield* arriving }),
          troubles
        }
        return troubles.length === 0
          ? { status: "healthy" as const, ...facts }
          : { status: "unhealthy" as const, ...facts }
      })

      const silentSince = yield* Probes.shared(
        clock,
        Effect.map(counts, () => Option.fromUndefinedOr(silence?.since))
      )

      const time_zone = DateTime.zoneToString(DateTime.zoneMakeLocal())
      const traceUrl = yield* TraceUrl
      const me = Effect.gen(function*() {
        const key = keyOf(yield* CurrentVisitor)
        return {
          key: key?.name ?? null,
          role: key?.role ?? "admin" as const,
          version,
          instance: pool.instance,
          time_zone,
          ...traceUrl !== undefined && { trace_url: traceUrl },
          timestamp: timestamp(utcNow(clock))
        }
      })

      const stats = Effect.gen(function*() {
        const { capacity, totals, ...by_status } = yield* queue.counts
        const slots = yield* slotCounts
        return {
          queue_size: unfinished(by_status),
          capacity,
          worker_pool: slots?.count ?? 0,
          workers_active: slots?.active ?? 0,
          tasks_total: totals.created,
          tasks_pending: by_status.scheduled + by_status.pending,
          tasks_running: by_status.running,
          tasks_complete: totals.completed,
          tasks_failed: totals.failed,
          by_status,
          totals,
          uptime: uptime()
        }
      })

      const workers = Effect.gen(function*() {
        const [slots, capacity, sizing] = yield* Effect.all([pool.slots, pool.concurrency, pool.sizing])
        const own = { instance: pool.instance, slots, capacity, sizing }
        const counts = yield* queue.counts
        return { ...SystemApi.instancesJson(yield* queue.instances, own), queue_size: unfinished(counts) }
      })

      return SystemStatus.of({
        health,
        live: Probes.live(clock),
        ready: Probes.ready(clock, yield* Probes.Stopping, silentSince),
        stats,
        me,
        workers,
        slotCount: Effect.map(slotCounts, (slots) => slots?.count ?? 0),
        counts,
        scaling: inTime(queue.scaling()),
        breakers: queue.breakers({ limit: maxBreakers }).pipe(
          Effect.map(({ breakers }) => breakers),
          Effect.timeout(patience),
          Effect.orElseSucceed(() => [])
        ),
        queues: inTime(queue.queues({ limit: maxQueues })),
        heldUp: inTime(Effect.map(queue.verdict(), ({ causes }) => causes))
      })
    })
  )
}

/** Handles the endpoints of {@link Api}'s system. */
export const endpoints = HttpApiBuilder.group(
  Api,
  "system",
  Effect.fnUntraced(function*(handlers) {
    const status = yield* SystemStatus
    const health = Effect.flatMap(CurrentVisitor, (visitor) =>
      Effect.map(
        status.health,
        (found) => visitor._tag === "Stranger" ? verdictOf(found) : found
      ))
    return handlers.handleAll({
      health: () => health,
      healthV1: () => health,
      live: () => status.live,
      ready: () => status.ready,
      stats: () => status.stats,
      me: () => status.me,
      workers: () => status.workers
    })
  })
)

/** Up or down, and no more. */
const verdictOf = ({ status, timestamp }: HealthJson) =>
  status === "healthy" ? { status, timestamp } : { status, timestamp }

/** How long a task waits before that is worth a word, in milliseconds: an instance may be about to start. */
const patienceMs = 15_000

/** Pairs of queue and type that are named at most. */
const maxNamed = 100

/**
 * Tasks that wait although no living instance can run them: of a type whose instances were not deployed or are gone, or
 * in a queue that none of them works on. Nothing fails then, so nothing else would tell. Costs two reads while tasks wait,
 * however many there are and in however many queues.
 */
const findStranded = Effect.fnUntraced(function*(
  queue: TaskQueue["Service"],
  store: TaskStore["Service"],
  { pending, scheduled }: Pick<Counts, "pending" | "scheduled">
): Effect.fn.Return<ReadonlyArray<Stranded>, StoreError> {
  // Nothing may have promoted what has become due, as only claims do
  if (pending === 0 && scheduled === 0) return []
  const { instances, now } = yield* queue.instances
  const taking = instances.filter(({ sizing }) => !sizing.draining)
  const runnable = taking.map(({ queues, types, versions }) => ({
    types: types.flatMap((type) => StoredType.upTo(type, versions[type] ?? 1)),
    queues: queues.length === 0 ? undefined : queues
  }))
  const stranded = yield* store.stranded(runnable, maxNamed)
  return stranded.filter(({ since }) => DateTime.toEpochMillis(now) - since >= patienceMs)
})

/** What health says of tasks that no instance can run. */
const troubleOf = ({ queue, since, type, version }: Stranded): Omit<Trouble, "reason"> => ({
  part: `no instance for ${type}${version === undefined ? "" : ` in version ${version}`} in queue ${queue}`,
  since: utc(since),
  failures: 1,
  advice: `start an instance that runs ${type} and works on the queue ${queue}, or cancel its tasks`
})

/** A trouble as clients see it. Reasons stay in the log: they may name what clients must not know. */
const toJson = ({ advice, failures, part, since }: Omit<Trouble, "reason">) => ({
  part,
  since: timestamp(since),
  failures,
  ...(advice === undefined ? {} : { what_to_do: advice })
})

/** Tasks that are not finished: what the capacity bounds. */
export const unfinished = (counts: Pick<Counts, "scheduled" | "pending" | "running">): number =>
  counts.scheduled + counts.pending + counts.running
