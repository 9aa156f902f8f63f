/** Making and changing schedules on the command line, and how one is shown. */
import { Effect, Option, Record as Fields, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { userInfo } from "node:os"
import type { ScheduleJson } from "../../http/api/ScheduleJson.ts"
import { NewScheduleJson } from "../../http/api/SchedulesApi.ts"
import { inTyped, invalidRequest, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

/** Which schedule. */
export const name = Argument.String("name").pipe(
  Argument.withDescription("The schedule: taskforge schedules list shows them")
)

/** The flags that say when. */
export const times = {
  cron: Input.textFlag("cron", "EXPRESSION", "At the times of a cron expression: five fields, or six with seconds"),
  every: Input.textFlag("every", "DURATION", "At whole intervals: 30s, 5m, 1h"),
  rrule: Input.textFlag("rrule", "RULE", "By a calendar rule of RFC 5545: FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9"),
  at: Input.textFlag("at", "TIME", "Once: 2026-01-31T12:00:00Z"),
  zone: Input.textFlag("time-zone", "ZONE", "With --cron and --rrule: Europe/Berlin; UTC if it is left out"),
  start: Input.textFlag("start", "TIME", "With --every the first tick, with --rrule the time from which it counts")
}

/** What they say, as requests have it. */
export const timetableOf = ({ at, cron, every, rrule, start, zone }: Omit<Target.Given<typeof times>, "json">) =>
  Fields.getSomes<string, string>({ cron, every, rrule, at, time_zone: zone, start })

/** Who does it. */
export const by = Input.textFlag("by", "NAME", "Who does it, if it is not you; the name of an API key takes its place")

/** The user of this process, where the machine knows a name. */
const userName = Option.liftThrowable(() => userInfo().username)()

/** The same, as requests have it. */
export const authorOf = (by: Option.Option<string>) => Fields.getSomes({ by: Option.orElse(by, () => userName) })

/** How a schedule stands. */
export const stateText = ({ status }: ScheduleJson, paint: Screen.Paint): string =>
  status === "active" ? paint.good(status) : status === "paused" ? paint.warn(status) : paint.dim(status)

/** What is said about a schedule besides its ticks. */
const linesOf = (schedule: ScheduleJson, paint: Screen.Paint): ReadonlyArray<string> => {
  const { pause, task } = schedule
  const field = (label: string, value: string) => `  ${paint.dim(label.padEnd(9))} ${value}`
  const span = (label: string, millis: number | null) => millis === null ? [] : [`${label} ${Words.precise(millis)}`]
  const tasks = [
    `queue ${Screen.plain(task.queue)}`,
    `priority ${task.priority}`,
    task.max_retries < 0 ? "retries without end" : `retries ${task.max_retries}`,
    ...span("timeout", task.timeout_ms),
    ...span("expires in", task.expires_in_ms),
    ...span("starts within", task.start_within_ms),
    ...task.tags === undefined ? [] : [`tags ${task.tags.map(Screen.plain).join(" and ")}`]
  ]
  const rules = [
    schedule.missed === "all" ? `missed all, up to ${schedule.max_missed}` : `missed ${schedule.missed}`,
    `overlap ${schedule.overlap}`,
    ...schedule.only_if === null ? [] : ["only if the last one succeeded"],
    ...schedule.jitter_ms === 0 ? [] : [`jitter ${Words.precise(schedule.jitter_ms)}`],
    ...schedule.start_at === null ? [] : [`from ${schedule.start_at}`],
    ...schedule.end_at === null ? [] : [`until ${schedule.end_at}`]
  ]
  return [
    `${paint.bold(Screen.plain(schedule.name))}: ${stateText(schedule, paint)}, ${Screen.plain(schedule.description)}`,
    field("task", `${Screen.plain(task.type)} ${Screen.plain(JSON.stringify(task.payload))}`),
    field("tasks", tasks.join(", ")),
    field("rules", rules.join(", ")),
    ...schedule.next === null ? [] : [field("next", schedule.next)],
    ...schedule.program === null ? [] : [field("declared", `by ${Screen.plain(schedule.program)}`)],
    ...schedule.by === null ? [] : [field("set", `by ${Screen.plain(schedule.by)}`)],
    ...pause === null ? [] : [
      field(
        "paused",
        [`since ${pause.since}`, ...pause.by === null ? [] : [`by ${Screen.plain(pause.by)}`]].join(" ") +
          (pause.reason === null ? "" : `: ${Screen.plain(pause.reason)}`)
      )
    ],
    field("ticks", `${Words.count(schedule.made)} made, ${Words.count(schedule.skipped)} left out`)
  ]
}

/** Shows a schedule without its ticks. */
export const showSchedule = Effect.fnUntraced(function*(schedule: ScheduleJson) {
  const paint = yield* Screen.paint
  for (const line of linesOf(schedule, paint)) yield* Screen.line(line)
})

const setFlags = {
  name,
  type: Argument.String("type").pipe(Argument.withDescription("The type of its tasks")),
  payload: Argument.String("payload").pipe(
    Argument.withDescription("JSON for the type, or - to read it from stdin; {} by default"),
    Argument.optional
  ),
  ...times,
  missed: Flag.Literals("missed", ["once", "skip", "all"]).pipe(
    Flag.withMetavar("once|skip|all"),
    Flag.withDescription(
      "Ticks that passed while no instance ran: one task for the latest (the default), none, or each"
    ),
    Flag.optional
  ),
  maxMissed: Flag.Int("max-missed").pipe(
    Flag.withDescription("With --missed all, for how many of the latest; 10 by default"),
    Flag.optional
  ),
  overlap: Flag.Literals("overlap", ["allow", "skip", "cancel"]).pipe(
    Flag.withMetavar("allow|skip|cancel"),
    Flag.withDescription(
      "While the task before is unfinished: make it all the same (the default), leave it out, or cancel that one"
    ),
    Flag.optional
  ),
  ifSucceeded: Input.toggleFlag("if-succeeded", "Leaves ticks out unless the task before has completed"),
  jitter: Input.textFlag("jitter", "DURATION", "Each task is due up to so much after its tick"),
  from: Input.textFlag("from", "TIME", "No tick is before"),
  until: Input.textFlag("until", "TIME", "No tick is after"),
  queue: Input.textFlag("queue", "QUEUE", "The queue of its tasks, instead of the type's own").pipe(
    Flag.withAlias("q")
  ),
  priority: Input.textFlag("priority", "PRIORITY", "low, normal, high, critical, or 0 to 9").pipe(Flag.withAlias("p")),
  retries: Flag.Int("retries").pipe(
    Flag.withDescription("Retries after the first execution; -1 is unlimited"),
    Flag.optional
  ),
  timeout: Input.textFlag("timeout", "DURATION", "Time limit of one attempt"),
  expiresIn: Input.textFlag("expires-in", "DURATION", "How long a task is of use, from its tick on"),
  startWithin: Input.textFlag("start-within", "DURATION", "Within what time from its tick a task should start"),
  tag: Flag.String("tag").pipe(
    Flag.withMetavar("TAG"),
    Flag.withDescription("A word that its tasks are found by; may be repeated"),
    Flag.atLeast(0)
  ),
  by
}

const flagNames = new Map([
  ["time_zone", "time-zone"],
  ["max_missed", "max-missed"],
  ["start_at", "from"],
  ["end_at", "until"],
  ["task.max_retries", "retries"],
  ["task.expires_in", "expires-in"],
  ["task.start_within", "start-within"],
  ["task.tags", "tag"],
  ["task.timeout", "timeout"],
  ["task.queue", "queue"],
  ["task.priority", "priority"]
])

/** The flag of a field of a request. */
export const flagOf = (field: string): string =>
  field === "task.type" ? "the type" : field === "task.payload" ? "the payload" : `--${flagNames.get(field) ?? field}`

const decodeNew = Schema.decodeUnknownEffect(NewScheduleJson, { onExcessProperty: "error" })

/** No timetable was given. */
export const withoutTime = usage("When does it tick?", "Give --cron, --every, --rrule or --at.")

/** Makes or changes a schedule. */
export const set = Target.command("set", setFlags, (given) =>
  Effect.gen(function*() {
    const timetable = timetableOf(given)
    if (Object.keys(timetable).length === 0) return yield* withoutTime
    const text = Option.getOrUndefined(given.payload)
    const payload = text === undefined
      ? {}
      : {
        payload: yield* Input.json(text === "-" ? yield* Input.text("-") : text, text === "-" ? "-" : "the payload")
      }
    const priority = Option.map(given.priority, (text) => /^\d+$/.test(text) ? Number(text) : text)
    const json = {
      ...timetable,
      task: {
        type: given.type,
        ...payload,
        ...Fields.getSomes<string, unknown>({
          queue: given.queue,
          priority,
          max_retries: given.retries,
          timeout: given.timeout,
          expires_in: given.expiresIn,
          start_within: given.startWithin,
          tags: given.tag.length === 0 ? Option.none() : Option.some(given.tag)
        })
      },
      ...given.ifSucceeded ? { only_if: "last_succeeded" } : {},
      ...Fields.getSomes<string, unknown>({
        missed: given.missed,
        max_missed: given.maxMissed,
        overlap: given.overlap,
        jitter: given.jitter,
        start_at: given.from,
        end_at: given.until
      }),
      ...authorOf(given.by)
    }
    const decoded = yield* Effect.mapError(decodeNew(json), (error) => invalidRequest(error, flagOf))
    const { api, ask } = yield* Target.Target
    const set = api.schedules.set({ params: { name: given.name }, payload: decoded })
    const schedule = yield* ask(Effect.mapError(set, inTyped(flagOf)))
    yield* given.json ? Screen.json(schedule) : showSchedule(schedule)
  })).pipe(
    Command.withDescription(
      "Make a schedule, or change it: all that is not said is as for a new one, and its past stays"
    ),
    Command.withShortDescription("Make or change a schedule"),
    Command.withExamples([
      {
        command:
          `taskforge schedules set nightly echo '{"hello": "world"}' --cron "30 2 * * *" --time-zone Europe/Berlin`,
        description: "Each night, summer and winter"
      },
      {
        command: `taskforge schedules set poll http_request '{"url": "https://example.org"}' --every 5m --overlap skip`,
        description: "Never two at a time"
      }
    ])
  )
