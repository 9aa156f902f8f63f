import { Array as List, Duration, Effect, Option, Random } from "effect"
import { Command, Flag } from "effect/cli"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import type { NewTaskJson } from "../../http/api/NewTaskJson.ts"
import type { Failure } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Load from "../Load.ts"
import * as Progress from "../Progress.ts"
import * as RemoteTasks from "../RemoteTasks.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const flags = {
  rate: Flag.Finite("rate").pipe(
    Flag.withDescription("Tasks per second: 10 by default; with --load as many as the server completes"),
    Flag.filter(
      (rate) => rate > 0 && rate <= 100_000,
      (rate) => `Expected more than 0 and at most 100000, got ${rate}`
    ),
    Flag.optional
  ),
  for: Input.durationFlag("for", "Duration: 30s by default, 10s with --load"),
  load: Input.toggleFlag(
    "load",
    "Keeps the server busy with minimal tasks, waits for all of them, and prints rates and latencies"
  ),
  seed: Flag.String("seed").pipe(
    Flag.withDescription("The same seed gives the same tasks"),
    Flag.withDefault("taskforge")
  )
}

/** Fills a server with life, or with load. */
export const command = Target.command("demo", flags, (given) => demonstrate(given)).pipe(
  Command.withDescription(
    "Send varied tasks to a server: urgent, delayed, failing, cancelled and long ones; or a load"
  ),
  Command.withShortDescription("Send varied tasks to a server, or a load"),
  Command.withExamples([
    {
      command: "taskforge demo",
      description: "Ten tasks per second for half a minute; see them with taskforge watch"
    },
    { command: "taskforge demo --load", description: "A load test: how much the server completes, and how fast" },
    { command: "taskforge demo --load --rate 500 --for 1m", description: "The latencies at a steady rate" }
  ])
)

/** Tasks are sent this often, as many as are due by then. */
const tickMs = 100

/** Tasks in a request at most. */
const batchSize = 1000

/** Requests on their way at the same time. */
const concurrency = 8

/** One task in so many is cancelled again. */
const cancelledOneIn = 20

/** Sends tasks, then says what became of it: varied ones at a steady rate, or a load. */
const demonstrate = Effect.fnUntraced(function*({ json, load, seed, ...given }: Target.Given<typeof flags>) {
  const lasting = Option.getOrElse(given.for, () => Duration.seconds(load ? 10 : 30))
  const rate = Option.getOrElse(given.rate, () => load ? undefined : 10)
  const total = rate === undefined ? undefined : Math.max(1, Math.round(rate * Duration.toSeconds(lasting)))
  const progress = yield* Progress.make("Sending", total)
  const startedAt = yield* MonotonicClock.now
  const elapsed = Effect.map(MonotonicClock.now, (now) => now - startedAt)
  const sample = new Load.Sample()
  const requests: Array<number> = []
  /** Those that have to be waited for at the end. */
  const unawaited: Array<string> = []
  let sent = 0
  let cancelled = 0

  const send = Effect.fnUntraced(function*(tasks: ReadonlyArray<NewTaskJson>) {
    const before = yield* elapsed
    const ids = (yield* RemoteTasks.submit(tasks, "wait", sent > 0)).map(({ id }) => id)
    requests.push((yield* elapsed) - before)
    for (const id of ids) sample.see(id)
    sent += ids.length
    yield* progress.update(sent)
    if (load && rate !== undefined) unawaited.push(...ids)
    if (!load) cancelled += yield* cancelSome(ids)
    return ids
  })

  const sending = rate === undefined || total === undefined
    ? Load.keepBusy(lasting, send)
    : atRate(rate, total, load ? Effect.succeed(Load.emptyTask) : anything, send)
  yield* sending.pipe(Random.withSeed(seed), Effect.ensuring(progress.clear))
  const sentMs = yield* elapsed
  yield* RemoteTasks.finished(unawaited)
  const endedMs = yield* elapsed
  const took = load ? yield* Load.latencies(sample.ids) : undefined
  yield* tell({ sent, cancelled, sentMs, endedMs, requests, took }, json)
})

/** Sends so many tasks per second, whatever becomes of them. */
const atRate = Effect.fnUntraced(function*<R>(
  rate: number,
  total: number,
  make: Effect.Effect<NewTaskJson>,
  send: (tasks: ReadonlyArray<NewTaskJson>) => Effect.Effect<unknown, Failure, R>
) {
  const startedAt = yield* MonotonicClock.now
  let made = 0
  while (made < total) {
    const now = yield* MonotonicClock.now
    const due = Math.min(total, Math.ceil(((now - startedAt) / 1000 + tickMs / 1000) * rate))
    const tasks: Array<NewTaskJson> = []
    for (; made < due; made++) tasks.push(yield* make)
    yield* Effect.forEach(List.chunksOf(tasks, batchSize), send, { concurrency, discard: true })
    const rest = startedAt + (due / rate) * 1000 - (yield* MonotonicClock.now)
    if (rest > 0) yield* Effect.sleep(rest)
  }
})

interface Outcome {
  readonly sent: number
  readonly cancelled: number
  readonly sentMs: number
  readonly endedMs: number
  readonly requests: ReadonlyArray<number>
  /** From enqueue to end, of some tasks; none was measured where nothing waited for their end. */
  readonly took: ReadonlyArray<number> | undefined
}

const tell = Effect.fnUntraced(function*(outcome: Outcome, json: boolean) {
  const { cancelled, endedMs, requests, sent, sentMs, took } = outcome
  const perSecond = (ms: number) => Math.round(sent / (Math.max(1, ms) / 1000))
  const requestMs = Load.percentiles(requests)
  const taskMs = took && Load.percentiles(took)
  if (json) {
    return yield* Screen.json({
      sent,
      cancelled,
      accepted_per_second: perSecond(sentMs),
      request_ms: requestMs,
      ...(taskMs === undefined ? {} : { finished_per_second: perSecond(endedMs), task_ms: taskMs })
    })
  }
  const paint = yield* Screen.paint
  yield* Screen.line(
    `${paint.good("✓")} Sent ${Words.counted(sent, "task")} in ${Words.precise(sentMs)}, ` +
      `${Words.count(perSecond(sentMs))} per second` +
      (cancelled > 0 ? `, and cancelled ${Words.count(cancelled)} of them` : "")
  )
  if (taskMs !== undefined) {
    yield* Screen.line(
      `  All had finished after ${Words.precise(endedMs)}: ${Words.count(perSecond(endedMs))} per second end to end`
    )
    yield* Screen.line(`  From enqueue to end  ${inWords(taskMs)}`)
  }
  yield* Screen.line(`  Requests             ${inWords(requestMs)}`)
  if (taskMs === undefined) yield* Screen.line(paint.dim("  See what becomes of them with: taskforge watch"))
})

const inWords = ({ max, p50, p95, p99 }: ReturnType<typeof Load.percentiles>): string =>
  `p50 ${Words.precise(p50)}, p95 ${Words.precise(p95)}, p99 ${Words.precise(p99)}, max ${Words.precise(max)}`

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
