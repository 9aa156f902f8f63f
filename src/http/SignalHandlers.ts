/** The endpoints of signals: thin doors into `Signals`. */
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as SignalRecords from "../flow/SignalRecords.ts"
import { Signals } from "../flow/Signals.ts"
import { Api } from "./api/Api.ts"
import * as SignalJson from "./api/SignalJson.ts"
import * as AuditLog from "./AuditLog.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"

/** Handles the endpoints of {@link Api}'s signals. Who has the token of a task may complete its signal: it is logged nowhere. */
export const signals = HttpApiBuilder.group(
  Api,
  "signals",
  Effect.fnUntraced(function*(handlers) {
    const all = yield* Signals

    const complete = (
      token: string,
      body: typeof SignalJson.SignalEndJson.Type,
      request: HttpServerRequest.HttpServerRequest
    ) => {
      const done = all.complete(token, SignalJson.endOf(body)).pipe(
        Effect.catchTag("InvalidOption", RequestCheckLive.refused("body"))
      )
      const recorded = AuditLog.recorded("complete_signal", { signal: SignalRecords.shownOf(token) }, done)
      return Effect.map(RequestCheckLive.exactBody(request, () => recorded), SignalJson.signalJson)
    }

    return handlers.handleAll({
      get: ({ params: { token } }) => Effect.map(all.get(token), SignalJson.signalJson),
      complete: ({ params: { token }, payload, request }) => complete(token, payload, request),
      completeEvent: ({ params: { key, name }, payload, request }) =>
        complete(SignalRecords.eventToken(name, key), payload, request).pipe(
          // An event need not be known
          Effect.catchTag("SignalNotFound", Effect.die)
        )
    })
  })
)
