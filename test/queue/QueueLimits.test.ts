import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import { InvalidOption } from "../../src/domain/Errors.ts"
import * as Gate from "../../src/domain/Gate.ts"
import { type QueueLimits, rulesOf } from "../../src/domain/QueueLimits.ts"
import type { TaskRecord } from "../../src/domain/TaskRecord.ts"
import * as Limit from "../../src/Limit.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { pass, passing, start, withEngine } from "../engine/TestEngine.ts"

const Work = Task.make("work", { payload: Schema.String })
const Fair = Task.make("fair", {
  payload: Schema.String,
  limits: ({ concurrency }) => [concurrency({ key: (name) => name, max: 1 })],
  fairBy: (name) => name
})

describe("the limits of a queue", () => {
  it.effect("hold for all types and instances, and are changed at run time", () =>
    Effect.gen(function*() {
      const release = yield* Deferred.make<void>()
      const options = {
        handlers: Work.toLayer(() => Deferred.await(release)),
        queue: { limits: { mail: [Limit.concurrency({ max: 2 })] } },
        worker: { concurrency: 5 }
      }
      yield* withEngine(
        options,
        Effect.gen(function*() {
          const other = yield* start({ ...options, instance: "other" })
          const queue = yield* TaskQueue
          const mails = yield* Effect.forEach(["1", "2", "3", "4"], (name) => Work.enqueue(name, { queue: "mail" }))
          yield* Work.enqueue("elsewhere")
          yield* pass("2 seconds")
          const running = () => Effect.map(queue.counts, ({ running }) => running)
          assert.strictEqual(yield* running(), 3)
          const { reasons } = yield* queue.explain(mails[3]!.id)
          assert.deepInclude(reasons[0], { code: "limit_full", limit: "queue:mail:concurrency", running: 2, max: 2 })
          yield* queue.setLimit("queue:mail:concurrency", { max: 3 })
          yield* pass("2 seconds")
          assert.strictEqual(yield* running(), 4)
          yield* queue.resetLimit("queue:mail:concurrency")
          yield* Deferred.succeed(release, undefined)
          yield* pass("2 seconds")
          assert.strictEqual((yield* queue.counts).completed, 5)
          yield* passing("1 minute", other.close)
        })
      )
    }))

  it.effect("stand before the turns of a type, and leave its keys as they are", () =>
    withEngine(
      { queue: { limits: { mail: [Limit.rate({ max: 1, per: "1 minute" }), Limit.concurrency({ max: 9 })] } } },
      Effect.gen(function*() {
        const { id } = yield* Fair.enqueue("acme", { queue: "mail" })
        const other = yield* Fair.enqueue("acme")
        const gateOf = (task: TaskRecord | undefined) => Gate.passesOf(task!.gate)
        assert.deepStrictEqual(gateOf(yield* TaskStore.use((store) => store.get(id))), [
          "fair:concurrency=acme",
          "queue:mail:rate=",
          "queue:mail:concurrency=",
          "fair:fair=acme"
        ])
        assert.deepStrictEqual(gateOf(yield* TaskStore.use((store) => store.get(other.id))), [
          "fair:concurrency=acme",
          "fair:fair=acme"
        ])
      })
    ))

  it.effect("refuse a task whose names and keys would be too long for a store together with them", () =>
    withEngine(
      { queue: { limits: { mail: [Limit.concurrency({ max: 1, name: "n".repeat(100) })] } } },
      Effect.gen(function*() {
        const long = Task.make("long", {
          payload: Schema.String,
          limits: ["a", "b"].map((name) => Limit.concurrency<string>({ key: (key) => key, max: 1, name }))
        })
        const key = "ä".repeat(240)
        yield* long.enqueue(key)
        const error = yield* Effect.flip(long.enqueue(key, { queue: "mail" }))
        assert.strictEqual(error._tag, "InvalidOption")
      })
    ))

  const refused: ReadonlyArray<readonly [QueueLimits, RegExp]> = [
    [{ mail: [Limit.concurrency({ max: 1, key: () => "a" })] }, /queue\.limits\.mail\.key/],
    [{ mail: [Limit.rate({ max: 1, per: "1 second", cost: () => 2 })] }, /queue\.limits\.mail\.cost/],
    [{ mail: [1, 2, 3].map((max) => Limit.concurrency({ max })) }, /queue\.limits\.mail/],
    [{ "": [] }, /queue\.limits/],
    [{ ["q".repeat(200)]: [Limit.concurrency({ max: 1 })] }, /queue\.limits.*a name for each of its limits/],
    [Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`q${n}`, []])), /queue\.limits/],
    [{ "*": [Limit.concurrency({ max: 1 })] }, /queue\.limits.*each queue by its name/],
    [{ mail: Limit.concurrency({ max: 1 }) as never }, /queue\.limits\.mail.*an array of limits/],
    [{ mail: null as never }, /queue\.limits\.mail.*an array of limits/],
    [{ mail: [{ max: 1 }] as never }, /queue\.limits\.mail.*an array of limits/],
    [{ "a=b": [Limit.concurrency({ max: 1 })] }, /queue\.limits.*a name for each of its limits/]
  ]
  for (const [limits, option] of refused) {
    it(`refuse what names ${option.source}`, () => {
      assert.throws(() => rulesOf(limits), InvalidOption as never)
      assert.throws(() => rulesOf(limits), option)
    })
  }
})
