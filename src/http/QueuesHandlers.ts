/** The endpoints of queues. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import * as AuditLog from "./AuditLog.ts"

/** Handles the endpoints of {@link Api}'s queues. */
export const layer = HttpApiBuilder.group(
  Api,
  "queues",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue
    return handlers.handleAll({
      paused: () => Effect.map(queue.paused, (paused) => ({ paused })),
      pause: ({ params }) => AuditLog.recorded("pause", { queue: params.queue }, queue.pause(params.queue)),
      resume: ({ params }) => AuditLog.recorded("resume", { queue: params.queue }, queue.resume(params.queue))
    })
  })
)
