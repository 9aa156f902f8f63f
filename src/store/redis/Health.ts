/** Whether Redis takes writes, and still has the store's keys. */
import { Effect } from "effect"
import { probeBytes, type Refusals, type WriteHealth } from "../WriteHealth.ts"
import * as Failure from "./Failure.ts"
import { type Runner, script } from "./Runner.ts"
import { probe } from "./scripts/Health.ts"

const runProbe = script<number>(probe)

/** Watches one deployment. What is noted by its runner is in `refusals`. */
export const make = (runner: Runner, root: string, refusals: Refusals): WriteHealth => ({
  refusal: Effect.sync(() => refusals.current),
  probe: Effect.gen(function*() {
    const isRefused = refusals.current !== undefined
    const found = yield* runner("write", runProbe, [isRefused ? "x".repeat(probeBytes) : ""])
    if (found === 1) return refusals.end()
    const error = Failure.gone(root)
    refusals.note(error)
    return yield* error
  }).pipe(
    // That Redis does not answer is told by those who ask it for something
    Effect.catchIf((error) => error.advice === undefined && refusals.current === undefined, () => Effect.void)
  )
})
