/**
 * `http_request` sends any request and keeps the answer: text as it is, everything else as base64, headers without secrets.
 *
 * It fails as `webhook` does. Requests that change something carry the task's id as `Idempotency-Key`, so that a repeated
 * attempt can be told from a second task.
 */
import { Effect, Schema } from "effect"
import { isUtf8 } from "node:buffer"
import * as Redaction from "../domain/Redaction.ts"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { Outbound } from "./outbound/Outbound.ts"
import { OutboundError, retry } from "./outbound/OutboundErrors.ts"
import { Headers, lowerCase, Timeout, Url } from "./outbound/OutboundRequestFields.ts"

/** Bytes of an answer kept at most: results are stored with their tasks. */
const maxBytes = 1024 * 1024

/** The task type `http_request`. */
export const HttpRequest = Task.make("http_request", {
  description: "Sends an HTTP request and keeps the answer",
  payload: Schema.Struct({
    url: Url,
    method: withDefault(Schema.Literals(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]), "GET"),
    headers: withDefault(Headers, {}),
    /** Sent as text; `json` instead sends any JSON. */
    body: Schema.optionalKey(Schema.String),
    json: Schema.optionalKey(Schema.Json),
    timeout: Schema.optionalKey(Timeout),
    max_bytes: withDefault(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: maxBytes })), 262_144),
    follow_redirects: withDefault(Schema.Boolean, true)
  }).check(
    Schema.makeFilter(({ body, json, method }) =>
      body !== undefined && json !== undefined
        ? "Expected body or json, not both"
        : (body !== undefined || json !== undefined) && (method === "GET" || method === "HEAD")
        ? `Expected no body with ${method}`
        : undefined
    )
  ),
  success: Schema.Struct({
    status: Schema.Int,
    headers: Schema.Record(Schema.String, Schema.String),
    body: Schema.String,
    encoding: Schema.Literals(["text", "base64"]),
    /** Who answered in the end. */
    url: Schema.String,
    redirects: Schema.Int
  }),
  error: OutboundError,
  retry
})

/** Runs `http_request`. */
export const HttpRequestLive = HttpRequest.toLayer(Effect.fnUntraced(function*(request) {
  const outbound = yield* Outbound
  const { id, snooze } = yield* TaskContext
  const { body, json, method } = request
  const answer = yield* outbound.send({
    method,
    url: request.url,
    timeout: request.timeout,
    maxBytes: request.max_bytes,
    redirects: request.follow_redirects ? "all" : "none",
    body: json !== undefined ? Buffer.from(JSON.stringify(json)) : body === undefined ? undefined : Buffer.from(body),
    headers: {
      "user-agent": "taskforge",
      ...(json !== undefined ? { "content-type": "application/json" } : {}),
      ...(body !== undefined ? { "content-type": "text/plain; charset=utf-8" } : {}),
      ...(method === "GET" || method === "HEAD" ? {} : { "idempotency-key": id }),
      ...lowerCase(request.headers)
    }
  })
  if ("_tag" in answer) return yield* snooze(answer.retryAfter)
  const encoding = isUtf8(answer.body) ? "text" as const : "base64" as const
  return {
    status: answer.status,
    headers: Redaction.headers(answer.headers),
    body: Buffer.from(answer.body).toString(encoding === "text" ? "utf8" : "base64"),
    encoding,
    url: Redaction.ownUrl(answer.url),
    redirects: answer.redirects
  }
}))
