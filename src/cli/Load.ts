/** A load on a server: it is kept busy for a time, and then asked how long tasks took from their enqueue to their end. */
import { Duration, Effect } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { NewTaskJson } from "../http/api/NewTaskJson.ts"
import type { Failure } from "./Failure.ts"
import * as RemoteTasks from "./RemoteTasks.ts"
import * as Target from "./Target.ts"

/** Clients that work at the same time. Each enqueues a batch, waits until all of it has finished, and starts over. */
const clients = 8

/** Tasks of a client that are unfinished at most: enough that no slot ever waits, so few that queueing takes no time. */
const batch = 50

/** The smallest task: what it costs is what any task costs. */
export const emptyTask: NewTaskJson = { type: "echo", payload: null }

/** Sends tasks as fast as the server completes them. */
export const keepBusy = Effect.fnUntraced(function*<R>(
  lasting: Duration.Duration,
  send: (tasks: ReadonlyArray<NewTaskJson>) => Effect.Effect<ReadonlyArray<string>, Failure, R>
) {
  const until = (yield* MonotonicClock.now) + Duration.toMillis(lasting)
  const tasks = Array.from({ length: batch }, () => emptyTask)
  const client = Effect.gen(function*() {
    while ((yield* MonotonicClock.now) < until) yield* RemoteTasks.finished(yield* send(tasks))
  })
  yield* Effect.all(Array.from({ length: clients }, () => client), { concurrency: clients, discard: true })
})

/** Ids that stand for all: spread evenly over those that were seen, however many these are. */
export class Sample {
  readonly #ids: Array<string> = []
  #every = 1
  #seen = 0

  /** Ids at most. */
  static readonly max = 1000

  /** Looks at an id, and keeps it or not. */
  see(id: string): void {
    if (this.#seen++ % this.#every === 0) this.#ids.push(id)
    if (this.#ids.length <= Sample.max) return
    this.#every *= 2
    const rest = this.#ids.filter((_, index) => index % 2 === 0)
    this.#ids.splice(0, this.#ids.length, ...rest)
  }

  /** What was kept. */
  get ids(): ReadonlyArray<string> {
    return this.#ids
  }
}

/** How long these tasks took from their enqueue to their end, in milliseconds, by the clock of their server. */
export const latencies = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
  const { api, problem, repeatable } = yield* Target.Target
  const took = (id: string) =>
    repeatable(api.tasks.get({ params: { id } })).pipe(
      Effect.map(({ completed_at, created_at }) =>
        completed_at === null ? [] : [Date.parse(completed_at) - Date.parse(created_at)]
      ),
      // Retention may have removed it
      Effect.catchTag("TaskNotFound", () => Effect.succeed([])),
      Effect.mapError(problem)
    )
  return (yield* Effect.forEach(ids, took, { concurrency: clients })).flat()
})

/** What most values are, and the largest ones. Of no values, everything is 0. */
export const percentiles = (values: ReadonlyArray<number>) => {
  const sorted = values.toSorted((one, other) => one - other)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) }
}
