import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Schedule, Scope } from "effect"
import { Notifier, type Signal, work } from "../../../src/store/Notifier.ts"
import { patiently } from "../../Patience.ts"
import { type Driver, scenario } from "./driver.ts"

export const notifying = (driver: Driver) =>
  describe("hints", () => {
    /** Publishes until somebody has heard: a hint may be lost, but not for ever. */
    const publishUntil = (signal: Signal, heard: () => boolean) =>
      Effect.gen(function*() {
        const notifier = yield* Notifier
        yield* notifier.publish(signal)
        yield* Effect.yieldNow
        if (!heard()) return yield* Effect.fail("not heard yet")
      }).pipe(Effect.retry(driver.live === true ? patiently("50 millis") : Schedule.recurs(100)))

    scenario(driver, "reach every listener", () =>
      Effect.gen(function*() {
        const notifier = yield* Notifier
        const [first, second]: [Array<Signal>, Array<Signal>] = [[], []]
        yield* notifier.listen((signal) => void first.push(signal))
        yield* notifier.listen((signal) => void second.push(signal))
        const signals: ReadonlyArray<Signal> = [
          work,
          { _tag: "Cancel", ids: ["a", "b"] },
          { _tag: "Finished", ids: ["c"] },
          { _tag: "Events" }
        ]
        for (const signal of signals) {
          yield* publishUntil(
            signal,
            () => [first, second].every((heard) => heard.some(({ _tag }) => _tag === signal._tag))
          )
          assert.deepStrictEqual(first.find(({ _tag }) => _tag === signal._tag), signal)
          assert.deepStrictEqual(second.find(({ _tag }) => _tag === signal._tag), signal)
        }
      }))

    scenario(driver, "stop reaching a listener whose scope has closed", () =>
      Effect.gen(function*() {
        const notifier = yield* Notifier
        const [gone, here]: [Array<Signal>, Array<Signal>] = [[], []]
        const scope = yield* Scope.make()
        yield* Scope.provide(notifier.listen((signal) => void gone.push(signal)), scope)
        yield* notifier.listen((signal) => void here.push(signal))
        yield* Scope.close(scope, Exit.void)
        yield* publishUntil(work, () => here.length > 0)
        assert.deepStrictEqual(gone, [])
      }))

    scenario(driver, "may be sent when nobody listens", () =>
      Effect.gen(function*() {
        yield* (yield* Notifier).publish(work)
      }))
  })
