/** The endpoints of the levels of the log: thin doors into the `TaskQueue`. */
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { type InstanceNotFound, InvalidOption, type StoreError } from "../domain/Errors.ts"
import * as LogLevelText from "../domain/LogLevelText.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import { type LogLevelsJson, logLevelsJson, type NewLogLevelsJson } from "./api/LogLevelsApi.ts"
import type { InvalidRequest } from "./api/RequestCheck.ts"
import * as AuditLog from "./AuditLog.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import { CurrentVisitor, keyOf } from "./Visitor.ts"

/** Handles the endpoints of {@link Api}'s levels of the log. */
export const layer = HttpApiBuilder.group(
  Api,
  "logLevels",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue

    const get = (instance?: string): Effect.Effect<typeof LogLevelsJson.Type, InvalidRequest | StoreError> =>
      Effect.map(
        Effect.catchTag(queue.logLevels(instance), "InvalidOption", RequestCheckLive.refused("path")),
        logLevelsJson
      )

    const told = <E>(
      action: string,
      subject: { readonly instance: string; readonly levels: string },
      done: Effect.Effect<void, E | InvalidOption>
    ) => AuditLog.recorded(action, subject, done)

    const set = Effect.fnUntraced(function*(
      { levels, ...terms }: typeof NewLogLevelsJson.Type,
      request: HttpServerRequest.HttpServerRequest,
      instance?: string
    ): Effect.fn.Return<void, InstanceNotFound | InvalidRequest | StoreError, HttpServerRequest.HttpServerRequest> {
      const key = keyOf(yield* CurrentVisitor)
      const options = { ...terms, instance, ...key !== undefined && { by: key.name } }
      const done = told(
        "set_log_levels",
        { instance: instance ?? "all", levels: LogLevelText.format(levels) },
        queue.setLogLevels(levels, options)
      )
      yield* RequestCheckLive.exactBody(request, () => Effect.catchTag(done, "InvalidOption", refused))
    })

    const unset = (
      modules: ReadonlyArray<string> | undefined,
      instance?: string
    ): Effect.Effect<void, InvalidRequest | StoreError, HttpServerRequest.HttpServerRequest> =>
      Effect.catchTag(
        told(
          "unset_log_levels",
          { instance: instance ?? "all", levels: modules?.join(", ") ?? "all" },
          queue.unsetLogLevels({ instance, modules })
        ),
        "InvalidOption",
        (invalid) =>
          invalid.option === "instance"
            ? RequestCheckLive.refused("path")(invalid)
            // Where the query names one, a program has a list
            : RequestCheckLive.refused("query")(new InvalidOption({ ...invalid, option: "module" }))
      )

    const setForAll = (
      payload: typeof NewLogLevelsJson.Type,
      request: HttpServerRequest.HttpServerRequest
    ): Effect.Effect<void, InvalidRequest | StoreError, HttpServerRequest.HttpServerRequest> =>
      Effect.catchTag(set(payload, request), "InstanceNotFound", Effect.die)

    return handlers.handleAll({
      get: () => get(),
      set: ({ payload, request }) => setForAll(payload, request),
      unset: ({ query }) => unset(query.module),
      getOfInstance: ({ params }) => get(params.id),
      setOfInstance: ({ params, payload, request }) => set(payload, request, params.id),
      unsetOfInstance: ({ params, query }) => unset(query.module, params.id)
    })
  })
)

const refused = (invalid: InvalidOption) =>
  RequestCheckLive.refused(invalid.option === "instance" ? "path" : "body")(invalid)
