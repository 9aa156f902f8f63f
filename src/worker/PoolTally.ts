/** What a pool adds to the statistics of its process: how its attempts ended, and how busy its slots are. */
import { Effect } from "effect"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import { type Counted, CurrentTally, type Tally } from "../observability/Tally.ts"
import type { Attempts } from "./Attempts.ts"
import type { Ended } from "./Endings.ts"
import { kept } from "./Settler.ts"
import type { Slots } from "./Slots.ts"

/** The tally of the engine around, which from now on asks this pool about its slots; none where statistics are turned off. */
export const attached = (
  attempts: Attempts,
  slots: Slots,
  now: () => number
): Effect.Effect<Tally | undefined> =>
  Effect.map(CurrentTally, (tally) => {
    tally?.attach(() => ({ size: slots.size, running: [...attempts].filter(({ ended }) => !ended) }), now())
    return tally
  })

/** What an ending is in statistics. One that puts its task off is none. */
const countedAs: Readonly<Record<Settlement["_tag"], Counted | undefined>> = {
  Complete: "completed",
  Retry: "retried",
  Fail: "failed",
  Cancel: "cancelled",
  Snooze: undefined,
  Release: undefined
}

/** Counts those attempts of a batch whose endings count. */
export const add = (tally: Tally, batch: ReadonlyArray<Ended>, answers: ReadonlyArray<SettleAnswer>): void => {
  for (let index = 0; index < batch.length; index++) {
    if (answers[index] === "stale") continue
    const { attempt, settlement } = batch[index]!
    const what = countedAs[kept(batch[index]!, answers[index])]
    if (what !== undefined) tally.count(attempt.queue, attempt.type, what)
    if ((what === "failed" || what === "retried") && "failure" in settlement) {
      tally.errors.add(attempt.type, settlement.failure, what === "failed", attempt.id)
    }
    tally.ran(attempt.queue, attempt.type, attempt, attempt.endedAt)
  }
}
