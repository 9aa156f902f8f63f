/**
 * Forgetting finished tasks: first those that are too old, then the oldest beyond the number to keep.
 */
import type { DatabaseSync } from "node:sqlite"
import { finished, type TaskState } from "../../domain/TaskState.ts"
import { stateCode } from "../TaskRow.ts"
import { keyedForMs, lastClaimForMs, type Retention } from "../TaskStore.ts"
import { prepare } from "./Statement.ts"
import type { Transaction } from "./Writer.ts"

interface Candidate {
  readonly seq: number
  readonly completedAt: number
  readonly state: TaskState
}

/** Prepares the operation. */
export const make = (database: DatabaseSync) => {
  // one stretch of `task_finished`: a state, unkeyed or keyed, oldest first
  const oldest = prepare<[seq: number, completedAt: number]>(
    database,
    `SELECT seq, completed_at FROM task
      WHERE state = ? AND state >= 3 AND (key IS NULL) = ? AND completed_at <= ?
      ORDER BY completed_at, seq LIMIT ?`
  )
  const deleteTask = prepare(database, "DELETE FROM task WHERE seq = ?")
  const forgetClaims = prepare(database, "DELETE FROM last_claim WHERE claimed_at <= ?")

  /** The oldest finished tasks, at most `limit`, that finished by `until` of their state and keyedness. */
  const candidates = (limit: number, until: (state: TaskState, keyed: boolean) => number): Array<Candidate> =>
    limit <= 0 ?
      [] :
      finished.flatMap((state) =>
        [false, true].flatMap((keyed) =>
          oldest.all(stateCode[state], keyed ? 0 : 1, until(state, keyed), limit)
            .map(([seq, completedAt]) => ({ seq, completedAt, state }))
        )
      ).sort((a, b) => a.completedAt - b.completedAt || a.seq - b.seq).slice(0, limit)

  return ({ now, tally }: Transaction, retention: Retention, limit: number): number => {
    const remove = (tasks: ReadonlyArray<Candidate>): number => {
      for (const { seq, state } of tasks) {
        deleteTask.run(seq)
        tally.remove(state, 1)
      }
      return tasks.length
    }
    forgetClaims.run(now - lastClaimForMs)
    const aged = remove(candidates(
      limit,
      (state) => now - (state === "failed" ? retention.failedForMs : retention.finishedForMs)
    ))
    const excess = Math.min(tally.finished - retention.maxFinished, limit - aged)
    // a keyed task keeps answering repeated requests for a day
    const spared = aged + remove(candidates(excess, (_, keyed) => keyed ? now - keyedForMs : now))
    const excessKeyed = Math.min(tally.finished - retention.maxKeyedFinished, limit - spared)
    return spared + remove(candidates(excessKeyed, () => now))
  }
}
