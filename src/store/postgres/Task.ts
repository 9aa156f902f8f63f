/**
 * A task's row: how it is read as a record, and how changes decided by `Settlement` are written back.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as Rank from "../../domain/Rank.ts"
import type { Change } from "../../domain/Settlement.ts"
import { historyOf, type TaskFailure, type TaskRecord } from "../../domain/TaskRecord.ts"
import { all, isFinished, type TaskState } from "../../domain/TaskState.ts"
import { booleans, type Database, number, numbers, texts } from "./Database.ts"

/** The number that a state is stored as. */
export const stateCode = Object.fromEntries(all.map((state, code) => [state, code])) as Record<TaskState, number>

/** The state that a stored number stands for. */
export const stateOf = (code: number): TaskState => all[code]!

/** The columns of a {@link Row}, in its order. Whole numbers come as doubles, which hold them exactly. */
export const columns = "seq::float8, id, type, queue, payload, priority, key, max_retries::float8, " +
  "timeout_ms::float8, state, created_at::float8, due_at::float8, started_at::float8, completed_at::float8, failures, " +
  "crashes, claims, claim::float8, settled_claim::float8, lease_until::float8, worker, cancel_requested, progress, " +
  "result, failure, history"

/** The same without the payload, which no decision reads: a batch of large ones would not fit into memory. */
export const columnsOfDecisions: string = columns.replace(" payload,", " ''::text,")

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
  cancelRequested: boolean,
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
  cancelRequested: row[21],
  progress: row[22],
  result: row[23],
  failure: failureOf(row[24]),
  history: row[25] === null ? [] : historyOf(JSON.parse(row[25]), { claims: row[16], claim: row[17] })
})

/** A stored failure. */
export const failureOf = (text: string | null): TaskFailure | null =>
  text === null ? null : JSON.parse(text) as TaskFailure

/** A change and the task that it was decided about. */
export interface Decided {
  readonly task: TaskRecord
  readonly change: Change
  /** What it adds to the totals besides the state that it ends in. */
  readonly counts?: "retried" | "crashed" | undefined
}

/** Reads tasks and writes decided changes. */
export interface Tasks {
  /** Tasks by id, each once, locked until the transaction ends; always in one order, so that two callers never deadlock. */
  readonly lock: (operation: string, ids: ReadonlyArray<string>) => Effect.Effect<Map<string, TaskRecord>, StoreError>
  /** Writes changes to locked tasks, each at most once, and counts them. */
  readonly apply: (operation: string, decided: ReadonlyArray<Decided>) => Effect.Effect<void, StoreError>
}

/** Prepares the statements. */
export const make = ({ query, schema }: Database, headStartMs: number): Tasks => {
  const lock = `SELECT ${columnsOfDecisions} FROM ${schema}.task WHERE id = ANY ($1) ORDER BY seq FOR UPDATE`
  // every field that a Change may touch; the rank follows from the due time, and a lease ends with its attempt
  const apply = `WITH given AS (
      SELECT * FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::float8[],
        $7::float8[], $8::float8[], $9::bool[], $10::text[], $11::text[], $12::text[])
        AS g (seq, state, due_at, rank, completed_at, failures, crashes, settled_claim, cancel_requested, result,
          failure, history)
    ), changed AS (
      UPDATE ${schema}.task t SET state = g.state::smallint, due_at = g.due_at::bigint, rank = g.rank::bigint,
        completed_at = g.completed_at::bigint, failures = g.failures::int, crashes = g.crashes::int,
        settled_claim = g.settled_claim::bigint, cancel_requested = g.cancel_requested, result = g.result,
        failure = g.failure, history = g.history, lease_until = CASE WHEN g.state = 2 THEN t.lease_until END
      FROM given g WHERE t.seq = g.seq::bigint
    )
    INSERT INTO ${schema}.tally (unfinished, scheduled, completed, failed, cancelled, total_completed, total_failed,
      total_cancelled, total_retried, total_crashed) VALUES ($13, $14, $15, $16, $17, $18, $19, $20, $21, $22)`
  return {
    lock: (operation, ids) =>
      Effect.map(
        query<Row>(operation, lock, [texts(ids)]),
        (rows) => new Map(rows.map((row) => [row[1], recordOf(row)]))
      ),
    apply: (operation, decided) =>
      decided.length === 0 ? Effect.void : Effect.asVoid(query(operation, apply, [
        numbers(decided.map(({ task }) => task.seq)),
        numbers(decided.map(({ change }) => stateCode[change.state])),
        numbers(decided.map(({ change }) => change.dueAt)),
        numbers(decided.map(({ change, task }) => Rank.rank(change.dueAt, task.priority, headStartMs))),
        numbers(decided.map(({ change }) => change.completedAt)),
        numbers(decided.map(({ change }) => change.failures)),
        numbers(decided.map(({ change }) => change.crashes)),
        numbers(decided.map(({ change }) => change.settledClaim)),
        booleans(decided.map(({ change }) => change.cancelRequested)),
        texts(decided.map(({ change }) => change.result)),
        texts(decided.map(({ change }) => change.failure === null ? null : JSON.stringify(change.failure))),
        texts(decided.map(({ change }) => change.history.length === 0 ? null : JSON.stringify(change.history))),
        ...countersOf(decided).map(number)
      ]))
  }
}

/** What changes do to the counters, in the order of the statement's parameters. */
const countersOf = (decided: ReadonlyArray<Decided>): ReadonlyArray<number> => {
  const sum = (of: (decided: Decided) => number) => decided.reduce((total, one) => total + of(one), 0)
  const moved = (state: TaskState) =>
    sum(({ change, task }) => Number(change.state === state) - Number(task.state === state))
  const ended = (state: TaskState) => sum(({ change, task }) => Number(change.state === state && task.state !== state))
  return [
    sum(({ change, task }) => Number(!isFinished(change.state)) - Number(!isFinished(task.state))),
    moved("scheduled"),
    moved("completed"),
    moved("failed"),
    moved("cancelled"),
    ended("completed"),
    ended("failed"),
    ended("cancelled"),
    sum(({ counts }) => Number(counts === "retried")),
    sum(({ counts }) => Number(counts === "crashed"))
  ]
}
