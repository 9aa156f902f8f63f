/** Whether Redis takes writes, and still has the store's keys. */
import { Effect } from "effect"
import { probeBytes, type Refusals, type WriteHealth } from "../WriteHealth.ts"
import * as Failure from "./Failure.ts"
import { prelude, type Runner, script } from "./Runner.ts"

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

/**
 * What scripts begin with that free memory, though they write some: Redis refuses a script's first write when its memory
 * is full, unless that is one that only frees. Those that follow are then allowed.
 */
export const freeing = `
call("DEL", root .. ":probe")
`

/**
 * Looks whether the store's own record is there, and tries a write where that is asked for.
 *
 * - Arguments: what to write, or nothing.
 * - Answers: 1 when the store is there, 0 when it was removed.
 */
const runProbe = script<number>(`${prelude}
if call("EXISTS", root .. ":meta") == 0 then return 0 end
if ARGV[1] ~= "" then call("SET", root .. ":probe", ARGV[1], "PX", 1000) end
return 1
`)
