/** How the tasks ended that a running one depends on. */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import type { Outcome, TaskStore } from "../store/TaskStore.ts"

/** A task that another one depends on, and how it ended. */
export interface EarlierTask {
  readonly id: string
  readonly type: string
  readonly outcome: Outcome
}

/**
 * Those that a task depends on, in the order given. One that an operator runs again right now has no end, and is left out. They are read a
 * bounded number of bytes at a time.
 */
export const endedBefore = Effect.fnUntraced(function*(
  store: Pick<TaskStore["Service"], "edges" | "results">,
  id: string
): Effect.fn.Return<ReadonlyArray<EarlierTask>, StoreError> {
  const after = (yield* store.edges(id))?.after ?? []
  const ended: Array<EarlierTask> = []
  for (let read = 0; read < after.length;) {
    const part = after.slice(read, read + Bounds.maxIds)
    const outcomes = yield* store.results(part.map(({ id }) => id), Bounds.maxAnswerBytes)
    outcomes.forEach((outcome, index) => {
      const { id, type } = part[index]!
      if (outcome !== undefined && outcome !== null) ended.push({ id, type, outcome })
    })
    read += outcomes.length
  }
  return ended
})
