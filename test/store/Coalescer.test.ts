import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import * as Coalescer from "../../src/store/Coalescer.ts"

const broken = new StoreError({ operation: "test", reason: "broken" })

/** An operation that doubles numbers, the parts that it was asked in, and a gate that it waits at. */
const shared = Effect.fnUntraced(function*(max: number) {
  const parts: Array<ReadonlyArray<number>> = []
  const gate = yield* Deferred.make<void, StoreError>()
  const ask = yield* Coalescer.inParts<number, number>({
    run: (inputs) =>
      Effect.suspend(() => {
        parts.push(inputs)
        return Effect.as(Deferred.await(gate), inputs.map((input) => input * 2))
      }),
    weightOf: () => 1,
    max
  })
  return { parts, gate, ask }
})

const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))

describe("Callers that share scripts", () => {
  it.effect("are sent at once when alone, together while others are under way, and in parts", () =>
    Effect.gen(function*() {
      const { ask, gate, parts } = yield* shared(3)
      const callers = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) => Effect.forkChild(ask([n])))
      yield* settle
      assert.deepStrictEqual(parts, [[1], [2, 3, 4], [5, 6]])
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Effect.forEach(callers, (caller) => Fiber.join(caller)), [
        [2],
        [4],
        [6],
        [8],
        [10],
        [12]
      ])
    }))

  it.live("are sent in parts of which each is written before the next is sent, as a client writes at the end of a turn", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const ask = yield* Coalescer.inParts<number, number>({
        run: (inputs) =>
          Effect.callback((resume) => {
            seen.push(`sent ${inputs}`)
            setImmediate(() => {
              seen.push(`written ${inputs}`)
              setTimeout(() => resume(Effect.succeed(inputs)), 10)
            })
          }),
        weightOf: () => 1,
        max: 2
      })
      yield* Effect.forEach([1, 2, 3, 4, 5], (n) => ask([n]), { concurrency: "unbounded", discard: true })
      assert.deepStrictEqual(
        seen,
        ["1", "2,3", "4,5"].flatMap((part) => [`sent ${part}`, `written ${part}`])
      )
    }))

  it.effect("get the answers to what they asked, however much each did", () =>
    Effect.gen(function*() {
      const { ask, gate } = yield* shared(100)
      yield* Deferred.succeed(gate, undefined)
      const answers = yield* Effect.forEach([[1], [2, 3], [], [4, 5, 6]], ask, { concurrency: "unbounded" })
      assert.deepStrictEqual(answers, [[2], [4, 6], [], [8, 10, 12]])
    }))

  it.effect("are not sent any more when they have gone before", () =>
    Effect.gen(function*() {
      const { ask, parts } = yield* shared(100)
      const start = (n: number) => Effect.forkChild(ask([n]), { startImmediately: true })
      yield* start(1)
      const gone = yield* start(2)
      yield* start(3)
      gone.interruptUnsafe()
      yield* settle
      assert.deepStrictEqual(parts, [[1], [3]])
    }))

  it.effect("all learn of a failure of what they shared", () =>
    Effect.gen(function*() {
      const { ask, gate } = yield* shared(100)
      const callers = yield* Effect.forEach([1, 2, 3], (n) => Effect.forkChild(Effect.flip(ask([n]))))
      yield* settle
      yield* Deferred.fail(gate, broken)
      assert.deepStrictEqual(yield* Effect.forEach(callers, (caller) => Fiber.join(caller)), [broken, broken, broken])
    }))
})
