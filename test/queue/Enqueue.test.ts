import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { InvalidPayload, KeyConflict, StateConflict, TaskNotFound } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { record, withEngine } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Email = Task.make("email", { payload: { to: Schema.NonEmptyString }, success: Schema.String })
const Report = Task.make("report", {
  queue: "reports",
  priority: "high",
  timeout: "90 seconds",
  retry: { times: 7 }
})

const Sync = Task.make("sync", {
  payload: { tenant: Schema.String, at: Schema.DateTimeUtc },
  idempotencyKey: ({ at, tenant }) => {
    if (tenant === "nobody") throw new Error("nobody has a key")
    return `${tenant}@${DateTime.getPartUtc(at, "year")}`
  }
})
const monday = DateTime.makeUnsafe("1970-01-05T00:00:00Z")

const stored = Effect.map(TaskQueue.use((queue) => queue.counts), ({ totals }) => totals.created)

describe("enqueue", () => {
  it.effect("gives a task the defaults of its definition", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const plain = yield* record((yield* Email.enqueue({ to: "ada" })).id)
        assert.deepInclude(plain, {
          type: "email",
          queue: "default",
          payload: `{"to":"ada"}`,
          priority: 1,
          key: null,
          maxRetries: 3,
          timeoutMs: null,
          state: "pending"
        })
        const report = yield* record((yield* Report.enqueue()).id)
        assert.deepInclude(report, { queue: "reports", priority: 2, maxRetries: 7, timeoutMs: 90_000 })
      })
    ))

  it.effect("refuses a payload with fields that its definition does not know, and stores nothing", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const payload = { to: "ada", subject: "Hello", dryRun: true }
        const one = Effect.asVoid(Email.enqueue(payload))
        const many = Effect.asVoid(Email.enqueueAll([{ to: "ada" }, payload]))
        for (const enqueue of [one, many]) {
          const error = yield* Effect.flip(enqueue)
          assert.instanceOf(error, InvalidPayload)
          for (const field of ["subject", "dryRun"]) assert.include(error.issue, `Unknown field\n  at ["${field}"]`)
        }
        assert.strictEqual(yield* stored, 0)
      })
    ))

  it.effect("lets one task differ from its definition", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const { id } = yield* Report.enqueue(undefined, {
          id: "mine",
          key: "monday",
          queue: "nightly",
          priority: 9,
          timeout: "2 minutes",
          maxRetries: -1,
          delay: "1 hour"
        })
        assert.strictEqual(id, "mine")
        assert.deepInclude(yield* record("mine"), {
          key: "monday",
          queue: "nightly",
          priority: 9,
          timeoutMs: 120_000,
          maxRetries: -1,
          state: "scheduled",
          dueAt: Duration.toMillis("1 hour")
        })
      })
    ))

  it.effect("takes a time or a delay, and refuses both", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const runAt = DateTime.makeUnsafe("1970-01-03T04:05:06Z")
        const { id } = yield* Report.enqueue(undefined, { runAt })
        assert.strictEqual((yield* record(id)).dueAt, runAt.epochMilliseconds)
        const refused = yield* Effect.flip(Report.enqueue(undefined, { runAt, delay: "1 minute" }))
        assert.strictEqual(refused._tag, "InvalidOption")
      })
    ))

  it.effect("gives every task an id of its own, in the order of time", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const ids: Array<string> = []
        for (let i = 0; i < 20; i++) {
          ids.push((yield* Email.enqueue({ to: "ada" })).id)
          yield* TestClock.adjust("1 millis")
        }
        assert.strictEqual(new Set(ids).size, 20)
        assert.deepStrictEqual(ids, ids.toSorted())
      })
    ))

  it.effect("answers a known id again and changes nothing, so that a lost reply can be retried", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const store = yield* TestStore
        store.losesReplies("enqueue")
        const lost = yield* Effect.flip(Email.enqueue({ to: "ada" }, { id: "one" }))
        assert.strictEqual(lost._tag, "StoreError")
        store.up()
        const again = yield* Email.enqueue({ to: "ada" }, { id: "one" })
        assert.deepInclude(again, { id: "one", duplicate: true })
        assert.strictEqual(yield* stored, 1)
      })
    ))

  it.effect("gives the same task for the same key and payload", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const first = yield* Email.enqueue({ to: "ada" }, { key: "welcome" })
        const second = yield* Email.enqueue({ to: "ada" }, { key: "welcome" })
        assert.deepStrictEqual([first.duplicate, second.duplicate], [false, true])
        assert.strictEqual(second.id, first.id)
        assert.strictEqual(yield* stored, 1)
      })
    ))

  it.effect("takes the key that the definition makes of a payload, unless the caller gives one", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const [ada, grace, again] = yield* Sync.enqueueAll([
          { tenant: "ada", at: monday },
          { tenant: "grace", at: monday },
          { tenant: "ada", at: monday }
        ])
        assert.deepStrictEqual([ada!.duplicate, grace!.duplicate, again!.duplicate], [false, false, true])
        assert.strictEqual(again!.id, ada!.id)
        assert.strictEqual((yield* record(ada!.id)).key, "ada@1970")
        const one = yield* Sync.enqueue({ tenant: "ada", at: monday })
        assert.deepInclude(one, { id: ada!.id, duplicate: true })
        const other = yield* Sync.enqueue({ tenant: "ada", at: monday }, { key: "by hand" })
        assert.isFalse(other.duplicate)
        assert.strictEqual((yield* record(other.id)).key, "by hand")
        const conflict = yield* Effect.flip(Sync.enqueue({ tenant: "ada", at: DateTime.add(monday, { hours: 1 }) }))
        assert.deepStrictEqual(conflict, new KeyConflict({ type: "sync", key: "ada@1970", id: ada!.id, index: 0 }))
      })
    ))

  it.effect("takes what differs from task to task of a batch, such as the key and the delay", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const handles = yield* Email.enqueueAll([{ to: "ada" }, { to: "grace" }, { to: "ada" }], {
          delay: "1 minute",
          priority: 5,
          each: ({ to }, index) => ({ key: to, ...(index === 1 ? { delay: "1 hour" } : {}) })
        })
        assert.deepStrictEqual(handles.map(({ duplicate }) => duplicate), [false, false, true])
        assert.deepInclude(yield* record(handles[0]!.id), { key: "ada", dueAt: 60_000, priority: 5 })
        assert.deepInclude(yield* record(handles[1]!.id), { key: "grace", dueAt: 3_600_000, priority: 5 })
        const wrong = yield* Effect.flip(Email.enqueueAll([{ to: "a" }, { to: "b" }], {
          each: (_, index) => ({ priority: index * 10 })
        }))
        assert.deepInclude(wrong, { _tag: "InvalidOption", option: "priority", index: 1 })
      })
    ))

  it.effect("refuses a payload of which the definition makes no key, and stores nothing", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const payloads = ["fine", "nobody"].map((tenant) => ({ tenant, at: monday }))
        const thrown = yield* Effect.flip(Sync.enqueueAll(payloads))
        assert.deepStrictEqual(
          thrown,
          new InvalidPayload({ type: "sync", issue: "idempotencyKey: nobody has a key", index: 1 })
        )
        const empty = yield* Effect.flip(Task.make("empty", { idempotencyKey: () => "" }).enqueue())
        assert.deepInclude(empty, { _tag: "InvalidOption", option: "key" })
        assert.strictEqual(yield* stored, 0)
      })
    ))

  it.effect("refuses a key that belongs to another payload, and names its owner", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const { id } = yield* Email.enqueue({ to: "ada" }, { key: "welcome" })
        const error = yield* Effect.flip(Email.enqueue({ to: "grace" }, { key: "welcome" }))
        assert.deepStrictEqual(error, new KeyConflict({ type: "email", key: "welcome", id, index: 0 }))
      })
    ))

  it.effect("refuses a payload that its schema refuses, and says where", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const error = yield* Effect.flip(Email.enqueue({ to: "" }))
        assert.instanceOf(error, InvalidPayload)
        assert.include(error.message, `task type "email"`)
        assert.include(error.issue, `["to"]`)
        assert.strictEqual(yield* stored, 0)
      })
    ))
})

describe("enqueueAll", () => {
  it.effect("stores all in one write, and answers in their order", () =>
    withEngine(
      { handlers: Email.toLayer(({ to }) => Effect.succeed(`sent to ${to}`)) },
      Effect.gen(function*() {
        const store = yield* TestStore
        const names = Array.from({ length: 50 }, (_, n) => `person ${n}`)
        const handles = yield* Email.enqueueAll(names.map((to) => ({ to })))
        assert.strictEqual(store.calls("enqueue"), 1)
        const results = yield* Effect.forEach(handles, ({ result }) => result)
        assert.deepStrictEqual(results, names.map((to) => `sent to ${to}`))
      })
    ))

  it.effect("stores nothing when one payload is bad, and names its position", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const error = yield* Effect.flip(Email.enqueueAll([{ to: "ada" }, { to: "grace" }, { to: "" }]))
        assert.deepInclude(error, { _tag: "InvalidPayload", index: 2 })
        assert.strictEqual(yield* stored, 0)
      })
    ))

  it.effect("of nothing is nothing", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* Email.enqueueAll([]), [])
        assert.strictEqual(yield* stored, 0)
      })
    ))
})

describe("an operator", () => {
  it.effect("reads tasks with JSON, times and durations, however it reads them", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const options = { id: "a", delay: "1 minute", timeout: "90 seconds", maxRetries: 0 } as const
        const [created] = yield* queue.create([{ definition: Email, payload: `{"to":"ada"}`, options }])
        const now = yield* DateTime.now
        assert.deepStrictEqual(created!.task, {
          id: "a",
          type: "email",
          version: 1,
          queue: "default",
          payload: { to: "ada" },
          priority: 1,
          key: null,
          maxRetries: 0,
          timeout: Duration.seconds(90),
          state: "scheduled",
          onFailure: null,
          waitsFor: 0,
          traceId: null,
          tags: [],
          createdAt: now,
          dueAt: DateTime.addDuration(now, "1 minute"),
          expiresAt: null,
          startBy: null,
          startedAt: null,
          completedAt: null,
          failures: 0,
          crashes: 0,
          claims: 0,
          instance: null,
          cancelRequested: false,
          progress: null,
          result: Option.none(),
          failure: null,
          history: []
        })
        assert.deepStrictEqual(yield* queue.get("a"), created!.task)
        assert.deepStrictEqual((yield* queue.list()).tasks, [created!.task!])
        const [known] = yield* queue.create([{ definition: Email, payload: `{"to":"ada"}`, options }])
        assert.deepStrictEqual(known, { ...created, duplicate: true })
      })
    ))

  it.effect("pages through tasks, newest first", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const ids = (yield* Email.enqueueAll(Array.from({ length: 7 }, () => ({ to: "ada" })))).map(({ id }) => id)
        const first = yield* queue.list({ limit: 3 })
        const second = yield* queue.list({ limit: 3, cursor: first.next! })
        const third = yield* queue.list({ limit: 3, cursor: second.next! })
        const seen = [first, second, third].flatMap(({ tasks }) => tasks.map(({ id }) => id))
        assert.deepStrictEqual(seen, ids.toReversed())
        assert.isNull(third.next)
      })
    ))

  it.effect("meets TaskNotFound for an unknown task", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const unknown = new TaskNotFound({ id: "nobody" })
        assert.deepStrictEqual(yield* Effect.flip(queue.get("nobody")), unknown)
        assert.deepStrictEqual(yield* Effect.flip(queue.cancel("nobody")), unknown)
        assert.deepStrictEqual(yield* Effect.flip(queue.rerun("nobody")), unknown)
        assert.deepStrictEqual(yield* Effect.flip(queue.remove("nobody")), unknown)
      })
    ))

  it.effect("cannot retry or remove what is unfinished", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const { id } = yield* Email.enqueue({ to: "ada" })
        const conflict = (operation: string) => new StateConflict({ id, operation, state: "pending" })
        assert.deepStrictEqual(yield* Effect.flip(queue.rerun(id)), conflict("rerun"))
        assert.deepStrictEqual(yield* Effect.flip(queue.remove(id)), conflict("remove"))
        yield* queue.cancel(id)
        yield* queue.remove(id)
        assert.deepStrictEqual(yield* Effect.flip(queue.get(id)), new TaskNotFound({ id }))
      })
    ))

  it.effect("brings a dead letter back to life with a fresh budget", () => {
    let broken = true
    const handlers = Email.toLayer(({ to }) => broken ? Effect.die("down") : Effect.succeed(to))
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const handle = yield* Email.enqueue({ to: "ada" }, { maxRetries: 0 })
        yield* Effect.flip(handle.result)
        broken = false
        yield* queue.rerun(handle.id)
        assert.strictEqual(yield* handle.result, "ada")
        assert.deepInclude(yield* record(handle.id), { state: "completed", failures: 0, claims: 2 })
      })
    )
  })
})
