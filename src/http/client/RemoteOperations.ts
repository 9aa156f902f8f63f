/** The part of a remote `TaskQueue` that is about operations on many tasks. */
import { Effect } from "effect"
import { OperationNotFound } from "../../domain/Operation.ts"
import * as Priority from "../../domain/Priority.ts"
import { isId } from "../../operation/OperationRecords.ts"
import * as NewOperation from "../../queue/NewOperation.ts"
import type { Operations } from "../../queue/Operations.ts"
import * as Queues from "../../queue/Queues.ts"
import * as OperationsApi from "../api/OperationsApi.ts"
import { optionOf } from "../api/TaskFilterJson.ts"
import type * as ApiClient from "./ApiClient.ts"
import { refusedAs, type Sending, unsent } from "./Sending.ts"

const refused = refusedAs(optionOf)

const priorityOf = ({ change }: NewOperation.Wanted): number | undefined =>
  change?.priority === undefined ? undefined : Priority.toNumber(change.priority)

/** These operations on a server. */
export const make = (
  api: ApiClient.ApiClient["operations"],
  newId: Effect.Effect<string>,
  { again }: Pick<Sending, "again">
): Operations => {
  /** What cannot be an operation is asked for nowhere. */
  const named = (operation: string) =>
    isId(operation)
      ? Effect.succeed({ params: { operation } })
      : Effect.fail(new OperationNotFound({ operation }))

  return {
    // the server does
    goOn: Effect.succeed(Infinity),
    preview: Effect.fnUntraced(function*(wanted) {
      yield* NewOperation.checkWanted(wanted)
      const payload = OperationsApi.wantedJson(wanted, priorityOf(wanted))
      const read = Effect.catchTag(api.preview({ payload }), "InvalidRequest", refused)
      return OperationsApi.previewFromJson(yield* again("preview an operation", read))
    }),
    start: Effect.fnUntraced(function*(given) {
      yield* NewOperation.check(given)
      // Sent again, it is the same one
      const id = given.id ?? (yield* newId)
      const payload = OperationsApi.newJson({ ...given, id }, priorityOf(given))
      const started = Effect.catchTag(api.start({ payload }), "InvalidRequest", refused)
      return OperationsApi.operationFromJson(yield* again("start an operation", started))
    }),
    get: Effect.fnUntraced(function*(id) {
      return OperationsApi.operationFromJson(yield* again("read an operation", api.get(yield* named(id))))
    }),
    list: Effect.fnUntraced(function*(options = {}) {
      yield* Queues.checkPage("operation", options)
      const { cursor } = options
      const query = { limit: Queues.sizeOf(options), ...cursor !== undefined && { cursor } }
      const { next, operations } = yield* again("list the operations", api.list({ query }))
      return { operations: operations.map(OperationsApi.operationFromJson), next }
    }),
    abort: Effect.fnUntraced(function*(id, options = {}) {
      yield* NewOperation.checkDeed(options)
      const { params } = yield* named(id)
      const done = Effect.catchTag(api.abort({ params, payload: bodyOf(options) }), "InvalidRequest", refused)
      return OperationsApi.operationFromJson(yield* unsent("abort an operation", done))
    }),
    undo: Effect.fnUntraced(function*(id, options = {}) {
      yield* NewOperation.checkDeed(options)
      const { params } = yield* named(id)
      const done = Effect.catchTag(api.undo({ params, payload: bodyOf(options) }), "InvalidRequest", refused)
      return OperationsApi.operationFromJson(yield* unsent("undo an operation", done))
    })
  }
}

const bodyOf = ({ by }: NewOperation.DeedOptions) => by === undefined ? {} : { by }
