/** How requests that cannot be read become errors of the API. */
import { type Cause, Context, Effect, Exit, Layer, Schema, SchemaIssue, type Types } from "effect"
import { type Headers, HttpIncomingMessage, HttpServerError, HttpServerRequest } from "effect/http"
import { HttpApi, HttpApiError } from "effect/http-api"
import { isUtf8 } from "node:buffer"
import { type InvalidOption, StoreError } from "../domain/Errors.ts"
import { inexactIn, mayBeInexact } from "../domain/ExactJson.ts"
import { shortened as shortenedTo } from "../domain/Quoting.ts"
import {
  BodyTooLarge,
  InvalidRequest,
  RequestCheck,
  type RequestIssue,
  UnsupportedMediaType
} from "./api/RequestCheck.ts"

/** Issues that an answer names at most. */
const maxIssues = 20

/** Reads what went wrong before or in an endpoint's handler. Errors of the store are logged here, as clients see less. */
export const layer: Layer.Layer<RequestCheck> = Layer.succeed(
  RequestCheck,
  (endpoint, { endpoint: definition, group }) => {
    const options = Context.getOrUndefined(group.annotations, HttpApi.PayloadParseOptions) ??
      { onExcessProperty: "error" }
    const payloads = [...definition.payload.values()].flatMap(({ schemas }) => schemas).map((schema) =>
      Schema.decodeUnknownExit(Schema.toCodecJson(schema as Schema.Codec<unknown>), { ...options, errors: "all" })
    )
    const checked = Effect.matchCauseEffect(endpoint, {
      onSuccess: (response) =>
        response.status === 415 ? Effect.flatMap(foundMediaType, Effect.fail) : Effect.succeed(response),
      onFailure: (cause): Effect.Effect<never, Refusal, HttpServerRequest.HttpServerRequest> => {
        const reason: Cause.Reason<unknown> | undefined = cause.reasons[0]
        const error = reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : undefined
        if (error instanceof StoreError) {
          return Effect.andThen(Effect.logWarning(error.message, error.cause), Effect.failCause(cause))
        }
        if (HttpApiError.HttpApiSchemaError.is(error)) {
          const part = parts[error.kind]
          return part === undefined ? Effect.die(error) : Effect.flatMap(issuesOf(error, part, payloads), invalid)
        }
        if (HttpServerError.isHttpServerError(error) && error.reason._tag === "RequestParseError") {
          return error.reason.reason === "BodyTooLarge"
            ? Effect.flatMap(maxBodyBytes, (limit) => Effect.fail(new BodyTooLarge({ limit })))
            : invalid([{ path: ["body"], message: "The body could not be read" }])
        }
        return Effect.failCause(cause)
      }
    })
    const unreadable: typeof checked = Effect.flatMap(foundMediaType, Effect.fail)
    const tooLarge: typeof checked = Effect.flatMap(maxBodyBytes, (limit) => Effect.fail(new BodyTooLarge({ limit })))
    return Effect.withFiber((fiber) => {
      const { headers } = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
      if (!hasBody(headers)) return checked
      if (!isReadable(headers)) return unreadable
      // A client that announces too much need not be waited for
      const limit = fiber.getRef(HttpIncomingMessage.MaxBodySize)
      return limit !== undefined && Number(headers["content-length"]) > Number(limit) ? tooLarge : checked
    })
  }
)

/**
 * Refuses a body that loses something when it is read, as the task would have other data than the client sent: bytes that
 * are not UTF-8, or a number that JavaScript does not have. The body was read before; it is looked at in bytes, because
 * making a text of it again costs most.
 */
export const exactBody = <A, E, R>(
  request: HttpServerRequest.HttpServerRequest,
  next: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E | InvalidRequest, R> =>
  Effect.flatMap(Effect.orDie(request.arrayBuffer), (body): Effect.Effect<A, E | InvalidRequest, R> => {
    const bytes = new Uint8Array(body)
    // What cannot be decoded would be replaced by U+FFFD
    if (!isUtf8(bytes)) return invalid([{ path: ["body"], message: "Expected UTF-8" }])
    const inexact = mayBeInexact(bytes) ? inexactIn(new TextDecoder().decode(bytes)) : undefined
    return inexact === undefined ? next() : invalid([{
      path: ["body", ...inexact.path],
      message: `Expected a number that is kept exactly, got ${inexact.number.slice(0, 80)}: send it as a text`
    }])
  })

/** What a queue refuses of a request's options; the schema of the request has checked them by the same bounds. */
export const refused =
  (part: "body" | "path" | "query") => ({ message, option }: InvalidOption): Effect.Effect<never, InvalidRequest> =>
    invalid([{ path: [part, option], message }])

const hasBody = (headers: Headers.Headers): boolean =>
  headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0"

/**
 * Whether a body is UTF-8 that nothing has encoded, by its headers. The framework reads every body so. It also takes one
 * without a type for JSON, which a page of any origin may post.
 */
const isReadable = (headers: Headers.Headers): boolean => {
  const encoding = headers["content-encoding"] ?? "identity"
  const type = headers["content-type"]
  if (encoding.toLowerCase() !== "identity" || type === undefined) return false
  if (type === "application/json") return true
  for (const [, charset] of type.matchAll(/;\s*charset\s*=\s*"?([^";]*)/gi)) {
    if (!/^\s*(?:utf-?8|us-ascii)\s*$/i.test(charset!)) return false
  }
  return true
}

type Refusal = Types.unhandled | InvalidRequest | BodyTooLarge

/** The parts of a request that a client can get wrong, as issues name them. What is missing here is our own mistake. */
const parts: Partial<Record<HttpApiError.HttpApiSchemaError["kind"], string>> = {
  Params: "path",
  Query: "query",
  Payload: "body",
  Headers: "headers"
}

const invalid = (issues: ReadonlyArray<RequestIssue>) => Effect.fail(new InvalidRequest({ issues }))

const foundMediaType = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => {
  const [type = "", encoding] = [headers["content-type"], headers["content-encoding"]]
  return new UnsupportedMediaType({ found: shortened(encoding === undefined ? type : `${type} as ${encoding}`) })
})

const maxBodyBytes = Effect.map(HttpIncomingMessage.MaxBodySize, (limit) => Number(limit ?? 0n))

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

type Payload = (input: unknown) => Exit.Exit<unknown, Schema.SchemaError>

const issuesOf = (
  error: HttpApiError.HttpApiSchemaError,
  part: string,
  payloads: ReadonlyArray<Payload>
): Effect.Effect<ReadonlyArray<RequestIssue>, never, HttpServerRequest.HttpServerRequest> => {
  const { issues } = formatIssues(error.cause.issue)
  if (issues[0]?.message === "Expected a valid JSON body") {
    return Effect.map(syntaxError, (message) => [{ path: [part], message: shortened(message) }])
  }
  if (part !== "body") return Effect.succeed(shown(issues, part))
  return Effect.map(allIssues(payloads), (all) => shown(all.length > 0 ? all : issues, part))
}

/** Bytes of a body in which all that is wrong is looked for; in a larger one the first mistake is enough. */
const maxSearchedLength = 16 * 1024

type Issues = ReturnType<typeof formatIssues>["issues"]

const allIssues = (
  payloads: ReadonlyArray<Payload>
): Effect.Effect<Issues, never, HttpServerRequest.HttpServerRequest> =>
  Effect.map(
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.orDie(request.text)),
    (text) => {
      const [decode] = payloads
      // No body at all is not JSON either
      if (decode === undefined || text === "" || text.length > maxSearchedLength) return []
      const decoded = decode(JSON.parse(text))
      const reason = Exit.isFailure(decoded) ? decoded.cause.reasons[0] : undefined
      return reason?._tag === "Fail" ? formatIssues(reason.error.issue).issues : []
    }
  )

/** The first issues as clients see them, and how many are left out. What was sent is not sent back. */
const shown = (issues: Issues, part: string): ReadonlyArray<RequestIssue> => {
  const first = issues.slice(0, issues.length > maxIssues ? maxIssues - 1 : maxIssues).map((
    { message, path = [] }
  ): RequestIssue => ({
    path: [part, ...path.slice(0, maxPathLength).map(keyOf)],
    message: message === "Expected no excess property" ? "Unknown field" : shortened(message)
  }))
  const left = issues.length - first.length
  return left === 0 ? first : [...first, { path: [part], message: `${left} more issues are not named` }]
}

/** Keys of a path that are shown at most. */
const maxPathLength = 32

/** Characters of a message, or of a field's name, that are shown at most. */
const maxShownLength = { message: 300, name: 80 }

const shortened = (text: string): string => shortenedTo(text, maxShownLength.message)

const keyOf = (segment: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const key = typeof segment === "object" ? segment.key : segment
  return typeof key === "number" ? key : shortenedTo(String(key), maxShownLength.name)
}

/** What the parser says, which names the position. The text was read before, so reading it again is free. */
const syntaxError = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.orDie(request.text)).pipe(
  Effect.map((text) => {
    try {
      JSON.parse(text)
      return "Expected JSON"
    } catch (error) {
      return `Expected JSON: ${error instanceof Error ? error.message : "it does not parse"}`
    }
  })
)
