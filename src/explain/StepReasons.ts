/** What a task waits for whose handler has gone to sleep in a step: a time, a signal, or what an execution of a workflow waits for. */
import { type DateTime, Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import * as ExecutionRecords from "../flow/ExecutionRecords.ts"
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
  | {
    readonly code: "waits_for_deferred"
    readonly text: string
    readonly deferred: string
    /** When it goes on at the latest; `null` for never. */
    readonly until: DateTime.Utc | null
  }
  | {
    readonly code: "waits_for_child"
    readonly text: string
    /** Its id and the name of its workflow. */
    readonly child: string
    readonly workflow: string
    readonly until: DateTime.Utc | null
  }
  | { readonly code: "waits_for_resume"; readonly text: string }

/** What a task waits for that its last attempt has put to sleep; nothing where no step did so. One read, of such tasks only. */
export const stepReason = Effect.fnUntraced(function*(
  task: TaskRecord,
  now: number
): Effect.fn.Return<StepReason | undefined, StoreError, RecordStore> {
  if (task.history.at(-1)?.outcome !== "snoozed") return undefined
  const execution = yield* executionOf(task)
  if (execution !== undefined && execution.failed !== null) {
    return { code: "waits_for_resume", text: "It has failed, and goes on when it is resumed." }
  }
  // A later version may have written what cannot be read here, which is no reason to explain nothing
  const kept = yield* Effect.catchDefect(StepRecords.read(task.id), () => Effect.undefined)
  const asleep = kept === undefined || !StepRecords.areOf(kept, task) ? undefined : stepOf(kept, now)
  return asleep?.code === "waits_for_signal" ? asleep : waitOf(execution) ?? asleep
})

/** What has come to the task, where it is an execution that was suspended. */
const executionOf = Effect.fnUntraced(function*(
  { id, type }: TaskRecord
): Effect.fn.Return<ExecutionRecords.Document | undefined, StoreError, RecordStore> {
  if (!type.startsWith(ExecutionRecords.typePrefix)) return undefined
  const [read] = yield* ExecutionRecords.read([id])
  return read!.document
})

/** The first of what an execution waits for besides sleeps. */
const waitOf = (execution: ExecutionRecords.Document | undefined): StepReason | undefined => {
  const wait = execution?.waits?.[0]
  if (wait === undefined) return undefined
  const sleepsUntil = execution?.sleepsUntil ?? null
  const until = utcOrNull(sleepsUntil)
  const atLatest = sleepsUntil === null ? "." : `, until ${timeText(sleepsUntil)} at the latest.`
  if (wait._tag === "Deferred") {
    const text = `It waits for the deferred ${JSON.stringify(wait.name)}${atLatest}`
    return { code: "waits_for_deferred", text, deferred: wait.name, until }
  }
  const text = `It waits for the end of execution ${wait.id} of workflow ${JSON.stringify(wait.workflow)}${atLatest}`
  return { code: "waits_for_child", text, child: wait.id, workflow: wait.workflow, until }
}

type Step = StepReason & { readonly code: "asleep" | "waits_for_signal" }

/** The signal that a step waits for, or else the sleep that ends first. */
const stepOf = (kept: StepRecords.Kept, now: number): Step | undefined => {
  const ends = new Map(kept.entries.map(({ end, name }) => [name, end]))
  let asleep: StepReason & { readonly code: "asleep" } | undefined
  for (const [step, end] of ends) {
    if (end._tag === "Wait" && (end.until === null || end.until > now)) {
      const signal = SignalRecords.shownOf(end.token)
      const until = end.until === null ? ", however long that takes" : `, until ${timeText(end.until)} at the latest`
      const text = `It waits for the signal ${JSON.stringify(signal)} since ${timeText(end.since)}${until}.`
      return { code: "waits_for_signal", text, step, signal, since: utc(end.since), until: utcOrNull(end.until) }
    }
    if (
      end._tag === "Sleep" && end.over !== true && end.until > now &&
      (asleep === undefined || utc(end.until) < asleep.until)
    ) {
      const text = `It sleeps in step ${JSON.stringify(step)} until ${timeText(end.until)}.`
      asleep = { code: "asleep", text, step, until: utc(end.until) }
    }
  }
  return asleep
}
