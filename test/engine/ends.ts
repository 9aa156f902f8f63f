/**
 * What must hold of the ends of attempts on every store: one that cannot be stored fails its own task with the reason,
 * and the tasks that end beside it and after it are settled.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References, Schedule, Schema } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import type { Settlement } from "../../src/domain/Settlement.ts"
import * as Engine from "../../src/engine/Engine.ts"
import * as TaskJson from "../../src/http/api/TaskJson.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import type { StoreServices } from "../../src/store/Driver.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { add, take, task } from "../store/conformance/fixtures.ts"

/** A store to hold to it, and a text that it refuses when it comes past the engine, if there is one. */
export interface Driver {
  readonly layer: () => Layer.Layer<StoreServices, unknown>
  readonly refusedText: string | undefined
}

const cycle: Record<string, unknown> = {}
cycle["self"] = cycle

const nested = (levels: number): unknown => {
  let value: unknown = 0
  for (let level = 0; level < levels; level++) value = [value]
  return value
}

const trap = (): never => {
  throw new Error("a trap")
}

/** Values that are no JSON within its bounds. */
const unstorable: Readonly<Record<string, unknown>> = {
  "a function": () => 1,
  "a symbol": Symbol("s"),
  "a bigint": 1n,
  "an object that refers to itself": cycle,
  "an object whose field throws": {
    get field() {
      return trap()
    }
  },
  "an object whose toJSON throws": { toJSON: trap },
  "an object whose toJSON gives nothing": { toJSON: () => undefined },
  "a proxy that throws": new Proxy({}, { get: trap, ownKeys: trap, has: trap, getPrototypeOf: trap }),
  "what is nested too deeply to be walked through": nested(20_000),
  "what is nested deeper than it may be": nested(200)
}

const tooLarge = "x".repeat(4 * 1024 * 1024)

const Odd = Task.make("odd", {
  payload: { end: Schema.Literals(["result", "error", "early"]), value: Schema.String },
  success: Schema.Any,
  error: Schema.Any,
  retry: { times: 0 }
})

const Good = Task.make("good", { success: Schema.String })

const valueOf = (name: string): unknown => name === "large" ? tooLarge : unstorable[name]

const handlers = Layer.mergeAll(
  Odd.toLayer(({ end, value }) =>
    end === "result"
      ? Effect.succeed(valueOf(value))
      : end === "error"
      ? Effect.fail(valueOf(value))
      : Effect.orDie(Odd.complete(valueOf(value)))
  ),
  Good.toLayer(() => Effect.succeed("done"))
)

/** Holds a store to it. */
export const ends = (name: string, driver: Driver): void => {
  const running = <A, E>(body: Effect.Effect<A, E, Layer.Success<ReturnType<typeof Engine.layer>> | StoreServices>) =>
    Effect.provide(
      body,
      Layer.provideMerge(
        Engine.layer(handlers, { worker: { concurrency: 4, pollInterval: "50 millis" } }),
        driver.layer()
      ).pipe(Layer.provide(Layer.succeed(References.MinimumLogLevel, "None")))
    )

  describe(`${name} and ends that cannot be stored`, () => {
    it.live("fail their own tasks, and keep no other from being settled", () =>
      running(Effect.gen(function*() {
        const odd = []
        const good = []
        for (const value of [...Object.keys(unstorable), "large"]) {
          for (const end of ["result", "error", "early"] as const) {
            odd.push({ value, end, handle: yield* Odd.enqueue({ end, value }) })
            good.push(yield* Good.enqueue())
          }
        }
        for (const handle of good) assert.strictEqual(yield* handle.result, "done")
        for (const { end, handle, value } of odd) {
          const error = yield* Effect.flip(handle.result)
          const { failure, state } = yield* handle.task
          assert.strictEqual(state, "failed", `${value} as ${end}`)
          if (end === "error") {
            // What is only too large is cut and stays a declared error
            assert.strictEqual(failure?.kind, value === "large" ? "error" : "defect", `${value} as ${end}`)
            if (value === "large") assert.match(failure!.message, /\d+ bytes of JSON, and 262144 are kept.*are cut\)$/)
          } else {
            assert.deepInclude(failure, { kind: "invalid", tag: "InvalidResult" }, `${value} as ${end}`)
            assert.strictEqual(error._tag, "TaskDefect")
            if (value === "large") {
              assert.match(
                failure!.message,
                /^The result .* so the task has failed and is not tried again: .* at most 4194304 bytes, got \d+\. No setting/
              )
            }
          }
        }
        const last = yield* Good.enqueue()
        assert.strictEqual(yield* last.result, "done")
      })))

    it.live("have the number of their attempt in TaskContext, in the log and in what is read of the task", () =>
      Effect.gen(function*() {
        const told: Array<number> = []
        const logged: Array<unknown> = []
        const logger = Logger.make<unknown, void>(({ fiber }) => {
          const { attempt } = fiber.getRef(References.CurrentLogAnnotations)
          if (attempt !== undefined) logged.push(attempt)
        })
        const Nap = Task.make("nap", { retry: { times: 1, schedule: Schedule.spaced(1) } })
        const Live = Nap.toLayer(() =>
          Effect.gen(function*() {
            const { attempt, snooze } = yield* TaskContext
            const runs = told.push(attempt)
            if (runs < 3) return yield* snooze(1)
            if (runs === 3) return yield* Effect.die("once")
          })
        )
        const engine = Engine.layer(Live, { worker: { pollInterval: "50 millis", logCompletions: "Info" } })
        yield* Effect.provide(
          Effect.gen(function*() {
            const handle = yield* Nap.enqueue()
            yield* handle.result
            const { attempts, history } = TaskJson.toJson(yield* TaskQueue.use((queue) => queue.get(handle.id)))
            assert.deepStrictEqual(told, [1, 2, 3, 4])
            assert.strictEqual(attempts, 4)
            assert.deepStrictEqual(history.map(({ attempt, outcome }) => [attempt, outcome]), [
              [1, "snoozed"],
              [2, "snoozed"],
              [3, "failed"]
            ])
          }),
          Layer.provideMerge(engine, driver.layer()).pipe(Layer.provide(Logger.layer([logger])))
        )
        assert.deepStrictEqual(logged, [1, 2, 3, 4])
      }))

    const { refusedText } = driver
    if (refusedText === undefined) return

    it.live("are refused for their content, each caller by itself", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({}, {}, {}, {})
        const claimed = yield* take()
        const completion = (index: number, result: string): Settlement => ({
          _tag: "Complete",
          id: claimed[index]!.id,
          claim: claimed[index]!.claim,
          result
        })
        const calls = [
          store.settle([completion(0, "0")]),
          store.settle([completion(1, "1"), completion(2, refusedText)]),
          store.settle([completion(3, "3")])
        ]
        const [first, second, third] = yield* Effect.forEach(calls, Effect.result, { concurrency: "unbounded" })
        assert.deepInclude(first, { _tag: "Success", success: ["applied"] })
        assert.deepInclude(third, { _tag: "Success", success: ["applied"] })
        const failure = second?._tag === "Failure" ? second.failure : assert.fail("Expected the second to be refused")
        assert.instanceOf(failure, StoreError)
        assert.strictEqual(failure.refused, true)
      }).pipe(Effect.provide(driver.layer())))

    it.live("and so are enqueues", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const groups = [[task()], [task({ payload: refusedText })], [task()], [task({ key: "k" })]]
        const answers = yield* Effect.forEach(groups, (group) => Effect.result(store.enqueue([group])), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["Success", "Failure", "Success", "Success"])
        const refused = answers[1]!
        assert.strictEqual(refused._tag === "Failure" && refused.failure.refused, true)
      }).pipe(Effect.provide(driver.layer())))
  })
}
