import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Schema, Scope } from "effect"
import { HttpServer as Listener } from "effect/http"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EventLog } from "../../src/store/EventLog.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as Task from "../../src/Task.ts"
import { patiently } from "../Patience.ts"
import * as EventStream from "./EventStream.ts"
import { expecting, get, layer, post, posted, refused, send } from "./TestServer.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

const Echo = Task.make("echo", { payload: Schema.Json, success: Schema.Json })
const Bad = Task.make("bad", { error: Refused, queue: "other", retry: { times: 0 } })
const Slow = Task.make("slow")
const definitions = [Echo, Bad, Slow]
const handlers = Layer.mergeAll(
  Echo.toLayer(Effect.succeed),
  Bad.toLayer(() => Effect.fail(new Refused())),
  Slow.toLayer(() => Effect.sleep("300 millis"))
)
const quiet = Logger.layer([])
const running = layer({ definitions, handlers }).pipe(Layer.provide(quiet))
const waiting = layer({ definitions }).pipe(Layer.provide(quiet))

const { open, story } = EventStream

describe("the stream of events", () => {
  it.live("tells what happens to tasks, in order, with numbers that grow", () =>
    Effect.gen(function*() {
      const stream = yield* open("/api/v1/events")
      assert.strictEqual(stream.status, 200)
      yield* posted({ id: "a", type: "echo" })
      yield* stream.until(3)
      yield* posted({ id: "b", type: "bad" })
      const received = yield* stream.until(6)
      assert.deepStrictEqual(story(received), [
        "created a",
        "started a",
        "completed a",
        "created b",
        "started b",
        "failed b"
      ])
      const ids = received.map(({ id }) => Number(id))
      assert.deepStrictEqual(ids, ids.toSorted((one, other) => one - other))
      assert.deepInclude(received[2]!.data, { event: "completed", type: "echo", queue: "default", attempt: 1 })
      assert.deepInclude(received[5]!.data, { type: "bad", queue: "other" })
      assert.deepInclude(received[5]!.data["error"], { kind: "error", tag: "Refused" })
      assert.match(String(received[0]!.data["at"]), /^\d{4}-\d\d-\d\dT.*Z$/)
    }).pipe(Effect.scoped, Effect.provide(running)))

  it.live("tells only of what was asked for", () =>
    Effect.gen(function*() {
      const byType = yield* open("/api/v1/events?type=bad,slow")
      const byQueue = yield* open("/api/v1/events?queue=other")
      const byTask = yield* open("/api/v1/events?task=a&task=c")
      for (const [id, type] of [["a", "echo"], ["b", "bad"], ["c", "echo"]] as const) yield* posted({ id, type })
      assert.deepStrictEqual(new Set(story(yield* byTask.until(2))), new Set(["created a", "created c"]))
      assert.deepStrictEqual(story(byType.received), ["created b"])
      assert.deepStrictEqual(story(byQueue.received), ["created b"])
      yield* refused(400, "invalid_request", get("/api/v1/events?colour=red"))
      yield* refused(400, "invalid_request", get("/api/v1/events?after=-1"))
    }).pipe(Effect.scoped, Effect.provide(waiting)))

  it.live("goes on where a reader left off, and says so when that is too long ago", () =>
    Effect.gen(function*() {
      const first = yield* open("/api/v1/events")
      yield* posted({ id: "a", type: "echo" })
      const [seen] = yield* first.until(1)
      first.close()
      for (const id of ["b", "c", "d"]) yield* posted({ id, type: "echo" })
      const second = yield* open("/api/v1/events", { "last-event-id": seen!.id! })
      assert.deepStrictEqual(story(yield* second.until(3)), ["created b", "created c", "created d"])
      yield* posted({ id: "e", type: "echo" })
      assert.deepStrictEqual(story(yield* second.until(4)).slice(3), ["created e"])
      const third = yield* open(`/api/v1/events?after=${second.received[1]!.id}`)
      assert.deepStrictEqual(story(yield* third.until(2)), ["created d", "created e"])
      const stranger = yield* open("/api/v1/events", { "last-event-id": "999999999" })
      assert.strictEqual((yield* stranger.until(1))[0]!.event, "gap")
    }).pipe(Effect.scoped, Effect.provide(waiting)))

  it.live("says that there is a gap when events were lost", () =>
    Effect.gen(function*() {
      const stream = yield* open("/api/v1/events")
      yield* posted({ id: "a", type: "echo" })
      yield* stream.until(1)
      const crashed = { event: "crashed", id: "b", type: "echo", queue: "default" } as const
      yield* Effect.orDie(EventLog.use((log) => log.append([crashed], true)))
      assert.deepStrictEqual((yield* stream.until(3)).map(({ event }) => event), ["created", "gap", "crashed"])
    }).pipe(Effect.scoped, Effect.provide(waiting)))

  it.live("drops a reader that does not keep up, and nobody else", () =>
    Effect.gen(function*() {
      const slow = yield* open("/api/v1/events")
      const quick = yield* open("/api/v1/events")
      slow.pause()
      const batch = Array.from({ length: 200 }, () => ({ type: "echo", queue: "q".repeat(255) }))
      // More than the connection's buffers hold
      for (let sent = 0; sent < 100; sent++) {
        yield* expecting(201, post(batch))
        if (sent % 20 === 19) yield* quick.until(200 * (sent - 18))
      }
      yield* quick.until(20_000)
      slow.resume()
      yield* slow.ended
      assert.isBelow(slow.received.length, 20_000)
      yield* expecting(200, get("/api/v1/stats"))
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layer({ definitions, store: Layer.orDie(SqliteStore.layer({ path: ":memory:" })) }).pipe(Layer.provide(quiet))
      )
    ))

  it.effect("ends when the server stops, which does not wait for it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(waiting, scope)
      const stream = yield* Effect.provide(open("/api/v1/events"), context)
      const ofTask = yield* Effect.provide(
        Effect.andThen(posted({ id: "a", type: "echo" }), open("/api/v1/tasks/a/events")),
        context
      )
      // No time passes on this clock
      yield* Scope.close(scope, Exit.void)
      yield* stream.ended
      yield* ofTask.ended
    }).pipe(Effect.scoped))

  it.live("tells what happens on other instances", () =>
    Effect.gen(function*() {
      const directory = mkdtempSync(join(tmpdir(), "taskforge-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
      const scope = yield* Scope.make()
      const instance = (withHandlers: boolean) =>
        Layer.buildWithScope(
          Layer.fresh(
            layer({
              definitions,
              store: Layer.orDie(SqliteStore.layer({ path: join(directory, "tasks.db") })),
              ...(withHandlers ? { handlers } : {})
            }).pipe(Layer.provide(quiet))
          ),
          scope
        )
      const front = yield* instance(false)
      const worker = yield* instance(true)
      const stream = yield* Effect.provide(open("/api/v1/events"), front)
      // The other process looks once a second whether somebody watches; what happens before is not told
      const isTold = Effect.andThen(
        Effect.provide(posted({ type: "echo" }), worker),
        Effect.sync(() => stream.received.some(({ event }) => event === "completed"))
      )
      yield* Effect.repeat(isTold, { until: (told) => told, schedule: patiently("50 millis") })
      yield* Effect.provide(posted({ id: "a", type: "echo" }), worker)
      const finished = Effect.sync(() => story(stream.received).includes("completed a"))
      yield* Effect.repeat(finished, { until: (done) => done, schedule: patiently() })
      assert.isTrue(yield* finished, JSON.stringify(story(stream.received)))
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.scoped))
})

describe("the stream of a task", () => {
  it.live("shows the task, what happens to it, and the task again when it has finished; then it ends", () =>
    Effect.gen(function*() {
      yield* posted({ id: "s", type: "slow" })
      yield* posted({ id: "other", type: "echo" })
      const stream = yield* open("/api/v1/tasks/s/events")
      yield* stream.ended
      const { received } = stream
      assert.strictEqual(received[0]!.event, "task")
      assert.deepInclude(received.at(-1)!, { event: "task", id: "done" })
      assert.deepInclude(received.at(-1)!.data, { id: "s", status: "completed" })
      assert.isTrue(received.every(({ data }) => data["id"] === "s"))
      const again = yield* open("/api/v1/tasks/s/events")
      yield* again.ended
      assert.deepStrictEqual(again.received, [received.at(-1)!])
      // Browsers come back to a stream that ended, unless they are told that nothing follows
      yield* expecting(204, send("GET", "/api/v1/tasks/s/events", undefined, { "last-event-id": "done" }))
      yield* refused(404, "task_not_found", get("/api/v1/tasks/none/events"))
    }).pipe(Effect.scoped, Effect.provide(running)))
})

describe("a task's result", () => {
  it.live("is there once it has finished, and can be waited for", () =>
    Effect.gen(function*() {
      yield* posted({ id: "s", type: "slow" })
      const early = yield* expecting(202, get("/api/v1/tasks/s/result"))
      assert.deepStrictEqual(early.json, { id: "s", status: "unfinished", result: null, error: null })
      yield* expecting(202, get("/api/v1/tasks/s/result?wait=10ms"))
      const late = yield* expecting(200, get("/api/v1/tasks/s/result?wait=10s"))
      assert.deepInclude(late.json, { id: "s", status: "completed" })
      yield* posted({ id: "b", type: "bad" })
      const failed = yield* expecting(200, get("/api/v1/tasks/b/result?wait=10s"))
      assert.deepInclude((failed.json as { readonly error: object }).error, { tag: "Refused" })
      yield* refused(404, "task_not_found", get("/api/v1/tasks/none/result?wait=1s"))
      yield* refused(400, "invalid_request", get("/api/v1/tasks/s/result?wait=1h"))
    }).pipe(Effect.provide(running)))
})

describe("a WebSocket", () => {
  const dial = (path: string) =>
    Effect.gen(function*() {
      const { address } = yield* Listener.HttpServer
      const messages: Array<Record<string, unknown>> = []
      const socket = yield* Effect.acquireRelease(
        Effect.callback<WebSocket>((resume) => {
          const socket = new WebSocket(`${Listener.formatAddress(address).replace("http", "ws")}${path}`)
          socket.addEventListener("open", () => resume(Effect.succeed(socket)))
          socket.addEventListener("message", ({ data }) => messages.push(JSON.parse(String(data))))
        }),
        (socket) => Effect.sync(() => socket.close())
      )
      const until = (count: number) =>
        Effect.repeat(Effect.void, { until: () => messages.length >= count, schedule: patiently("5 millis") })
      return { socket, messages, until }
    })

  it.live("carries the same events and filters", () =>
    Effect.gen(function*() {
      const all = yield* dial("/ws")
      const some = yield* dial("/ws?type=bad")
      all.socket.send("whatever clients say is not listened to")
      yield* Effect.sleep("50 millis")
      yield* posted({ id: "a", type: "echo" })
      yield* posted({ id: "b", type: "bad" })
      yield* all.until(6)
      assert.deepStrictEqual(
        new Set(all.messages.map(({ event, id }) => `${String(event)} ${String(id)}`)),
        new Set(["created a", "started a", "completed a", "created b", "started b", "failed b"])
      )
      yield* some.until(3)
      assert.deepStrictEqual(some.messages.map(({ event }) => event), ["created", "started", "failed"])
      assert.isNumber(all.messages[0]!["seq"])
      const late = yield* dial(`/ws?after=${String(all.messages[0]!["seq"])}`)
      yield* late.until(5)
      assert.deepStrictEqual(late.messages, all.messages.slice(1))
    }).pipe(Effect.scoped, Effect.provide(running)))

  it.live("is asked for as such, and told what is wrong with its filters", () =>
    Effect.gen(function*() {
      yield* refused(426, "upgrade_required", get("/ws"))
      yield* refused(400, "invalid_request", get("/ws?colour=red"))
    }).pipe(Effect.provide(running)))
})
