/** The endpoints of limits, and of pauses of types and keys: thin doors into the `TaskQueue`. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { InvalidOption, LimitNotFound, StoreError } from "../domain/Errors.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import * as LimitsApi from "./api/LimitsApi.ts"
import { waitingJson } from "./api/LimitWaitingJson.ts"
import * as AuditLog from "./AuditLog.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import { CurrentVisitor, keyOf } from "./Visitor.ts"

/** Where a request has what an option is. */
const partOf = ({ option }: InvalidOption): "path" | "query" | "body" =>
  option === "name" || option === "type" ? "path" : option === "key" || option === "keys" ? "query" : "body"

/** Refuses what only the queue can check. */
const checked = <A, E extends LimitNotFound | StoreError>(done: Effect.Effect<A, E | InvalidOption>) =>
  Effect.catchTag(
    done as Effect.Effect<A, LimitNotFound | StoreError | InvalidOption>,
    "InvalidOption",
    (invalid) => RequestCheckLive.refused(partOf(invalid))(invalid)
  )

/** Who asks: the name of the key, or who the request says it is. */
const named = Effect.map(CurrentVisitor, (visitor) => {
  const key = keyOf(visitor)
  return key === undefined ? {} : { by: key.name }
})

/** Handles the endpoints of {@link Api}'s limits. */
export const limits = HttpApiBuilder.group(
  Api,
  "limits",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue
    const changed = <A>(
      action: string,
      subject: Readonly<Record<string, string>>,
      done: Effect.Effect<A, LimitNotFound | InvalidOption | StoreError>
    ) => AuditLog.recorded(action, subject, checked(done))

    return handlers.handleAll({
      list: Effect.fnUntraced(function*({ query }) {
        const page = yield* Effect.catchTag(queue.limits(query), "InvalidOption", RequestCheckLive.refused("query"))
        return LimitsApi.pageJson(page, yield* queue.pausedTypes, yield* queue.pausedKeys)
      }),
      get: ({ params, query }) => Effect.map(checked(queue.limit(params.name, query.key)), LimitsApi.detailJson),
      waiting: ({ params: { name }, query: { key } }) => Effect.map(checked(queue.waiting(name, key)), waitingJson),
      set: Effect.fnUntraced(function*({ params: { name }, payload, query: { key }, request }) {
        const { lifted, on_failure: onFailure, ...change } = payload
        const options = {
          ...change,
          ...onFailure !== undefined && { onFailure },
          ...key !== undefined && { key },
          ...yield* named
        }
        const subject = { limit: name, ...key !== undefined && { key } }
        const done = lifted === true
          ? changed("lift", subject, queue.liftLimit(name, options))
          : changed("set_limit", subject, queue.setLimit(name, options))
        return LimitsApi.limitJson(yield* RequestCheckLive.exactBody(request, () => done))
      }),
      reset: ({ params: { name }, query: { key } }) =>
        changed("reset_limit", { limit: name, ...key !== undefined && { key } }, queue.resetLimit(name, { key })),
      release: ({ params: { name }, query: { key } }) =>
        changed("release", { limit: name, key }, queue.letGo(name, key)),
      pauseKey: Effect.fnUntraced(function*({ params: { name }, payload, query: { key }, request }) {
        const options = { ...payload, ...yield* named }
        const paused = changed("pause", { limit: name, key }, queue.pauseKey(name, key, options))
        yield* RequestCheckLive.exactBody(request, () => paused)
      }),
      resumeKey: ({ params: { name }, query: { key } }) =>
        changed("resume", { limit: name, key }, queue.resumeKey(name, key)),
      pauseType: Effect.fnUntraced(function*({ params: { type }, payload, request }) {
        const options = { ...payload, ...yield* named }
        const paused = AuditLog.recorded("pause", { type }, typeChecked(queue.pauseType(type, options)))
        yield* RequestCheckLive.exactBody(request, () => paused)
      }),
      resumeType: ({ params: { type } }) => AuditLog.recorded("resume", { type }, typeChecked(queue.resumeType(type)))
    })
  })
)

const typeChecked = <A>(done: Effect.Effect<A, InvalidOption | StoreError>) =>
  Effect.catchTag(done, "InvalidOption", (invalid) => RequestCheckLive.refused(partOf(invalid))(invalid))
