/** What happens to tasks as events, and the steps in their lives that these tell of: see `LifeOrder`. */
import type { Settlement } from "../domain/Settlement.ts"
import type { NewTaskEvent, TaskEventName } from "../domain/TaskEvent.ts"
import type { NewTask, TaskFailure, TaskRecord } from "../domain/TaskRecord.ts"
import type { TaskState } from "../domain/TaskState.ts"
import type { Dropped } from "../store/Dependencies.ts"
import type { EnqueueAnswer, Expired } from "../store/TaskStore.ts"
import { stepOf } from "./LifeOrder.ts"

/**
 * What happened to a task longer ago than this has been logged, if ever. A task is due from when its transaction writes it,
 * which may be long before that is committed.
 */
export const recentMs = 60_000

/** What an event says about its task. */
export type Subject = Pick<NewTaskEvent, "id" | "type" | "queue" | "attempt" | "instance">

export const subjectOf = ({ id, queue, type }: Pick<TaskRecord, "id" | "type" | "queue">): Subject => ({
  id,
  type,
  queue
})

export const afterIf = (isIt: boolean, after: number): { readonly after?: number } => isIt ? { after } : {}

/** Whether an instance may have yet to log something about a task. */
export const isRecent = ({ completedAt, createdAt, history, startedAt }: TaskRecord, now: number): boolean =>
  Math.max(createdAt, startedAt ?? 0, completedAt ?? 0, history.at(-1)?.endedAt ?? 0) > now - recentMs

/** How a finished task came to its end. An attempt that is in its history was not the end of it. */
export const lastStepOf = ({ claim, claims, history, state }: TaskRecord): number =>
  stepOf(
    claims,
    state === "expired" || (state === "cancelled" && (claim === 0 || history.at(-1)?.claim === claim))
      ? "dropped"
      : "ended"
  )

export const createdOf = (
  groups: ReadonlyArray<ReadonlyArray<NewTask>>,
  answers: ReadonlyArray<EnqueueAnswer>
): ReadonlyArray<NewTaskEvent> => {
  const events: Array<NewTaskEvent> = []
  for (const [index, answer] of answers.entries()) {
    if (answer._tag !== "Accepted") continue
    for (const [place, { duplicate }] of answer.tasks.entries()) {
      if (!duplicate) events.push({ event: "created", ...subjectOf(groups[index]![place]!) })
    }
  }
  return events
}

/** Tasks that have taken the payloads of new ones, each once. */
export const mergedIn = (answers: ReadonlyArray<EnqueueAnswer>): ReadonlyArray<string> => [
  ...new Set(
    answers.flatMap((answer) =>
      answer._tag === "Accepted" ? answer.tasks.flatMap(({ id, merge }) => merge === undefined ? [] : [id]) : []
    )
  )
]

/** A running task was cancelled: a caller asked for it. */
export const stopped = (attempt: number) =>
  ({ event: "cancelled", step: stepOf(attempt, "ended"), after: stepOf(attempt, "stopping") }) as const

export const droppedAs = <E extends TaskEventName>(event: E, at: number) =>
  ({ event, step: stepOf(at, "dropped") }) as const

export const expiredOf = (task: Expired): NewTaskEvent => ({
  ...subjectOf(task),
  ...(task.attempt === 0 ? {} : { attempt: task.attempt }),
  ...droppedAs("expired", task.attempt),
  after: stepOf(task.attempt, "waiting")
})

/** The end of a task that depended on another one. */
export const droppedOf = ({ failure, state, ...task }: Dropped): NewTaskEvent => ({
  ...subjectOf(task),
  ...(task.attempt === 0 ? {} : { attempt: task.attempt }),
  ...droppedAs(state, task.attempt),
  after: stepOf(task.attempt, "waiting"),
  ...(failure === null ? {} : { error: reasonOf(failure) })
})

export const endOf = (
  settlement: Settlement,
  instead: TaskState | undefined,
  attempt: number
): Omit<NewTaskEvent, keyof Subject> => {
  if (instead === "cancelled") return stopped(attempt)
  const error = settlement._tag === "Retry" ? { error: reasonOf(settlement.failure) } : {}
  if (instead === "expired") return { ...droppedAs("expired", attempt), ...error }
  const [ended, waiting] = [stepOf(attempt, "ended"), stepOf(attempt, "waiting")]
  switch (settlement._tag) {
    case "Complete":
      return { event: "completed", step: ended }
    case "Fail":
      return { event: "failed", step: ended, error: reasonOf(settlement.failure) }
    case "Cancel":
      return stopped(attempt)
    case "Retry":
      return {
        event: "retrying",
        step: waiting,
        delayMs: settlement.delayMs,
        error: reasonOf(settlement.failure)
      }
    case "Snooze":
      return { event: "snoozed", step: waiting, delayMs: settlement.delayMs }
    case "Release":
      return { event: "released", step: waiting }
  }
}

/** Without the stack, which stays in the log. */
const reasonOf = ({ kind, message, tag }: TaskFailure) => ({ kind, tag, message })
