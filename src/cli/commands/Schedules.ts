/** Schedules on the command line. */
import { Effect, Option, Record as Fields, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { ScheduleJson, TickJson } from "../../http/api/ScheduleJson.ts"
import { TimetableQueryJson } from "../../http/api/SchedulesApi.ts"
import { inTyped, invalidRequest, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Listing from "../Listing.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"
import {
  authorOf,
  by,
  flagOf,
  name,
  set,
  showSchedule,
  stateText,
  times,
  timetableOf,
  withoutTime
} from "./SetSchedule.ts"

const decodeQuery = Schema.decodeUnknownEffect(TimetableQueryJson, { onExcessProperty: "error" })

const outcomeText = ({ count, outcome }: typeof TickJson.Type, paint: Screen.Paint): string => {
  const text = count > 1 ? `${outcome} (${Words.count(count)})` : outcome
  return outcome === "made" || outcome === "run" ? paint.good(text) : paint.warn(text)
}

const all: Listing.Listing<ScheduleJson> = {
  read: ({ api, ask }, query) =>
    Effect.map(ask(api.schedules.list({ query })), ({ next, schedules, timestamp }) => ({
      items: schedules,
      next,
      now: Date.parse(timestamp),
      notice: undefined
    })),
  columns: [
    { head: "SCHEDULE", shrinksTo: 12 },
    { head: "STATUS" },
    { head: "NEXT" },
    { head: "LAST" },
    { head: "TYPE", shrinksTo: 8 },
    { head: "WHEN", shrinksTo: 12 }
  ],
  row: (item, paint, now) => [
    Screen.plain(item.name),
    stateText(item, paint),
    item.next === null ? "" : Words.relative(Date.parse(item.next), now),
    item.last === null ? "" : outcomeText(item.last, paint),
    Screen.plain(item.task.type),
    paint.dim(Screen.plain(item.description))
  ],
  nothing: ({ accent }) =>
    `There are no schedules yet. Make one:\n\n  ${accent("taskforge schedules set hello echo --every 1h")}`,
  shown: (count) => `The first ${count} by name`
}

const list = Target.command(
  "list",
  Listing.flags(50, "Shows every one, however many there are"),
  (given) => Listing.show(given, all)
).pipe(
  Command.withDescription("List the schedules, and when each ticks next"),
  Command.withAlias("ls"),
  Command.withExamples([{ command: "taskforge schedules list", description: "What runs by the clock" }])
)

const show = Target.command("show", { name }, ({ json, name }) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    const schedule = yield* ask(api.schedules.get({ params: { name } }))
    const { ticks } = yield* ask(api.schedules.history({ params: { name } }))
    if (json) return yield* Screen.json({ ...schedule, history: ticks })
    yield* showSchedule(schedule)
    if (ticks.length === 0) return
    const screen = yield* Screen.Screen
    const paint = Screen.paintOn(screen)
    const rows = ticks.map((tick) => [tick.tick, outcomeText(tick, paint), Screen.plain(tick.task ?? "")])
    const columns = [{ head: "TICK" }, { head: "OUTCOME" }, { head: "TASK", shrinksTo: 12 }] as const
    for (const line of Table.format(columns, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
  })).pipe(
    Command.withDescription("Show a schedule: when it ticks, and what became of its latest ticks"),
    Command.withShortDescription("Show a schedule and its latest ticks"),
    Command.withExamples([{ command: "taskforge schedules show nightly", description: "Did it run last night?" }])
  )

/** A command that does something to one schedule. */
const done = <A>(
  word: string,
  does: string,
  flags: { readonly by?: typeof by },
  request: (api: Target.Target["Service"]["api"]["schedules"], name: string, by: object) => Effect.Effect<A, unknown>,
  says: string
) =>
  Target.command(word, { name, ...flags }, (given) =>
    Effect.gen(function*() {
      const { api, ask } = yield* Target.Target
      const answer = yield* ask(
        request(api.schedules, given.name, authorOf((given as { by?: Option.Option<string> }).by ?? Option.none()))
      )
      if (given.json) return yield* Screen.json(answer ?? { name: given.name, [says]: true })
      const paint = yield* Screen.paint
      const task = typeof answer === "object" && answer !== null && "id" in answer ? ` as ${String(answer.id)}` : ""
      yield* Screen.line(`${paint.good("✓")} ${paint.bold(Screen.plain(given.name))} ${says}${task}`)
    })).pipe(
      Command.withDescription(does),
      Command.withExamples([{ command: `taskforge schedules ${word} nightly`, description: does }])
    )

const run = done(
  "run",
  "Make the task of a schedule now, besides its ticks",
  { by },
  (api, name, by) => api.run({ params: { name }, payload: by }),
  "runs"
)

const remove = done(
  "delete",
  "Remove a schedule; its tasks stay",
  {},
  (api, name) => api.remove({ params: { name } }),
  "is removed"
)

const resume = done(
  "resume",
  "Let a schedule go on with the first tick from now on",
  {},
  (api, name) => api.resume({ params: { name } }),
  "goes on"
)

const pause = Target.command("pause", {
  name,
  reason: Input.textFlag("reason", "TEXT", "Why: shown where the schedule is"),
  by
}, ({ by, json, name, reason }) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    const payload = { ...authorOf(by), ...Fields.getSomes({ reason }) }
    const schedule = yield* ask(api.schedules.pause({ params: { name }, payload }))
    yield* json ? Screen.json(schedule) : showSchedule(schedule)
  })).pipe(
    Command.withDescription("Pause a schedule: it makes no tasks until it is resumed, and misses none by that"),
    Command.withShortDescription("Let a schedule make no tasks"),
    Command.withExamples([
      {
        command: "taskforge schedules pause nightly --reason \"Their server moves\"",
        description: "Until it is resumed"
      }
    ])
  )

const preview = Target.command("preview", {
  name: Argument.String("name").pipe(
    Argument.withDescription("The schedule; without one, the flags say a timetable that is not stored"),
    Argument.optional
  ),
  ...times,
  count: Flag.Int("count").pipe(
    Flag.withAlias("n"),
    Flag.withDescription("How many ticks, at most 100"),
    Flag.filter((count) => count >= 1 && count <= 100, (count) => `Expected from 1 to 100, got ${count}`),
    Flag.withDefault(10)
  )
}, ({ count, json, name, ...given }) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    const timetable = timetableOf(given)
    const isGiven = Object.keys(timetable).length > 0
    if (Option.isSome(name) && isGiven) {
      return yield* usage("A schedule has its own times", "Leave its name out, or --cron, --every, --rrule and --at.")
    }
    if (Option.isNone(name) && !isGiven) return yield* withoutTime
    const found = Option.isSome(name)
      ? yield* ask(api.schedules.upcoming({ params: { name: name.value }, query: { count } }))
      : yield* Effect.flatMap(
        Effect.mapError(decodeQuery({ ...timetable, count }), (error) => invalidRequest(error, flagOf)),
        (payload) => ask(Effect.mapError(api.schedules.preview({ payload }), inTyped(flagOf)))
      )
    if (json) return yield* Screen.json(found)
    const paint = yield* Screen.paint
    yield* Screen.line(paint.bold(Screen.plain(found.description)))
    for (const tick of found.ticks) yield* Screen.line(`  ${tick}`)
    if (found.ticks.length === 0) yield* Screen.line(paint.dim("  It ticks no more."))
  })).pipe(
    Command.withDescription("Show the next ticks, of a schedule or of a timetable that is not stored"),
    Command.withShortDescription("Show the next ticks"),
    Command.withExamples([
      { command: "taskforge schedules preview nightly", description: "Of a schedule" },
      {
        command: "taskforge schedules preview --cron \"0 9 * * 1-5\" --time-zone Asia/Tokyo",
        description: "Before it is set"
      }
    ])
  )

/** Lists, shows, sets and runs schedules. */
export const command = Command.make("schedules").pipe(
  Command.withDescription("List, show, set, run, pause and remove schedules: tasks made by a clock"),
  Command.withShortDescription("Tasks made by a clock"),
  Command.withSubcommands([list, show, set, remove, run, pause, resume, preview])
)
