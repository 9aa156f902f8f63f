/**
 * `webhook` tells another system that something happened: it posts a body as JSON, signed as
 * [Standard Webhooks](https://www.standardwebhooks.com) say, so that the receiver can check who sent it, when, and
 * whether it has seen it already.
 *
 * An answer from 200 to 299 is a delivery. 4xx is not retried; 5xx, 408, 425, 429 and no answer are, not before a
 * `Retry-After`. A host that fails again and again is left alone for a while, which spends no retry.
 */
import { Clock, Context, Effect, Layer, Redacted, Schema } from "effect"
import { createHmac } from "node:crypto"
import * as Redaction from "../domain/Redaction.ts"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { Outbound } from "./outbound/Outbound.ts"
import { OutboundError, RequestRejected, retry } from "./outbound/OutboundErrors.ts"
import { Headers, lowerCase, Timeout, Url } from "./outbound/OutboundRequestFields.ts"

/** How much of the receiver's answer is kept. */
const maxAnswerBytes = 2000

/** The task type `webhook`. */
export const Webhook = Task.make("webhook", {
  description: "Posts a body as JSON to a URL, signed where the server has a secret",
  payload: Schema.Struct({
    url: Url,
    method: withDefault(Schema.Literals(["POST", "PUT", "PATCH"]), "POST"),
    headers: withDefault(Headers, {}),
    /** Any JSON; an empty object when left out. */
    body: Schema.optionalKey(Schema.Json),
    /** Another name for `body`. */
    data: Schema.optionalKey(Schema.Json),
    timeout: Schema.optionalKey(Timeout)
  }).check(
    Schema.makeFilter(({ body, data }) =>
      body !== undefined && data !== undefined ? "Expected body or data, not both" : undefined
    )
  ),
  success: Schema.Struct({
    status: Schema.Int,
    /** Who answered in the end. */
    url: Schema.String,
    redirects: Schema.Int,
    /** The beginning of the answer. */
    answer: Schema.String
  }),
  error: OutboundError,
  retry: { ...retry, times: 8 }
})

/** The secret that webhooks are signed with; none leaves them unsigned. */
export class WebhookSecret extends Context.Service<WebhookSecret, {
  readonly secret: Redacted.Redacted<string> | undefined
}>()("taskforge/handlers/WebhookSecret") {
  /** A secret as text, or after `whsec_` as base64. */
  static readonly layer = (secret?: Redacted.Redacted<string>): Layer.Layer<WebhookSecret> =>
    Layer.succeed(WebhookSecret, { secret })
}

/** Runs `webhook`. */
export const WebhookLive = Webhook.toLayer(
  Effect.fnUntraced(function*({ data = {}, body = data, headers, method, timeout, url }) {
    const outbound = yield* Outbound
    const { id, snooze } = yield* TaskContext
    const { secret } = yield* WebhookSecret
    const text = JSON.stringify(body)
    const timestamp = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const answer = yield* outbound.send({
      method,
      url,
      timeout,
      redirects: "same",
      body: Buffer.from(text),
      headers: {
        "content-type": "application/json",
        "user-agent": "taskforge",
        ...lowerCase(headers),
        "idempotency-key": id,
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
        ...(secret === undefined ? {} : { "webhook-signature": sign(Redacted.value(secret), id, timestamp, text) })
      }
    })
    if ("_tag" in answer) return yield* snooze(answer.retryAfter)
    const beginning = Buffer.from(answer.body).toString("utf8", 0, maxAnswerBytes)
    if (answer.status >= 300) {
      return yield* new RequestRejected({ url: Redaction.url(answer.url), status: answer.status, answer: beginning })
    }
    return { status: answer.status, url: Redaction.ownUrl(answer.url), redirects: answer.redirects, answer: beginning }
  })
)

/** `v1,` and the base64 of HMAC-SHA256 over the id, the time in seconds and the body. */
const sign = (secret: string, id: string, timestamp: number, body: string): string => {
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice("whsec_".length), "base64") : secret
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`
}
