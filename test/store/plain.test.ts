/** A driver that is written with public entries alone is proven with a public entry. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Task } from "taskforge"
import { type Driver, model, recordModel, suite } from "taskforge/testing/store"
import * as PlainStore from "../../examples/PlainStore.ts"

const driver: Driver = { layer: PlainStore.layer, advance: TestClock.adjust }

suite("The plain store", driver)
model("The plain store", driver, { runs: 50 })
recordModel("The plain store", driver, { runs: 50 })

describe("The plain store", () => {
  it.effect("is one that an engine works on", () =>
    Effect.gen(function*() {
      const Double = Task.make("double", { payload: { n: Schema.Int }, success: Schema.Int })
      const live = Engine.layer(Double.toLayer(({ n }) => Effect.succeed(2 * n))).pipe(
        Layer.provide(PlainStore.layer())
      )
      assert.strictEqual(yield* Effect.provide(Double.execute({ n: 21 }), live), 42)
    }))
})
