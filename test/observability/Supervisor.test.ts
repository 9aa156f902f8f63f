import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Effect, Exit, Latch, Schema, Scope } from "effect"
import { Supervisor } from "../../src/observability/Supervisor.ts"
import { Logs, pass, withStore } from "../engine/TestEngine.ts"

/** Runs a loop whose steps do, in turn, what the outcomes say; the last one for ever. Each good step takes a second. */
const looping = (...outcomes: ReadonlyArray<Effect.Effect<unknown, unknown>>) => {
  const steps: Array<number> = []
  const step = Effect.gen(function*() {
    steps.push(yield* Clock.currentTimeMillis)
    yield* outcomes[Math.min(steps.length, outcomes.length) - 1] ?? Effect.void
    yield* Effect.sleep("1 second")
  })
  return { steps, step }
}

class DiskFull extends Schema.TaggedError<DiskFull>()("DiskFull", {}) {
  override get message(): string {
    return "the disk is full"
  }
}

const bad = Effect.fail(new DiskFull())
const supervised = <E>(
  body: (supervisor: Supervisor["Service"]) => Effect.Effect<void, E, Logs | Scope.Scope>
): Effect.Effect<void, E> => withStore({}, Effect.provide(Effect.flatMap(Supervisor, body), Supervisor.layer))

describe("a supervised loop", () => {
  it.effect("repeats its step until its scope closes", () =>
    supervised((supervisor) =>
      Effect.gen(function*() {
        const { step, steps } = looping()
        const scope = yield* Scope.make()
        yield* Effect.provideService(supervisor.loop("looper", step), Scope.Scope, scope)
        yield* pass("10 seconds")
        assert.lengthOf(steps, 11)
        yield* Scope.close(scope, Exit.void)
        yield* pass("10 seconds")
        assert.lengthOf(steps, 11)
      })
    ))

  it.effect.each([
    { how: "fails", outcome: bad },
    { how: "dies", outcome: Effect.die("the disk is full") },
    { how: "is interrupted from within", outcome: Effect.interrupt }
  ])("goes on when a step $how", ({ outcome }) =>
    supervised((supervisor) =>
      Effect.gen(function*() {
        const { step, steps } = looping(Effect.void, outcome, Effect.void)
        yield* supervisor.loop("looper", step)
        yield* pass("10 seconds")
        assert.isAbove(steps.length, 9)
      })
    ))

  it.effect("waits longer after each failed step, up to five seconds", () =>
    supervised((supervisor) =>
      Effect.gen(function*() {
        const { step, steps } = looping(bad)
        yield* supervisor.loop("looper", step)
        yield* pass("30 seconds")
        const gaps = steps.slice(1).map((at, index) => at - steps[index]!)
        assert.deepStrictEqual(gaps.slice(0, 9), [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
      })
    ))

  it.effect("forgets the backoff when a step has succeeded", () =>
    supervised((supervisor) =>
      Effect.gen(function*() {
        const { step, steps } = looping(bad, bad, bad, Effect.void, bad, Effect.void)
        yield* supervisor.loop("looper", step)
        yield* pass("5 seconds")
        assert.deepStrictEqual(steps.slice(0, 6), [0, 50, 150, 350, 1350, 1400])
      })
    ))

  it.effect("is in trouble from its first failed step to its next good one, and is logged once", () =>
    supervised((supervisor) =>
      Effect.gen(function*() {
        const { step } = looping(Effect.void, bad, bad, bad, bad, Effect.void)
        yield* supervisor.loop("looper", step)
        yield* pass("999 millis")
        assert.deepStrictEqual(yield* supervisor.troubles, [])
        yield* pass("352 millis")
        assert.deepStrictEqual(yield* supervisor.troubles, [
          { part: "looper", reason: "the disk is full", since: DateTime.makeUnsafe(1000), failures: 4 }
        ])
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* supervisor.troubles, [])
        const lines = (yield* Logs).map(({ level, message }) => [level, message.split("\n")[0]])
        assert.deepStrictEqual(lines, [
          ["Error", "looper failed: the disk is full"],
          ["Info", "looper works again"]
        ])
      })
    ))

  it.effect("is out of trouble once its work is done, however long it waits for the next", () =>
    supervised((supervisor) =>
      Effect.gen(function*() {
        const outcomes = [bad, bad, Effect.succeed(3_600_000), Effect.succeed(0), Effect.succeed(Infinity)]
        const rounds: Array<number> = []
        const round = Effect.gen(function*() {
          rounds.push(yield* Clock.currentTimeMillis)
          return yield* outcomes.shift()!
        })
        yield* supervisor.rounds("sweeper", round)
        yield* pass("60 millis")
        assert.deepStrictEqual((yield* supervisor.troubles).map(({ part }) => part), ["sweeper"])
        yield* pass("1 second")
        assert.deepStrictEqual(yield* supervisor.troubles, [])
        yield* pass("3 hours")
        assert.deepStrictEqual(rounds, [0, 50, 150, 3_600_150, 3_600_150])
      })
    ))

  it.effect("is out of trouble once it has succeeded, though nothing more comes for it to do", () =>
    supervised((supervisor) =>
      Effect.gen(function*() {
        const some = Latch.makeUnsafe(false)
        const outcomes = [bad, bad, Effect.void]
        const steps: Array<number> = []
        const step = Effect.gen(function*() {
          some.closeUnsafe()
          steps.push(yield* Clock.currentTimeMillis)
          yield* outcomes.shift()!
        })
        yield* supervisor.loop("writer", step, { when: some.await })
        yield* pass("1 minute")
        assert.deepStrictEqual(steps, [])
        yield* some.open
        yield* pass("60 millis")
        assert.deepStrictEqual((yield* supervisor.troubles).map(({ part }) => part), ["writer"])
        yield* pass("1 hour")
        assert.deepStrictEqual(steps, [60_000, 60_050, 60_150])
        assert.deepStrictEqual(yield* supervisor.troubles, [])
      })
    ))

  it.effect("does not disturb other loops", () =>
    supervised((supervisor) =>
      Effect.gen(function*() {
        const good = looping()
        yield* supervisor.loop("bad", looping(bad).step)
        yield* supervisor.loop("good", good.step)
        yield* pass("10 seconds")
        assert.lengthOf(good.steps, 11)
        assert.deepStrictEqual((yield* supervisor.troubles).map(({ part }) => part), ["bad"])
      })
    ))
})
