import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Limit from "../../src/Limit.ts"
import * as Task from "../../src/Task.ts"
import { Echo, expecting, get, layer, pathOf, posted, postedAll, refused, send, task } from "../http/TestServer.ts"
import { claim, extend, log, progress, settle } from "./Worker.ts"

const plain = layer()

/** Fails with an error that it declares, which has a rule of its own. */
const Convert = Task.make("convert", {
  payload: { n: Schema.Int },
  success: Schema.Struct({ n: Schema.Int }),
  retry: { times: 2, byTag: { Corrupt: false } },
  timeout: "20 seconds",
  limits: [Limit.concurrency({ max: 1 })]
})

describe("claims over HTTP", () => {
  it.effect("are tasks that one worker has, runs and completes", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "echo", payload: { a: 1 } })
      const [one] = yield* claim(["echo"])
      assert.deepInclude(one!.task, { id, type: "echo", payload: { a: 1 }, attempt: 1, failures: 0 })
      assert.deepStrictEqual(yield* claim(["echo"], {}, "py-2"), [])
      assert.deepInclude(yield* task(id), { status: "running", instance: "remote:py-1" })
      assert.deepStrictEqual(yield* extend([one!.token]), ["held"])
      assert.deepStrictEqual(yield* progress({ token: one!.token, progress: 0.5 }), [{ state: "noted" }])
      assert.strictEqual((yield* task(id)).progress, 0.5)
      const done = { token: one!.token, end: "complete", result: { b: 2 } }
      assert.deepStrictEqual(yield* settle(done), [{ state: "applied", outcome: "completed" }])
      assert.deepInclude(yield* task(id), { status: "completed", result: { b: 2 } })
      // The answer was lost: it may be asked for again, and the first end counts
      assert.deepStrictEqual(yield* settle(done), [{ state: "already" }])
      assert.deepStrictEqual(yield* settle({ ...done, result: 3 }), [{ state: "already" }])
      assert.deepInclude(yield* task(id), { status: "completed", result: { b: 2 } })
      assert.deepStrictEqual(yield* extend([one!.token]), ["lost"])
    }).pipe(Effect.provide(plain)))

  it.effect("are given again for the same request, and to no other one", () =>
    Effect.gen(function*() {
      yield* postedAll([{ type: "echo" }, { type: "echo" }, { type: "echo" }])
      const first = yield* claim(["echo"], { max: 2, request: "r-1" })
      const again = yield* claim(["echo"], { max: 2, request: "r-1" })
      const other = yield* claim(["echo"], { max: 2, request: "r-2" })
      const ids = (claims: typeof first) => claims.map(({ task }) => task.id)
      assert.strictEqual(first.length, 2)
      assert.deepStrictEqual(ids(again), ids(first))
      assert.strictEqual(other.length, 1)
      assert.notInclude(ids(first), ids(other)[0]!)
    }).pipe(Effect.provide(plain)))

  it.effect("fail as the policy of their type and the budget of their task say", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "convert", payload: { n: 1 } })
      const fail = (token: string, more: object = {}) =>
        settle({ token, end: "fail", error: { message: "no", tag: "Busy" }, ...more })
      const [one] = yield* claim(["convert"])
      const [retried] = yield* fail(one!.token)
      assert.deepInclude(retried, { state: "applied", outcome: "retry" })
      assert.isAbove(retried!.delay_ms!, 0)
      yield* TestClock.adjust("1 hour")
      const [two] = yield* claim(["convert"])
      assert.deepInclude(two!.task, { attempt: 2, failures: 1 })
      assert.deepStrictEqual(yield* fail(two!.token, { delay: "7s" }), [
        { state: "applied", outcome: "retry", delay_ms: 7000 }
      ])
      yield* TestClock.adjust("7 seconds")
      const [three] = yield* claim(["convert"])
      assert.deepStrictEqual(yield* fail(three!.token), [{ state: "applied", outcome: "failed" }])
      const failed = yield* task(id)
      assert.deepInclude(failed, { status: "failed", failures: 3 })
      assert.deepInclude(failed.error, { tag: "Busy", message: "no", kind: "error" })
      const other = yield* posted({ type: "convert", payload: { n: 2 } })
      const [four] = yield* claim(["convert"])
      assert.deepStrictEqual(
        yield* settle({ token: four!.token, end: "fail", error: { message: "x", tag: "Corrupt" } }),
        [{ state: "applied", outcome: "failed" }]
      )
      assert.strictEqual((yield* task(other.id)).status, "failed")
      yield* posted({ type: "convert", payload: { n: 3 } })
      const [five] = yield* claim(["convert"])
      assert.deepInclude((yield* fail(five!.token, { retry: false }))[0], { outcome: "failed" })
    }).pipe(Effect.provide(layer({ definitions: [Echo, Convert] }))))

  it.effect("hold limits together, and a result that does not fit fails its task", () =>
    Effect.gen(function*() {
      const [first] = yield* postedAll([1, 2, 3].map((n) => ({ type: "convert", payload: { n } })))
      const claims = yield* claim(["convert"], { max: 3 })
      assert.strictEqual(claims.length, 1)
      assert.deepStrictEqual(yield* claim(["convert"], { max: 3 }, "py-2"), [])
      const [bad] = yield* settle({ token: claims[0]!.token, end: "complete", result: { n: "one" } })
      assert.deepInclude(bad, { state: "applied", outcome: "failed" })
      assert.include(bad!.issue, "does not fit")
      assert.deepInclude((yield* task(first!.id)).error, { tag: "InvalidResult" })
      assert.strictEqual((yield* claim(["convert"], { max: 3 }, "py-2")).length, 1)
    }).pipe(Effect.provide(layer({ definitions: [Echo, Convert] }))))

  it.effect("wait for work, which comes at once", () =>
    Effect.gen(function*() {
      const waiting = yield* Effect.forkChild(claim(["echo"], { wait: "30s" }))
      const others = yield* Effect.forkChild(claim(["echo"], { wait: "30s" }, "py-2"))
      while (!(yield* get("/api/v1/workers")).text.includes("remote:py-2")) yield* Effect.yieldNow
      yield* posted({ type: "echo" })
      // The clock stands still: nothing but the news of work wakes them
      const one = yield* Fiber.join(waiting).pipe(Effect.race(Fiber.join(others)))
      assert.strictEqual(one.length, 1)
    }).pipe(Effect.provide(plain)))

  it.effect("come to an end without work when their time has passed", () =>
    Effect.gen(function*() {
      const waiting = yield* Effect.forkChild(claim(["echo"], { wait: "30s" }))
      while (!(yield* get("/api/v1/workers")).text.includes("remote:py-1")) yield* Effect.yieldNow
      for (let turn = 0; turn < 100; turn++) yield* Effect.yieldNow
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* Fiber.join(waiting), [])
    }).pipe(Effect.provide(plain)))

  it.effect("are cancelled, snoozed and released as handlers are", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "echo" })
      const [one] = yield* claim(["echo"])
      yield* expecting(200, send("POST", pathOf(id, "/cancel")))
      assert.deepStrictEqual(yield* extend([one!.token]), ["cancel"])
      assert.deepStrictEqual(yield* settle({ token: one!.token, end: "cancel" }), [
        { state: "applied", outcome: "cancelled" }
      ])
      assert.strictEqual((yield* task(id)).status, "cancelled")
      const next = yield* posted({ type: "echo" })
      const [two] = yield* claim(["echo"])
      assert.deepInclude((yield* settle({ token: two!.token, end: "snooze", delay: "5m" }))[0], { outcome: "snoozed" })
      assert.deepInclude(yield* task(next.id), { status: "scheduled", failures: 0 })
      yield* TestClock.adjust("5 minutes")
      const [three] = yield* claim(["echo"])
      assert.deepInclude((yield* settle({ token: three!.token, end: "release" }))[0], { outcome: "released" })
      assert.deepInclude(yield* task(next.id), { status: "pending", failures: 0 })
    }).pipe(Effect.provide(plain)))

  it.effect("time out by their task's limit, which spends a retry", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "convert", payload: { n: 1 } })
      const [one] = yield* claim(["convert"], { lease: "30s" })
      assert.strictEqual(one!.timeout_ms, 20_000)
      yield* TestClock.adjust("19 seconds")
      assert.deepStrictEqual(yield* extend([one!.token]), ["held"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* extend([one!.token]), ["timeout"])
      const late = yield* task(id)
      assert.deepInclude(late, { failures: 1, status: "scheduled" })
      assert.deepInclude(late.history.at(-1), { outcome: "failed" })
      assert.deepStrictEqual(yield* settle({ token: one!.token, end: "complete", result: { n: 1 } }), [
        { state: "already" }
      ])
      assert.strictEqual((yield* task(id)).status, "scheduled")
    }).pipe(Effect.provide(layer({ definitions: [Convert] }))))

  it.effect("keep what their worker logs, in the order of its requests", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "echo" })
      const [one] = yield* claim(["echo"])
      const line = (text: string, level = "info") => ({ text, level })
      yield* log({ token: one!.token, lines: [line("first"), line("second\u001b[31m", "warn")] })
      yield* log({ token: one!.token, lines: [line("third", "error")] })
      const { json } = yield* expecting(200, get(pathOf(id, "/logs")))
      const [attempt] =
        (json as { readonly attempts: ReadonlyArray<{ readonly lines: ReadonlyArray<object> }> }).attempts
      assert.deepStrictEqual(
        attempt!.lines.map((line) => ({ ...line, at: "" })).map(({ level, text }: any) =>
          `${level} ${text}`.toLowerCase()
        ),
        ["info first", "warn second", "error third"]
      )
    }).pipe(Effect.provide(plain)))

  it.effect("refuse tokens that the store never gave", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "echo" })
      const [one] = yield* claim(["echo"])
      const [body, signature] = one!.token.split(".") as [string, string]
      const facts = JSON.parse(Buffer.from(body, "base64url").toString()) as object
      const forge = (change: object) =>
        `${Buffer.from(JSON.stringify({ ...facts, ...change })).toString("base64url")}.${signature}`
      const forged = [
        "x",
        body,
        `${body}.`,
        `${body}.${signature}=`,
        `${body}.${signature}.`,
        ` ${one!.token}`,
        forge({ claim: 2 }),
        forge({ maxRetries: -1 }),
        one!.token.toUpperCase()
      ]
      for (const token of forged) {
        assert.deepStrictEqual(
          yield* settle({ token, end: "complete", result: "stolen" }),
          [{ state: "unknown" }],
          token
        )
        assert.deepStrictEqual(yield* extend([token]), ["unknown"], token)
        assert.deepStrictEqual(yield* log({ token, lines: [{ text: "x" }] }), [{ state: "unknown" }], token)
        assert.deepStrictEqual(yield* progress({ token, progress: 1 }), [{ state: "unknown" }], token)
      }
      assert.strictEqual((yield* task(id)).status, "running")
      // One that is wrong does not keep others from their answers
      assert.deepStrictEqual(yield* extend(["x", one!.token, "y"]), ["unknown", "held", "unknown"])
    }).pipe(Effect.provide(plain)))

  it.effect("refuse requests that are too large, misspelt or for types that nobody knows", () =>
    Effect.gen(function*() {
      const ask = (body: object) => send("POST", "/api/v1/claims", { worker: { name: "w" }, types: ["echo"], ...body })
      const wrong: ReadonlyArray<object> = [
        { max: 0 },
        { max: 1001 },
        { max: 1.5 },
        { wait: "31s" },
        { wait: -1 },
        { lease: "1ms" },
        { types: [] },
        { types: Array.from({ length: 101 }, (_, n) => `t${n}`) },
        { worker: { name: "" } },
        { worker: { name: "w".repeat(201) } },
        { worker: { name: "a\u0000" } },
        { worker: {} },
        { Types: ["echo"] },
        { request: "" }
      ]
      for (const body of wrong) yield* refused(400, "invalid_request", ask(body))
      for (const type of ["Echo", "echo ", "ｅcho", "nope", "taskforge.batch", "echo\u001f2"]) {
        const { known } = yield* refused(400, "unknown_task_type", ask({ types: [type] }))
        assert.include(known as ReadonlyArray<string>, "echo")
      }
      const many = Array.from({ length: 1001 }, () => ({ token: "x" }))
      yield* refused(400, "invalid_request", send("POST", "/api/v1/claims/extend", { claims: many }))
      yield* refused(400, "invalid_request", send("POST", "/api/v1/claims/settle", { claims: [] }))
      yield* refused(
        400,
        "invalid_request",
        send("POST", "/api/v1/claims/settle", { claims: [{ token: "x", end: "won" }] })
      )
      yield* refused(
        400,
        "invalid_request",
        send(
          "POST",
          "/api/v1/claims/settle",
          "{\"claims\":[{\"token\":\"x\",\"end\":\"complete\",\"result\":9007199254740993}]}"
        )
      )
      yield* refused(
        413,
        "body_too_large",
        send("POST", "/api/v1/claims/settle", {
          claims: [{ token: "x", end: "complete", result: "x".repeat(2 ** 20) }]
        })
      )
    }).pipe(Effect.provide(plain)))
})
