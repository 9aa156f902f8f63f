/** The endpoints of operations on many tasks: thin doors into the `TaskQueue`. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { InvalidOption } from "../domain/Errors.ts"
import type { OperationError, OperationView } from "../queue/Operations.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import * as OperationsApi from "./api/OperationsApi.ts"
import { InvalidRequest } from "./api/RequestCheck.ts"
import { filterOf, pathOf } from "./api/TaskFilterJson.ts"
import * as AuditLog from "./AuditLog.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import { CurrentVisitor, keyOf } from "./Visitor.ts"

/** Who asks: the name of the key, or who the request says it is. */
const named = Effect.map(CurrentVisitor, (visitor) => {
  const key = keyOf(visitor)
  return key === undefined ? {} : { by: key.name }
})

/** Refuses what only the queue can check, under the names that lead to it in the request. */
const refused = (invalid: InvalidOption) => {
  const issue = RequestCheckLive.issueOf("body", pathOf(invalid.option), invalid)
  return Effect.fail(new InvalidRequest({ issues: [issue] }))
}

/** Does something to an operation, and writes down who did. */
const done = (
  action: string,
  operation: string,
  change: (by: { readonly by?: string }) => Effect.Effect<OperationView, OperationError>
) =>
  AuditLog.recorded(
    action,
    { operation },
    named.pipe(
      Effect.flatMap(change),
      Effect.catchTag("InvalidOption", refused),
      Effect.map(OperationsApi.operationJson)
    )
  )

/** Handles the endpoints of {@link Api}'s operations. */
export const operations = HttpApiBuilder.group(
  Api,
  "operations",
  Effect.fnUntraced(function*(handlers) {
    const { operations } = yield* TaskQueue
    return handlers.handleAll({
      preview: ({ payload }) =>
        operations.preview(OperationsApi.wantedOf(payload)).pipe(
          Effect.catchTag("InvalidOption", refused),
          Effect.map(OperationsApi.previewJson)
        ),
      start: Effect.fnUntraced(function*({ payload }) {
        const { action, change: _, filter, ...options } = payload
        const given = { ...options, ...OperationsApi.wantedOf(payload), ...yield* named }
        const subject = { operation: action, filter: JSON.stringify(filterOf(filter)), why: payload.why }
        const begun = Effect.map(operations.start(given), OperationsApi.operationJson)
        return yield* AuditLog.recorded("start_operation", subject, Effect.catchTag(begun, "InvalidOption", refused))
      }),
      list: ({ query }) =>
        operations.list(query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(OperationsApi.pageJson)
        ),
      get: ({ params }) => Effect.map(operations.get(params.operation), OperationsApi.operationJson),
      abort: ({ params: { operation }, payload }) =>
        done("abort_operation", operation, (by) => operations.abort(operation, { ...payload, ...by })),
      undo: ({ params: { operation }, payload }) =>
        done("undo_operation", operation, (by) => operations.undo(operation, { ...payload, ...by }))
    })
  })
)
