/** Workers elsewhere next to the engine: what others know of them, and what becomes of the tasks of those that stand still. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Redacted, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import * as ApiKeys from "../../src/access/ApiKeys.ts"
import { Api } from "../../src/http/api/Api.ts"
import { routesOf } from "../../src/http/api/NeededRole.ts"
import * as Limit from "../../src/Limit.ts"
import { maxWorkers } from "../../src/remote/RemoteWorkers.ts"
import * as Task from "../../src/Task.ts"
import {
  Count,
  expecting,
  get,
  layer,
  pathOf,
  post,
  posted,
  postedAll,
  refused,
  send,
  task
} from "../http/TestServer.ts"
import { claim, extend, settle } from "./Worker.ts"

const engine = layer({ handlers: Count.toLayer(() => Effect.void) })

interface Instances {
  readonly instances: ReadonlyArray<
    { readonly id: string; readonly types: ReadonlyArray<string>; readonly slot_count: number }
  >
  readonly workers: ReadonlyArray<{ readonly id: string; readonly task: { readonly id: string } | null }>
}

const instances = Effect.map(expecting(200, get("/api/v1/workers")), ({ json }) => json as Instances)
const codesOf = (id: string) =>
  Effect.map(
    expecting(200, get(pathOf(id, "/explain"))),
    ({ json }) =>
      (json as { readonly reasons: ReadonlyArray<{ readonly code: string }> }).reasons.map(({ code }) => code)
  )

const pass = (time: "1 second" | "5 seconds") =>
  Effect.gen(function*() {
    yield* TestClock.adjust(time)
    for (let turn = 0; turn < 100; turn++) yield* Effect.yieldNow
  })

/** Lets the time pass in steps in which everyone does what is due. */
const passing = (seconds: number) =>
  Effect.forEach(Array.from({ length: seconds }), () => pass("1 second"), { discard: true })

describe("workers elsewhere", () => {
  it.effect("are instances as long as they live, and someone handles their types", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "echo" })
      assert.include(yield* codesOf(id), "no_handler")
      const [one] = yield* claim(["echo"], { worker: { name: "py-1", host: "gpu", slots: 3 } })
      const next = yield* posted({ type: "echo" })
      assert.notInclude(yield* codesOf(next.id), "no_handler")
      const seen = yield* instances
      assert.deepInclude(seen.instances.find(({ id }) => id === "remote:py-1"), { types: ["echo"], slot_count: 3 })
      yield* pass("5 seconds")
      const slot = (yield* instances).workers.find((one) => one.id === "remote:py-1/1")
      assert.strictEqual(slot?.task?.id, id)
      yield* settle({ token: one!.token, end: "complete" })
      yield* passing(80)
      assert.deepStrictEqual((yield* instances).instances.map(({ id }) => id), ["w"])
      assert.include(yield* codesOf(next.id), "no_handler")
    }).pipe(Effect.provide(engine)))

  it.effect("lose what they hold when they stand still, and change nothing afterwards", () =>
    Effect.gen(function*() {
      yield* passing(20)
      const { id } = yield* posted({ type: "echo" })
      const [frozen] = yield* claim(["echo"], { lease: "10s" }, "frozen")
      yield* passing(30)
      assert.deepInclude(yield* task(id), { status: "pending", crashes: 1, failures: 0 })
      const [other] = yield* claim(["echo"], {}, "other")
      assert.deepInclude(other!.task, { id, attempt: 2 })
      assert.deepStrictEqual(yield* extend([frozen!.token]), ["lost"])
      const late = [
        { end: "complete", result: "late" },
        { end: "fail", error: { message: "late" }, retry: false },
        { end: "release" },
        { end: "snooze", delay: "1h" },
        { end: "cancel" },
        { end: "timeout" }
      ]
      for (const end of late) {
        assert.deepStrictEqual(yield* settle({ token: frozen!.token, ...end }), [{ state: "lost" }])
      }
      assert.deepInclude(yield* task(id), { status: "running", instance: "remote:other" })
      assert.deepInclude((yield* settle({ token: other!.token, end: "complete", result: "in time" }))[0], {
        state: "applied"
      })
      assert.deepInclude(yield* task(id), { status: "completed", result: "in time" })
    }).pipe(Effect.provide(engine)))

  it.effect("keep what they renew for hours", () =>
    Effect.gen(function*() {
      yield* passing(20)
      const { id } = yield* posted({ type: "echo", timeout: "1h" })
      const [one] = yield* claim(["echo"], { lease: "60s" })
      for (let round = 0; round < 20; round++) {
        yield* passing(20)
        assert.deepStrictEqual(yield* extend([one!.token], { lease: "60s" }), ["held"])
      }
      assert.deepInclude(yield* task(id), { status: "running", crashes: 0 })
    }).pipe(Effect.provide(engine)))

  it.effect("share limits with the handlers of the server", () => {
    const Both = Task.make("both", { payload: { n: Schema.Int }, limits: [Limit.concurrency({ max: 2 })] })
    return Effect.gen(function*() {
      yield* postedAll([{ type: "both", payload: { n: 1 } }])
      yield* passing(3)
      yield* postedAll([2, 3, 4].map((n) => ({ type: "both", payload: { n } })))
      // The handler never ends, and has one or two of them; together there are two
      const claims = yield* claim(["both"], { max: 10 })
      yield* passing(3)
      const { json } = yield* expecting(200, get("/api/v1/tasks?status=running"))
      assert.strictEqual((json as { readonly tasks: ReadonlyArray<unknown> }).tasks.length, 2)
      assert.isAtMost(claims.length, 1)
      assert.deepStrictEqual(yield* claim(["both"], { max: 10 }, "py-2"), [])
    }).pipe(Effect.provide(layer({ definitions: [Both], handlers: Both.toLayer(() => Effect.never) })))
  })

  it.effect("are bounded in number", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(
        Array.from({ length: maxWorkers }, (_, n) => n),
        (n) => claim(["echo"], {}, `w${n}`),
        { concurrency: 20, discard: true }
      )
      yield* refused(
        429,
        "too_many_workers",
        send("POST", "/api/v1/claims", { worker: { name: "more" }, types: ["echo"] })
      )
      // Those that are known are served, and there is room once others are gone
      assert.deepStrictEqual(yield* claim(["echo"], {}, "w0"), [])
      yield* TestClock.adjust("31 seconds")
      assert.deepStrictEqual(yield* claim(["echo"], {}, "more"), [])
    }).pipe(Effect.provide(layer())))

  it.effect("do not keep a server from stopping while they wait", () =>
    Effect.gen(function*() {
      const scope = yield* Layer.build(engine).pipe(
        Effect.flatMap((context) => Effect.forkChild(Effect.provideContext(claim(["echo"], { wait: "30s" }), context))),
        Effect.tap(() => Effect.sleep("200 millis").pipe(TestClock.withLive)),
        Effect.scoped
      )
      assert.deepStrictEqual(yield* Fiber.join(scope), [])
    }))
})

describe("the role work", () => {
  const keyed = Effect.fnUntraced(function*(role: "work" | "read" | "write" | "admin") {
    const { secret } = yield* Effect.orDie(ApiKeys.create({ name: role, role }))
    return { authorization: `Bearer ${Redacted.value(secret)}` }
  })
  const server = Layer.merge(layer({ http: { requireKeys: true } }), SecureRandom.layerWebCrypto).pipe(
    Layer.provide(Logger.layer([]))
  )

  it.live("claims and settles, and may do nothing else; roles that read and write may not claim", () =>
    Effect.gen(function*() {
      const headers = {
        work: yield* keyed("work"),
        read: yield* keyed("read"),
        write: yield* keyed("write"),
        admin: yield* keyed("admin")
      }
      const asking = { worker: { name: "w" }, types: ["echo"] }
      yield* expecting(201, post({ type: "echo" }, headers.admin))
      const { json } = yield* expecting(200, send("POST", "/api/v1/claims", asking, headers.work))
      const [{ token }] = (json as { readonly claims: [{ readonly token: string }] }).claims
      yield* expecting(
        200,
        send("POST", "/api/v1/claims/settle", { claims: [{ token, end: "release" }] }, headers.work)
      )
      yield* expecting(200, send("POST", "/api/v1/claims", asking, headers.admin))
      let refusals = 0
      for (const { method, needed, path } of routesOf(Api)) {
        if (needed === "public") continue
        const target = path.replaceAll(/:\w+/g, "x")
        for (const role of needed === "work" ? ["read", "write"] as const : ["work"] as const) {
          yield* refused(
            403,
            "forbidden",
            send(method as "POST", target, method === "GET" ? undefined : {}, headers[role])
          )
          refusals++
        }
      }
      assert.isAbove(refusals, 40)
    }).pipe(Effect.provide(server)))
})
