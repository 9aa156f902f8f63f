/** The endpoints of instances: thin doors into the `TaskQueue`. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { InstanceNotFound, InvalidOption, StoreError } from "../domain/Errors.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import { scalingJson } from "./api/InstancesApi.ts"
import * as AuditLog from "./AuditLog.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"

/** Handles the endpoints of {@link Api}'s instances. */
export const layer = HttpApiBuilder.group(
  Api,
  "instances",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue
    const told = (
      action: string,
      subject: { readonly instance: string; readonly slots?: string },
      done: Effect.Effect<void, InstanceNotFound | InvalidOption | StoreError>
    ) => AuditLog.recorded(action, subject, Effect.catchTag(done, "InvalidOption", refused))
    const lifted = (action: string, instance: string, done: Effect.Effect<void, InvalidOption | StoreError>) =>
      AuditLog.recorded(action, { instance }, Effect.catchTag(done, "InvalidOption", refused))

    return handlers.handleAll({
      scaling: Effect.fnUntraced(function*({ query }) {
        const need = queue.scaling(query)
        return scalingJson(yield* Effect.catchTag(need, "InvalidOption", RequestCheckLive.refused("query")))
      }),
      setSlots: ({ params: { id }, payload: { slots } }) =>
        told("set_slots", { instance: id, slots: String(slots) }, queue.setSlots(id, slots)),
      unsetSlots: ({ params: { id } }) => lifted("unset_slots", id, queue.unsetSlots(id)),
      drain: ({ params: { id } }) => told("drain", { instance: id }, queue.drain(id)),
      resume: ({ params: { id } }) => lifted("resume", id, queue.undrain(id))
    })
  })
)

const refused = (invalid: InvalidOption) =>
  RequestCheckLive.refused(invalid.option === "slots" ? "body" : "path")(invalid)
