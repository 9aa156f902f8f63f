/** Tags of tasks: by programs on their own process and on a server, over HTTP, in schedules and batches, and on the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpServer as Listener } from "effect/http"
import * as Batch from "../../src/Batch.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { OperationPreviewJson } from "../../src/http/api/OperationsApi.ts"
import { HttpSchedules, HttpTaskQueue } from "../../src/http/index.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { Schedules } from "../../src/schedule/Schedules.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"
import { failing, jsonOf, onServer, succeeding } from "../cli/CommandLine.ts"
import { decoded, get, layer, page, post, posted, postedAll, refused, send, task } from "./TestServer.ts"

const Invoice = Task.make("invoice", {
  payload: { tenant: Schema.String, eu: Schema.Boolean },
  tags: ({ eu, tenant }) => {
    if (tenant === "nobody") throw new Error("nobody has tags")
    return [`tenant:${tenant}`, ...eu ? ["eu"] : []]
  }
})
const Letter = Task.make("letter", { tags: ["mail"] })
const Plain = Task.make("plain", { payload: { n: Schema.Int } })

const definitions = [Invoice, Letter, Plain]
const server = layer({ definitions })

const remote = Layer.unwrap(Effect.map(Listener.HttpServer, ({ address }) => {
  const url = Listener.formatAddress(address)
  return Layer.merge(HttpTaskQueue.layerHttpClient({ url }), HttpSchedules.layerHttpClient({ url }))
})).pipe(Layer.provide(FetchHttpClient.layer), Layer.provide(server))

const places = {
  "its own process": Engine.layerProducer().pipe(Layer.provide(MemoryStore.layer())),
  "a server": remote
}

for (const [place, services] of Object.entries(places)) {
  describe(`a program whose queue is in ${place}`, () => {
    it.live("tags tasks by their definitions and enqueues, and finds them", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const tagsOf = (id: string) => Effect.map(queue.get(id), ({ tags }) => tags)
        const first = yield* Invoice.enqueue({ tenant: "acme", eu: true }, { tags: ["urgent", "eu"] })
        const other = yield* Invoice.enqueue({ tenant: "bolt", eu: true })
        const letter = yield* Letter.enqueue(undefined, { tags: ["cafe\u0301"] })
        const plain = yield* Plain.enqueue({ n: 1 }, { tags: [] })
        assert.deepStrictEqual(yield* tagsOf(first.id), ["tenant:acme", "eu", "urgent"])
        assert.deepStrictEqual(yield* tagsOf(other.id), ["tenant:bolt", "eu"])
        assert.deepStrictEqual(yield* tagsOf(letter.id), ["mail", "caf\u00e9"])
        assert.deepStrictEqual(yield* tagsOf(plain.id), [])
        const many = yield* Plain.enqueueAll([{ n: 1 }, { n: 2 }], {
          tags: ["many"],
          each: ({ n }) => n === 1 ? {} : { tags: ["two"] }
        })
        assert.deepStrictEqual(yield* Effect.forEach(many, ({ id }) => tagsOf(id)), [["many"], ["two"]])
        const drafts = yield* Task.enqueueAll([Letter.draft(undefined, { tags: ["draft"] }), Plain.draft({ n: 1 })])
        assert.deepStrictEqual(yield* Effect.forEach(drafts, ({ id }) => tagsOf(id)), [["mail", "draft"], []])
        const { members } = yield* Effect.flatMap(Batch.make(), (batch) =>
          Effect.map(batch.add([Letter.draft(undefined, { tags: ["batch"] })]), (members) => ({ members })))
        assert.deepStrictEqual(yield* tagsOf(members[0]!.id), ["mail", "batch"])

        const found = (tags: ReadonlyArray<string>) =>
          Effect.map(queue.list({ tags }), ({ tasks }) =>
            tasks.map(({ id }) => id))
        assert.deepStrictEqual(yield* found(["eu"]), [other.id, first.id])
        assert.deepStrictEqual(yield* found(["eu", "urgent"]), [first.id])
        assert.deepStrictEqual(yield* found(["EU"]), [])
        assert.deepStrictEqual(yield* found(["caf\u00e9"]), [letter.id])
        assert.deepStrictEqual(yield* found(["cafe\u0301"]), [letter.id])
        const { count } = yield* queue.operations.preview({ action: "cancel", filter: { tags: ["tenant:acme"] } })
        assert.strictEqual(count, 1)
        for (const tags of [[], ["a,b"], Array.from({ length: 11 }, (_, index) => String(index))]) {
          assert.include(yield* Effect.flip(queue.list({ tags })), { _tag: "InvalidOption", option: "tags" })
          assert.include(yield* Effect.flip(queue.deadLetters.list({ tags })), {
            _tag: "InvalidOption",
            option: "tags"
          })
        }
        const tooMany = yield* Effect.flip(
          Invoice.enqueue({ tenant: "acme", eu: true }, {
            tags: Array.from({ length: 9 }, (_, index) => String(index))
          })
        )
        assert.include(tooMany, { _tag: "InvalidOption", option: "tags" })
        assert.include(tooMany.message, "at most 10 tags")
        const thrown = yield* Effect.flip(Invoice.enqueue({ tenant: "nobody", eu: true }))
        assert.include(thrown, { _tag: "InvalidPayload", issue: "tags: nobody has tags" })
      }).pipe(Effect.provide(services)))

    it.live("keeps the tags of a task when it is enqueued again, and when its payload is changed", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const settings = { unique: { key: "k", window: "waiting", onConflict: "replace" }, delay: "1 hour" } as const
        const { id } = yield* Plain.enqueue({ n: 1 }, { ...settings, tags: ["one"] })
        yield* Plain.enqueue({ n: 2 }, { ...settings, tags: ["two"] })
        const handle = yield* Plain.handle(id)
        assert.deepInclude(yield* handle.task, { payload: { n: 2 }, tags: ["one"] })
        yield* handle.reschedule({ payload: { n: 3 } })
        assert.deepInclude(yield* queue.get(id), { payload: { n: 3 }, tags: ["one"] })
      }).pipe(Effect.provide(services)))
  })
}

describe("a schedule", () => {
  it.live("gives its tasks tags", () =>
    Effect.gen(function*() {
      const schedules = yield* Schedules
      const tagged = Invoice.schedule({ cron: "@yearly" }, { tenant: "acme", eu: false }, { tags: ["yearly"] })
      const view = yield* schedules.set("yearly", tagged)
      assert.deepStrictEqual(view.task.tags, ["tenant:acme", "yearly"])
      const id = yield* schedules.runNow("yearly")
      assert.deepStrictEqual(
        yield* Effect.map(TaskQueue.use((queue) => queue.get(id)), ({ tags }) => tags),
        ["tenant:acme", "yearly"]
      )
      assert.deepStrictEqual(
        (yield* schedules.set("none", Plain.schedule({ every: "1 hour" }, { n: 1 }))).task.tags,
        []
      )
    }).pipe(Effect.provide(remote)))
})

describe("tags over HTTP", () => {
  it.live("are taken, shown, and found by all that a query says", () =>
    Effect.gen(function*() {
      const odd = ["<img src=x onerror=alert(1)>", `a "b" c`, "%2C&tag=x", "👩‍💻", "x".repeat(64)]
      const [first, second] = yield* postedAll([
        { type: "plain", payload: { n: 1 }, tags: odd },
        { type: "invoice", payload: { tenant: "acme", eu: true }, tags: ["urgent"] }
      ])
      assert.deepStrictEqual(first!.tags, odd)
      assert.deepStrictEqual((yield* task(second!.id)).tags, ["tenant:acme", "eu", "urgent"])
      assert.isUndefined((yield* posted({ type: "plain", payload: { n: 1 } })).tags)
      const found = (...tags: ReadonlyArray<string>) =>
        Effect.map(page(`?${tags.map((tag) => `tag=${encodeURIComponent(tag)}`).join("&")}`), ({ tasks }) =>
          tasks.map(({ id }) => id))
      for (const tag of odd) {
        assert.deepStrictEqual(yield* found(`"${tag.replaceAll(`"`, `""`)}"`), [first!.id], tag)
      }
      assert.deepStrictEqual(yield* found("eu", "urgent"), [second!.id])
      assert.deepStrictEqual(yield* found("eu,urgent"), [second!.id])
      assert.deepStrictEqual(yield* found("eu,odd"), [])
      const wanted = { action: "cancel", filter: { tag: ["eu", "urgent"] } }
      const preview = yield* decoded(OperationPreviewJson, send("POST", "/api/v1/operations/preview", wanted))
      assert.strictEqual(preview.count, 1)
    }).pipe(Effect.provide(server)))

  it.live("are refused by what is accepted", () =>
    Effect.gen(function*() {
      const wrong = [
        "eu",
        ["a,b"],
        [""],
        [" a"],
        ["a\u0000"],
        ["x".repeat(65)],
        [1],
        Array.from({ length: 10_000 }, (_, index) => String(index))
      ]
      for (const tags of wrong) {
        const error = yield* refused(400, "invalid_request", post({ type: "plain", payload: { n: 1 }, tags }))
        assert.strictEqual(error.issues?.[0]?.path.includes("tags"), true, JSON.stringify(error))
        assert.isBelow(JSON.stringify(error).length, 3000)
      }
      const named = yield* refused(400, "invalid_request", post({ type: "plain", payload: { n: 1 }, tags: ["a,b"] }))
      assert.include(named.message, "1 to 64 bytes of UTF-8 without commas")
      const ofType = Array.from({ length: 9 }, (_, index) => String(index))
      const both = yield* refused(
        400,
        "invalid_request",
        post({ type: "invoice", payload: { tenant: "acme", eu: true }, tags: ofType })
      )
      assert.include(both.message, "at most 10 tags")
      for (const query of ["?tag=", "?tag=a%00", `?tag=${"x".repeat(65)}`]) {
        const error = yield* refused(400, "invalid_request", get(`/api/v1/tasks${query}`))
        assert.deepStrictEqual(error.issues?.[0]?.path, ["query", "tag"])
      }
      assert.deepStrictEqual((yield* page()).tasks, [])
    }).pipe(Effect.provide(server)))
})

describe("tags on the command line", () => {
  it.live("are given, shown, and found", () =>
    Effect.gen(function*() {
      const args = ["enqueue", "plain", `{"n": 1}`, "--tag", "eu", "--tag", "\u202bbold?"]
      assert.include(yield* failing(65, onServer(args)), "--tag")
      const [{ id, tags }] = jsonOf(
        yield* succeeding(onServer(["enqueue", "plain", `{"n": 1}`, "--tag", "eu", "--tag", "<b>", "--json"]))
      )
      assert.deepStrictEqual(tags, ["eu", "<b>"])
      yield* succeeding(onServer(["enqueue", "plain", `{"n": 1}`, "--tag", "eu"]))
      assert.match((yield* succeeding(onServer(["get", id]))).stdout, /Tags +eu, <b>/)
      const listed = jsonOf(yield* succeeding(onServer(["list", "--tag", "eu", "--tag", "<b>", "--json"])))
      assert.deepStrictEqual(listed.map((one) => one.id), [id])
      const lines = ["enqueue", "plain", "--lines", "-", "--tag", "line", "--json"]
      yield* succeeding(onServer(lines, { stdin: `{"n": 1}\n{"n": 2}\n` }))
      assert.lengthOf(jsonOf(yield* succeeding(onServer(["list", "--tag", "line", "--json"]))), 2)
      assert.include(yield* failing(65, onServer(["list", "--tag", "a,b"])), "--tag")
      const set = ["schedules", "set", "nightly", "plain", `{"n": 1}`, "--cron", "@daily", "--tag", "night"]
      assert.include((yield* succeeding(onServer(set))).stdout, "tags night")
      yield* succeeding(onServer(["ops", "cancel", "--tag", "eu", "--tag", "<b>"]))
    }).pipe(Effect.provide(server)))
})
