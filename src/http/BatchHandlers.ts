/** The endpoints of batches: thin doors into the `TaskQueue`. */
import { Effect, Exit } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { InvalidOption } from "../domain/Errors.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import * as BatchesApi from "./api/BatchesApi.ts"
import type { NewTaskJson } from "./api/NewTaskJson.ts"
import * as AuditLog from "./AuditLog.ts"
import { toSubmissions } from "./QueueHandlers.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import { TaskCatalog } from "./TaskCatalog.ts"

const readNewBatch = RequestCheckLive.readBody(BatchesApi.NewBatchJson)
const readNewMembers = RequestCheckLive.readBody(BatchesApi.NewMembersJson)

/** Refuses what only the queue can check. An option of a callback is named behind it. */
const refused = (invalid: InvalidOption) => RequestCheckLive.refused("body")(invalid)

/** Handles the endpoints of {@link Api}'s batches. */
export const batches = HttpApiBuilder.group(
  Api,
  "batches",
  Effect.fnUntraced(function*(handlers) {
    const { batches } = yield* TaskQueue
    const catalog = yield* TaskCatalog

    const submissionsOf = Effect.fnUntraced(function*(tasks: ReadonlyArray<NewTaskJson>) {
      yield* catalog.knowing(tasks.map(({ type }) => type))
      const submissions = toSubmissions(catalog, tasks)
      return yield* Exit.isSuccess(submissions)
        ? Effect.succeed(submissions.value)
        : Effect.failCause(submissions.cause)
    })

    const callbackOf = Effect.fnUntraced(function*(task: NewTaskJson | undefined) {
      return task === undefined ? undefined : (yield* submissionsOf([task]))[0]
    })

    const view = (id: string) => Effect.map(batches.get(id), BatchesApi.batchJson)

    const create = Effect.fnUntraced(function*(body: typeof BatchesApi.NewBatchJson.Type) {
      const { name, on_failure, on_finished, on_success, open, queue, tasks } = body
      // what is wrong with any task is said before anything is stored
      const members = yield* submissionsOf(tasks ?? [])
      const { duplicate, id } = yield* Effect.catchTag(
        batches.create({
          id: body.id,
          name,
          queue,
          onSuccess: yield* callbackOf(on_success),
          onFailure: yield* callbackOf(on_failure),
          onFinished: yield* callbackOf(on_finished)
        }),
        "InvalidOption",
        refused
      )
      const isComplete = duplicate && (yield* batches.get(id)).state !== "open"
      if (!isComplete && tasks !== undefined) {
        yield* Effect.catchTag(batches.add(id, members, { addition: "first" }), "InvalidOption", refused)
        if (open !== true) yield* batches.seal(id)
      } else if (!isComplete && open === false) yield* batches.seal(id)
      return HttpServerResponse.jsonUnsafe(yield* view(id), { status: duplicate ? 200 : 201 })
    })

    const add = (id: string) =>
      Effect.fnUntraced(function*({ addition, tasks }: typeof BatchesApi.NewMembersJson.Type) {
        const members = yield* submissionsOf(tasks)
        const added = Effect.catchTag(batches.add(id, members, { addition }), "InvalidOption", refused)
        return HttpServerResponse.jsonUnsafe({ members: yield* added })
      })

    return handlers.handleRaw("create", ({ request }) => readNewBatch(request, create)).handleRaw(
      "add",
      ({ params: { batch }, request }) => readNewMembers(request, add(batch))
    ).handleAll({
      list: ({ query }) =>
        batches.list(query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(BatchesApi.pageJson)
        ),
      get: ({ params: { batch } }) => view(batch),
      seal: ({ params: { batch } }) =>
        AuditLog.recorded("seal_batch", { batch }, Effect.andThen(batches.seal(batch), view(batch))),
      cancel: ({ params: { batch } }) =>
        AuditLog.recorded("cancel_batch", { batch }, Effect.andThen(batches.cancel(batch), view(batch)))
    })
  })
)
