/**
 * Sees whether tasks that could start are claimed. What holds tasks up is read every few seconds. As long as it is a gate, a pause or a lack of slots, all is
 * well. Where nothing holds tasks up, slots are free, and the tasks wait look after look, no instance claims.
 */
import { Clock, Duration, Effect, type Scope } from "effect"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { Cause, Verdict } from "./Verdict.ts"

/** The name of the trouble. */
const part = "claims"

/** How often it looks, in milliseconds. */
const everyMs = 5000

/** A look takes at most so much of the time: counting may take long where much waits. */
const maxShare = 0.05

/** A look is given up after that: other parts tell of a store that does not answer. */
const answerFor = "2 seconds"

/** Starts to look, until the scope closes. Answers what held tasks up at the last look, the most tasks first. */
export const start = Effect.fnUntraced(function*(
  supervisor: Supervisor["Service"],
  /** Whether any task waits: nothing else is asked where none does. */
  waits: Effect.Effect<boolean, StoreError>,
  verdict: Effect.Effect<Verdict, InvalidOption | StoreError>
): Effect.fn.Return<() => ReadonlyArray<Cause>, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = () => MonotonicClock.exactMillis(clock)
  let heldUp: ReadonlyArray<Cause> = []
  /** Since when each look finds tasks that no instance claims. */
  let since: number | undefined

  const look = Effect.flatMap(
    waits,
    (waits): Effect.Effect<ReadonlyArray<Cause>, InvalidOption | StoreError> =>
      waits ? Effect.map(verdict, ({ causes }) => causes) : Effect.succeed([])
  )

  yield* supervisor.rounds(
    "claim watch",
    Effect.gen(function*() {
      const startedAt = now()
      heldUp = yield* look.pipe(Effect.timeout(answerFor), Effect.orElseSucceed(() => []))
      since = heldUp.some(({ code }) => code === "unclaimed") ? since ?? now() : undefined
      return Math.max(everyMs, (now() - startedAt) / maxShare)
    })
  )
  yield* supervisor.watch(part, () => {
    // One look alone may be between two claims
    if (since === undefined || now() - since < everyMs) return undefined
    return {
      reason: heldUp.find(({ code }) => code === "unclaimed")?.text ?? "no instance claims tasks that could start",
      advice: "see the log of the instances that run these types, and start them again",
      lasts: Duration.millis(now() - since)
    }
  })
  return () => heldUp
})
