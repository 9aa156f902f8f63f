/** How requests that cannot be read become errors of the API. */
import { type Cause, Effect, Layer, SchemaIssue, type Types } from "effect"
import { HttpIncomingMessage, HttpServerError, HttpServerRequest } from "effect/http"
import { HttpApiError } from "effect/http-api"
import { StoreError } from "../domain/Errors.ts"
import { RequestCheck } from "./api/RequestCheck.ts"
import { BodyTooLarge, InvalidRequest, type RequestIssue, UnsupportedMediaType } from "./api/RequestErrors.ts"

/** Issues that an answer names at most. */
const maxIssues = 20

/** Reads what went wrong before or in an endpoint's handler. Errors of the store are logged here, as clients see less. */
export const layer: Layer.Layer<RequestCheck> = Layer.succeed(
  RequestCheck,
  (endpoint) => {
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
          return part === undefined ? Effect.die(error) : Effect.flatMap(issuesOf(error, part), invalid)
        }
        if (HttpServerError.isHttpServerError(error) && error.reason._tag === "RequestParseError") {
          return error.reason.reason === "BodyTooLarge"
            ? Effect.flatMap(bodyLimit, (limit) => Effect.fail(new BodyTooLarge({ limit })))
            : invalid([{ path: ["body"], message: "The body could not be read" }])
        }
        return Effect.failCause(cause)
      }
    })
    return Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      (request): typeof checked => hasUntypedBody(request) ? Effect.flatMap(foundMediaType, Effect.fail) : checked
    )
  }
)

/** A page of any origin may post a text without saying what it is; the framework would read it as JSON. */
const hasUntypedBody = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers["content-type"] === undefined &&
  (headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0")

type Refusal = Types.unhandled | InvalidRequest | BodyTooLarge

/** The parts of a request that a client can get wrong, as issues name them. What is missing here is our own mistake. */
const parts: Partial<Record<HttpApiError.HttpApiSchemaError["kind"], string>> = {
  Params: "path",
  Query: "query",
  Payload: "body",
  Headers: "headers"
}

const invalid = (issues: ReadonlyArray<RequestIssue>) => Effect.fail(new InvalidRequest({ issues }))

const foundMediaType = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers }) => new UnsupportedMediaType({ found: headers["content-type"] ?? "" })
)

const bodyLimit = Effect.map(HttpIncomingMessage.MaxBodySize, (limit) => Number(limit ?? 0n))

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

const issuesOf = (
  error: HttpApiError.HttpApiSchemaError,
  part: string
): Effect.Effect<ReadonlyArray<RequestIssue>, never, HttpServerRequest.HttpServerRequest> => {
  const { issues } = formatIssues(error.cause.issue)
  if (issues[0]?.message === "Expected a valid JSON body") {
    return Effect.map(syntaxError, (message) => [{ path: [part], message }])
  }
  return Effect.succeed(
    issues.slice(0, maxIssues).map(({ message, path = [] }) => ({
      path: [part, ...path.map(keyOf)],
      message: message === "Expected no excess property" ? "Unknown field" : message
    }))
  )
}

const keyOf = (segment: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const key = typeof segment === "object" ? segment.key : segment
  return typeof key === "number" ? key : String(key)
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
