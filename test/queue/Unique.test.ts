import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { InvalidOption, KeyConflict, TaskSuperseded } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import * as Unique from "../../src/Unique.ts"
import { record, withEngine } from "../engine/TestEngine.ts"

const payload = { document: Schema.String, version: Schema.Int }

const Index = Task.make("index", {
  payload,
  success: Schema.Int,
  unique: { key: ({ document }) => document, onConflict: "replace", window: "waiting" }
})
const Publish = Task.make("publish", {
  payload,
  unique: ({ debounce }) => debounce({ key: ({ document }) => document, by: "5 seconds", maxDelay: "12 seconds" })
})
const Ping = Task.make("ping", {
  payload,
  unique: ({ throttle }) => throttle({ key: ({ document }) => document, per: "1 minute" })
})
const Plain = Task.make("plain", { payload })
const Keyed = Task.make("keyed", { payload, idempotencyKey: ({ document }) => document })

const one = (version: number) => ({ document: "a", version })

const refusal = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error instanceof InvalidOption ? error.option : assert.fail(String(error)))

describe("unique tasks", () => {
  it.effect("answer with the task that holds the key, and what has become of it", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const first = yield* Index.enqueue(one(1))
        const second = yield* Index.enqueue(one(2))
        assert.deepStrictEqual([first.duplicate, first.merge], [false, undefined])
        assert.deepStrictEqual([second.id, second.duplicate, second.merge], [first.id, true, "replaced"])
        assert.deepStrictEqual((yield* second.task).payload, one(2))
        assert.isFalse((yield* Index.enqueue({ document: "b", version: 1 })).duplicate)
      })
    ))

  it.effect("decide within a batch, and show the tasks as they are stored", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const handles = yield* Index.enqueueAll([one(1), one(2), { document: "b", version: 3 }])
        assert.deepStrictEqual(handles.map(({ merge }) => merge), [undefined, "replaced", undefined])
        assert.deepStrictEqual((yield* handles[0]!.task).payload, one(2))
      })
    ))

  it.effect("are awaited where they are answered", () =>
    withEngine(
      { handlers: Index.toLayer(({ version }) => Effect.as(Effect.sleep("1 second"), version)) },
      Effect.gen(function*() {
        yield* Index.enqueue(one(1), { delay: "1 minute" })
        const waiting = yield* Effect.forkChild(Index.execute(one(7)))
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(yield* Fiber.join(waiting), 7)
      })
    ))

  it.effect("are debounced: due some time after the latest, and no later than the maximum", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const first = yield* Publish.enqueue(one(1))
        const dueAfter = Effect.map(
          record(first.id),
          ({ createdAt, dueAt }) => Duration.toSeconds(Duration.millis(dueAt - createdAt))
        )
        assert.strictEqual(yield* dueAfter, 5)
        yield* TestClock.adjust("4 seconds")
        assert.strictEqual((yield* Publish.enqueue(one(2))).merge, "postponed")
        assert.strictEqual(yield* dueAfter, 9)
        yield* TestClock.adjust("4 seconds")
        yield* Publish.enqueue(one(3))
        assert.strictEqual(yield* dueAfter, 12)
        assert.deepStrictEqual((yield* first.task).payload, one(3))
      })
    ))

  it.effect("are throttled: the first one counts for a time", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const first = yield* Ping.enqueue(one(1))
        assert.strictEqual((yield* record(first.id)).state, "pending")
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual((yield* Ping.enqueue(one(2))).id, first.id)
        yield* TestClock.adjust("1 second")
        assert.isFalse((yield* Ping.enqueue(one(3))).duplicate)
      })
    ))

  it.effect("can be so by an option of the enqueue, which takes the place of the definition's", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const unique = { key: "k", onConflict: "refuse" } as const
        const { id } = yield* Plain.enqueue(one(1), { unique })
        const error = yield* Effect.flip(Plain.enqueue(one(2), { unique }))
        assert.instanceOf(error, KeyConflict)
        assert.deepInclude(error, { key: "k", id, state: "pending" })
        assert.match(error.message, /"k" of type "plain" is held by task .*, which is pending/)
        const first = yield* Index.enqueue(one(1), { unique })
        assert.strictEqual((yield* record(first.id)).key, "k")
      })
    ))

  it.effect("refuse to run again where a later one has the key", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const first = yield* Plain.enqueue(one(1), { unique: { key: "k" } })
        yield* first.cancel
        yield* Plain.enqueue(one(2), { unique: { key: "k" } })
        const error = yield* Effect.flip(queue.rerun(first.id))
        assert.instanceOf(error, TaskSuperseded)
        assert.include(error.message, "a later task has taken its key")
        assert.deepStrictEqual(yield* queue.rerun([first.id]), [{ _tag: "superseded" }])
      })
    ))

  it.effect("refuse what cannot go together, or is out of bounds", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const unique = { key: "k" }
        const postponing = { ...unique, postpone: { by: "1 second" } } as const
        assert.strictEqual(yield* refusal(Plain.enqueue(one(1), { unique, key: "k" })), "unique")
        assert.strictEqual(yield* refusal(Keyed.enqueue(one(1), { unique })), "unique")
        assert.strictEqual(yield* refusal(Index.enqueue(one(1), { key: "k" })), "key")
        assert.strictEqual(yield* refusal(Plain.enqueue(one(1), { unique: postponing, delay: "1 second" })), "delay")
        assert.strictEqual(yield* refusal(Publish.enqueue(one(1), { delay: "1 second" })), "delay")
        const outside: ReadonlyArray<readonly [option: string, unique: object]> = [
          ["unique.key", { key: "" }],
          ["unique.key", {}],
          ["unique.window", { ...unique, window: "always" }],
          ["unique.window", { ...unique, window: 0 }],
          ["unique.onConflict", { ...unique, onConflict: "ignore" }],
          ["unique.postpone", { ...unique, onConflict: "postpone" }],
          ["unique.postpone", { ...postponing, onConflict: "replace" }],
          ["unique.postpone.by", { ...unique, postpone: {} }],
          ["unique.postpone.maxDelay", { ...unique, postpone: { by: "1 second", maxDelay: -1 } }],
          ["unique.postpone.maxDelay", { ...unique, postpone: { by: "5 seconds", maxDelay: "4999 millis" } }],
          ["unique.wndow", { ...unique, wndow: "waiting" }]
        ]
        for (const [option, given] of outside) {
          assert.strictEqual(yield* refusal(Plain.enqueue(one(1), { unique: given as typeof unique })), option)
        }
      })
    ))

  it("throw where a definition says what cannot be", () => {
    const key = ({ document }: { readonly document: string }) => document
    const thrown = (options: object) => {
      try {
        Task.make("broken", { payload, ...options })
      } catch (error) {
        return (error as InvalidOption).option
      }
      return undefined
    }
    assert.strictEqual(thrown({ unique: { key }, idempotencyKey: key }), "unique")
    assert.strictEqual(thrown({ unique: { key: "document" } }), "unique.key")
    assert.strictEqual(thrown({ unique: Unique.throttle({ key, per: 0 }) }), "unique.window")
    assert.strictEqual(thrown({ unique: Unique.debounce({ key, by: "0 seconds" }) }), "unique.postpone.by")
    assert.strictEqual(
      thrown({ unique: Unique.debounce({ key, by: "1 minute", maxDelay: "1 second" }) }),
      "unique.postpone.maxDelay"
    )
    assert.isUndefined(thrown({ unique: Unique.debounce({ key, by: "1 second" }) }))
    assert.isUndefined(thrown({ unique: Unique.debounce({ key, by: "1 second", maxDelay: "1 second" }) }))
  })
})
