/** The endpoints of dead letters. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import type { DeadLettersDone } from "../queue/DeadLetters.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import { type DeadLetterPartJson, groupsJson, partOf } from "./api/DeadLettersApi.ts"
import { pageSize } from "./api/RequestValues.ts"
import * as TaskJson from "./api/TaskJson.ts"
import * as AuditLog from "./AuditLog.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"

/** Handles the endpoints of {@link Api}'s dead letters. */
export const deadLetters = HttpApiBuilder.group(
  Api,
  "deadLetters",
  Effect.fnUntraced(function*(handlers) {
    const { deadLetters } = yield* TaskQueue
    return handlers.handleAll({
      groups: ({ query }) =>
        deadLetters.groups(partOf(query)).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(groupsJson)
        ),
      list: ({ query }) =>
        deadLetters.list({ ...partOf(query), limit: query.limit ?? pageSize.default }).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(({ next, tasks }) => ({ tasks: tasks.map(TaskJson.toJson), next }))
        ),
      rerun: ({ payload }) => change("rerun", payload, deadLetters.rerun(partOf(payload))),
      discard: ({ payload }) => change("discard", payload, deadLetters.discard(partOf(payload)))
    })
  })
)

/** Does something to a part of them, and writes down who did it to which. */
const change = (
  action: string,
  part: typeof DeadLetterPartJson.Type,
  done: Effect.Effect<DeadLettersDone, InvalidOption | StoreError>
) =>
  AuditLog.recorded(
    action,
    { dead_letters: JSON.stringify(part) },
    Effect.catchTag(done, "InvalidOption", RequestCheckLive.refused("body"))
  )
