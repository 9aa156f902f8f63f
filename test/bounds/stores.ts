/**
 * What callers may say, on a whole server with a store: what is accepted is stored, and what is stored can be shown.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, DateTime, Duration, Effect, Exit, Layer, Schedule, Schema } from "effect"
import * as Bounds from "../../src/domain/Bounds.ts"
import { type StateConflict, type StoreError, TaskNotFound, type TaskSuperseded } from "../../src/domain/Errors.ts"
import { TaskResultJson } from "../../src/http/api/TaskJson.ts"
import type { EnqueueOptions } from "../../src/queue/Submission.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import type { InstanceStore } from "../../src/store/InstanceStore.ts"
import type { Notifier } from "../../src/store/Notifier.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { decoded, Echo, get, layer, page, pathOf, post, posted, refused, send, task } from "../http/TestServer.ts"

/** Texts that some store or other would keep as something else, or not at all. */
const unstorable = ["\u0000", "a\u0000b", "\ud800", "a\udc00"]

/** A store for each test. */
export type Store = Layer.Layer<TaskStore | Notifier | InstanceStore, unknown>

/** What must hold on each store. */
export const bounds = (name: string, store: () => Store) =>
  describe(name, () => {
    const served = <A, E, R>(body: Effect.Effect<A, E, R>) =>
      Effect.provide(body, layer({ store: Layer.orDie(store()) }))

    it.live("shows whatever it has accepted, at the bounds too", () =>
      served(Effect.gen(function*() {
        // only what fails, and does not die, is shortened and printed with its replay
        const shows = (submission: SubmissionLike) => Effect.catchDefect(submitAndShow(submission), Effect.fail)
        const result = yield* Arbitrary.checkEffect(submissions, shows, { runs: 60 })
        if (result._tag !== "Passed") assert.fail(Arbitrary.formatCheckFailure(result) ?? result._tag)
        yield* page("?limit=1000")
      })))

    it.live("refuses over HTTP what it refuses in a program", () =>
      served(Effect.gen(function*() {
        for (const fields of refusedFields) {
          const { issues } = yield* refused(400, "invalid_request", post({ type: "echo", ...fields }))
          assert.strictEqual(issues?.[0]?.path[1], Object.keys(fields)[0], JSON.stringify(fields))
        }
        assert.deepStrictEqual((yield* page()).tasks, [])
      })))

    it.live("answers 404 or 400, never 503, to texts that it cannot keep", () =>
      served(Effect.gen(function*() {
        yield* refused(404, "task_not_found", get(pathOf("a\u0000b")))
        yield* refused(404, "task_not_found", get(pathOf("a\u0000b", "/result?wait=1s")))
        yield* refused(404, "task_not_found", get(pathOf("a\u0000b", "/events")))
        yield* refused(404, "task_not_found", send("POST", pathOf("a\u0000b", "/cancel")))
        yield* refused(404, "task_not_found", send("POST", pathOf("a\u0000b", "/rerun")))
        yield* refused(404, "task_not_found", send("DELETE", pathOf("a\u0000b")))
        yield* refused(404, "task_not_found", send("DELETE", pathOf("a\u0000b", "?only=finished")))
        yield* refused(400, "invalid_request", send("POST", "/api/v1/queues/a%00b/pause"))
        yield* refused(400, "invalid_request", send("POST", "/api/v1/queues/a%00b/resume"))
        yield* refused(400, "invalid_request", get("/api/v1/events?type=a%00b"))
        yield* refused(400, "invalid_request", get("/api/v1/events?task=a%00b"))
        assert.deepStrictEqual((yield* page("?type=a%00b&queue=%00")).tasks, [])
        const known = yield* posted({ type: "echo", id: "known" })
        const { results } = yield* decoded(
          Results,
          send("POST", "/api/v1/results", { ids: ["a\u0000b", "known", "\ud800"] })
        )
        assert.deepStrictEqual(results.map(({ status }) => status), ["unknown", "unfinished", "unknown"])
        yield* refused(400, "invalid_request", send("POST", "/submit", { type: "echo", payload: "x", id: "\u0000" }))
        yield* refused(400, "invalid_request", send("POST", "/jobs?type=a%00b", {}))
        const { json } = yield* get("/status/a%00b")
        assert.deepStrictEqual(json, { task_id: "a\u0000b", status: "pending or not found" })
        assert.deepStrictEqual(yield* task("known"), known)
      })))

    it.live("knows no task by a text that it cannot keep, also in a program", () =>
      served(Effect.gen(function*() {
        const queue = yield* TaskQueue
        for (const text of unstorable) {
          for (const asked of [queue.get(text), queue.cancel(text), queue.rerun(text), queue.remove(text)]) {
            assert.instanceOf(
              yield* Effect.flip(
                Effect.asVoid<unknown, TaskNotFound | StateConflict | TaskSuperseded | StoreError, never>(asked)
              ),
              TaskNotFound
            )
          }
          assert.instanceOf(yield* Effect.flip(queue.outcome(text)), TaskNotFound)
          assert.deepStrictEqual(yield* queue.results([text]), [null])
          assert.deepStrictEqual((yield* queue.list({ types: [text], queues: [text] })).tasks, [])
          for (const change of [queue.pause(text), queue.resume(text)]) {
            assert.deepInclude(yield* Effect.flip(change), { _tag: "InvalidOption", option: "queue" })
          }
        }
        assert.deepStrictEqual(yield* queue.paused, [])
      })))

    it.live("outlives whatever a handler reports or asks for", () =>
      Effect.provide(
        Effect.gen(function*() {
          const queue = yield* TaskQueue
          const ids = yield* Effect.forEach(
            acts,
            (act) => Effect.map(Wild.enqueue({ act }, { maxRetries: act === "retry never" ? 1 : 0 }), ({ id }) => id)
          )
          const ends = yield* Effect.forEach(ids, (id) =>
            Effect.repeat(task(id), {
              schedule: Schedule.spaced("20 millis"),
              until: ({ status }) => !["pending", "running"].includes(status)
            }))
          const shown = Object.fromEntries(acts.map((act, index) => {
            const { due_at, error, progress, status } = ends[index]!
            return [act, { status, tag: error?.tag, progress, isDueLater: Date.parse(due_at) > Date.now() }]
          }))
          const refused = { status: "failed", tag: "InvalidOption", progress: null, isDueLater: false }
          assert.deepStrictEqual<unknown>(shown, {
            "no number": { status: "completed", tag: undefined, progress: 0.5, isDueLater: false },
            "snooze too long": refused,
            "snooze for ever": refused,
            "snooze back": refused,
            "retry never": { status: "scheduled", tag: "Error", progress: null, isDueLater: true }
          })
          assert.strictEqual((yield* page()).tasks.length, acts.length)
          assert.strictEqual((yield* queue.counts).running, 0)
        }),
        layer({ store: Layer.orDie(store()), handlers: WildLive, definitions: [Wild] })
      ))

    it.live("keeps finished tasks for ever", () =>
      served(Effect.gen(function*() {
        const store = yield* TaskStore
        const { id } = yield* posted({ type: "echo" })
        yield* (yield* TaskQueue).cancel(id)
        const most = Number.MAX_SAFE_INTEGER
        const forever = {
          forMs: { completed: Infinity, failed: Infinity, cancelled: Infinity, expired: Infinity },
          max: { completed: most, failed: most, cancelled: most, expired: most },
          maxKeyed: most
        }
        assert.strictEqual(yield* store.prune(forever, 10), 0)
        assert.strictEqual((yield* task(id)).status, "cancelled")
      })))

    it.live("keeps every character of a payload, in its fields too", () =>
      served(Effect.gen(function*() {
        const payload = { "a\u0000\ud800": ["\u0000", "\udc00\ud800", "\u2028", "\u{1f600}", "\uffff"] }
        const created = yield* posted({ type: "echo", payload, key: "k" })
        assert.deepStrictEqual<unknown>(created.payload, payload)
        assert.deepStrictEqual<unknown>((yield* task(created.id)).payload, payload)
        const queue = yield* TaskQueue
        assert.deepStrictEqual<unknown>((yield* queue.get(created.id)).payload, payload)
        const [again] = yield* queue.submit([{
          definition: Echo,
          payload: JSON.stringify(payload),
          options: { key: "k" }
        }])
        assert.deepStrictEqual(again, { id: created.id, duplicate: true })
      })))
  })

/** What a version without bounds has stored is shown as far as it can be, and does not keep others from being shown. */
export const unbounded = (name: string, store: () => Store) =>
  describe(name, () => {
    it.live("are shown, and so are all others", () =>
      Effect.provide(
        Effect.gen(function*() {
          const store = yield* TaskStore
          const common = {
            type: "echo",
            queue: "default",
            payload: "1",
            priority: 1,
            key: null,
            maxRetries: 3,
            expiresInMs: null,
            startWithinMs: null
          }
          yield* store.enqueue([[
            { ...common, id: "later", timeoutMs: null, gate: null, costs: null, delayMs: 1e18, runAt: null },
            { ...common, id: "at", timeoutMs: null, gate: null, costs: null, delayMs: 0, runAt: 9e15 }
          ]])
          yield* posted({ type: "echo", id: "now" })
          const request = {
            queues: ["default"],
            types: ["echo"],
            limit: 1,
            instance: "w",
            leaseForMs: 60_000,
            nonce: 1
          }
          const { tasks: [claimed] } = yield* store.claim(request)
          yield* store.report([{ id: "now", claim: claimed!.claim, progress: NaN }])
          const { tasks } = yield* page()
          assert.deepStrictEqual(tasks.map(({ due_at, id, progress }) => [id, due_at.slice(0, 4), progress]), [
            ["now", String(new Date().getUTCFullYear()), null],
            ["at", "9999", null],
            ["later", "9999", null]
          ])
        }),
        layer({ store: Layer.orDie(store()) })
      ))
  })

const acts = ["no number", "snooze too long", "snooze for ever", "snooze back", "retry never"] as const

/** Its retries come after for ever, as far as that is possible. */
const Wild = Task.make("wild", {
  payload: { act: Schema.Literals(acts) },
  retry: { schedule: Schedule.spaced(Duration.infinity), maxDelay: Bounds.maxDelay }
})

const WildLive = Wild.toLayer(Effect.fnUntraced(function*({ act }) {
  const { progress, snooze } = yield* TaskContext
  switch (act) {
    case "no number": {
      yield* progress(0.5)
      yield* Effect.sleep("600 millis")
      yield* progress(0 / 0)
      return yield* Effect.sleep("600 millis")
    }
    case "snooze too long":
      return yield* snooze(1e18)
    case "snooze for ever":
      return yield* snooze(Duration.infinity)
    case "snooze back":
      return yield* snooze(-1)
    case "retry never":
      return yield* Effect.die(new Error("again"))
  }
}))

const Results = Schema.Struct({ results: Schema.Array(TaskResultJson) })

/** Fields of a new task that are outside of their bounds. */
const refusedFields: ReadonlyArray<Readonly<Record<string, unknown>>> = [
  ...[...unstorable, "", "x".repeat(256)].flatMap((text) => [
    { id: text },
    { key: text },
    { queue: text },
    { type: text }
  ]),
  ...[".", ".."].map((id) => ({ id })),
  ...[-1, 10, 1.5, 2 ** 53, 1e18, "hihg", null].map((priority) => ({ priority })),
  ...[-2, 1.5, 2 ** 31, 2 ** 53, 1e18, null].map((max_retries) => ({ max_retries })),
  ...[-1, 2 ** 53, 1e18, "Infinity", "-1s", "soon", null].flatMap((delay) => [{ delay }, { timeout: delay }]),
  { timeout: 0 }
]

const whole = (...values: ReadonlyArray<number>) => Schema.Literals(values)

/** Options around and at their bounds, and payloads of any JSON. */
const submissions = Arbitrary.schema(Schema.Struct({
  payload: Schema.Json,
  key: Schema.optionalKey(Schema.String),
  queue: Schema.optionalKey(Schema.String),
  priority: Schema.optionalKey(whole(-1, 0, 3, 9, 10, 1.5, 2 ** 53)),
  maxRetries: Schema.optionalKey(whole(-2, -1, 0, 2 ** 31 - 1, 2 ** 31, 1.5, 2 ** 53, 1e18)),
  delay: Schema.optionalKey(whole(-1, 0, 0.5, 1.5, 3650 * 86_400_000, 3650 * 86_400_000 + 1, 2 ** 53, 1e18)),
  timeout: Schema.optionalKey(whole(-1, 0, 0.5, 3650 * 86_400_000, 2 ** 53, 1e18)),
  runAt: Schema.optionalKey(
    whole(-62_167_219_200_001, -62_167_219_200_000, -1, 0, 253_402_300_799_999, 253_402_300_800_000, 8.64e15)
  )
}))

type SubmissionLike = Omit<EnqueueOptions, "runAt"> & { readonly payload: Schema.Json; readonly runAt?: number }

/** Submits; what is accepted must be shown by the API, as it was said. */
const submitAndShow = Effect.fnUntraced(function*({ payload, runAt, ...rest }: SubmissionLike) {
  const queue = yield* TaskQueue
  const options = { ...rest, ...(runAt === undefined ? {} : { runAt: DateTime.makeUnsafe(runAt) }) }
  const submitted = yield* Effect.exit(
    queue.submit([{ definition: Echo, payload: JSON.stringify(payload), options }])
  )
  if (Exit.isFailure(submitted)) {
    const error = submitted.cause.reasons[0]
    // Two with one key and two payloads are a conflict, which is no fault of theirs
    return error?._tag === "Fail" && ["InvalidOption", "KeyConflict"].includes(error.error._tag)
  }
  const shown = yield* task(submitted.value[0]!.id)
  assert.deepStrictEqual<unknown>(shown.payload, JSON.parse(JSON.stringify(payload)))
  if (submitted.value[0]!.duplicate) return true
  assert.strictEqual(shown.key, rest.key ?? null)
  assert.strictEqual(shown.queue, rest.queue ?? "default")
  assert.strictEqual(shown.priority, rest.priority ?? 1)
  assert.strictEqual(shown.max_retries, rest.maxRetries ?? 3)
  assert.strictEqual(
    shown.timeout_ms,
    rest.timeout === undefined ? null : Math.ceil(Duration.toMillis(rest.timeout))
  )
  const due = Date.parse(shown.due_at)
  assert.strictEqual(
    due,
    runAt === undefined
      ? Date.parse(shown.created_at) + (rest.delay === undefined ? 0 : Math.ceil(Duration.toMillis(rest.delay)))
      : runAt
  )
  return (yield* page("?limit=5")).tasks.some(({ id }) => id === shown.id)
})
