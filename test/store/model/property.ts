/**
 * Runs random sequences of operations on a store and on the model, and compares every answer and everything that can
 * be seen.
 */
import { describe } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import type { Driver } from "../conformance/driver.ts"
import { check, type Step } from "./check.ts"
import { Model } from "./Model.ts"
import { onceFailed, type Operation, sequences } from "./Operation.ts"
import { Runner } from "./Runner.ts"

/** Small enough that every limit is met often. */
const settings = { capacity: 4, headStartMs: 2000, maxCrashes: 1 }

/** Holds a driver to the model. The driver must run under `TestClock`, because both read the same time. */
export const model = (name: string, driver: Driver, options: { readonly runs: number }): void => {
  const begin = Effect.gen(function*() {
    const { capacity, headStartMs: headStart, maxCrashes } = settings
    const store = yield* Layer.build(Layer.fresh(driver.layer({ capacity, headStart, maxCrashes })))
    const runner = new Runner(new Model(settings, yield* Clock.currentTimeMillis), driver)
    const step: Step<Operation> = (operation) =>
      Effect.provideContext(Effect.andThen(runner.step(operation), runner.compare), store)
    return step
  })
  describe(`${name} behaves like the model`, () => {
    check("whatever is done to it, in whatever order", begin, { onceFailed, sequences }, options)
  })
}
