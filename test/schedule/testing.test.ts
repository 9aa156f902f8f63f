import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Schedules } from "../../src/schedule/Schedules.ts"
import * as Task from "../../src/Task.ts"
import { TestEngine } from "../../src/testing/index.ts"

const Work = Task.make("work", { payload: { n: Schema.Int } })

describe("a test engine", () => {
  it.effect("makes the tasks of schedules in the time of the test", () => {
    const ran: Array<number> = []
    return Effect.gen(function*() {
      const engine = yield* TestEngine
      yield* Schedules.set("nightly", Work.schedule({ cron: "30 2 * * *" }, { n: 7 }))
      yield* engine.drain
      assert.deepStrictEqual(ran, [])
      yield* engine.advance("3 days")
      assert.deepStrictEqual(ran, [7, 7, 7])
    }).pipe(Effect.provide(TestEngine.layer(Work.toLayer(({ n }) => Effect.sync(() => ran.push(n))))))
  })
})
