/**
 * The engine's metrics, named as Prometheus likes them. They count what this process did; the cluster's totals are
 * in the store's counts.
 */
import { type Context, Metric } from "effect"
import type { Settlement } from "../domain/Settlement.ts"
import { FailureKind } from "../domain/TaskRecord.ts"

/** Seconds, from a millisecond to an hour. */
const durations = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600]

/** What tells the series of a metric apart. */
type Labels = Readonly<Record<string, string>>

/** A count that only grows. */
export const counter = (name: string, description: string, attributes: Labels = {}): Metric.Counter<number> =>
  Metric.counter(name, { description, incremental: true, attributes })

/**
 * A count with labels: makes the series that has them. `Metric.withAttributes` would share one metric among all series, and
 * spell the labels of each out again whenever another one was updated before it.
 */
export const counters = (name: string, description: string) => (labels: Labels): Metric.Counter<number> =>
  counter(name, description, labels)

/** The same of how values are spread. */
export const histograms = (
  name: string,
  options: { readonly description: string; readonly boundaries: ReadonlyArray<number> }
) =>
(attributes: Labels): Metric.Histogram<number> => Metric.histogram(name, { ...options, attributes })

const created = counters("taskforge_tasks_created_total", "Tasks accepted by this process")

const started = counters("taskforge_attempts_started_total", "Attempts that this process began")

const attempts = counters("taskforge_attempts_total", "Attempts that ended in this process, by outcome")

const failures = counters("taskforge_attempts_failed_total", "Attempts that failed in this process, by kind of failure")

const lost = counters(
  "taskforge_leases_lost_total",
  "Attempts that this process stopped because their lease had gone to another instance"
)

const processed = counters("taskforge_tasks_processed_total", "Tasks that this process completed")

const failed = counters("taskforge_tasks_failed_total", "Tasks that failed for good in this process")

const duration = histograms("taskforge_task_duration_seconds", {
  description: "Time from an attempt's start to its end",
  boundaries: durations
})

const wait = histograms("taskforge_task_wait_seconds", {
  description: "Time from when a task was due to when it was claimed",
  boundaries: durations
})

const starts = counters(
  "taskforge_task_starts_total",
  "First starts in this process of tasks that should start within a time, by queue, type and whether they were in time"
)

const slots = Metric.gauge("taskforge_slots", { description: "Slots of this process" })
const slotsActive = Metric.gauge("taskforge_slots_active", { description: "Slots running a task now" })
const abandoned = counter(
  "taskforge_attempts_abandoned_total",
  "Attempts that went on after they were interrupted and were given up"
)

/** Tasks in the store by state; set when the metrics are read. */
export const tasks = Metric.gauge("taskforge_tasks", { description: "Tasks in the store by state" })

/** Unfinished tasks in the store; set when the metrics are read. */
export const queueSize = Metric.gauge("taskforge_queue_size", { description: "Unfinished tasks in the store" })

/** What an autoscaler goes by, see `TaskQueue.scaling`; set when the metrics are read. */
export const scaling = {
  slotsWanted: Metric.gauge("taskforge_slots_wanted", { description: "Slots that the tasks of the store need" }),
  drain: Metric.gauge("taskforge_drain_seconds", {
    description: "How long the slots of all instances need for the tasks that wait"
  }),
  oldest: Metric.gauge("taskforge_oldest_waiting_seconds", {
    description: "How long the first of the tasks that wait has waited"
  })
}

/** How breakers stand: 0 closed, 1 half open, 2 open; set when the metrics are read. */
export const breakerState = Metric.gauge("taskforge_breaker_state", {
  description: "How a breaker stands: 0 closed, 1 half open, 2 open"
})

/** Tasks that the store knows to wait or run, by queue and type; set when the metrics are read. */
export const depth = Metric.gauge("taskforge_queue_depth", {
  description: "Unfinished tasks by queue, type and state"
})

/** How long the first of them has waited; set when the metrics are read. */
export const age = Metric.gauge("taskforge_queue_waiting_seconds", {
  description: "How long the task that comes next in a queue has waited, by queue and type"
})

/** What `explain` says of the tasks that wait; set when the metrics are read. */
export const heldUp = Metric.gauge("taskforge_tasks_held_up", {
  description: "Tasks that are due and wait, by what holds them up; of closed gates as the newest tasks suggest"
})

/** Adds a series to the registry, with zeros: an alert on its increase would miss the first one otherwise. */
export const register = (metric: Metric.Metric<never, unknown>, context: Context.Context<never>): void => {
  metric.valueUnsafe(context)
}

const outcomesOf: Readonly<Record<Settlement["_tag"], string>> = {
  Complete: "complete",
  Retry: "retry",
  Fail: "fail",
  Cancel: "cancel",
  Snooze: "snooze",
  Release: "release"
}

/** Kinds that end an attempt. A task is quarantined when its attempts were lost: see `StoreMetrics`. */
const kinds = FailureKind.literals.filter((kind) => kind !== "quarantined")

/** The same metric for each value of a label. */
const byLabel = <Label extends string>(
  metric: (labels: Labels) => Metric.Counter<number>,
  labels: Labels,
  values: ReadonlyArray<readonly [key: string, label: Label]>,
  name: string
): ReadonlyMap<string, Metric.Counter<number>> =>
  new Map(values.map(([key, label]) => [key, metric({ ...labels, [name]: label })]))

const ofType = (type: string) => ({
  created: created({ type }),
  started: started({ type }),
  processed: processed({ type }),
  failed: failed({ type }),
  duration: duration({ type }),
  wait: wait({ type }),
  lost: lost({ type }),
  outcomes: byLabel(attempts, { type }, Object.entries(outcomesOf), "outcome"),
  failures: byLabel(failures, { type }, kinds.map((kind) => [kind, kind]), "kind")
})

type OfType = ReturnType<typeof ofType>

const ofLane = (queue: string, type: string) => ({
  inTime: starts({ queue, type, outcome: "in_time" }),
  late: starts({ queue, type, outcome: "late" })
})

type Starts = ReturnType<typeof ofLane>

/** An attempt that has ended, and what became of its task. */
export interface AttemptEnd {
  readonly type: string
  readonly outcome: Settlement["_tag"]
  readonly durationMs: number
  /** Why it failed, if it did. */
  readonly kind?: FailureKind | undefined
}

/** Types counted by name at most, and queues with types; the rest share the name `other`, so that hostile input cannot grow the registry. */
const maxTypes = 200

/** Updates the metrics of one process. Plain calls, because they run for every task. */
export class Recorder {
  private readonly types = new Map<string, OfType>()
  private readonly lanes = new Map<string, Starts>()
  private readonly context: Context.Context<never>

  constructor(context: Context.Context<never>) {
    this.context = context
    register(abandoned, context)
    this.startsOf("other", "other")
  }

  /** Types that this process runs: their series begin with zeros. */
  expects(types: ReadonlyArray<string>): void {
    for (const type of types) this.of(type)
  }

  created(type: string, count: number): void {
    this.of(type).created.updateUnsafe(count, this.context)
  }

  /** Times are in milliseconds. */
  claimed(type: string, waitMs: number): void {
    const metrics = this.of(type)
    metrics.started.updateUnsafe(1, this.context)
    metrics.wait.updateUnsafe(Math.max(0, waitMs) / 1000, this.context)
  }

  /** The lease of an attempt has gone to another one. */
  lost(type: string): void {
    this.of(type).lost.updateUnsafe(1, this.context)
  }

  /** To be called once for the first start of a task that should start within a time. */
  started(queue: string, type: string, isLate: boolean): void {
    this.startsOf(queue, type)[isLate ? "late" : "inTime"].updateUnsafe(1, this.context)
  }

  /** Neighbours of one type and outcome are counted together: a batch costs a few lookups, and a look at each duration. */
  settled(ends: ReadonlyArray<AttemptEnd>): void {
    for (let from = 0, to = 0; from < ends.length; from = to) {
      const { outcome, type } = ends[from]!
      const metrics = this.of(type)
      for (; to < ends.length && ends[to]!.type === type && ends[to]!.outcome === outcome; to++) {
        const { durationMs, kind } = ends[to]!
        metrics.duration.updateUnsafe(durationMs / 1000, this.context)
        if (kind !== undefined) metrics.failures.get(kind)?.updateUnsafe(1, this.context)
      }
      const count = to - from
      metrics.outcomes.get(outcome)!.updateUnsafe(count, this.context)
      if (outcome === "Complete") metrics.processed.updateUnsafe(count, this.context)
      if (outcome === "Fail") metrics.failed.updateUnsafe(count, this.context)
    }
  }

  abandoned(): void {
    abandoned.updateUnsafe(1, this.context)
  }

  slots(size: number, active: number): void {
    slots.updateUnsafe(size, this.context)
    slotsActive.updateUnsafe(active, this.context)
  }

  private startsOf(queue: string, type: string): Starts {
    const name = `${queue}\u0000${type}`
    const known = this.lanes.get(name)
    if (known !== undefined) return known
    if (this.lanes.size >= maxTypes && name !== "other\u0000other") return this.startsOf("other", "other")
    const metrics = ofLane(queue, type)
    register(metrics.inTime, this.context)
    register(metrics.late, this.context)
    this.lanes.set(name, metrics)
    return metrics
  }

  private of(type: string): OfType {
    const known = this.types.get(type)
    if (known !== undefined) return known
    if (this.types.size >= maxTypes && type !== "other") return this.of("other")
    const { failures, outcomes, ...metrics } = ofType(type)
    for (const metric of [...Object.values(metrics), ...outcomes.values(), ...failures.values()]) {
      register(metric, this.context)
    }
    const all = { failures, outcomes, ...metrics }
    this.types.set(type, all)
    return all
  }
}
