/**
 * A task's row: how it is read as a record, and how a change decided by `Settlement` is written back.
 */
import type { DatabaseSync } from "node:sqlite"
import * as Rank from "../../domain/Rank.ts"
import type { Change } from "../../domain/Settlement.ts"
import { historyOf, type TaskFailure, type TaskRecord } from "../../domain/TaskRecord.ts"
import { all, type TaskState } from "../../domain/TaskState.ts"
import { prepare } from "./Statement.ts"
import type { Transaction } from "./Writer.ts"

/** The number that a state is stored as. */
export const stateCode = Object.fromEntries(all.map((state, code) => [state, code])) as Record<TaskState, number>

/** The state that a stored number stands for. */
export const stateOf = (code: number): TaskState => all[code]!

/** The columns of a {@link Row}, in its order. */
export const columns = "seq, id, type, queue, payload, priority, key, max_retries, timeout_ms, state, created_at, " +
  "due_at, started_at, completed_at, failures, crashes, claims, claim, settled_claim, lease_until, worker, " +
  "cancel_requested, progress, result, failure, history"

/** A task as it is read. */
export type Row = [
  seq: number,
  id: string,
  type: string,
  queue: string,
  payload: string,
  priority: number,
  key: string | null,
  maxRetries: number,
  timeoutMs: number | null,
  state: number,
  createdAt: number,
  dueAt: number,
  startedAt: number | null,
  completedAt: number | null,
  failures: number,
  crashes: number,
  claims: number,
  claim: number,
  settledClaim: number,
  leaseUntil: number | null,
  instance: string | null,
  cancelRequested: number,
  progress: number | null,
  result: string | null,
  failure: string | null,
  history: string | null
]

/** The record of a row. */
export const recordOf = (row: Row): TaskRecord => ({
  seq: row[0],
  id: row[1],
  type: row[2],
  queue: row[3],
  payload: row[4],
  priority: row[5],
  key: row[6],
  maxRetries: row[7],
  timeoutMs: row[8],
  state: stateOf(row[9]),
  createdAt: row[10],
  dueAt: row[11],
  startedAt: row[12],
  completedAt: row[13],
  failures: row[14],
  crashes: row[15],
  claims: row[16],
  claim: row[17],
  settledClaim: row[18],
  leaseUntil: row[19],
  instance: row[20],
  cancelRequested: row[21] === 1,
  progress: row[22],
  result: row[23],
  failure: failureOf(row[24]),
  history: row[25] === null ? [] : historyOf(JSON.parse(row[25]), { claims: row[16], claim: row[17] })
})

/** A stored failure. */
export const failureOf = (text: string | null): TaskFailure | null =>
  text === null ? null : JSON.parse(text) as TaskFailure

/** Finds tasks and applies decided changes to them. */
export interface Tasks {
  readonly find: (id: string) => TaskRecord | undefined
  /** Writes a change of `Settlement` and counts it. */
  readonly apply: (transaction: Transaction, task: TaskRecord, change: Change) => void
}

/** Prepares the statements. */
export const make = (database: DatabaseSync, headStartMs: number): Tasks => {
  const select = prepare<Row>(database, `SELECT ${columns} FROM task WHERE id = ?`)
  // every field that a Change may touch; the rank follows from the due time, and a lease ends with its attempt
  const update = prepare(
    database,
    `UPDATE task SET state = ?, due_at = ?, rank = ?, completed_at = ?, failures = ?, crashes = ?, settled_claim = ?,
      cancel_requested = ?, result = ?, failure = ?, history = ?, lease_until = ? WHERE seq = ?`
  )
  return {
    find: (id) => {
      const row = select.get(id)
      return row === undefined ? undefined : recordOf(row)
    },
    apply: ({ lanes, tally }, task, change) => {
      const rank = Rank.rank(change.dueAt, task.priority, headStartMs)
      update.run(
        stateCode[change.state],
        change.dueAt,
        rank,
        change.completedAt,
        change.failures,
        change.crashes,
        change.settledClaim,
        change.cancelRequested ? 1 : 0,
        change.result,
        change.failure === null ? null : JSON.stringify(change.failure),
        change.history.length === 0 ? null : JSON.stringify(change.history),
        change.state === "running" ? task.leaseUntil : null,
        task.seq
      )
      tally.move(task.state, change.state, 1)
      if (change.state === "pending") lanes.note(task.queue, task.type, rank, task.seq)
    }
  }
}
