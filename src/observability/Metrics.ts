/**
 * The engine's metrics, named as Prometheus likes them. They count what this process did; the cluster's totals are
 * in the store's counts.
 */
import { type Context, Metric } from "effect"
import type { Settlement } from "../domain/Settlement.ts"

/** Seconds, from a millisecond to an hour. */
const durations = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600]

/** A count that only grows. */
export const counter = (name: string, description: string): Metric.Counter<number> =>
  Metric.counter(name, { description, incremental: true })

const created = counter("taskforge_tasks_created_total", "Tasks accepted by this process")

const attempts = counter("taskforge_attempts_total", "Attempts that ended in this process, by outcome")

const processed = counter("taskforge_tasks_processed_total", "Tasks that this process completed")

const failed = counter("taskforge_tasks_failed_total", "Tasks that failed for good in this process")

const duration = Metric.histogram("taskforge_task_duration_seconds", {
  description: "Time from an attempt's start to its end",
  boundaries: durations
})

const wait = Metric.histogram("taskforge_task_wait_seconds", {
  description: "Time from when a task was due to when it was claimed",
  boundaries: durations
})

const starts = counter(
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

const ofType = (type: string) => ({
  created: Metric.withAttributes(created, { type }),
  processed: Metric.withAttributes(processed, { type }),
  failed: Metric.withAttributes(failed, { type }),
  duration: Metric.withAttributes(duration, { type }),
  wait: Metric.withAttributes(wait, { type }),
  outcomes: new Map<string, Metric.Counter<number>>()
})

type OfType = ReturnType<typeof ofType>

const ofLane = (queue: string, type: string) => ({
  inTime: Metric.withAttributes(starts, { queue, type, outcome: "in_time" }),
  late: Metric.withAttributes(starts, { queue, type, outcome: "late" })
})

type Starts = ReturnType<typeof ofLane>

/** An attempt that has ended, and what became of its task. */
export interface AttemptEnd {
  readonly type: string
  readonly outcome: Settlement["_tag"]
  readonly durationMs: number
}

/** Types counted by name at most, and queues with types; the rest share the name `other`, so that hostile input cannot grow the registry. */
const maxTypes = 500

/** Updates the metrics of one process. Plain calls, because they run for every task. */
export class Recorder {
  private readonly types = new Map<string, OfType>()
  private readonly lanes = new Map<string, Starts>()
  private readonly context: Context.Context<never>

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  created(type: string, count: number): void {
    this.of(type).created.updateUnsafe(count, this.context)
  }

  /** Times are in milliseconds. */
  claimed(type: string, waitMs: number): void {
    this.of(type).wait.updateUnsafe(Math.max(0, waitMs) / 1000, this.context)
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
        metrics.duration.updateUnsafe(ends[to]!.durationMs / 1000, this.context)
      }
      const count = to - from
      this.outcomeOf(metrics, type, outcome).updateUnsafe(count, this.context)
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

  private outcomeOf({ outcomes }: OfType, type: string, outcome: AttemptEnd["outcome"]): Metric.Counter<number> {
    let counter = outcomes.get(outcome)
    if (counter === undefined) {
      counter = Metric.withAttributes(attempts, { type, outcome: outcome.toLowerCase() })
      outcomes.set(outcome, counter)
    }
    return counter
  }

  private startsOf(queue: string, type: string): Starts {
    const name = `${queue}\u0000${type}`
    const known = this.lanes.get(name)
    if (known !== undefined) return known
    if (this.lanes.size >= maxTypes && name !== "other\u0000other") return this.startsOf("other", "other")
    const metrics = ofLane(queue, type)
    this.lanes.set(name, metrics)
    return metrics
  }

  private of(type: string): OfType {
    const known = this.types.get(type)
    if (known !== undefined) return known
    if (this.types.size >= maxTypes && type !== "other") return this.of("other")
    const metrics = ofType(type)
    this.types.set(type, metrics)
    return metrics
  }
}
