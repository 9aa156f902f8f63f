/**
 * How the store answers: how long its calls take, how many of them fail, and how many tasks they are about. And what it did to
 * tasks that no attempt of this process tells of: it ended those that were too old, and took back those whose instance was lost.
 *
 * A call is counted where the engine makes it, before a driver joins it with others.
 */
import { Cause, Clock, type Context, Effect, Exit, type Metric } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import type { Expired, Rescued, TaskStore } from "../store/TaskStore.ts"
import { counter, counters, histograms, register } from "./Metrics.ts"

const duration = histograms("taskforge_store_duration_seconds", {
  description: "Time until the store had answered, by operation",
  boundaries: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})

const errors = counters(
  "taskforge_store_errors_total",
  "Calls that the store did not answer as it should, by operation"
)

const batch = histograms("taskforge_store_batch_tasks", {
  description: "Tasks that one call of the store was about, by operation",
  boundaries: [0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]
})

const expired = counter(
  "taskforge_tasks_expired_total",
  "Waiting tasks that this process ended because they were too old"
)

const rescued = counters(
  "taskforge_tasks_rescued_total",
  "Tasks that this process took back from lost instances, by what became of them"
)

const cancels = counters("taskforge_cancels_total", "Tasks that this process was asked to cancel, by what was done")

/** What is done to tasks. */
const taskOperations = [
  "enqueue",
  "claim",
  "extend",
  "settle",
  "passes",
  "letGo",
  "charge",
  "report",
  "rescue",
  "expire",
  "cancel",
  "rerun",
  "reopen",
  "reschedule",
  "remove",
  "prune",
  "get",
  "results",
  "awaitResults",
  "list",
  "stranded",
  "counts",
  "laneCounts"
] as const

/** What is done to records. */
const recordOperations = ["get", "put", "atomically", "list", "due", "take"] as const

/** Operations whose number of tasks is told. */
const batched = ["enqueue", "claim", "extend", "settle"] as const

/** As Prometheus spells names. */
const labelOf = (operation: string): string => operation.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** The same stores, whose calls are counted and timed. */
export interface Stores {
  readonly tasks: TaskStore["Service"]
  readonly records: RecordStore["Service"]
}

/** Measures both stores of an engine. */
export const measured = Effect.fnUntraced(function*({ records, tasks }: Stores): Effect.fn.Return<Stores> {
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const counts = countsOf(context)

  const timed = (operation: string) => {
    const labels = { operation: labelOf(operation) }
    const took = duration(labels)
    const failed = errors(labels)
    register(took, context)
    register(failed, context)
    return <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.suspend(() => {
        const since = MonotonicClock.exactMillis(clock)
        return Effect.onExit(effect, (exit) => {
          took.updateUnsafe((MonotonicClock.exactMillis(clock) - since) / 1000, context)
          if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) failed.updateUnsafe(1, context)
          return Effect.void
        })
      })
  }

  const times = Object.fromEntries(taskOperations.map((operation) => [operation, timed(operation)])) as Readonly<
    Record<typeof taskOperations[number], ReturnType<typeof timed>>
  >
  const recordTimes = Object.fromEntries(
    recordOperations.map((operation) => [operation, timed(`record_${operation}`)])
  ) as Readonly<Record<typeof recordOperations[number], ReturnType<typeof timed>>>
  const sizes = Object.fromEntries(batched.map((operation) => [operation, sizeOf(operation, context)])) as Readonly<
    Record<typeof batched[number], (size: number) => void>
  >

  return {
    tasks: {
      ...tasks,
      enqueue: (groups) => {
        sizes.enqueue(groups.length === 1 ? groups[0]!.length : groups.reduce((sum, { length }) => sum + length, 0))
        return times.enqueue(tasks.enqueue(groups))
      },
      claim: (request) =>
        Effect.map(times.claim(tasks.claim(request)), (answer) => {
          sizes.claim(answer.tasks.length)
          if (answer.expired !== undefined) counts.expired(answer.expired)
          return answer
        }),
      extend: (refs, leaseForMs) => {
        sizes.extend(refs.length)
        return times.extend(tasks.extend(refs, leaseForMs))
      },
      settle: (settlements) => {
        sizes.settle(settlements.length)
        return times.settle(tasks.settle(settlements))
      },
      rescue: (request) =>
        Effect.map(times.rescue(tasks.rescue(request)), (answer) => {
          counts.rescued(answer.rescued)
          return answer
        }),
      expire: (limit) =>
        Effect.map(times.expire(tasks.expire(limit)), (answer) => {
          counts.expired(answer)
          return answer
        }),
      cancel: (ids) =>
        Effect.map(times.cancel(tasks.cancel(ids)), (answers) => {
          counts.cancels(answers)
          return answers
        }),
      passes: (passes) => times.passes(tasks.passes(passes)),
      letGo: (passes) => times.letGo(tasks.letGo(passes)),
      charge: (charges) => times.charge(tasks.charge(charges)),
      report: (reports) => times.report(tasks.report(reports)),
      rerun: (ids) => times.rerun(tasks.rerun(ids)),
      reopen: (ids, options) => times.reopen(tasks.reopen(ids, options)),
      reschedule: (requests) => times.reschedule(tasks.reschedule(requests)),
      remove: (ids) => times.remove(tasks.remove(ids)),
      prune: (retention, limit) => times.prune(tasks.prune(retention, limit)),
      get: (id) => times.get(tasks.get(id)),
      results: (ids, maxBytes) => times.results(tasks.results(ids, maxBytes)),
      awaitResults: (ids, maxBytes) => times.awaitResults(tasks.awaitResults(ids, maxBytes)),
      list: (request) => times.list(tasks.list(request)),
      stranded: (runnable, limit) => times.stranded(tasks.stranded(runnable, limit)),
      counts: times.counts(tasks.counts),
      laneCounts: (range) => times.laneCounts(tasks.laneCounts(range))
    },
    records: {
      ...records,
      get: (kind, ids) => recordTimes.get(records.get(kind, ids)),
      put: (changes, nonce) => recordTimes.put(records.put(changes, nonce)),
      atomically: (nonce, parts) => recordTimes.atomically(records.atomically(nonce, parts)),
      list: (kind, request) => recordTimes.list(records.list(kind, request)),
      due: (kind, limit) => recordTimes.due(records.due(kind, limit)),
      take: (kind, limit, leaseForMs) => recordTimes.take(records.take(kind, limit, leaseForMs))
    }
  }
})

/** Tells how many tasks a call is about. */
const sizeOf = (operation: string, context: Context.Context<never>): (size: number) => void => {
  const metric = batch({ operation })
  register(metric, context)
  return (size) => metric.updateUnsafe(size, context)
}

/** Counts what became of tasks. Zero before the first one, so that its increase is seen. */
const countsOf = (context: Context.Context<never>) => {
  const series = <Value extends string>(
    metric: (labels: Readonly<Record<string, string>>) => Metric.Counter<number>,
    label: string,
    values: ReadonlyArray<Value>
  ) => {
    const byValue = new Map<string, Metric.Counter<number>>(
      values.map((value) => [value, metric({ [label]: value })])
    )
    for (const one of byValue.values()) register(one, context)
    return (value: Value): void => byValue.get(value)?.updateUnsafe(1, context)
  }
  register(expired, context)
  const becoming = series(rescued, "outcome", ["retried", "cancelled", "quarantined", "expired"])
  const cancelled = series(cancels, "outcome", ["cancelled", "requested", "finished", "unknown"])
  return {
    expired: (tasks: ReadonlyArray<Expired>): void => {
      if (tasks.length > 0) expired.updateUnsafe(tasks.length, context)
    },
    rescued: (tasks: ReadonlyArray<Rescued>): void => {
      for (const { state } of tasks) {
        becoming(
          state === "failed"
            ? "quarantined"
            : state === "cancelled"
            ? "cancelled"
            : state === "expired"
            ? "expired"
            : "retried"
        )
      }
    },
    cancels: (answers: ReadonlyArray<"cancelled" | "requested" | "finished" | "unknown">): void =>
      answers.forEach(cancelled)
  }
}
