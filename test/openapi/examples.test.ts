/** Whether the examples of the API's description are true: a real server takes the requests, the schemas the answers. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpApi, type OpenApi } from "effect/http-api"
import { Api } from "../../src/http/api/Api.ts"
import * as BreakerRecords from "../../src/store/BreakerRecords.ts"
import { type Beat, InstanceStore } from "../../src/store/InstanceStore.ts"
import * as LimitRecords from "../../src/store/LimitRecords.ts"
import { document, examplesOf } from "../docs/ApiPage.ts"
import * as ShippedServer from "../http/ShippedServer.ts"
import { get, send } from "../http/TestServer.ts"

const { paths } = document()
const operations = Object.entries(paths).flatMap(([path, byMethod]) =>
  Object.entries(byMethod).map(([method, operation]) => ({ method: method.toUpperCase(), operation, path }))
)

/** What the definitions say that an operation answers, by its id and the status. */
const answers = new Map<string, ReadonlyArray<Schema.Top>>()
HttpApi.reflect(Api, {
  onGroup: () => {},
  onEndpoint: ({ endpoint, errors, group, successes }) => {
    for (const [status, schemas] of [...successes, ...errors]) {
      answers.set(`${group.identifier}.${endpoint.identifier} ${status}`, schemas)
    }
  }
})

const living: Beat = {
  id: "living",
  host: "host",
  pid: 1,
  version: "1.0.0",
  upForMs: 0,
  capacity: 10,
  queues: [],
  types: [],
  running: [],
  sizing: { by: "start", min: null, max: 100, draining: false },
  logLevels: { "*": "info" }
}

/** Facts that the example cannot know. */
const varying = new Set(["id", "job_id", "task_id", "created_at", "due_at", "changed_at", "trace_id"])

const withoutVarying = (value: unknown): unknown =>
  Object.fromEntries(Object.entries(value as object).filter(([name]) => !varying.has(name)))

/** The id of a task as the example of a new one makes it. */
const stored = Effect.suspend(() => {
  const { operation } = operations.find(({ method, path }) => method === "POST" && path === "/api/v1/tasks")!
  const [body] = examplesOf(operation.requestBody!.content["application/json"]!)
  return Effect.map(send("POST", "/api/v1/tasks", body), ({ json }) => (json as { readonly id: string }).id)
})

describe("the examples of the API's description", () => {
  for (const { method, operation, path } of operations) {
    const request = operation.requestBody?.content["application/json"]
    if (request !== undefined) {
      it.effect(`have requests that ${method} ${path} takes, and answers that fit them`, () =>
        Effect.gen(function*() {
          // Only a living instance can be told what to do
          yield* InstanceStore.use((store) => store.beat(living, 60_000))
          yield* LimitRecords.register(new Map([["sync:concurrency", { limit: { max: 2 }, keyed: true }]]))
          const settings = { failures: 5, withinMs: 60_000, openForMs: 30_000, maxOpenForMs: 600_000 }
          yield* BreakerRecords.register(new Map([["smtp", { ...settings, keyed: false }]]))
          yield* send("PUT", "/api/v1/schedules/nightly", { every: "1h", task: { type: "echo" } })
          yield* send("POST", "/api/v1/batches", { id: "open" })
          const cancels = { action: "cancel", filter: { type: ["echo"] }, why: "An example" }
          const begun = (yield* send("POST", "/api/v1/operations", cancels)).json as { readonly id: string }
          const expected = Object.entries(operation.responses).filter(([status]) => status < "300")
          const waiting = path === "/api/v1/tasks/{id}" ? yield* stored : ""
          for (const body of examplesOf(request)) {
            const { json, status } = yield* send(
              method as "POST",
              path.replace("/tasks/{id}", `/tasks/${waiting}`)
                .replace("/instances/{id}", `/instances/${living.id}`)
                .replace("/limits/{name}/pause", "/limits/sync:concurrency/pause?key=acme")
                .replace("/limits/{name}", "/limits/sync:concurrency")
                .replace("/breakers/{name}", "/breakers/smtp")
                .replace("/schedules/{name}", "/schedules/nightly")
                .replace("/batches/{batch}", "/batches/open")
                .replace("/operations/{operation}", `/operations/${begun.id}`)
                .replace("/signals/{token}", "/signals/paid:invoice-42")
                .replace("/signals/{name}/events/{key}", "/signals/paid/events/invoice-43"),
              body
            )
            const answer = Object.fromEntries(expected)[status]
            assert.isDefined(answer, `${status} ${JSON.stringify(json)}`)
            const content = answer!.content?.["application/json"]
            // An answer without a body
            if (content === undefined) continue
            // What is answered about ids, dead letters, open breakers, ticks, signals, batches and operations depends on what is stored; that it fits is seen below
            if (
              "ids" in (body as object) ||
              /^\/api\/v1\/(?:dead-letters|breakers|schedules|timetables|signals|batches|operations|claims)(?:\/|$)/
                .test(path)
            ) continue
            const shown = examplesOf(content).map(withoutVarying)
            assert.deepInclude(shown, withoutVarying(json) as object)
          }
        }).pipe(Effect.provide(ShippedServer.waiting)))
    }

    for (const [status, { content }] of Object.entries(operation.responses)) {
      const json = content?.["application/json"]
      const schemas = answers.get(`${(operation as unknown as { operationId: string }).operationId} ${status}`)
      // The schema of a 503 is of its headers too
      if (json === undefined || schemas === undefined || status === "503") continue
      it(`show what ${method} ${path} answers with ${status}`, () => {
        const codec = Schema.Union(schemas) as unknown as Schema.Codec<unknown>
        for (const example of examplesOf(json)) Schema.decodeUnknownSync(codec, { onExcessProperty: "error" })(example)
      })
    }
  }

  it("say of every parameter what it means and which type it has", () => {
    for (const { method, operation, path } of operations) {
      for (const { description, name } of operation.parameters) {
        assert.isNotEmpty(description, `${method} ${path} ${name}`)
      }
    }
    const list = paths["/api/v1/tasks"]!["get"]!.parameters as unknown as ReadonlyArray<OpenApi.OpenAPISpecParameter>
    const schemaOf = (name: string) => list.find((one) => one.name === name)!.schema
    assert.deepStrictEqual(schemaOf("limit"), { type: "integer", minimum: 1, maximum: 1000, default: 50 })
    assert.include(JSON.stringify(schemaOf("status")), `"enum":["scheduled"`)
  })

  it("show the socket as it is", () => {
    assert.deepStrictEqual(
      Object.keys(paths["/ws"]!["get"]!.responses).filter((status) => status < "400"),
      ["101"]
    )
  })

  it.effect("are those of the socket too", () =>
    Effect.gen(function*() {
      const { json, status } = yield* get("/ws")
      assert.strictEqual(status, 426)
      const { content } = paths["/ws"]!["get"]!.responses["426"]!
      assert.deepStrictEqual(json, content!["application/json"]!.example)
    }).pipe(Effect.provide(ShippedServer.waiting)))
})
