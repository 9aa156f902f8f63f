/** The endpoints of breakers: thin doors into the `TaskQueue`. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { BreakerNotFound, InvalidOption, StoreError } from "../domain/Errors.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import * as BreakersApi from "./api/BreakersApi.ts"
import * as AuditLog from "./AuditLog.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import { CurrentVisitor, keyOf } from "./Visitor.ts"

/** Where a request has what an option is. */
const partOf = ({ option }: InvalidOption): "path" | "query" | "body" =>
  option === "name" ? "path" : option === "key" || option === "keys" ? "query" : "body"

/** Refuses what only the queue can check. */
const checked = <A>(done: Effect.Effect<A, BreakerNotFound | InvalidOption | StoreError>) =>
  Effect.catchTag(done, "InvalidOption", (invalid) => RequestCheckLive.refused(partOf(invalid))(invalid))

/** Handles the endpoints of {@link Api}'s breakers. */
export const breakers = HttpApiBuilder.group(
  Api,
  "breakers",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue
    return handlers.handleAll({
      list: ({ query }) =>
        queue.breakers(query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(BreakersApi.pageJson)
        ),
      get: ({ params, query }) => Effect.map(checked(queue.breaker(params.name, query.key)), BreakersApi.breakerJson),
      open: Effect.fnUntraced(function*({ params: { name }, payload, query: { key }, request }) {
        const apiKey = keyOf(yield* CurrentVisitor)
        const ofKey = key === undefined ? {} : { key }
        const by = apiKey === undefined ? {} : { by: apiKey.name }
        const opened = checked(queue.openBreaker(name, { ...payload, ...ofKey, ...by }))
        const done = AuditLog.recorded("open_breaker", { breaker: name, ...ofKey }, opened)
        return BreakersApi.breakerJson(yield* RequestCheckLive.exactBody(request, () => done))
      }),
      reset: ({ params: { name }, query: { key } }) =>
        AuditLog.recorded(
          "reset_breaker",
          { breaker: name, ...key !== undefined && { key } },
          checked(queue.resetBreaker(name, { key }))
        )
    })
  })
)
