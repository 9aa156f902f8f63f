/**
 * A task as a row, as the stores in SQL keep it: its columns, and how one is read as a record.
 *
 * States are numbers in the order of `TaskState.all`. Failures and histories are JSON texts, `NULL` where there are none.
 */
import type { OnFailure } from "../domain/Dependencies.ts"
import type { Change } from "../domain/Settlement.ts"
import { type ClaimedTask, historyOf, type TaskFailure, type TaskRecord } from "../domain/TaskRecord.ts"
import { all, type TaskState } from "../domain/TaskState.ts"

/** The number that a state is stored as. */
export const stateCode = Object.fromEntries(all.map((state, code) => [state, code])) as Record<TaskState, number>

/** The state that a stored number stands for. */
export const stateOf = (code: number): TaskState => all[code]!

/** The columns of a {@link Row}, in its order. */
export const columns = "seq, id, type, queue, payload, priority, key, max_retries, timeout_ms, state, created_at, " +
  "due_at, started_at, completed_at, failures, crashes, claims, claim, settled_claim, lease_until, worker, " +
  "cancel_requested, progress, result, failure, history, gate, costs, key_hold, expires_at, " +
  "start_within, start_by, on_failure, waits_for, trace, tags"

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
  history: string | null,
  gate: string | null,
  costs: string | null,
  hold: string | null,
  expiresAt: number | null,
  startWithinMs: number | null,
  startBy: number | null,
  onFailure: string | null,
  waitsFor: number,
  trace: string | null,
  tags: string | null
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
  history: row[25] === null ? [] : historyOf(JSON.parse(row[25]), { claims: row[16], claim: row[17] }),
  gate: gateOf(row[26]),
  costs: row[27],
  hold: row[28],
  expiresAt: row[29],
  startWithinMs: row[30],
  startBy: row[31],
  onFailure: row[32] as OnFailure | null,
  waitsFor: row[33],
  trace: row[34],
  tags: row[35]
})

/** A stored gate: an empty text where there is none, because a null has no place in the order of an index. */
const gateOf = (text: string | null): string | null => text === "" ? null : text

/** A stored failure. */
export const failureOf = (text: string | null): TaskFailure | null =>
  text === null ? null : JSON.parse(text) as TaskFailure

/** The failure of a change as it is stored. */
export const failureTextOf = ({ failure }: Change): string | null => failure === null ? null : JSON.stringify(failure)

/** The history of a change as it is stored. */
export const historyTextOf = ({ history }: Change): string | null =>
  history.length === 0 ? null : JSON.stringify(history)

/** The columns of a {@link ClaimedRow}, in its order, but for the last two: how often it has been claimed, and the claim. */
export const claimedFacts =
  "task.id, task.type, queue, payload, priority, max_retries, timeout_ms, due_at, failures, crashes, gate, costs, start_by, trace"

/** What a claim reads of a task. */
export type ClaimedRow = [
  id: string,
  type: string,
  queue: string,
  payload: string,
  priority: number,
  maxRetries: number,
  timeoutMs: number | null,
  dueAt: number,
  failures: number,
  crashes: number,
  gate: string | null,
  costs: string | null,
  startBy: number | null,
  trace: string | null,
  claims: number,
  claim: number
]

/** The claimed task of a row, which may go on behind it. */
export const claimedTaskOf = (row: readonly [...ClaimedRow, ...ReadonlyArray<unknown>]): ClaimedTask => ({
  id: row[0],
  type: row[1],
  queue: row[2],
  payload: row[3],
  priority: row[4],
  maxRetries: row[5],
  timeoutMs: row[6],
  dueAt: row[7],
  failures: row[8],
  crashes: row[9],
  gate: gateOf(row[10]),
  costs: row[11],
  startBy: row[12],
  trace: row[13],
  attempt: row[14],
  claim: row[15]
})
