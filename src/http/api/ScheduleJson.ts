/** Schedules as answers have them, in snake_case. */
import { DateTime, Duration, Schema } from "effect"
import * as Redaction from "../../domain/Redaction.ts"
import type { Timetable } from "../../domain/Timetable.ts"
import type { Preview, SchedulePage, ScheduleView, Tick } from "../../schedule/ScheduleView.ts"
import { instant, instantOrNull, Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"

/** See `ScheduleOptions` for these words. */
export const Missed = Schema.Literals(["skip", "once", "all"])
export const Overlap = Schema.Literals(["allow", "skip", "cancel"])
export const OnlyIf = Schema.Literal("last_succeeded")

/** A timetable as it is kept. */
const TimetableJson = Schema.Struct({
  cron: Schema.optionalKey(Schema.String),
  every_ms: Schema.optionalKey(Schema.Finite),
  rrule: Schema.optionalKey(Schema.String),
  at: Schema.optionalKey(Timestamp),
  time_zone: Schema.optionalKey(Schema.String),
  start: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "Timetable" })

/** A tick of the past, and what became of it. */
export const TickJson = Schema.Struct({
  tick: Timestamp,
  outcome: Schema.Literals(["made", "missed", "overlap", "unsuccessful", "refused", "run"]).annotate({
    description:
      "made: it has a task. missed: no instance was there in time. overlap: the task before had not finished. " +
      "unsuccessful: it had not completed. refused: another task holds the key. run: asked for by hand"
  }),
  at: Timestamp.annotate({ description: "When that was decided" }),
  task: Schema.NullOr(Schema.String),
  first: Timestamp.annotate({ description: "Of those that were missed together: the first" }),
  count: Schema.Int.annotate({
    description: "Of those that were missed together: how many, as far as they were counted"
  }),
  by: Schema.NullOr(Schema.String).annotate({ description: "Who asked for it by hand" })
}).annotate({ identifier: "Tick" })

/** A schedule. */
export const ScheduleJson = Schema.Struct({
  name: Schema.String,
  timetable: TimetableJson,
  description: Schema.String.annotate({ description: "When it ticks, in plain words" }),
  task: Schema.Struct({
    type: Schema.String,
    version: Schema.optionalKey(Schema.Int),
    queue: Schema.String,
    payload: Schema.Json,
    priority: Schema.Int,
    max_retries: Schema.Int,
    timeout_ms: Schema.NullOr(Schema.Finite),
    expires_in_ms: Schema.NullOr(Schema.Finite),
    start_within_ms: Schema.NullOr(Schema.Finite),
    tags: Schema.optionalKey(Schema.Array(Schema.String))
  }),
  missed: Missed,
  max_missed: Schema.Int,
  overlap: Overlap,
  jitter_ms: Schema.Finite,
  start_at: Schema.NullOr(Timestamp),
  end_at: Schema.NullOr(Timestamp),
  only_if: Schema.NullOr(OnlyIf),
  status: Schema.Literals(["active", "paused", "ended"]).annotate({ description: "ended: its last tick has passed" }),
  pause: Schema.NullOr(Schema.Struct({
    by: Schema.NullOr(Schema.String),
    reason: Schema.NullOr(Schema.String),
    since: Timestamp
  })),
  program: Schema.NullOr(Schema.String).annotate({
    description: "The program that declares it; null for one that was set at run time"
  }),
  by: Schema.NullOr(Schema.String).annotate({ description: "Who set it last, by hand" }),
  next: Schema.NullOr(Timestamp).annotate({ description: "Its next tick; null while it is paused, and at its end" }),
  last: Schema.NullOr(TickJson).annotate({ description: "What became of its latest tick" }),
  made: Schema.Int.annotate({ description: "Ticks that have tasks" }),
  skipped: Schema.Int.annotate({ description: "Ticks that were left out, as far as they were counted" }),
  changed_at: Timestamp
}).annotate({ identifier: "Schedule" })

export type ScheduleJson = typeof ScheduleJson.Type

/** A page of schedules. */
export const SchedulePageJson = Schema.Struct({
  schedules: Schema.Array(ScheduleJson),
  next: Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" }),
  timestamp: Timestamp.annotate({ description: "The store's clock" })
}).annotate({ identifier: "SchedulePage" })

/** The ticks that come next. */
export const PreviewJson = Schema.Struct({
  description: Schema.String.annotate({ description: "In plain words" }),
  ticks: Schema.Array(Timestamp)
}).annotate({ identifier: "Preview" })

/** What became of ticks. */
export const HistoryJson = Schema.Struct({ ticks: Schema.Array(TickJson) }).annotate({ identifier: "ScheduleHistory" })
/** What a run by hand made. */
export const RunJson = Schema.Struct({ id: Schema.String.annotate({ description: "The id of the task" }) })
  .annotate({ identifier: "ScheduleRun" })

const millisOrNull = (duration: Duration.Duration | null) => duration === null ? null : Duration.toMillis(duration)
const durationOrNull = (millis: number | null) => millis === null ? null : Duration.millis(millis)

const timetableJson = (timetable: Timetable): typeof TimetableJson.Type => {
  if ("cron" in timetable) return { cron: timetable.cron, time_zone: timetable.timeZone }
  if ("at" in timetable) return { at: timestamp(timetable.at) }
  const { start } = timetable
  const from = start === undefined ? {} : { start: typeof start === "string" ? start : DateTime.formatIso(start) }
  return "every" in timetable
    ? { every_ms: Duration.toMillis(timetable.every), ...from }
    : { rrule: timetable.rrule, time_zone: timetable.timeZone, ...from }
}

const timetableFromJson = (
  { at, cron, every_ms, rrule, start, time_zone: timeZone = "" }: typeof TimetableJson.Type
): Timetable => {
  if (cron !== undefined) return { cron, timeZone }
  if (rrule !== undefined) return { rrule, timeZone, ...start === undefined ? {} : { start } }
  if (at !== undefined) return { at: instant(at) }
  return { every: Duration.millis(every_ms ?? 0), ...start === undefined ? {} : { start: instant(start) } }
}

const tickJson = ({ at, first, tick, ...known }: Tick): typeof TickJson.Type => ({
  ...known,
  tick: timestamp(tick),
  at: timestamp(at),
  first: timestamp(first)
})

const tickFromJson = ({ at, first, tick, ...known }: typeof TickJson.Type): Tick => ({
  ...known,
  tick: instant(tick),
  at: instant(at),
  first: instant(first)
})

/** A schedule on the wire. Secrets in its payload are masked, as in tasks. */
export const scheduleJson = (view: ScheduleView): ScheduleJson => ({
  name: view.name,
  timetable: timetableJson(view.timetable),
  description: view.description,
  task: {
    type: view.task.type,
    ...view.task.version === 1 ? {} : { version: view.task.version },
    queue: view.task.queue,
    payload: Redaction.json(view.task.payload),
    priority: view.task.priority,
    max_retries: view.task.maxRetries,
    timeout_ms: millisOrNull(view.task.timeout),
    expires_in_ms: millisOrNull(view.task.expiresIn),
    start_within_ms: millisOrNull(view.task.startWithin),
    ...view.task.tags.length === 0 ? {} : { tags: view.task.tags }
  },
  missed: view.missed,
  max_missed: view.maxMissed,
  overlap: view.overlap,
  jitter_ms: Duration.toMillis(view.jitter),
  start_at: timestampOrNull(view.startAt),
  end_at: timestampOrNull(view.endAt),
  only_if: view.onlyIf === null ? null : "last_succeeded",
  status: view.state,
  pause: view.pause && { ...view.pause, since: timestamp(view.pause.since) },
  program: view.program,
  by: view.by,
  next: timestampOrNull(view.next),
  last: view.last && tickJson(view.last),
  made: view.made,
  skipped: view.skipped,
  changed_at: timestamp(view.changedAt)
})

/** The schedule that was on the wire. */
export const scheduleFromJson = (json: ScheduleJson): ScheduleView => ({
  name: json.name,
  timetable: timetableFromJson(json.timetable),
  description: json.description,
  task: {
    type: json.task.type,
    version: json.task.version ?? 1,
    queue: json.task.queue,
    payload: json.task.payload,
    priority: json.task.priority,
    maxRetries: json.task.max_retries,
    timeout: durationOrNull(json.task.timeout_ms),
    expiresIn: durationOrNull(json.task.expires_in_ms),
    startWithin: durationOrNull(json.task.start_within_ms),
    tags: json.task.tags ?? []
  },
  missed: json.missed,
  maxMissed: json.max_missed,
  overlap: json.overlap,
  jitter: Duration.millis(json.jitter_ms),
  startAt: instantOrNull(json.start_at),
  endAt: instantOrNull(json.end_at),
  onlyIf: json.only_if === null ? null : "lastSucceeded",
  state: json.status,
  pause: json.pause && { ...json.pause, since: instant(json.pause.since) },
  program: json.program,
  by: json.by,
  next: instantOrNull(json.next),
  last: json.last && tickFromJson(json.last),
  made: json.made,
  skipped: json.skipped,
  changedAt: instant(json.changed_at)
})

/** A page of schedules on the wire. */
export const pageJson = ({ next, now, schedules }: SchedulePage): typeof SchedulePageJson.Type => ({
  schedules: schedules.map(scheduleJson),
  next,
  timestamp: timestamp(now)
})

/** The page that was on the wire. */
export const pageFromJson = ({ next, schedules, timestamp }: typeof SchedulePageJson.Type): SchedulePage => ({
  schedules: schedules.map(scheduleFromJson),
  next,
  now: instant(timestamp)
})

/** The next ticks on the wire. */
export const previewJson = ({ description, ticks }: Preview): typeof PreviewJson.Type => ({
  description,
  ticks: ticks.map(timestamp)
})

/** The ticks that were on the wire. */
export const previewFromJson = ({ description, ticks }: typeof PreviewJson.Type): Preview => ({
  description,
  ticks: ticks.map(instant)
})

/** A history on the wire. */
export const historyJson = (ticks: ReadonlyArray<Tick>): typeof HistoryJson.Type => ({ ticks: ticks.map(tickJson) })

/** The history that was on the wire. */
export const historyFromJson = ({ ticks }: typeof HistoryJson.Type): ReadonlyArray<Tick> => ticks.map(tickFromJson)
