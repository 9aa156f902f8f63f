/**
 * The rows of tasks: one is found, and a change decided by `Settlement` is written back.
 */
import type { DatabaseSync } from "node:sqlite"
import * as Rank from "../../domain/Rank.ts"
import type { Change } from "../../domain/Settlement.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished } from "../../domain/TaskState.ts"
import { holdAfterLoss } from "../../domain/Uniqueness.ts"
import type { Decision } from "../Driver.ts"
import { columns, failureTextOf, historyTextOf, recordOf, type Row, stateCode } from "../TaskRow.ts"
import { prepare } from "./Database.ts"
import type { Transaction } from "./Writer.ts"

/** Finds tasks and applies decided changes to them. */
export interface Tasks {
  readonly find: (id: string) => TaskRecord | undefined
  /** Makes the change that is decided about a task; answers what the decision answers. */
  readonly change: <A>(
    transaction: Transaction,
    id: string,
    unknown: A,
    decide: (task: TaskRecord, now: number) => Decision<A>
  ) => A
  /** Lets another task take the key of this one. */
  readonly loseKey: (task: TaskRecord) => void
  /** The same for a task that was read. */
  readonly apply: <A>(transaction: Transaction, task: TaskRecord, decision: Decision<A>) => A
}

/** Prepares the statements. */
export const make = (
  database: DatabaseSync,
  headStartMs: number,
  dependencies: { readonly end: (seq: number) => void }
): Tasks => {
  const select = prepare<Row>(database, `SELECT ${columns} FROM task WHERE id = ?`)
  // every field that a Change may touch; the rank follows from the due time, and a lease ends with its attempt. What returns waits in its line
  const update = prepare<[isUntold: number]>(
    database,
    `UPDATE task SET state = ?, due_at = ?, expires_at = ?, start_by = ?, rank = ?, completed_at = ?, failures = ?, crashes = ?, settled_claim = ?,
      cancel_requested = ?, result = ?, failure = ?, history = ?, lease_until = ?, waits_for = ?, together = 0 WHERE seq = ?
      RETURNING told < edges`
  )
  const revise = prepare(
    database,
    "UPDATE task SET payload = coalesce(?, payload), priority = ?, gate = ?, costs = ?, key_hold = ?, start_within = ? WHERE seq = ?"
  )
  const lose = prepare(database, "UPDATE task SET key_lost = 1, key_hold = ? WHERE seq = ?")
  const find: Tasks["find"] = (id) => {
    const row = select.get(id)
    return row === undefined ? undefined : recordOf(row)
  }

  const write = ({ lanes, tally }: Transaction, task: TaskRecord, change: Change): void => {
    const { revised } = change
    const { gate } = revised ?? task
    const rank = Rank.rankOf({ ...task, ...revised }, change.dueAt, headStartMs)
    if (revised !== undefined) {
      const { costs, hold, payload, priority, startWithinMs } = revised
      revise.run(payload, priority, gate ?? "", costs, hold, startWithinMs, task.seq)
    }
    const [isUntold] = update.get(
      stateCode[change.state],
      change.dueAt,
      change.expiresAt,
      change.startBy,
      rank,
      change.completedAt,
      change.failures,
      change.crashes,
      change.settledClaim,
      change.cancelRequested ? 1 : 0,
      change.result,
      failureTextOf(change),
      historyTextOf(change),
      change.state === "running" ? task.leaseUntil : null,
      change.waitsFor,
      task.seq
    )!
    if (isUntold === 1 && isFinished(change.state)) dependencies.end(task.seq)
    tally.move(task.state, change.state, 1)
    lanes.changed(task, change.state)
    lanes.upcoming.changed(task, change)
    if (gate !== task.gate) lanes.touch(gate)
    if (change.state === "pending") lanes.note(task.queue, task.type, gate, rank, task.seq, false)
  }

  const apply: Tasks["apply"] = (transaction, task, [answer, change, counts]) => {
    if (counts !== undefined) transaction.tally.count(counts)
    if (change !== undefined) write(transaction, task, change)
    return answer
  }

  return {
    find,
    change: (transaction, id, unknown, decide) => {
      const task = find(id)
      return task === undefined ? unknown : apply(transaction, task, decide(task, transaction.now))
    },
    loseKey: (task) => {
      lose.run(holdAfterLoss(task), task.seq)
    },
    apply
  }
}
