import { Effect } from "effect"
import { Simulation, TestEngine } from "taskforge/testing"
import { Email, EmailLive } from "./tasks.ts"

export const TestLive = TestEngine.layer(EmailLive)

export const test = Effect.gen(function*() {
  const engine = yield* TestEngine
  yield* Email.enqueue({ to: "ada@example.org" })
  return { found: yield* engine.assertEnqueued(Email), drained: yield* engine.drain }
})

export const simulated = Simulation.run(Simulation.log("it begins"), { seed: 1 })
