/** How requests that cannot be read become errors of the API. */
import {
  type Cause,
  Context,
  Effect,
  Exit,
  Layer,
  Result,
  Schema,
  SchemaAST,
  SchemaIssue,
  Semaphore,
  type Types
} from "effect"
import { type Headers, HttpIncomingMessage, HttpServerError, HttpServerRequest } from "effect/http"
import { HttpApi, HttpApiError } from "effect/http-api"
import { isUtf8 } from "node:buffer"
import { IncomingMessage } from "node:http"
import { InvalidOption, StoreError } from "../domain/Errors.ts"
import { inexactIn, mayBeInexact } from "../domain/ExactJson.ts"
import { shortened as shortenedTo } from "../domain/Quoting.ts"
import {
  BodyTooLarge,
  InvalidRequest,
  RequestCheck,
  type RequestIssue,
  UnsupportedMediaType
} from "./api/RequestCheck.ts"
import * as WireNames from "./api/WireNames.ts"

/** Issues that an answer names at most. */
const maxIssues = 20

/** Bytes of a body that need not wait for others. */
const maxSmallBody = 16 * 1024

/**
 * Bytes of larger bodies that are read at a time. Others wait where they are, with their clients: what thousands of connections
 * announce would not fit into the memory of the process.
 */
const maxLargeBodies: number = 256 * 1024 * 1024

/** Reads what went wrong before or in an endpoint's handler. Errors of the store are logged here, as clients see less. */
export const layer: Layer.Layer<RequestCheck> = Layer.sync(RequestCheck, () => {
  const bodies = Semaphore.makeUnsafe(maxLargeBodies)
  return (endpoint, { endpoint: definition, group }) => {
    const options = Context.getOrUndefined(group.annotations, HttpApi.PayloadParseOptions)
    const [schema = Schema.Unknown] = [...definition.payload.values()].flatMap(({ schemas }) => schemas)
    const explain = explaining(schema as Schema.Codec<unknown>, options?.onExcessProperty ?? "error")
    const checked = Effect.matchCauseEffect(endpoint, {
      onSuccess: (response) => response.status === 415 ? unreadable : Effect.succeed(response),
      onFailure: (cause): Effect.Effect<never, Refusal, HttpServerRequest.HttpServerRequest> => {
        const reason: Cause.Reason<unknown> | undefined = cause.reasons[0]
        const error = reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : undefined
        if (error instanceof StoreError) {
          return Effect.andThen(Effect.logWarning(error.message, error.cause), Effect.failCause(cause))
        }
        if (HttpApiError.HttpApiSchemaError.is(error)) {
          const part = parts[error.kind]
          if (part === undefined) return Effect.die(error)
          if (part !== "body") return invalid(shown(formatIssues(error.cause.issue).issues, part))
          return Effect.flatMap(textOfBody, (text) => invalid(explain(text)))
        }
        if (HttpServerError.isHttpServerError(error) && error.reason._tag === "RequestParseError") {
          return error.reason.reason === "BodyTooLarge"
            ? tooLarge
            : invalid([{ path: ["body"], message: "The body could not be read" }])
        }
        return Effect.failCause(cause)
      }
    })
    return Effect.withFiber((fiber) => {
      const { headers } = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
      if (!hasBody(headers)) return checked
      if (!isReadable(headers)) return unreadable
      const limit = fiber.getRef(HttpIncomingMessage.MaxBodySize)
      const maxBytes = limit === undefined ? Infinity : Number(limit)
      const bytes = Number(headers["content-length"] ?? maxBytes)
      // A client that announces too much need not be waited for
      if (bytes > maxBytes) return tooLarge
      return bytes <= maxSmallBody ? checked : bodies.withPermits(Math.min(bytes, maxLargeBodies))(checked)
    })
  }
})

/**
 * Reads the body of an endpoint that leaves it to its handler, in one step. What is wrong with it is refused as everywhere
 * else.
 */
export const readBody = <A>(schema: Schema.Codec<A, unknown>) => {
  const decode = Schema.decodeUnknownExit(Schema.toCodecJson(schema), { onExcessProperty: "error", errors: "first" })
  const explain = explaining(schema, "error")
  return <B, E, R>(
    request: HttpServerRequest.HttpServerRequest,
    next: (payload: A) => Effect.Effect<B, E, R>
  ): Effect.Effect<B, E | InvalidRequest | UnsupportedMediaType, R | HttpServerRequest.HttpServerRequest> => {
    if (!isJson(request.headers["content-type"])) return unreadable
    return Effect.flatMap(bytesOf(request), (bytes): Effect.Effect<B, E | InvalidRequest, R> => {
      if (bytes.length === 0 && hasBody(request.headers)) return invalid(taken)
      const text = utf8.decode(bytes)
      const json = parse(text)
      const payload = typeof json === "string" ? undefined : decode(json.value)
      if (payload === undefined || Exit.isFailure(payload)) return invalid(explain(text))
      const issue = changeOf(bytes)
      return issue === undefined ? next(payload.value) : invalid([issue])
    })
  }
}

/** Under a path of another router, Effect hands on a request without the body that a middleware has read. */
const taken = [{
  path: ["body"],
  message: "The body could not be read: it is empty, or a middleware in front has read it"
}]

/** Leaves out the mark that some programs put before UTF-8. */
const utf8 = new TextDecoder()

/** Whether an endpoint reads a body of this type as JSON. */
const isJson = (type = "application/json"): boolean =>
  type === "application/json" || /^\s*application\/json\s*(?:;|$)/i.test(type)

/**
 * A body whose length was announced is taken from the connection until its end. The request's own way waits until its stream
 * is closed, which costs a tenth of all that creating a task does.
 */
const bytesOf = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Buffer> => {
  const { headers, source } = request
  const read = Effect.map(Effect.orDie(request.arrayBuffer), (body) => Buffer.from(body))
  // Another server than Node's, or a middleware that has read it
  if (!(source instanceof IncomingMessage) || source.readableFlowing !== null) return read
  if (headers["content-length"] === undefined || headers["expect"] !== undefined) return read
  return Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    const add = (chunk: Buffer) => void chunks.push(chunk)
    const end = () => resume(Effect.succeed(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    // Before its end: the request says what that means
    const close = () => resume(read)
    source.on("data", add).once("end", end).once("close", close)
    return Effect.sync(() => source.off("data", add).off("end", end).off("close", close))
  })
}

/**
 * Refuses a body that loses something when it is read, as the task would have other data than the client sent. The body was
 * read before; it is looked at in bytes, because making a text of it again costs most.
 */
export const exactBody = <A, E, R>(
  request: HttpServerRequest.HttpServerRequest,
  next: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E | InvalidRequest, R> =>
  Effect.flatMap(Effect.orDie(request.arrayBuffer), (body): Effect.Effect<A, E | InvalidRequest, R> => {
    const issue = changeOf(new Uint8Array(body))
    return issue === undefined ? next() : invalid([issue])
  })

/** What of a JSON text is changed by being read: bytes that are not UTF-8, or a number that JavaScript does not have. */
const changeOf = (bytes: Uint8Array): RequestIssue | undefined => {
  // What cannot be decoded would be replaced by U+FFFD
  if (!isUtf8(bytes)) return { path: ["body"], message: "Expected UTF-8" }
  const inexact = mayBeInexact(bytes) ? inexactIn(utf8.decode(bytes)) : undefined
  return inexact && {
    path: ["body", ...inexact.path],
    message: `Expected a number that is kept exactly, got ${inexact.number.slice(0, 80)}: send it as a text`
  }
}

/** An option that was refused as the issue of a request, which has the option under the names that lead to it. */
export const issueOf = (part: "body" | "path" | "query", names: ReadonlyArray<string>, invalid: InvalidOption) => ({
  path: [part, ...names],
  // The other end of a range is named in what was expected
  message: new InvalidOption({
    ...invalid,
    option: names.at(-1)!,
    expected: invalid.expected.replace(
      /^no later time than (\w+)/,
      (text, name: string) => text.replace(name, WireNames.ofOption(name))
    )
  }).message
})

/** What a queue refuses of a request's options; the schema of the request has checked them by the same bounds. */
export const refused =
  (part: "body" | "path" | "query") => (refusal: InvalidOption): Effect.Effect<never, InvalidRequest> =>
    invalid([issueOf(part, [WireNames.ofOption(refusal.option)], refusal)])

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

const unreadable = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
  const [type = "", encoding] = [headers["content-type"], headers["content-encoding"]]
  const found = shortened(encoding === undefined ? type : `${type} as ${encoding}`)
  return Effect.fail(new UnsupportedMediaType({ found }))
})

/** The text was read before, so reading it again is free. */
const textOfBody = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.orDie(request.text))

const tooLarge = Effect.flatMap(
  HttpIncomingMessage.MaxBodySize,
  (limit) => Effect.fail(new BodyTooLarge({ limit: Number(limit ?? 0n) }))
)

/** Says what a value must be in words of JSON: the name of a schema is for the document of the API, and means nothing in a message. */
const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) =>
    issue._tag === "InvalidType" && SchemaAST.isObjects(issue.ast) && issue.ast.annotations?.["expected"] === undefined
      ? "Expected an object"
      : SchemaIssue.defaultLeafHook(issue)
})

type Issues = ReturnType<typeof formatIssues>["issues"]

/** Bytes of a body in which all that is wrong is looked for; in a larger one the first mistake is enough. */
const maxSearchedLength = 16 * 1024

/** What is wrong with a text that this schema does not decode. */
const explaining = (schema: Schema.Codec<unknown, unknown>, onExcessProperty: "error" | "ignore") => {
  const decode = Schema.decodeUnknownResult(Schema.toCodecJson(schema))
  return (text: string): ReadonlyArray<RequestIssue> => {
    const json = parse(text)
    if (typeof json === "string") return [{ path: ["body"], message: shortened(json) }]
    const errors = text.length > maxSearchedLength ? "first" : "all"
    const decoded = decode(json.value, { onExcessProperty, errors })
    return Result.isSuccess(decoded) ? [] : shown(formatIssues(decoded.failure.issue).issues, "body")
  }
}

/** The value of a JSON text, or what the parser says, which names the position. */
const parse = (text: string): { readonly value: unknown } | string => {
  if (text === "") return { value: undefined }
  try {
    return { value: JSON.parse(text) }
  } catch (error) {
    return `Expected JSON: ${error instanceof Error ? error.message : "it does not parse"}`
  }
}

/** The first issues as clients see them, and how many are left out. What was sent is not sent back. */
const shown = (found: Issues, part: string): ReadonlyArray<RequestIssue> => {
  const issues = found.filter((issue, index) => !isToldBefore(issue, found[index - 1]))
  const first = issues.slice(0, issues.length > maxIssues ? maxIssues - 1 : maxIssues).map((
    { message, path = [] }
  ): RequestIssue => ({
    path: [part, ...path.slice(0, maxPathLength).map(keyOf)],
    message: message === "Expected no excess property" ? "Unknown field" : shortened(message)
  }))
  const left = issues.length - first.length
  return left === 0 ? first : [...first, { path: [part], message: `${left} more issues are not named` }]
}

/** Whether an issue is the length of a value whose bound was told just before, in its own words. */
const isToldBefore = ({ message, path = [] }: Issues[number], before: Issues[number] | undefined): boolean =>
  before !== undefined && message.startsWith("Expected a value with a length of ") &&
  path.length === before.path?.length && path.every((key, index) => key === before.path?.[index])

/** Keys of a path that are shown at most. */
const maxPathLength = 32

/** Characters of a message, or of a field's name, that are shown at most. */
const maxShownLength = { message: 300, name: 80 }

const shortened = (text: string): string => shortenedTo(text, maxShownLength.message)

const keyOf = (segment: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const key = typeof segment === "object" ? segment.key : segment
  return typeof key === "number" ? key : shortenedTo(String(key), maxShownLength.name)
}
