/** The endpoints of queues. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import * as AuditLog from "./AuditLog.ts"
import * as QueuesView from "./QueuesView.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"

/** Handles the endpoints of {@link Api}'s queues. */
export const layer = HttpApiBuilder.group(
  Api,
  "queues",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue
    const change = (action: string, name: string, done: Effect.Effect<void, InvalidOption | StoreError>) =>
      AuditLog.recorded(
        action,
        { queue: name },
        Effect.catchTag(done, "InvalidOption", RequestCheckLive.refused("path"))
      )

    return handlers.handleAll({
      list: Effect.fnUntraced(function*({ query }) {
        const page = yield* Effect.catchTag(queue.queues(query), "InvalidOption", RequestCheckLive.refused("query"))
        return QueuesView.pageJson(page, yield* queue.paused)
      }),
      get: ({ params, query }) =>
        queue.queue(params.queue, query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(QueuesView.detailJson)
        ),
      types: ({ query }) =>
        queue.types(query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(QueuesView.typesJson)
        ),
      pause: ({ params }) => change("pause", params.queue, queue.pause(params.queue)),
      resume: ({ params }) => change("resume", params.queue, queue.resume(params.queue))
    })
  })
)
