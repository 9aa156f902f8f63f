/**
 * A real server on a free port, with the memory store unless a test brings another, and a client for it.
 */
import { assert } from "@effect/vitest"
import { Effect, Layer, Metric, Schema } from "effect"
import { FetchHttpClient, HttpBody, HttpClient, HttpClientRequest, HttpServer as Listener } from "effect/http"
import type { AnyTaskDefinition } from "../../src/domain/TaskDefinition.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type { RequestIssue } from "../../src/http/api/RequestCheck.ts"
import { TaskJson, TaskPageJson } from "../../src/http/api/TaskJson.ts"
import { TaskCatalog } from "../../src/http/TaskCatalog.ts"
import * as TaskServer from "../../src/http/TaskServer.ts"
import type { Supervisor } from "../../src/observability/Supervisor.ts"
import type { InstanceStore } from "../../src/store/InstanceStore.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import type { Notifier } from "../../src/store/Notifier.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import type { HandlerRegistry } from "../../src/worker/HandlerRegistry.ts"

/** Takes any JSON. */
export const Echo = Task.make("echo", { payload: Schema.Json, success: Schema.Json, description: "Gives it back" })

/** Takes a number. */
export const Count = Task.make("count", { payload: { n: Schema.Int }, queue: "numbers", priority: "high" })

/** Takes nothing. */
export const Tick = Task.make("tick")

/** What the servers of tests know unless they say something else. */
export const definitions: ReadonlyArray<AnyTaskDefinition> = [Echo, Count, Tick]

/** What the server of a test is made of. */
export interface Options {
  readonly store?: Layer.Layer<TaskStore | Notifier | InstanceStore>
  /** With handlers the server runs tasks; without, it only takes them. */
  readonly handlers?: Layer.Layer<never, never, HandlerRegistry | RecordStore | Supervisor | TaskStore>
  readonly http?: TaskServer.Options
  /** The types that the server accepts. */
  readonly definitions?: ReadonlyArray<AnyTaskDefinition>
}

/** A server on a free port. */
export const layer = (
  { definitions: known = definitions, handlers, http, store }: Options = {}
) => {
  // No clock moves while a test closes
  const server = TaskServer.layer({ port: 0, farewell: 0, ...http }).pipe(Layer.provide(TaskCatalog.layer(known)))
  const withClient = Listener.layerTestClient.pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.provideMerge(server)
  )
  // What a test's own store does not have comes from memory
  const stores = store === undefined ? MemoryStore.layer() : Layer.merge(MemoryStore.layer(), store)
  // Neither are tasks that never end given time to
  const engine = Engine.layer(handlers ?? Layer.empty, { instance: "w", shutdown: 0, worker: { concurrency: 2 } })
  const ownMetrics = Layer.sync(Metric.MetricRegistry, () => new Map())
  return handlers === undefined
    ? withClient.pipe(Layer.provideMerge(Engine.layerProducer()), Layer.provideMerge(stores), Layer.provide(ownMetrics))
    : withClient.pipe(Layer.provideMerge(engine), Layer.provideMerge(stores), Layer.provide(ownMetrics))
}

/** An answer, read. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly text: string
  /** The body, if it is JSON. */
  readonly json: unknown
}

/** An answer on its way. */
export type Answering<R = HttpClient.HttpClient> = Effect.Effect<Answer, never, R>

/** Sends a request. A body that is no text is sent as JSON. */
export const send = Effect.fnUntraced(function*(
  method: "GET" | "POST" | "PUT" | "DELETE" | "PATCH" | "HEAD" | "OPTIONS",
  path: string,
  body?: unknown,
  { "content-type": contentType = "application/json", ...headers }: Readonly<Record<string, string>> = {}
) {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body)
  const request = HttpClientRequest.make(method)(path, { headers })
  const answer = yield* HttpClient.execute(
    text === undefined ? request : HttpClientRequest.setBody(request, HttpBody.text(text, contentType))
  )
  return read(answer.status, answer.headers, yield* answer.text)
}, Effect.orDie)

/** An answer, with its body parsed. */
export const read = (status: number, headers: Readonly<Record<string, string | undefined>>, text: string): Answer => {
  const isJson = text !== "" && headers["content-type"]?.startsWith("application/json") === true
  return { status, headers, text, json: isJson ? JSON.parse(text) : undefined }
}

/** Reads a path. */
export const get = (path: string): Answering => send("GET", path)

/** Posts tasks. */
export const post = (body: unknown, headers?: Readonly<Record<string, string>>): Answering =>
  send("POST", "/api/v1/tasks", body, headers)

/** The answer, which must have this status. */
export const expecting = <R>(status: number, answering: Answering<R>): Answering<R> =>
  Effect.tap(answering, (answer) => Effect.sync(() => assert.strictEqual(answer.status, status, answer.text)))

/** The body of an answer with this status, which must fit the schema and have nothing else. */
export const decoded = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  answering: Answering,
  status = 200
): Effect.Effect<S["Type"], never, HttpClient.HttpClient> =>
  Effect.flatMap(
    expecting(status, answering),
    ({ json }) => Effect.orDie(Schema.decodeUnknownEffect(schema, { onExcessProperty: "error" })(json))
  )

/** Posts a task that must be created. */
export const posted = (task: unknown) => decoded(TaskJson, post(task), 201)

/** Posts an array of tasks that must be created. */
export const postedAll = (tasks: ReadonlyArray<unknown>) => decoded(Schema.Array(TaskJson), post(tasks), 201)

/** A stored task. */
export const task = (id: string) => decoded(TaskJson, get(pathOf(id)))

/** A page of tasks. */
export const page = (query = "") => decoded(TaskPageJson, get(`/api/v1/tasks${query}`))

/** The path of a task, or of something to do with it. */
export const pathOf = (id: string, action = "") => `/api/v1/tasks/${encodeURIComponent(id)}${action}`

/** An error as clients see it. */
export interface ErrorBody {
  readonly code: string
  readonly message: string
  readonly issues?: ReadonlyArray<RequestIssue>
  readonly [fact: string]: unknown
}

/** The error of an answer, which must have this status and code, and nothing beside it. */
export const refused = <R>(status: number, code: string, answering: Answering<R>) =>
  Effect.map(expecting(status, answering), ({ headers, json }): ErrorBody => {
    assert.strictEqual(headers["content-type"], "application/json")
    const { error, ...others } = json as { readonly error: ErrorBody }
    assert.deepStrictEqual(others, {})
    assert.strictEqual(error.code, code)
    assert.isAbove(error.message.length, 0)
    return error
  })
