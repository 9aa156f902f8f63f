/**
 * Errors of a request itself, before the engine is asked anything.
 */
import { Schema } from "effect"

/** One thing that is wrong with a request. */
export const RequestIssue = Schema.Struct({
  /** Where it is: the part of the request, then keys and positions. */
  path: Schema.Array(Schema.Union([Schema.String, Schema.Int])),
  message: Schema.String
}).annotate({ identifier: "RequestIssue" })

/** See the {@link RequestIssue} schema. */
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
    return `The body is larger than ${this.limit} bytes; send fewer or smaller tasks per request`
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

const show = (path: RequestIssue["path"]): string =>
  path.reduce<string>(
    (text, key) => typeof key === "number" ? `${text}[${key}]` : text === "" ? key : `${text}.${key}`,
    ""
  )
