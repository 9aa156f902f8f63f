import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Schedule, Scope } from "effect"
import { type Hint, Notifier, work } from "taskforge/store"
import { patiently } from "../../Patience.ts"
import { type Driver, scenario } from "./driver.ts"

export const notifying = (driver: Driver) =>
  describe("hints", () => {
    /** Publishes until somebody has heard: a hint may be lost, but not for ever. */
    const publishUntil = (hint: Hint, heard: () => boolean) =>
      Effect.gen(function*() {
        const notifier = yield* Notifier
        yield* notifier.publish(hint)
        yield* Effect.yieldNow
        if (!heard()) return yield* Effect.fail("not heard yet")
      }).pipe(Effect.retry(driver.live === true ? patiently("50 millis") : Schedule.recurs(100)))

    scenario(driver, "reach every listener", () =>
      Effect.gen(function*() {
        const notifier = yield* Notifier
        const [first, second]: [Array<Hint>, Array<Hint>] = [[], []]
        yield* notifier.listen((hint) => void first.push(hint))
        yield* notifier.listen((hint) => void second.push(hint))
        const hints: ReadonlyArray<Hint> = [
          work,
          { _tag: "Cancel", ids: ["a", "b"] },
          { _tag: "Finished", ids: ["c"] },
          { _tag: "Events" }
        ]
        for (const hint of hints) {
          yield* publishUntil(
            hint,
            () => [first, second].every((heard) => heard.some(({ _tag }) => _tag === hint._tag))
          )
          assert.deepStrictEqual(first.find(({ _tag }) => _tag === hint._tag), hint)
          assert.deepStrictEqual(second.find(({ _tag }) => _tag === hint._tag), hint)
        }
      }))

    scenario(driver, "stop reaching a listener whose scope has closed", () =>
      Effect.gen(function*() {
        const notifier = yield* Notifier
        const [gone, here]: [Array<Hint>, Array<Hint>] = [[], []]
        const scope = yield* Scope.make()
        yield* Scope.provide(notifier.listen((hint) => void gone.push(hint)), scope)
        yield* notifier.listen((hint) => void here.push(hint))
        yield* Scope.close(scope, Exit.void)
        yield* publishUntil(work, () => here.length > 0)
        assert.deepStrictEqual(gone, [])
      }))

    scenario(driver, "may be sent when nobody listens", () =>
      Effect.gen(function*() {
        yield* (yield* Notifier).publish(work)
      }))
  })
