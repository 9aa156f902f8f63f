/** Signals over HTTP: completed from outside, once. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { within } from "./RequestValues.ts"
import { SignalEndJson, SignalJson } from "./SignalJson.ts"

const byToken = { token: Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxIdLength)) }

const byKey = {
  name: Schema.String.check(within(Bounds.signalName)),
  key: Schema.String.check(within(Bounds.signalKey))
}

const onceOnly =
  "The first completion counts: the same one again is answered like it, another one is a conflict that says what is " +
  "kept. The server does not know the schemas of signals: what they do not accept fails the waiting step."

/** The endpoints of signals. */
export class SignalsApi extends HttpApiGroup.make("signals").add(
  HttpApiEndpoint.get("get", "/signals/:token", {
    params: byToken,
    success: SignalJson,
    error: [ApiErrors.SignalNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "Get a signal by its token"),
  HttpApiEndpoint.post("complete", "/signals/:token", {
    params: byToken,
    payload: SignalEndJson,
    success: SignalJson,
    error: [ApiErrors.SignalNotFound, ApiErrors.SignalConflict, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Complete the signal of a task, with success or error",
    description: onceOnly
  })),
  HttpApiEndpoint.post("completeEvent", "/signals/:name/events/:key", {
    params: byKey,
    payload: SignalEndJson,
    success: SignalJson,
    error: [ApiErrors.SignalConflict, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Complete an event, which wakes all tasks that wait for it",
    description: `${onceOnly} An event that is completed before a task waits for it is kept for 30 days.`
  }))
).prefix("/api/v1") {}
