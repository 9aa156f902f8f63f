/** The client of a server's API: where it is, who asks, and which requests are sent again. */
import { Effect, type Redacted, Schedule, type Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { HttpClient, HttpClientError, HttpClientRequest } from "effect/http"
import { HttpApi, HttpApiClient, type HttpApiGroup } from "effect/http-api"
import { QueueFull, StoreError } from "../../domain/Errors.ts"
import * as Redaction from "../../domain/Redaction.ts"
import type { Api } from "../api/Api.ts"
import { BatchesApi } from "../api/BatchesApi.ts"
import { BreakersApi } from "../api/BreakersApi.ts"
import { DeadLettersApi } from "../api/DeadLettersApi.ts"
import { DependenciesApi } from "../api/DependenciesApi.ts"
import { InstancesApi } from "../api/InstancesApi.ts"
import { LimitsApi } from "../api/LimitsApi.ts"
import { LogLevelsApi } from "../api/LogLevelsApi.ts"
import type { NewTaskJson } from "../api/NewTaskJson.ts"
import { OperationsApi } from "../api/OperationsApi.ts"
import { QueuesApi } from "../api/QueuesApi.ts"
import { type BodyTooLarge, type InvalidRequest, RequestCheck, type UnsupportedMediaType } from "../api/RequestCheck.ts"
import { SystemApi } from "../api/SystemApi.ts"
import type { CreatedTaskJson, KnownTaskJson } from "../api/TaskJson.ts"
import { TasksApi } from "../api/TasksApi.ts"

/** A server and how to talk to it. */
export interface Options {
  /** Such as `https://tasks.example.org`; a path in it is kept. */
  readonly url: string | URL
  /** Sent as a bearer token. */
  readonly apiKey?: string | Redacted.Redacted | undefined
  /** When requests that are safe to repeat are sent again. Default {@link defaultRetry}. */
  readonly retry?: Schedule.Schedule<unknown> | undefined
}

/** Six times within about 6 s, so that the restart of a server goes unnoticed. */
const defaultRetry: Schedule.Schedule<unknown> = Schedule.min([
  Schedule.exponential("200 millis"),
  Schedule.spaced("2 seconds")
]).pipe(Schedule.jittered, Schedule.upTo({ times: 6 }))

/** Those groups of the API that have an operation of `TaskQueue`: a producer in a browser loads no others. */
export const queueApi = HttpApi.make("taskforge")
  .add(TasksApi, DependenciesApi, BatchesApi, DeadLettersApi, OperationsApi, QueuesApi)
  .add(InstancesApi, LogLevelsApi, LimitsApi, BreakersApi, SystemApi)
  .middleware(RequestCheck)

/** The API as functions. */
export type ApiClient = HttpApiClient.ForApi<typeof Api>

/** Makes a client of the server, for its whole API or for a part of it. */
export const make = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  { apiKey, url }: Options
): Effect.Effect<
  HttpApiClient.Client<Groups>,
  never,
  HttpClient.HttpClient | HttpApiGroup.MiddlewareClient<Groups>
> =>
  HttpApiClient.make(api, {
    baseUrl: String(url).replace(/\/+$/, ""),
    transformClient: HttpClient.mapRequest((request) =>
      apiKey === undefined ? request : HttpClientRequest.bearerToken(request, apiKey)
    )
  })

/** Waits while a full queue has no room: doubling from 100 ms to 2 s. */
export const roomBackoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")]).pipe(
  Schedule.jittered
)

type Created = CreatedTaskJson | KnownTaskJson

/**
 * Stores all of the tasks or none. Ids are chosen here, so that a request whose reply was lost can be sent again: a task
 * that is known already under such an id was stored by a request of ours.
 */
export const create = Effect.fnUntraced(function*<E>(
  tasks: ReadonlyArray<NewTaskJson>,
  whenFull: "fail" | "wait",
  send: (payload: ReadonlyArray<NewTaskJson>) => Effect.Effect<Created | ReadonlyArray<Created>, E>
) {
  const random = yield* SecureRandom.SecureRandom
  const payload = yield* Effect.forEach(
    tasks,
    (task) => task.id === undefined ? Effect.map(random.uuidV7(), (id) => ({ ...task, id })) : Effect.succeed(task)
  )
  const created = yield* Effect.retry(send(payload), {
    schedule: roomBackoff,
    while: (error) => whenFull === "wait" && error instanceof QueueFull && error.mayFitLater
  })
  return [created].flat().map((task: Created, index): CreatedTaskJson | Omit<KnownTaskJson, "duplicate"> => {
    if (tasks[index]!.id !== undefined || task.id !== payload[index]!.id) return task
    const { duplicate: _, ...stored } = task
    return stored
  })
})

/** What goes wrong between a client and a server, besides the errors that an endpoint declares. */
export type TransportError =
  | HttpClientError.HttpClientError
  | Schema.SchemaError
  | InvalidRequest
  | BodyTooLarge
  | UnsupportedMediaType

/** Whether an error came from the way to the server rather than from the endpoint. */
export const isTransport = (error: { readonly _tag: string }): error is TransportError =>
  transportTags.includes(error._tag)

const transportTags: ReadonlyArray<string> = [
  "HttpClientError",
  "SchemaError",
  "InvalidRequest",
  "BodyTooLarge",
  "UnsupportedMediaType"
] satisfies ReadonlyArray<TransportError["_tag"]>

/** Whether the same request may succeed a little later: the connection broke, or the server cannot answer now. */
const isTransient = (error: unknown): boolean =>
  error instanceof StoreError
    ? error.cause === undefined || isTransient(error.cause)
    : HttpClient.isTransientError(error) ||
      HttpClientError.isHttpClientError(error) && error.response !== undefined &&
        HttpClient.isTransientResponse(error.response)

/** Sends a request again that changes nothing when the server sees it twice. */
export const repeatable =
  (schedule: Schedule.Schedule<unknown> = defaultRetry) =>
  <A, E, R>(request: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.retry(request, { schedule, while: isTransient })

/** An error of the transport as one of the store, which is what a queue may fail with. */
export const toStoreError = (operation: string, error: TransportError): StoreError =>
  new StoreError({ operation, reason: describe(error), cause: error })

/** One line that says what went wrong. */
const describe = (error: TransportError): string => {
  if (error._tag !== "HttpClientError") {
    return error._tag === "SchemaError" ? `the server's answer was not understood: ${error.message}` : error.message
  }
  const { request, response } = error
  const url = Redaction.url(request.url)
  if (response !== undefined) {
    const meaning = meanings[response.status]
    return `${request.method} ${url} was answered with ${response.status}${meaning ? `: ${meaning}` : ""}`
  }
  return `${url} cannot be reached: ${reasonOf(error)}`
}

/** What to do about refusals that any endpoint may answer with. */
const meanings: Readonly<Record<number, string>> = {
  401: "the server needs an API key, and this is none of its own; set apiKey",
  403: "the role of the API key does not allow it",
  429: "too many requests with this key or from this address; try again later"
}

/** Why a request got no answer. What refuses a URL likes to quote it. */
export const reasonOf = ({ reason }: HttpClientError.HttpClientError): string =>
  Redaction.text(causeOf("cause" in reason ? reason.cause : undefined) ?? reason.message)

/** `fetch failed` is about as little as an error can say: what made it fail is its cause. */
const causeOf = (cause: unknown): string | undefined =>
  cause instanceof Error
    ? causeOf(cause.cause) ?? (cause.message || String((cause as NodeJS.ErrnoException).code))
    : undefined
