/** The steps of a task as people read them: how and when each ended, and what the task waits for in it. What they gave is not shown. */
import { type DateTime, Effect } from "effect"
import { StoreError, TaskNotFound } from "../domain/Errors.ts"
import { StepsUnreadable } from "../domain/StepErrors.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import * as SignalRecords from "./SignalRecords.ts"
import * as StepRecords from "./StepRecords.ts"

/** How a step is. */
export type StepStatus = "succeeded" | "failed" | "unfit" | "sleeping" | "slept" | "waiting" | "timed_out"

/** A step that has ended, or in which the task sleeps or waits. */
export interface StepView {
  readonly name: string
  readonly status: StepStatus
  /** The attempt that wrote this. */
  readonly attempt: number
  /** By the clock of its instance. */
  readonly startedAt: DateTime.Utc
  /** How long its effect took, in milliseconds. */
  readonly ms: number
  /** Of a step that sleeps or waits, by the store's clock; `null` for a wait without an end. */
  readonly until: DateTime.Utc | null
  /** What it waits for: the name of a signal, or the token of an event. The token of a task is a secret. */
  readonly signal: string | null
  /** Of the JSON that is kept of its end. */
  readonly bytes: number
  /** Why its end cannot be kept. */
  readonly issue: string | null
}

/** The steps of a task. */
export interface StepsView {
  readonly id: string
  /** How many are known. */
  readonly count: number
  /** The latest of them, in the order in which they ended. */
  readonly steps: ReadonlyArray<StepView>
  /** Those that had begun, and had not ended, when steps were last written. */
  readonly running: ReadonlyArray<string>
  /** Those that had ended and that the attempt that completed did not ask for. */
  readonly unasked: ReadonlyArray<string>
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** Reads the steps of a task, the latest `limit` of them. */
export const read = Effect.fnUntraced(function*(
  id: string,
  limit: number
): Effect.fn.Return<StepsView, TaskNotFound | StoreError, TaskStore | RecordStore> {
  const task = yield* TaskStore.use((store) => store.get(id))
  if (task === undefined) return yield* new TaskNotFound({ id })
  const { now } = yield* RecordStore.use((store) =>
    Effect.catchTag(store.due(StepRecords.clockKind, 1), "InvalidOption", Effect.die)
  )
  const found = yield* Effect.catchDefect(
    StepRecords.read(id),
    (defect) => defect instanceof StepsUnreadable ? Effect.fail(unreadable(defect)) : Effect.die(defect)
  )
  const kept = found !== undefined && StepRecords.areOf(found, task) ? found : undefined
  // What a step waited for comes before its end
  const latest = new Map<string, StepRecords.Entry>()
  for (const entry of kept?.entries ?? []) {
    latest.delete(entry.name)
    latest.set(entry.name, entry)
  }
  return {
    id,
    count: latest.size,
    steps: [...latest.values()].slice(-limit).map((entry) => viewOf(entry, now)),
    running: kept?.head.running ?? [],
    unasked: kept?.head.unasked ?? [],
    now: utc(now)
  }
})

/** To the attempt that needs them, steps that cannot be read are a defect; to who looks at them, the lack of a newer program. */
const unreadable = ({ message }: StepsUnreadable): StoreError =>
  new StoreError({
    operation: "read the steps of a task",
    reason: message,
    refused: true,
    advice: "ask an instance of the version that runs the task"
  })

const viewOf = (entry: StepRecords.Entry, now: number): StepView => {
  const { attempt, end, ms, name, startedAt } = entry
  return {
    name,
    status: statusOf(end, now),
    attempt,
    startedAt: utc(startedAt),
    ms,
    until: end._tag === "Sleep" || end._tag === "Wait" ? utcOrNull(end.until) : null,
    signal: end._tag === "Wait" || end._tag === "TimedOut" ? SignalRecords.shownOf(end.token) : null,
    bytes: StepRecords.sizeOf(entry),
    issue: end._tag === "Unfit" ? end.issue : null
  }
}

const statusOf = (end: StepRecords.End, now: number): StepStatus => {
  switch (end._tag) {
    case "Value":
      return "succeeded"
    case "Error":
      return "failed"
    case "Unfit":
      return "unfit"
    case "Sleep":
      return end.over !== true && end.until > now ? "sleeping" : "slept"
    case "Wait":
      return "waiting"
    case "TimedOut":
      return "timed_out"
  }
}
