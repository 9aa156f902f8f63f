/** The metrics of this process and of the store, as Prometheus reads them. */
import { DateTime, Duration, Effect, type Layer, Metric, Option } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { all } from "../domain/TaskState.ts"
import type { Cause } from "../explain/Verdict.ts"
import * as Metrics from "../observability/Metrics.ts"
import * as ProcessMetrics from "../observability/ProcessMetrics.ts"
import type { BreakerView } from "../queue/Breakers.ts"
import type { QueuePage } from "../queue/Queues.ts"
import type { Scaling } from "../queue/Scaling.ts"
import type { Counts } from "../store/Counts.ts"
import type { GuardedRoute } from "./api/NeededRole.ts"
import { maxBreakers, SystemStatus, unfinished } from "./SystemStatus.ts"

/** Where the metrics are. */
const path = "/metrics"

/** Who may read the metrics. */
export const route: GuardedRoute = { method: "GET", path, needed: "read" }

const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** Pairs of queue and type that have series of their own at most. */
const maxSeries = 200

/** In the order of the numbers that the metric says. */
const breakerStates: ReadonlyArray<BreakerView["state"]> = ["closed", "half_open", "open"]

/** What a verdict can name. */
const codes: Readonly<Record<Cause["code"], 1>> = {
  behind: 1,
  breaker_open: 1,
  draining: 1,
  key_blocked: 1,
  key_paused: 1,
  limit_full: 1,
  no_handler: 1,
  queue_paused: 1,
  rate_spent: 1,
  share_full: 1,
  type_paused: 1,
  unclaimed: 1
}

/** Serves the metrics. The store's numbers are read for each answer, and are `NaN` while it does not answer. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | SystemStatus> = HttpRouter.use(
  Effect.fnUntraced(function*(router) {
    const status = yield* SystemStatus
    const updateProcess = yield* ProcessMetrics.make
    const setQueues = queueGauges()
    const setBreakers = breakerGauges()
    const read = Effect.gen(function*() {
      const counts = Option.getOrUndefined(yield* status.counts)
      yield* setCounts(counts)
      // A store that does not answer is not waited for twice
      if (counts === undefined) {
        yield* setScaling(undefined)
        yield* setQueues(undefined, undefined)
        yield* setHeldUp(undefined)
      } else {
        const [scaling, queues, heldUp] = yield* Effect.all([status.scaling, status.queues, status.heldUp], {
          concurrency: "unbounded"
        })
        yield* setScaling(Option.getOrUndefined(scaling))
        yield* setQueues(Option.getOrUndefined(queues), counts)
        yield* setHeldUp(Option.getOrUndefined(heldUp))
      }
      yield* setBreakers(yield* status.breakers)
      yield* updateProcess
      return HttpServerResponse.text(yield* PrometheusMetrics.format(), { contentType })
    })
    yield* router.add("GET", path, read)
  })
)

const setCounts = Effect.fnUntraced(function*(counts: Counts | undefined) {
  for (const state of all) {
    yield* Metric.update(Metric.withAttributes(Metrics.tasks, { state }), counts?.[state] ?? Number.NaN)
  }
  yield* Metric.update(Metrics.queueSize, counts === undefined ? Number.NaN : unfinished(counts))
})

const setScaling = Effect.fnUntraced(function*(need: Scaling | undefined) {
  yield* Metric.update(Metrics.scaling.slotsWanted, need?.slotsWanted ?? Number.NaN)
  yield* Metric.update(Metrics.scaling.drain, need?.drainsIn ? Duration.toSeconds(need.drainsIn) : Number.NaN)
  yield* Metric.update(Metrics.scaling.oldest, need === undefined ? Number.NaN : secondsWaited(need))
})

const secondsWaited = ({ now, waitingSince }: Scaling): number =>
  waitingSince === null ? 0 : Duration.toSeconds(DateTime.distance(waitingSince, now))

const setHeldUp = Effect.fnUntraced(function*(causes: ReadonlyArray<Cause> | undefined) {
  const tasks = new Map<string, number>()
  for (const { code, tasks: count } of causes ?? []) tasks.set(code, (tasks.get(code) ?? 0) + count)
  for (const code of Object.keys(codes)) {
    const gauge = Metric.withAttributes(Metrics.heldUp, { code })
    yield* Metric.update(gauge, causes === undefined ? Number.NaN : tasks.get(code) ?? 0)
  }
})

/** The breakers by name. One that is gone stays, without a number. */
const breakerGauges = () => {
  const known = new Set<string>()
  return Effect.fnUntraced(function*(breakers: ReadonlyArray<BreakerView>) {
    const found = new Map(breakers.map(({ name, state }) => [name, state]))
    for (const name of found.keys()) if (known.size < maxBreakers) known.add(name)
    for (const breaker of known) {
      const state = found.get(breaker)
      const gauge = Metric.withAttributes(Metrics.breakerState, { breaker })
      yield* Metric.update(gauge, state === undefined ? Number.NaN : breakerStates.indexOf(state))
    }
  })
}

/** What waits and runs in a queue, of one type or of those that are counted together. */
interface Depth {
  readonly queue: string
  readonly type: string
  readonly scheduled: number
  readonly pending: number
  readonly running: number
  /** Seconds that the first one has waited. */
  readonly waited: number
}

/** Of all that have no series of their own. */
const nothing: Depth = { queue: "other", type: "other", scheduled: 0, pending: 0, running: 0, waited: 0 }

/**
 * Queues and types by name. Those beyond the first {@link maxSeries} that were ever seen are `other` together, and one that has
 * no more tasks says so with zeros.
 */
const queueGauges = () => {
  const known = new Map<string, Depth>()
  return Effect.fnUntraced(function*(page: QueuePage | undefined, counts: Counts | undefined) {
    const found = new Map<string, Depth>()
    let waited = 0
    for (const depth of depthsOf(page)) {
      const name = nameOf(depth)
      if (known.size < maxSeries) known.set(name, { ...nothing, queue: depth.queue, type: depth.type })
      if (known.has(name)) found.set(name, depth)
      else waited = Math.max(waited, depth.waited)
    }
    for (const [name, none] of known) yield* setDepth(page && (found.get(name) ?? none), none)
    yield* setDepth(counts && { ...without(counts, found.values()), waited }, nothing)
  })
}

const nameOf = ({ queue, type }: Depth): string => `${queue}\u0000${type}`

const depthsOf = (page: QueuePage | undefined): ReadonlyArray<Depth> =>
  (page?.queues ?? []).flatMap(({ queue, types }) =>
    types.map(({ waitingSince, ...counts }) => {
      const waited = waitingSince === null ? 0 : Duration.toSeconds(DateTime.distance(waitingSince, page!.now))
      return { ...counts, queue, waited: Math.max(0, waited) }
    })
  )

/** What is left of the unfinished tasks. The store may have been asked for both at different moments. */
const without = (counts: Counts, named: Iterable<Depth>): Depth => {
  const rest = { ...nothing, scheduled: counts.scheduled, pending: counts.pending, running: counts.running }
  for (const { pending, running, scheduled } of named) {
    rest.scheduled -= scheduled
    rest.pending -= pending
    rest.running -= running
  }
  const atLeastNone = (count: number) => Math.max(0, count)
  return {
    ...rest,
    scheduled: atLeastNone(rest.scheduled),
    pending: atLeastNone(rest.pending),
    running: atLeastNone(rest.running)
  }
}

const setDepth = Effect.fnUntraced(function*(depth: Depth | undefined, { queue, type }: Depth) {
  for (const state of ["scheduled", "pending", "running"] as const) {
    const gauge = Metric.withAttributes(Metrics.depth, { queue, type, state })
    yield* Metric.update(gauge, depth?.[state] ?? Number.NaN)
  }
  yield* Metric.update(Metric.withAttributes(Metrics.age, { queue, type }), depth?.waited ?? Number.NaN)
})
