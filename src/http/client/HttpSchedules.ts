/**
 * `Schedules` over HTTP: a program goes remote when this layer takes the place of an engine's.
 *
 * @example
 * ```ts
 * const program = Schedules.set("nightly", Sync.schedule({ cron: "30 2 * * *" }, { tenant: "acme" }))
 *
 * program.pipe(Effect.provide(HttpSchedules.layer({ url: "https://tasks.example.org", apiKey })))
 * ```
 */
import { DateTime, Duration, Effect, Layer, type Schema } from "effect"
import { FetchHttpClient, type HttpClient } from "effect/http"
import * as Priority from "../../domain/Priority.ts"
import * as Timetable from "../../domain/Timetable.ts"
import { checkPage, sizeOf } from "../../queue/Queues.ts"
import { checkName, planOf } from "../../schedule/Plan.ts"
import type { Scheduled } from "../../schedule/Scheduled.ts"
import { checkAuthor, checkCount, defaultsOf, Schedules } from "../../schedule/Schedules.ts"
import { Api } from "../api/Api.ts"
import * as ScheduleJson from "../api/ScheduleJson.ts"
import * as SchedulesApi from "../api/SchedulesApi.ts"
import * as ApiClient from "./ApiClient.ts"
import type { Options } from "./ApiClient.ts"
import { refusedAs, unsent } from "./Sending.ts"

export type { Options }

/** The schedules of a server, reached by `fetch`. */
export const layer = (options: Options): Layer.Layer<Schedules> =>
  Layer.provide(layerHttpClient(options), FetchHttpClient.layer)

/** The schedules of a server, reached by the `HttpClient` that is provided. */
export const layerHttpClient = (options: Options): Layer.Layer<Schedules, never, HttpClient.HttpClient> =>
  Layer.effect(Schedules, make(options))

const make = Effect.fnUntraced(function*(options: Options) {
  const { schedules: api } = yield* ApiClient.make(Api, options)
  const repeatable = ApiClient.repeatable(options.retry)
  const again = <A, E extends { readonly _tag: string }>(operation: string, request: Effect.Effect<A, E>) =>
    repeatable(unsent(operation, request))
  const named = (name: string) => Effect.as(checkName(name), { params: { name } })

  return Schedules.of({
    set: Effect.fnUntraced(function*(name, scheduled, { by } = {}) {
      const { params } = yield* named(name)
      yield* checkAuthor({ by }, ["by"])
      yield* planOf(scheduled, defaultsOf())
      const payload = { ...yield* newScheduleOf(scheduled), ...by === undefined ? {} : { by } }
      const set = Effect.catchTag(api.set({ params, payload }), "InvalidRequest", refusedAs(SchedulesApi.optionOf))
      return ScheduleJson.scheduleFromJson(yield* again("set a schedule", set))
    }),
    get: Effect.fnUntraced(function*(name) {
      return ScheduleJson.scheduleFromJson(yield* again("read a schedule", api.get(yield* named(name))))
    }),
    list: Effect.fnUntraced(function*(options = {}) {
      yield* checkPage("schedule", options)
      const { cursor } = options
      const query = { limit: sizeOf(options), ...cursor === undefined ? {} : { cursor } }
      return ScheduleJson.pageFromJson(yield* again("list the schedules", api.list({ query })))
    }),
    remove: Effect.fnUntraced(function*(name) {
      yield* unsent("remove a schedule", api.remove(yield* named(name)))
    }),
    pause: Effect.fnUntraced(function*(name, options = {}) {
      const { params } = yield* named(name)
      yield* checkAuthor(options, ["by", "reason"])
      const { by, reason } = options
      const payload = { ...by === undefined ? {} : { by }, ...reason === undefined ? {} : { reason } }
      return ScheduleJson.scheduleFromJson(yield* again("pause a schedule", api.pause({ params, payload })))
    }),
    resume: Effect.fnUntraced(function*(name) {
      return ScheduleJson.scheduleFromJson(yield* again("resume a schedule", api.resume(yield* named(name))))
    }),
    runNow: Effect.fnUntraced(function*(name, options = {}) {
      const { params } = yield* named(name)
      yield* checkAuthor(options, ["by"])
      const { by } = options
      const { id } = yield* unsent(
        "run a schedule",
        api.run({ params, payload: by === undefined ? {} : { by } })
      )
      return id
    }),
    preview: Effect.fnUntraced(function*(of, count) {
      yield* checkCount(count)
      const asked = count === undefined ? {} : { count }
      if (typeof of === "string") {
        const request = { ...yield* named(of), query: asked }
        return ScheduleJson.previewFromJson(yield* again("read the next ticks", api.upcoming(request)))
      }
      const payload = { ...yield* partsOf(of), ...asked }
      return ScheduleJson.previewFromJson(yield* again("read the next ticks", api.preview({ payload })))
    }),
    history: Effect.fnUntraced(function*(name) {
      return ScheduleJson.historyFromJson(yield* again("read the ticks", api.history(yield* named(name))))
    })
  })
})

/** A timetable as a request says it. What is none is refused here, as by a store. */
const partsOf = Effect.fnUntraced(function*(input: Timetable.Input) {
  const timetable = yield* Effect.fromResult(Timetable.parse(input))
  if ("cron" in timetable) return { cron: timetable.cron, time_zone: timetable.timeZone }
  if ("at" in timetable) return { at: timetable.at }
  const { start } = timetable
  const from = start === undefined ? {} : { start: typeof start === "string" ? start : DateTime.formatIso(start) }
  return "every" in timetable
    ? { every: timetable.every, ...from }
    : { rrule: timetable.rrule, time_zone: timetable.timeZone, ...from }
})

const whole = (input: Duration.Input): Duration.Duration =>
  Duration.millis(Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(input))))

/** What a request says of a schedule. What a definition says of its tasks is sent along: the server may know another. */
const newScheduleOf = Effect.fnUntraced(function*({ options, submission, timetable }: Scheduled) {
  const { definition, options: { tags }, payload, version } = yield* submission
  const maxRetries = options.maxRetries ?? definition.retry.times
  const timeout = options.timeout ?? definition.timeoutMs
  const expiresIn = options.expiresIn ?? definition.expiresInMs
  const startWithin = options.startWithin ?? definition.startWithinMs
  const { endAt, jitter, maxMissed, missed, onlyIf, overlap, startAt } = options
  return {
    ...yield* partsOf(timetable),
    task: {
      type: definition.type,
      payload: JSON.parse(payload) as Schema.Json,
      ...version === undefined ? {} : { version },
      queue: options.queue ?? definition.queue,
      priority: options.priority === undefined ? definition.priority : Priority.toNumber(options.priority),
      ...maxRetries === undefined ? {} : { max_retries: maxRetries },
      ...timeout === undefined ? {} : { timeout: whole(timeout) },
      ...expiresIn === undefined ? {} : { expires_in: whole(expiresIn) },
      ...startWithin === undefined ? {} : { start_within: whole(startWithin) },
      ...tags === undefined ? {} : { tags }
    },
    ...missed === undefined ? {} : { missed },
    ...maxMissed === undefined ? {} : { max_missed: maxMissed },
    ...overlap === undefined ? {} : { overlap },
    ...jitter === undefined ? {} : { jitter: whole(jitter) },
    ...startAt === undefined ? {} : { start_at: DateTime.toUtc(startAt) },
    ...endAt === undefined ? {} : { end_at: DateTime.toUtc(endAt) },
    ...onlyIf === undefined ? {} : { only_if: "last_succeeded" as const }
  }
})
