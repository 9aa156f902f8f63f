/** Schedules over HTTP, in snake_case. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import * as Cursor from "../../domain/Cursor.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import type { Input } from "../../domain/Timetable.ts"
import type { ScheduleOptions } from "../../schedule/ScheduleOptions.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { NewTaskJson } from "./NewTaskJson.ts"
import { cursorText, MillisOrText, Name, PageSize, within } from "./RequestValues.ts"
import {
  HistoryJson,
  Missed,
  OnlyIf,
  Overlap,
  PreviewJson,
  RunJson,
  ScheduleJson,
  SchedulePageJson
} from "./ScheduleJson.ts"
import * as WireNames from "./WireNames.ts"

/** Characters of a text in a timetable. */
const text = Schema.String.check(Schema.isMaxLength(1000))
const Instant = Rfc3339.check(within(Bounds.runAt)).annotate({
  description: "A time in RFC 3339: 2026-01-31T12:00:00Z"
})

/** A timetable as a request says it: one of `cron`, `every`, `rrule` and `at`. */
const timetableFields = {
  cron: Schema.optionalKey(text).annotate({
    description: "Five fields, or six with seconds first, or a macro such as @daily"
  }),
  every: Schema.optionalKey(MillisOrText).annotate({ description: "An interval: text such as 5m, or milliseconds" }),
  rrule: Schema.optionalKey(text).annotate({ description: "A rule of RFC 5545: FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9" }),
  at: Schema.optionalKey(Instant),
  time_zone: Schema.optionalKey(text).annotate({
    description: "With cron and rrule: the IANA zone whose clock is meant; UTC when left out"
  }),
  start: Schema.optionalKey(text).annotate({
    description: "With every: the first tick. With rrule: the time on the wall from which it counts"
  })
}

/** A timetable that is not stored. */
export const TimetableQueryJson = Schema.Struct({
  ...timetableFields,
  count: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))).annotate({
    description: "How many ticks; 10 when left out"
  })
}).annotate({ identifier: "TimetablePreview" })

/** The task of each tick. */
const NewScheduledTaskJson = Schema.Struct({
  type: NewTaskJson.fields.type,
  payload: NewTaskJson.fields.payload,
  version: NewTaskJson.fields.version,
  queue: NewTaskJson.fields.queue,
  priority: NewTaskJson.fields.priority,
  max_retries: NewTaskJson.fields.max_retries,
  timeout: NewTaskJson.fields.timeout,
  tags: NewTaskJson.fields.tags,
  expires_in: Schema.optionalKey(MillisOrText.check(within(Bounds.span))).annotate({
    description: "How long the task is of use, from its tick on"
  }),
  start_within: Schema.optionalKey(MillisOrText.check(within(Bounds.span))).annotate({
    description: "Within what time from its tick the task should start: tasks of one priority go by it"
  })
}).annotate({ identifier: "NewScheduledTask" })

/** What a schedule is set to. */
export const NewScheduleJson = Schema.Struct({
  ...timetableFields,
  task: NewScheduledTaskJson,
  missed: Schema.optionalKey(Missed).annotate({
    description: "What becomes of ticks that passed while no instance ran: once (the default) makes one task for the " +
      "latest, skip none, all one for each"
  }),
  max_missed: Schema.optionalKey(Schema.Int).annotate({
    description: "With all: for how many of the latest; 10 by default, 100 at most"
  }),
  overlap: Schema.optionalKey(Overlap).annotate({
    description: "What becomes of a tick while the task before it is unfinished: allow (the default) makes its task, " +
      "skip leaves it out, cancel cancels the one before"
  }),
  jitter: Schema.optionalKey(MillisOrText).annotate({ description: "Each task is due up to so much after its tick" }),
  start_at: Schema.optionalKey(Instant),
  end_at: Schema.optionalKey(Instant),
  only_if: Schema.optionalKey(OnlyIf).annotate({
    description: "Ticks are left out unless the task before has completed"
  }),
  by: Schema.optionalKey(Name).annotate({ description: "Who sets it; the name of an API key takes its place" })
}).annotate({ identifier: "NewSchedule" })

export type NewScheduleJson = typeof NewScheduleJson.Type

const author = { by: Schema.optionalKey(Name) }

/** Who does something to a schedule. */
const ByJson = Schema.Struct(author)

/** Who pauses a schedule, and why. */
const NewSchedulePauseJson = Schema.Struct({
  ...author,
  reason: Schema.optionalKey(Schema.String.check(within(Bounds.reason)))
}).annotate({ identifier: "NewSchedulePause" })

const params = { name: Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxIdLength)) }
const errors = [ApiErrors.ScheduleNotFound, ApiErrors.Unavailable] as const
const Count = Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 100 }))

/** The endpoints of schedules. */
export class SchedulesApi extends HttpApiGroup.make("schedules").add(
  HttpApiEndpoint.get("list", "/schedules", {
    query: {
      limit: Schema.optionalKey(PageSize),
      cursor: Schema.optionalKey(cursorText((text) => Cursor.decodeName("schedule", text) !== undefined))
    },
    success: SchedulePageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "List schedules, by name"),
  HttpApiEndpoint.get("get", "/schedules/:name", { params, success: ScheduleJson, error: errors })
    .annotate(NeededRole, "read").annotate(OpenApi.Summary, "Get a schedule"),
  HttpApiEndpoint.put("set", "/schedules/:name", {
    params,
    payload: NewScheduleJson,
    success: ScheduleJson,
    error: [ApiErrors.InvalidTimetable, ApiErrors.InvalidPayload, ApiErrors.UnknownTaskType, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Make a schedule, or change it",
    description:
      "With one of cron, every, rrule and at. The past of a known schedule, its pause and a tick that is due stay; all else is as " +
      "the request says. A timetable without a tick from now on is refused."
  })),
  HttpApiEndpoint.delete("remove", "/schedules/:name", { params, success: HttpApiSchema.NoContent, error: errors })
    .annotate(NeededRole, "write").annotate(OpenApi.Summary, "Remove a schedule; its tasks stay"),
  HttpApiEndpoint.post("run", "/schedules/:name/run", {
    params,
    payload: [ByJson, Schema.Null],
    success: RunJson.pipe(HttpApiSchema.status(201)),
    error: [ApiErrors.ScheduleNotFound, ApiErrors.KeyConflict, ApiErrors.BatchTooLarge, ApiErrors.FullOrUnavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Run a schedule now",
    description: "Makes its task besides all ticks, also while it is paused."
  })),
  HttpApiEndpoint.post("pause", "/schedules/:name/pause", {
    params,
    payload: [NewSchedulePauseJson, Schema.Null],
    success: ScheduleJson,
    error: errors
  }).annotate(NeededRole, "write").annotate(OpenApi.Summary, "Pause a schedule: it makes no tasks until it is resumed"),
  HttpApiEndpoint.post("resume", "/schedules/:name/resume", { params, success: ScheduleJson, error: errors })
    .annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
      summary: "Resume a schedule",
      description: "It goes on with the first tick from now on: those of the pause have not been missed."
    })),
  HttpApiEndpoint.get("history", "/schedules/:name/history", { params, success: HistoryJson, error: errors })
    .annotate(NeededRole, "read")
    .annotate(OpenApi.Summary, "Read what became of the latest ticks, the latest first: 25 at most"),
  HttpApiEndpoint.get("upcoming", "/schedules/:name/preview", {
    params,
    query: { count: Schema.optionalKey(Count) },
    success: PreviewJson,
    error: errors
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "Read the next ticks of a schedule"),
  HttpApiEndpoint.post("preview", "/timetables/preview", {
    payload: TimetableQueryJson,
    success: PreviewJson,
    error: [ApiErrors.InvalidTimetable, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "Read the next ticks of a timetable that is not stored")
).prefix("/api/v1") {}

/** The parts of a request that say when. */
type TimetableParts = Pick<NewScheduleJson, keyof typeof timetableFields>

/** What stands of a timetable in a request. Whether that is one, its parser says. */
export const timetableOf = ({ at, cron, every, rrule, start, time_zone: timeZone }: TimetableParts): Input => {
  const given = { at, cron, every, rrule, start, timeZone }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Input
}

/** Where a request has an option of a schedule: what ticks is under the name of its kind. */
export const namesIn = (json: NewScheduleJson) => (option: string): ReadonlyArray<string> => {
  if (option === "timetable") return kinds.filter((kind) => json[kind] !== undefined)
  const name = WireNames.ofOption(option)
  return name in NewScheduledTaskJson.fields ? ["task", name] : [name]
}

/** The option of a program that has this name in a request. */
export const optionOf = (name: string): string =>
  kinds.some((kind) => kind === name) ? "timetable" : WireNames.toOption(name)

const kinds = ["cron", "every", "rrule", "at"] as const

/** The options of a schedule in a request. */
export const optionsOf = (json: NewScheduleJson): ScheduleOptions => ({
  missed: json.missed,
  maxMissed: json.max_missed,
  overlap: json.overlap,
  jitter: json.jitter,
  startAt: json.start_at,
  endAt: json.end_at,
  onlyIf: json.only_if === undefined ? undefined : "lastSucceeded",
  queue: json.task.queue,
  priority: json.task.priority,
  maxRetries: json.task.max_retries,
  timeout: json.task.timeout,
  expiresIn: json.task.expires_in,
  startWithin: json.task.start_within,
  tags: json.task.tags
})
