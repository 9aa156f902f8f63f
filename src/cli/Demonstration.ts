/** Varied life for a server, at a steady rate: what a day of work looks like in half a minute. */
import { Clock, Duration, Effect, Random } from "effect"
import type { NewTaskJson } from "../http/api/NewTaskJson.ts"
import * as Awaiting from "./Awaiting.ts"
import * as Paint from "./Paint.ts"
import * as Progress from "./Progress.ts"
import * as Screen from "./Screen.ts"
import * as Submitting from "./Submitting.ts"
import * as Target from "./Target.ts"
import * as Words from "./Words.ts"

/** How it is done. */
export interface Options {
  /** Tasks per second. */
  readonly rate: number
  readonly for: Duration.Duration
  readonly load: boolean
  readonly seed: string
  readonly json: boolean
}

/** Tasks are sent this often, as many as are due by then. */
const tickMs = 100

/** Tasks in a request at most. */
const batchSize = 1000

/** Requests on their way at the same time. */
const concurrency = 8

/** One task in so many is cancelled again. */
const cancelledOneIn = 20

/** Sends tasks, then says what became of it. */
export const run = Effect.fnUntraced(function*(options: Options) {
  const total = Math.max(1, Math.round(options.rate * Duration.toSeconds(options.for)))
  const progress = yield* Progress.make("Sending", total)
  const startedAt = yield* Clock.currentTimeMillis
  const ids: Array<string> = []
  const latencies: Array<number> = []
  let made = 0
  let cancelled = 0

  const send = Effect.fnUntraced(function*(tasks: ReadonlyArray<NewTaskJson>) {
    const before = yield* Clock.currentTimeMillis
    const created = yield* Submitting.submit(tasks, "wait", ids.length > 0)
    latencies.push((yield* Clock.currentTimeMillis) - before)
    for (const { id } of created) ids.push(id)
    yield* progress.update(ids.length)
    if (!options.load) cancelled += yield* cancelSome(created.map(({ id }) => id))
  })

  yield* Effect.gen(function*() {
    while (made < total) {
      const now = yield* Clock.currentTimeMillis
      const due = Math.min(total, Math.ceil(((now - startedAt) / 1000 + tickMs / 1000) * options.rate))
      const tasks: Array<NewTaskJson> = []
      for (; made < due; made++) tasks.push(yield* options.load ? smallest : anything)
      const batches: Array<ReadonlyArray<NewTaskJson>> = []
      for (let start = 0; start < tasks.length; start += batchSize) batches.push(tasks.slice(start, start + batchSize))
      yield* Effect.forEach(batches, send, { concurrency, discard: true })
      const rest = startedAt + (due / options.rate) * 1000 - (yield* Clock.currentTimeMillis)
      if (rest > 0) yield* Effect.sleep(rest)
    }
  }).pipe(Random.withSeed(options.seed), Effect.ensuring(progress.clear))

  const sentMs = (yield* Clock.currentTimeMillis) - startedAt
  if (options.load) yield* Awaiting.finished(ids)
  const endedMs = (yield* Clock.currentTimeMillis) - startedAt
  yield* tell(options, { sent: ids.length, cancelled, sentMs, endedMs, latencies })
})

interface Outcome {
  readonly sent: number
  readonly cancelled: number
  readonly sentMs: number
  readonly endedMs: number
  readonly latencies: Array<number>
}

const tell = Effect.fnUntraced(function*({ json, load }: Options, outcome: Outcome) {
  const { cancelled, endedMs, latencies, sent, sentMs } = outcome
  const acceptedPerSecond = Math.round(sent / (sentMs / 1000))
  const completedPerSecond = Math.round(sent / (endedMs / 1000))
  const sorted = latencies.toSorted((one, other) => one - other)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  const requestMs = { p50: at(0.5), p99: at(0.99), max: at(1) }
  if (json) {
    return yield* Screen.json({
      sent,
      cancelled,
      accepted_per_second: acceptedPerSecond,
      ...(load ? { finished_per_second: completedPerSecond } : {}),
      request_ms: requestMs
    })
  }
  const paint = Paint.make(yield* Screen.Screen)
  yield* Screen.line(
    `${paint.good("✓")} Sent ${Words.counted(sent, "task")} in ${Words.precise(sentMs)}, ` +
      `${Words.count(acceptedPerSecond)} per second` +
      (cancelled > 0 ? `, and cancelled ${Words.count(cancelled)} of them` : "")
  )
  if (load) {
    yield* Screen.line(
      `  All had finished after ${Words.precise(endedMs)}: ${Words.count(completedPerSecond)} per second end to end`
    )
  }
  yield* Screen.line(
    `  Requests took ${requestMs.p50}ms (median), ${requestMs.p99}ms (99 %), ${requestMs.max}ms at most`
  )
  if (!load) yield* Screen.line(paint.dim("  See what becomes of them with: taskforge watch"))
})

const smallest: Effect.Effect<NewTaskJson> = Effect.succeed({ type: "echo", payload: null })

/** The kinds of task, and how often each comes. */
const kinds: ReadonlyArray<readonly [weight: number, make: Effect.Effect<NewTaskJson>]> = [
  [40, Effect.map(Random.nextIntBetween(1, 1000), (n) => ({ type: "echo", payload: { order: n, text: "hello" } }))],
  [22, sleeping(50, 4000)],
  [3, Effect.map(sleeping(8000, 20_000), (task) => ({ ...task, priority: 0 }))],
  [10, Effect.map(Random.nextIntBetween(10_000, 400_000), (n) => ({ type: "compute", payload: { n } }))],
  [
    8,
    Effect.map(Random.nextIntBetween(0, 2), (retries) => ({
      type: "fail",
      payload: { message: "The mail server said 550 mailbox unavailable" },
      max_retries: retries,
      queue: "mail"
    }))
  ],
  [
    10,
    Effect.map(Random.nextIntBetween(5, 90), (seconds) => ({
      type: "echo",
      payload: { reminder: "later" },
      delay: Duration.seconds(seconds)
    }))
  ],
  [4, Effect.map(sleeping(1000, 3000), (task) => ({ ...task, timeout: Duration.millis(500), max_retries: 1 }))],
  [3, Effect.map(Random.nextIntBetween(1, 5), (n) => ({ type: "echo", payload: { report: n }, key: `report-${n}` }))]
]

function sleeping(fromMs: number, toMs: number): Effect.Effect<NewTaskJson> {
  return Effect.map(Random.nextIntBetween(fromMs, toMs), (ms) => ({ type: "sleep", payload: { duration: `${ms}ms` } }))
}

const allWeights = kinds.reduce((sum, [weight]) => sum + weight, 0)

/** A task of any kind, of any urgency. */
const anything: Effect.Effect<NewTaskJson> = Effect.gen(function*() {
  let left = yield* Random.nextIntBetween(0, allWeights - 1)
  const [, make] = kinds.find(([weight]) => (left -= weight) < 0)!
  const priority = yield* Random.nextIntBetween(0, 3)
  return { priority, ...(yield* make) }
})

const cancelSome = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
  const { api, problem } = yield* Target.Target
  let cancelled = 0
  for (const id of ids) {
    if ((yield* Random.nextIntBetween(1, cancelledOneIn)) > 1) continue
    yield* Effect.mapError(api.tasks.cancel({ params: { id } }), problem)
    cancelled++
  }
  return cancelled
})
