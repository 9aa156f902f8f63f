/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import type { DatabaseSync } from "node:sqlite"
import { finished, type FinishedState, isFinished, type TaskState } from "../../domain/TaskState.ts"
import { decideCancel, decideExpire, decideRerun, decideReschedule } from "../Driver.ts"
import type { RescheduleAnswer } from "../Reschedule.ts"
import { columns, recordOf, type Row, stateCode } from "../TaskRow.ts"
import { keyedForMs, lastClaimForMs, type RerunAnswer } from "../TaskStore.ts"
import { prepare } from "./Database.ts"
import type { Tasks } from "./Task.ts"
import type { Operations } from "./Writer.ts"

/** Prepares the operations. */
export const make = (
  database: DatabaseSync,
  tasks: Tasks
): Operations<"expire" | "cancel" | "rerun" | "reschedule" | "remove" | "prune"> => {
  const deleteTask = prepare(database, "DELETE FROM task WHERE seq = ?")

  return {
    expire: expiring(database, tasks),

    cancel: (transaction, ids) => ids.map((id) => tasks.change(transaction, id, "unknown", decideCancel)),

    rerun: (transaction, ids) =>
      ids.map((id) => tasks.change<RerunAnswer>(transaction, id, { _tag: "unknown" }, decideRerun)),

    reschedule: (transaction, requests) =>
      requests.map((request) =>
        tasks.change<RescheduleAnswer>(
          transaction,
          request.id,
          { _tag: "unknown" },
          (task, now) => decideReschedule(task, request, now)
        )
      ),

    remove: ({ lanes, tally }, ids) =>
      ids.map((id) => {
        const task = tasks.find(id)
        if (task === undefined) return "unknown"
        if (!isFinished(task.state)) return "unfinished"
        deleteTask.run(task.seq)
        tally.remove(task.state, 1)
        lanes.touch(task.gate)
        return "removed"
      }),

    prune: pruning(database)
  }
}

/** Ends waiting tasks that have expired. */
export const expiring = (database: DatabaseSync, tasks: Tasks): Operations<"expire">["expire"] => {
  const expired = prepare<Row>(
    database,
    `SELECT ${columns} FROM task INDEXED BY task_expires WHERE state < 2 AND expires_at <= ? ORDER BY expires_at LIMIT ?`
  )
  return (transaction, limit) => {
    const { lanes: { upcoming }, now, version } = transaction
    if (!upcoming.mayExpire(version, now)) return []
    // those that were claimed since do not wait any more
    upcoming.forget()
    return expired.all(now, limit).flatMap((row) => {
      const task = recordOf(row)
      return tasks.apply(transaction, task, decideExpire(task, now)) ?? []
    })
  }
}

interface Candidate {
  readonly seq: number
  readonly completedAt: number
  readonly state: TaskState
}

/**
 * Forgetting finished tasks: first those that are too old, then the oldest beyond the number to keep.
 */
const pruning = (database: DatabaseSync): Operations<"prune">["prune"] => {
  // one stretch of `task_finished`: a state, unkeyed or keyed, oldest first
  const oldest = prepare<[seq: number, completedAt: number]>(
    database,
    `SELECT seq, completed_at FROM task
      WHERE state = ? AND state >= 3 AND (key IS NULL) = ? AND completed_at <= ?
      ORDER BY completed_at, seq LIMIT ?`
  )
  const deleteTask = prepare(database, "DELETE FROM task WHERE seq = ?")
  const forgetClaims = prepare(database, "DELETE FROM last_claim WHERE claimed_at <= ?")

  /** The oldest tasks of a state, at most `limit`, that finished by `until` of their keyedness. */
  const candidates = (state: FinishedState, limit: number, until: (keyed: boolean) => number): Array<Candidate> =>
    limit <= 0 ?
      [] :
      [false, true].flatMap((keyed) =>
        oldest.all(stateCode[state], keyed ? 0 : 1, until(keyed), limit)
          .map(([seq, completedAt]) => ({ seq, completedAt, state }))
      ).sort((a, b) => a.completedAt - b.completedAt || a.seq - b.seq).slice(0, limit)

  return ({ lanes, now, tally }, { forMs, max, maxKeyed }, limit) => {
    let removed = 0
    const remove = (state: FinishedState, excess: number, until: (keyed: boolean) => number): void => {
      const tasks = candidates(state, Math.min(excess, limit - removed), until)
      for (const { seq } of tasks) deleteTask.run(seq)
      tally.remove(state, tasks.length)
      removed += tasks.length
    }
    forgetClaims.run(now - lastClaimForMs)
    for (const state of finished) remove(state, limit, () => now - forMs[state])
    for (const state of finished) {
      // a keyed task keeps answering repeated requests for a day
      remove(state, tally.size(state) - max[state], (keyed) => keyed ? now - keyedForMs : now)
      remove(state, tally.size(state) - Math.max(max[state], maxKeyed), () => now)
    }
    lanes.swept(now, removed)
    return removed
  }
}
