/** What an operation does to the tasks of a part, and what has come of that. */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import { idOf, seenOf, type TaskRef } from "../domain/Seen.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import * as StepRecords from "../flow/StepRecords.ts"
import * as TaskLogs from "../logs/TaskLogs.ts"
import { RecordStore } from "../store/RecordStore.ts"
import type { RemoveAnswer, TaskStore } from "../store/TaskStore.ts"
import { type Entry, entryOf, type Operation, refOf, statesOf } from "./OperationRecords.ts"
import { isMeant } from "./TaskFilter.ts"

type Tasks = TaskStore["Service"]

/** Removes finished tasks with their logs and steps. Where these stay, the sweepers find them. */
export const removing = (tasks: Pick<Tasks, "remove">, records: RecordStore["Service"]) =>
(
  refs: ReadonlyArray<TaskRef>
): Effect.Effect<ReadonlyArray<RemoveAnswer>, StoreError> =>
  Effect.tap(tasks.remove(refs), (answers) => {
    const removed = refs.map(idOf).filter((_, index) => answers[index] === "removed")
    return Effect.andThen(TaskLogs.remove(removed), StepRecords.remove(removed)).pipe(
      Effect.provideService(RecordStore, records),
      Effect.ignore
    )
  })

/** Tasks that are read at a time. */
const concurrency = 10

/** Changes tasks of an operation that are as they were seen; answers which of them were changed. */
const change = (
  { action, change }: Operation,
  entries: ReadonlyArray<Entry>,
  tasks: Tasks,
  records: RecordStore["Service"]
): Effect.Effect<ReadonlyArray<boolean>, StoreError> => {
  const refs = entries.map(refOf)
  switch (action) {
    case "cancel":
      return Effect.map(
        tasks.cancel(refs),
        (answers) => answers.map((answer) => answer === "cancelled" || answer === "requested")
      )
    case "rerun":
      return Effect.map(tasks.rerun(refs), (answers) => answers.map(({ _tag }) => _tag === "rerun"))
    case "discard":
      return Effect.map(removing(tasks, records)(refs), (answers) => answers.map((answer) => answer === "removed"))
    case "reschedule":
      return Effect.map(
        tasks.reschedule(entries.map((entry) => ({ ...entry.of!, ...refOf(entry), ...change }))),
        (answers) => answers.map(({ _tag }) => _tag === "rescheduled")
      )
  }
}

/** Whether a task looks as if the operation had changed it. */
const isChanged = ({ action, change }: Operation, { claim }: Entry, task: TaskRecord | undefined): boolean => {
  switch (action) {
    case "cancel":
      return task !== undefined && task.claim === claim && (task.state === "cancelled" || task.cancelRequested)
    case "rerun":
      return task !== undefined && (task.claim > claim || !statesOf.rerun.includes(task.state))
    case "discard":
      return task === undefined
    case "reschedule":
      return task !== undefined && (change?.priority ?? task.priority) === task.priority &&
        (change?.runAt ?? task.dueAt) === task.dueAt
  }
}

/** What has come of a part. */
export interface Changed {
  readonly done: ReadonlyArray<Entry>
  /** Changed by an instance that has crashed, or by others. */
  readonly unsure: ReadonlyArray<Entry>
}

/**
 * Changes the tasks of a part; answers the entries of those that were changed. Of the others, those that are meant as they are now are
 * changed as they are: they have started, moved or come back since they were looked at.
 */
export const changePart = Effect.fnUntraced(function*(
  operation: Operation,
  entries: ReadonlyArray<Entry>,
  tasks: Tasks,
  records: RecordStore["Service"]
): Effect.fn.Return<Changed, StoreError> {
  const first = yield* change(operation, entries, tasks, records)
  const changed = entries.filter((_, index) => first[index])
  if (changed.length === entries.length) return { done: changed, unsure: [] }
  const meant = isMeant(operation.filter)
  const others = yield* again(entries.filter((_, index) => !first[index]), tasks)
  const moved = others.flatMap(({ task }) =>
    task !== undefined && statesOf[operation.action].includes(task.state) && !task.cancelRequested && meant(task)
      ? [entryOf(operation.action, task, { id: task.id, seen: seenOf(task) })]
      : []
  )
  if (moved.length === 0) return { done: changed, unsure: [] }
  const second = yield* change(operation, moved, tasks, records)
  return { done: [...changed, ...moved.filter((_, index) => second[index])], unsure: [] }
})

/**
 * The same after a crash: what has changed since was changed by the one that crashed, or by others. No such task is changed again, and
 * those that look as if they had been changed by this operation are told apart.
 */
export const changeRest = Effect.fnUntraced(function*(
  operation: Operation,
  entries: ReadonlyArray<Entry>,
  tasks: Tasks,
  records: RecordStore["Service"]
): Effect.fn.Return<Changed, StoreError> {
  const now = yield* change(operation, entries, tasks, records)
  const others = yield* again(entries.filter((_, index) => !now[index]), tasks)
  return {
    done: entries.filter((_, index) => now[index]),
    unsure: others.flatMap(({ entry, task }) => isChanged(operation, entry, task) ? [entry] : [])
  }
})

const again = (entries: ReadonlyArray<Entry>, tasks: Tasks) =>
  Effect.forEach(
    entries,
    (entry) => Effect.map(tasks.get(entry.id), (task) => ({ entry, task })),
    { concurrency }
  )
