/** The endpoints of schedules: thin doors into `Schedules`. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { InvalidOption, UnknownTaskType } from "../domain/Errors.ts"
import { type Scheduled, unkeyed } from "../schedule/Scheduled.ts"
import * as ScheduleOptions from "../schedule/ScheduleOptions.ts"
import { Schedules } from "../schedule/Schedules.ts"
import { Api } from "./api/Api.ts"
import { InvalidRequest } from "./api/RequestCheck.ts"
import * as ScheduleJson from "./api/ScheduleJson.ts"
import * as SchedulesApi from "./api/SchedulesApi.ts"
import * as WireNames from "./api/WireNames.ts"
import * as AuditLog from "./AuditLog.ts"
import { submissionOf } from "./QueueHandlers.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import { TaskCatalog } from "./TaskCatalog.ts"
import { CurrentVisitor, keyOf } from "./Visitor.ts"

/** Refuses what only the schedules can check, under the names that the request has for it. */
const checked = <A, E, R>(
  done: Effect.Effect<A, E, R>,
  namesOf: (option: string) => ReadonlyArray<string> = (option) => [WireNames.ofOption(option)]
): Effect.Effect<A, Exclude<E, InvalidOption> | InvalidRequest, R> =>
  Effect.mapError(done, (error) => {
    if (!(error instanceof InvalidOption)) return error as Exclude<E, InvalidOption>
    const { option } = error
    const part = option === "name" ? "path" : "body"
    return new InvalidRequest({ issues: [RequestCheckLive.issueOf(part, namesOf(option), error)] })
  })

/** The name of the key of a request takes the place of whom it names. */
const authorOf = <A extends { readonly by?: string | undefined }>(given: A | null) =>
  Effect.map(CurrentVisitor, (visitor) => {
    const key = keyOf(visitor)
    return { ...given, ...key === undefined ? {} : { by: key.name } }
  })

/** Handles the endpoints of {@link Api}'s schedules. */
export const schedules = HttpApiBuilder.group(
  Api,
  "schedules",
  Effect.fnUntraced(function*(handlers) {
    const all = yield* Schedules
    const catalog = yield* TaskCatalog

    const scheduledOf = Effect.fnUntraced(function*(json: SchedulesApi.NewScheduleJson) {
      const { type } = json.task
      yield* catalog.knowing([type])
      const definition = catalog.find(type)
      if (definition === undefined) return yield* new UnknownTaskType({ type, known: catalog.types, index: 0 })
      const options = SchedulesApi.optionsOf(json)
      const scheduled: Scheduled = {
        timetable: SchedulesApi.timetableOf(json),
        submission: submissionOf(unkeyed(definition), json.task, ScheduleOptions.ofTasks(options), 0),
        options
      }
      // before the timetable, as the schedules do
      yield* checked(scheduled.submission)
      return scheduled
    })

    return handlers.handleAll({
      list: ({ query }) =>
        all.list(query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(ScheduleJson.pageJson)
        ),
      get: ({ params: { name } }) => Effect.map(checked(all.get(name)), ScheduleJson.scheduleJson),
      set: Effect.fnUntraced(function*({ params: { name }, payload, request }) {
        const { by } = yield* authorOf(payload)
        const set = Effect.flatMap(
          scheduledOf(payload),
          (scheduled) => checked(all.set(name, scheduled, { by }), SchedulesApi.namesIn(payload))
        )
        const done = AuditLog.recorded("set_schedule", { schedule: name }, set)
        return ScheduleJson.scheduleJson(yield* RequestCheckLive.exactBody(request, () => done))
      }),
      remove: ({ params: { name } }) =>
        AuditLog.recorded("remove_schedule", { schedule: name }, checked(all.remove(name))),
      run: Effect.fnUntraced(function*({ params: { name }, payload }) {
        const by = yield* authorOf(payload)
        return { id: yield* AuditLog.recorded("run_schedule", { schedule: name }, checked(all.runNow(name, by))) }
      }),
      pause: Effect.fnUntraced(function*({ params: { name }, payload }) {
        const options = yield* authorOf(payload)
        const paused = checked(all.pause(name, options))
        return ScheduleJson.scheduleJson(yield* AuditLog.recorded("pause_schedule", { schedule: name }, paused))
      }),
      resume: ({ params: { name } }) =>
        Effect.map(
          AuditLog.recorded("resume_schedule", { schedule: name }, checked(all.resume(name))),
          ScheduleJson.scheduleJson
        ),
      history: ({ params: { name } }) => Effect.map(checked(all.history(name)), ScheduleJson.historyJson),
      upcoming: ({ params: { name }, query: { count } }) =>
        checked(all.preview(name, count)).pipe(
          // A stored timetable has been read before
          Effect.catchTag("InvalidTimetable", Effect.die),
          Effect.map(ScheduleJson.previewJson)
        ),
      preview: ({ payload: { count, ...timetable } }) =>
        checked(all.preview(SchedulesApi.timetableOf(timetable), count)).pipe(
          // No name is looked for
          Effect.catchTag("ScheduleNotFound", Effect.die),
          Effect.map(ScheduleJson.previewJson)
        )
    })
  })
)
