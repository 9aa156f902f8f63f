/**
 * Runs random sequences of operations on a store and on the model, and compares every answer and everything that can
 * be seen. A failure prints the shortest sequence found, one operation per line, and a token that replays it:
 * `MODEL_REPLAY='…' vitest run test/store/memory.test.ts`. `MODEL_RUNS` and `MODEL_SEED` steer the search.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Clock, Effect } from "effect"
import type { Driver } from "../conformance/driver.ts"
import { Model } from "./Model.ts"
import { type Operation, sequences } from "./Operation.ts"
import { Runner } from "./Runner.ts"

/** Small enough that every limit is met often. */
const settings = { capacity: 4, headStartMs: 2000, maxCrashes: 1 }

/** Holds a driver to the model. The driver must run under `TestClock`, because both read the same time. */
export const model = (name: string, driver: Driver, options: { readonly runs: number }): void => {
  describe(`${name} behaves like the model`, () => {
    it.effect("whatever is done to it, in whatever order", () =>
      Effect.gen(function*() {
        const result = yield* Arbitrary.checkEffect(sequences, (operations) => run(driver, operations), {
          runs: Number(process.env["MODEL_RUNS"] ?? options.runs),
          // Sequences grow with it up to their own limit, which two thirds of the runs may reach.
          size: 240,
          maxShrinks: 3000,
          seed: process.env["MODEL_SEED"],
          replay: process.env["MODEL_REPLAY"]
        })
        switch (result._tag) {
          case "Passed":
            return
          case "Falsified":
            return assert.fail(explain(result))
          default:
            return assert.fail(Arbitrary.formatCheckFailure(result) ?? result._tag)
        }
      }), 600_000)
  })
}

/** One sequence on a fresh store; fails with the first difference. */
const run = (driver: Driver, operations: ReadonlyArray<Operation>) =>
  Effect.gen(function*() {
    const runner = new Runner(new Model(settings, yield* Clock.currentTimeMillis), driver)
    for (const [index, operation] of operations.entries()) {
      yield* runner.step(operation).pipe(
        Effect.andThen(runner.compare),
        Effect.catchCause((cause) => Effect.fail(`Step ${index + 1} (${operation.do}): ${Cause.pretty(cause)}`))
      )
    }
    return true
  }).pipe(
    Effect.provide(
      driver.layer({ capacity: settings.capacity, headStart: settings.headStartMs, maxCrashes: settings.maxCrashes }),
      { local: true }
    )
  )

const explain = (failed: Arbitrary.Falsified<ReadonlyArray<Operation>, unknown>): string =>
  [
    `The store and the model differ after ${failed.runs} runs; the shortest sequence found:`,
    ...failed.shrunkInput.map((operation, index) => `  ${index + 1}. ${describeOperation(operation)}`),
    failed.failure._tag === "PropertyError" ? String(failed.failure.error) : "",
    `Replay: MODEL_REPLAY='${failed.replay}'`
  ].join("\n")

const describeOperation = ({ do: name, ...details }: Operation): string => `${name} ${JSON.stringify(details)}`
