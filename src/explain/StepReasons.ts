/** What a task waits for whose handler has gone to sleep in a step: a time, or a signal. */
import { type DateTime, Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import * as SignalRecords from "../flow/SignalRecords.ts"
import * as StepRecords from "../flow/StepRecords.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import { timeText } from "./GateReasons.ts"

/** Why a task that has begun does not go on yet. */
export type StepReason =
  | { readonly code: "asleep"; readonly text: string; readonly step: string; readonly until: DateTime.Utc }
  | {
    readonly code: "waits_for_signal"
    readonly text: string
    readonly step: string
    /** Its name; of an event, its token. The token of a task is not shown: who has it may complete the signal. */
    readonly signal: string
    readonly since: DateTime.Utc
    /** When it waits no longer; `null` for never. */
    readonly until: DateTime.Utc | null
  }

/** What a task waits for that its last attempt has put to sleep; nothing where no step did so. One read, of such tasks only. */
export const stepReason = Effect.fnUntraced(function*(
  task: TaskRecord,
  now: number
): Effect.fn.Return<StepReason | undefined, StoreError, RecordStore> {
  if (task.history.at(-1)?.outcome !== "snoozed") return undefined
  // A later version may have written what cannot be read here, which is no reason to explain nothing
  const kept = yield* Effect.catchDefect(StepRecords.read(task.id), () => Effect.undefined)
  if (kept === undefined || !StepRecords.areOf(kept, task)) return undefined
  const ends = new Map(kept.entries.map(({ end, name }) => [name, end]))
  let asleep: StepReason | undefined
  for (const [step, end] of ends) {
    if (end._tag === "Wait" && (end.until === null || end.until > now)) {
      const signal = SignalRecords.shownOf(end.token)
      const until = end.until === null ? ", however long that takes" : `, until ${timeText(end.until)} at the latest`
      const text = `It waits for the signal ${JSON.stringify(signal)} since ${timeText(end.since)}${until}.`
      return { code: "waits_for_signal", text, step, signal, since: utc(end.since), until: utcOrNull(end.until) }
    }
    if (
      end._tag === "Sleep" && end.over !== true && end.until > now &&
      (asleep === undefined || utc(end.until) < asleep.until!)
    ) {
      const text = `It sleeps in step ${JSON.stringify(step)} until ${timeText(end.until)}.`
      asleep = { code: "asleep", text, step, until: utc(end.until) }
    }
  }
  return asleep
})
