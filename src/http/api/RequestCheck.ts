/** What every endpoint answers to a request that it cannot read, before the engine is asked anything. */
import { Schema } from "effect"
import { HttpApiMiddleware } from "effect/http-api"
import { onWire } from "./ApiErrors.ts"

/** One thing that is wrong with a request. */
export const RequestIssue = Schema.Struct({
  /** Where it is: the part of the request, then keys and positions. */
  path: Schema.Array(Schema.Union([Schema.String, Schema.Int])),
  message: Schema.String
}).annotate({ identifier: "RequestIssue" })

export type RequestIssue = typeof RequestIssue.Type

/** The body, the path or the query is not what the endpoint takes. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  issues: Schema.Array(RequestIssue)
}) {
  override get message(): string {
    const [first, ...others] = this.issues
    if (first === undefined) return "The request is invalid"
    const more = others.length === 0 ? "" : ` (and ${others.length} more)`
    return `${first.message} at ${show(first.path)}${more}`
  }
}

/** The body is larger than the server takes. */
export class BodyTooLarge extends Schema.TaggedError<BodyTooLarge>()("BodyTooLarge", {
  /** In bytes. */
  limit: Schema.Int
}) {
  override get message(): string {
    return `The body is larger than ${this.limit} bytes, and nothing of it was done; send fewer or smaller tasks per ` +
      "request. A program that serves the API can set maxBodyBytes"
  }
}

/** The body is not JSON in UTF-8 by its headers. */
export class UnsupportedMediaType extends Schema.TaggedError<UnsupportedMediaType>()("UnsupportedMediaType", {
  found: Schema.String
}) {
  override get message(): string {
    return `Cannot read a body of type ${JSON.stringify(this.found)}; send application/json in UTF-8, not compressed`
  }
}

const invalidRequest = onWire(InvalidRequest, {
  status: 400,
  code: "invalid_request",
  description: "The request is malformed",
  facts: { issues: Schema.Array(RequestIssue) }
})

const bodyTooLarge = onWire(BodyTooLarge, {
  status: 413,
  code: "body_too_large",
  description: "The body is too large",
  facts: { limit: Schema.Int }
})

const unsupportedMediaType = onWire(UnsupportedMediaType, {
  status: 415,
  code: "unsupported_media_type",
  description: "The body is not JSON",
  facts: { found: Schema.String }
})

/** Turns malformed, giant and foreign bodies into errors of the API. */
export class RequestCheck extends HttpApiMiddleware.Service<RequestCheck>()("taskforge/http/api/RequestCheck", {
  error: [invalidRequest, bodyTooLarge, unsupportedMediaType]
}) {}

const show = (path: RequestIssue["path"]): string =>
  path.reduce<string>(
    (text, key) => typeof key === "number" ? `${text}[${key}]` : text === "" ? key : `${text}.${key}`,
    ""
  )
