import { Clock, DateTime, Duration, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { DurationText } from "../../domain/DurationText.ts"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import { isFinished } from "../../domain/TaskState.ts"
import type { TaskJson } from "../../http/api/TaskJson.ts"
import * as Input from "../Input.ts"
import * as RemoteTasks from "../RemoteTasks.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as TaskText from "../TaskText.ts"
import * as Words from "../Words.ts"
import * as Instances from "./Instances.ts"
import * as Stats from "./Stats.ts"

/** Shows what happens, while it happens. */
export const command = Target.command("watch", {
  ids: Argument.String("id").pipe(
    Argument.withDescription("The tasks to follow until they finish; the whole system if there is none"),
    Argument.variadic()
  ),
  interval: Flag.String("interval").pipe(
    Flag.withAlias("i"),
    Flag.withMetavar("DURATION"),
    Flag.withDescription("Time between two updates"),
    Flag.withSchema(DurationText),
    Flag.withDefault(Duration.seconds(1))
  ),
  for: Input.durationFlag("for", "Ends after this time; never by default")
}, ({ for: lasting, ids, interval, json }) => {
  const work = ids.length === 0 ? showSystem(Duration.max(interval, Duration.millis(100)), json) : follow(ids, json)
  return Option.match(lasting, {
    onNone: () => work,
    onSome: (time) => Effect.asVoid(Effect.timeoutOption(work, time))
  })
}).pipe(
  Command.withDescription("Watch the whole system, or some tasks until they finish"),
  Command.withExamples([
    { command: "taskforge watch", description: "The system, until Ctrl-C" },
    { command: "taskforge watch $ID", description: "One task until it finishes; exits with 1 unless it completed" },
    { command: "taskforge watch --json --interval 10s", description: "A line of counts every ten seconds" }
  ])
)

/** Running tasks that are shown at most, by the height of the terminal. */
const runningShown = (rows: number) => rows < 30 ? 3 : 8

const enter = "\u001b[?1049h\u001b[?25l"
const leave = "\u001b[?25h\u001b[?1049l"
const home = "\u001b[H"
const clearLine = "\u001b[K"
const clearBelow = "\u001b[J"

/** Shows the system again and again until it is interrupted: for people in place, for pipes as lines. */
const showSystem = Effect.fnUntraced(function*(interval: Duration.Duration, json: boolean) {
  const screen = yield* Screen.Screen
  return yield* json || !screen.isTerminal
    ? lines(interval, json)
    : Effect.ensuring(Effect.andThen(screen.write(enter), frames(interval)), screen.write(leave))
})

/** A line of counts per look. */
const lines = (interval: Duration.Duration, json: boolean) =>
  Effect.forever(Effect.gen(function*() {
    const { api, patient, problem } = yield* Target.Target
    const stats = yield* Effect.mapError(patient(api.system.stats()), problem)
    const at = DateTime.formatIso(yield* DateTime.now)
    if (json) yield* Screen.json({ time: at, ...stats })
    else {
      const counts = Object.entries(stats.by_status).map(([status, count]) => `${status} ${Words.count(count)}`)
      yield* Screen.line(`${at}  ${counts.join("  ")}  active ${stats.workers_active}/${stats.worker_pool}`)
    }
    yield* Effect.sleep(interval)
  }))

const frames = Effect.fnUntraced(function*(interval: Duration.Duration) {
  const screen = yield* Screen.Screen
  const { name, problem } = yield* Target.Target
  const paint = Screen.paintOn(screen)
  let before: Look | undefined
  let last: Look | undefined
  while (true) {
    const columns = yield* screen.columns
    const rows = yield* screen.rows
    const found = yield* Effect.result(look(rows))
    const failure = found._tag === "Failure" ? problem(found.failure) : undefined
    if (found._tag === "Success") {
      before = last
      last = found.success
    }
    // The first look decides whether there is anything to see; later ones wait for what has gone to come back
    if (last === undefined) return yield* failure!
    const text = frame(last, before, { name, columns, rows, paint, trouble: failure?.problem })
    yield* screen.write(home + text.map((line) => line + clearLine).join("\r\n") + clearBelow)
    yield* Effect.sleep(interval)
  }
})

const look = Effect.fnUntraced(function*(rows: number) {
  const { api, repeatable } = yield* Target.Target
  const [stats, workers, page, queues] = yield* Effect.all([
    repeatable(api.system.stats()),
    repeatable(api.system.workers()),
    repeatable(api.tasks.list({ query: { limit: Math.max(1, rows) } })),
    repeatable(api.queues.list({ query: { limit: 1 } }))
  ], { concurrency: "unbounded" })
  const at = yield* Clock.currentTimeMillis
  // When it was, for what is measured
  const moment = yield* MonotonicClock.now
  return { at, moment, stats, workers, latest: page.tasks, paused: queues.paused }
})

type Look = Effect.Success<ReturnType<typeof look>>

interface Frame {
  readonly name: string
  readonly columns: number
  readonly rows: number
  readonly paint: Screen.Paint
  readonly trouble: string | undefined
}

const frame = (now: Look, before: Look | undefined, { columns, name, paint, rows, trouble }: Frame) => {
  const { instances, workers } = now.workers
  const busy = workers.filter(({ task }) => task !== null)
  const who = instances.length === 0
    ? paint.warn("no instance runs tasks")
    : `${busy.length} of ${Words.counted(workers.length, "slot")} busy` +
      (instances.length > 1 ? ` on ${instances.length} instances` : "")
  const head = `${paint.bold("TaskForge")}  ${Screen.plain(name)}`
  const state = trouble === undefined
    ? `${who}, ${Stats.room(now.stats, paint)}` +
      (now.paused.length === 0
        ? ""
        : `, ${paint.warn(`paused: ${now.paused.map(({ queue }) => Screen.plain(queue)).join(", ")}`)}`)
    : paint.bad(trouble)
  const running = Instances.running(busy.slice(0, runningShown(rows)), `RUNNING ${busy.length}`, columns, paint)
  const upper = [
    head,
    state,
    "",
    ...Stats.lines(now.stats, paint, ratesOf(now, before)),
    "",
    ...(busy.length === 0 ? [] : [...running, ""])
  ]
  const room = Math.max(0, rows - upper.length - 2)
  const latest = now.latest.length === 0
    ? [paint.dim("No tasks yet.")]
    : Table.format(
      TaskText.columns,
      now.latest.slice(0, room).map((task) => TaskText.row(task, paint, now.at)),
      columns,
      paint.dim
    )
  const foot = paint.dim("Ctrl-C ends this")
  return [...upper, ...latest.slice(0, room + 1), foot].slice(0, rows).map((line) => Table.fit(line, columns))
}

const ratesOf = (now: Look, before: Look | undefined): Stats.Rates | undefined => {
  if (before === undefined) return undefined
  const seconds = Math.max(1, now.moment - before.moment) / 1000
  const rate = (name: keyof Stats.Rates) => (now.stats.totals[name] - before.stats.totals[name]) / seconds
  return { created: rate("created"), completed: rate("completed"), failed: rate("failed") }
}

/** Between two looks. */
const betweenLooks = "250 millis"

/** Follows tasks, by a line for everything that happens to them; fails unless all of them completed. */
const follow = Effect.fnUntraced(function*(ids: ReadonlyArray<string>, json: boolean) {
  const { api, patient, problem } = yield* Target.Target
  const startedAt = yield* MonotonicClock.now
  const seen = new Map<string, string>()
  const done: Array<TaskJson> = []
  let left = [...new Set(ids)]
  while (left.length > 0) {
    const still: Array<string> = []
    for (const id of left) {
      const task: TaskJson = yield* Effect.mapError(patient(api.tasks.get({ params: { id } })), problem)
      const what = JSON.stringify([task.status, task.failures, task.progress, task.attempts, task.cancel_requested])
      if (seen.get(id) !== what) yield* json ? Screen.json(task) : lineOf(task, startedAt, ids.length > 1)
      seen.set(id, what)
      if (isFinished(task.status)) done.push(task)
      else still.push(id)
    }
    left = still
    if (left.length > 0) yield* Effect.sleep(betweenLooks)
  }
  yield* RemoteTasks.allCompleted(done)
})

const lineOf = Effect.fnUntraced(function*(task: TaskJson, startedAt: number, several: boolean) {
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  const now = yield* Clock.currentTimeMillis
  const parts = [
    paint.dim(`+${Words.precise((yield* MonotonicClock.now) - startedAt)}`.padStart(8)),
    ...(several ? [paint.dim(Screen.plain(task.id))] : []),
    paint.state(task.status, `${Screen.mark[task.status]} ${task.status.padEnd(9)}`),
    Screen.plain(task.type),
    ...(task.status === "scheduled" && TaskText.waitsFor(task) === undefined
      ? [paint.dim(Words.relative(Date.parse(task.due_at), now))]
      : []),
    TaskText.detail(task, paint)
  ]
  yield* Screen.line(Table.fit(parts.filter((part) => part !== "").join("  "), yield* screen.columns))
})
