/** What is accepted runs, whatever its queue is called: on each store, over HTTP, by the command, and in a program. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, type Scope } from "effect"
import { FetchHttpClient } from "effect/http"
import { HttpTaskQueue } from "../../src/http/index.ts"
import * as Task from "../../src/Task.ts"
import * as Program from "../cli/Program.ts"
import * as Postgres from "../servers/Postgres.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import * as Server from "./Server.ts"

const cli = Program.bundled()

const Hash = Task.make("hash", { payload: { text: Schema.String }, success: Schema.Unknown })

const everyWayIn = (store: string, settings: Effect.Effect<Server.Environment, unknown, Scope.Scope>): void => {
  describe(`a server on ${store}`, () => {
    it.live(
      "runs tasks of queues that nobody ever heard of, unless it is told which to work on",
      () =>
        Effect.gen(function*() {
          const directory = yield* Server.directory
          const environment = { TASKFORGE_POLL_INTERVAL: "50ms", ...(yield* settings) }
          const server = yield* Server.start(directory, environment)
          const status = (id: string) =>
            Effect.map(Server.request<{ status: string }>(`${server.url}/api/v1/tasks/${id}`), ({ status }) => status)
          const completes = (id: string) =>
            Server.until(`${id} is completed`, Effect.map(status(id), (now) => now === "completed"))

          const [posted] = yield* server.post([{ type: "hash", payload: { text: "a" }, queue: "over-http" }])
          yield* completes(posted!)

          const { ended } = yield* cli(
            [
              "enqueue",
              "hash",
              "{\"text\":\"b\"}",
              "--queue",
              "by-command",
              "--id",
              "commanded",
              "--server",
              server.url
            ]
          )
          const { code, stderr } = yield* ended
          assert.strictEqual(code, 0, stderr)
          yield* completes("commanded")

          const { id } = yield* Effect.provide(
            Hash.enqueue({ text: "c" }, { queue: "in-a-program" }),
            HttpTaskQueue.layer({ url: server.url }).pipe(Layer.provide(FetchHttpClient.layer))
          )
          yield* completes(id)

          if (store === "memory") return
          yield* Server.stop(server)
          const narrow = yield* Server.start(directory, { ...environment, TASKFORGE_QUEUES: "mail, reports" })
          const [other] = yield* narrow.post([{ type: "hash", payload: { text: "d" }, queue: "other" }])
          const [mail] = yield* narrow.post([{ type: "hash", payload: { text: "e" }, queue: "mail" }])
          const state = (id: string) =>
            Effect.map(Server.request<{ status: string }>(`${narrow.url}/api/v1/tasks/${id}`), ({ status }) => status)
          yield* Server.until("the one is completed", Effect.map(state(mail!), (now) => now === "completed"))
          assert.strictEqual(yield* state(other!), "pending")
        })
    )
  })
}

everyWayIn("memory", Effect.succeed({ STORE_URL: "memory:" }))
everyWayIn("SQLite", Effect.succeed({}))

await withServer(
  "PostgreSQL",
  Postgres.find,
  (server) => everyWayIn("PostgreSQL", Effect.map(Postgres.scratchDatabase(server), (STORE_URL) => ({ STORE_URL })))
)

await withServer("Redis", Redis.find, (server) =>
  everyWayIn(
    "Redis",
    Effect.map(Redis.scratchPrefix(server), (prefix) => ({ STORE_URL: server.url, TASKFORGE_NAMESPACE: prefix }))
  ))
