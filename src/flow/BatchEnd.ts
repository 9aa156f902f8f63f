/** What follows when a batch has finished. */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import * as BatchRecords from "./BatchRecords.ts"

type Tasks = Pick<TaskStore["Service"], "cancel" | "reschedule">

/** Makes one of the engine's own tasks due that waits without an end. One that does not wait has been made due before. */
export const makeDue = (tasks: Tasks, id: string, queue: string) =>
  tasks.reschedule([{ id, type: BatchRecords.type, queue, delayMs: 0 }])

/**
 * Starts what waits for the end of a batch. The process that wrote that it has finished does so; where it dies before, the next
 * attempt or the sweeper does. What has been done is not done again.
 */
export const finish = Effect.fnUntraced(function*(
  tasks: Tasks,
  id: string,
  { callbacks, ends, isCancelled, members, queue }: BatchRecords.Batch
): Effect.fn.Return<void, StoreError> {
  if (callbacks.onFailure !== null) {
    const failure = BatchRecords.failureId(id)
    yield* ends.completed < members ? makeDue(tasks, failure, queue) : tasks.cancel([failure])
  }
  yield* isCancelled ? tasks.cancel([id]) : makeDue(tasks, id, queue)
})
