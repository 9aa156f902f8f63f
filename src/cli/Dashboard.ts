/** The whole system on one screen, again and again: for people in place, for pipes as lines. */
import { Clock, DateTime, type Duration, Effect } from "effect"
import type { StatsJson, WorkersJson } from "../http/api/SystemApi.ts"
import type { TaskJson } from "../http/api/TaskJson.ts"
import { make as makePaint, type Paint, plain } from "./Paint.ts"
import * as Screen from "./Screen.ts"
import * as StatsText from "./StatsText.ts"
import * as Table from "./Table.ts"
import * as Target from "./Target.ts"
import * as TaskText from "./TaskText.ts"
import * as Words from "./Words.ts"

/** Running tasks that are shown at most, by the height of the terminal. */
const runningShown = (rows: number) => rows < 30 ? 3 : 8

const enter = "\u001b[?1049h\u001b[?25l"
const leave = "\u001b[?25h\u001b[?1049l"
const home = "\u001b[H"
const clearLine = "\u001b[K"
const clearBelow = "\u001b[J"

/** What one look finds. */
interface Look {
  readonly at: number
  readonly stats: typeof StatsJson.Type
  readonly workers: typeof WorkersJson.Type
  readonly latest: ReadonlyArray<TaskJson>
  readonly paused: ReadonlyArray<string>
}

/** Looks until it is interrupted. */
export const show = Effect.fnUntraced(function*(interval: Duration.Duration, json: boolean) {
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
  const paint = makePaint(screen)
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
  return { at, stats, workers, latest: page.tasks, paused: queues.paused } satisfies Look
})

interface Frame {
  readonly name: string
  readonly columns: number
  readonly rows: number
  readonly paint: Paint
  readonly trouble: string | undefined
}

const frame = (now: Look, before: Look | undefined, { columns, name, paint, rows, trouble }: Frame) => {
  const { instances, workers } = now.workers
  const busy = workers.filter(({ task }) => task !== null)
  const who = instances.length === 0
    ? paint.warn("no instance runs tasks")
    : `${busy.length} of ${Words.counted(workers.length, "slot")} busy` +
      (instances.length > 1 ? ` on ${instances.length} instances` : "")
  const head = `${paint.bold("TaskForge")}  ${plain(name)}`
  const state = trouble === undefined
    ? `${who}, ${StatsText.room(now.stats, paint)}` +
      (now.paused.length === 0 ? "" : `, ${paint.warn(`paused: ${now.paused.map(plain).join(", ")}`)}`)
    : paint.bad(trouble)
  const running = Table.format(
    [{ head: `RUNNING ${busy.length}` }, { head: "TYPE", shrinksTo: 8 }, { head: "FOR", align: "right" }, {
      head: "SLOT",
      shrinksTo: 8
    }],
    busy.slice(0, runningShown(rows)).map(({ id, task }) => [
      plain(task!.id),
      plain(task!.type),
      Words.precise(task!.running_for_ms),
      paint.dim(plain(id))
    ]),
    columns,
    paint.dim
  )
  const upper = [
    head,
    state,
    "",
    ...StatsText.lines(now.stats, paint, ratesOf(now, before)),
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

const ratesOf = (now: Look, before: Look | undefined): StatsText.Rates | undefined => {
  if (before === undefined) return undefined
  const seconds = Math.max(1, now.at - before.at) / 1000
  const rate = (name: keyof StatsText.Rates) => (now.stats.totals[name] - before.stats.totals[name]) / seconds
  return { created: rate("created"), completed: rate("completed"), failed: rate("failed") }
}
