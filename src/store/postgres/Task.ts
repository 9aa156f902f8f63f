/**
 * The rows of tasks: how they are read, and how changes decided by `Settlement` are written back.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as Rank from "../../domain/Rank.ts"
import type { Change } from "../../domain/Settlement.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished, type TaskState } from "../../domain/TaskState.ts"
import type { Decision } from "../Driver.ts"
import { columns as taskColumns, failureTextOf, historyTextOf, recordOf, type Row, stateCode } from "../TaskRow.ts"
import { booleans, type Database, isOneOf, lookups, numbers, type Statements, texts } from "./Database.ts"
import type { Dependencies } from "./Dependencies.ts"
import { maxToldTogether } from "./Edges.ts"

/** Of a task that waits for no others there is nothing. */
const waits = "coalesce(waits_for, 0)"

const wide = /\b(seq|max_retries|timeout_ms|\w+_at|claim|settled_claim|lease_until|start_within|start_by)\b/g

/** The columns of a `Row`. Whole numbers come as doubles, which hold them exactly. */
export const columns: string = taskColumns.replace(wide, "$1::float8").replace("requested", "requested::int")
  .replace(" gate,", " coalesce(gate, shared_gate),").replace("waits_for", waits)

/** The same without the payload, which no decision reads: a batch of large ones would not fit into memory. */
export const columnsOfDecisions: string = columns.replace(" payload,", " ''::text,")

/** A change and the task that it was decided about. */
export interface Decided {
  readonly task: TaskRecord
  readonly change: Change
  readonly counts?: Decision<unknown>[2]
}

/** Reads tasks and writes decided changes. */
export interface Tasks {
  /** Tasks by id, each once, locked until the transaction ends; always in one order, so that two callers never deadlock. */
  readonly lock: (operation: string, ids: ReadonlyArray<string>) => Effect.Effect<Map<string, TaskRecord>, StoreError>
  /** Writes changes to locked tasks, each at most once, and counts them. */
  readonly apply: (operation: string, decided: ReadonlyArray<Decided>) => Effect.Effect<void, StoreError>
  /** Decides about each id in turn, on what the ones before have made of its task, and writes the changes. */
  readonly change: <A>(
    statements: Statements,
    operation: string,
    ids: ReadonlyArray<string>,
    unknown: A,
    decide: (task: TaskRecord, now: number, place: number) => Decision<A>
  ) => Effect.Effect<ReadonlyArray<A>, StoreError>
}

/**
 * Writes changes to locked tasks: every field that a Change may touch; the rank follows from the due time, and a lease ends with its attempt.
 * Claims take note of what has a gate, see `Lines`; and those that have expired are counted apart, see `Tally`. The third version answers
 * the tasks whose ends are to be told. Instances of earlier versions know none that depend on others, so that what waits goes on to.
 *
 * The edges of one that is run again, and whose end was told, have greater numbers than what `complete_2` tells with an end.
 */
const applyFunction = (schema: string, version: 2 | 3): string => {
  const isNew = version === 3
  const again = `CASE WHEN t.told = t.edges AND t.state >= 3 AND g.state < 3 THEN ${maxToldTogether + 1} ELSE 0 END`
  const changing = `UPDATE ${schema}.task t SET state = ${
    isNew ? "g.state" : `CASE WHEN t.waits_for > 0 AND g.state = ${stateCode.pending} THEN t.state ELSE g.state END`
  }, due_at = g.due_at, rank = g.rank,
        completed_at = g.completed_at, failures = g.failures, crashes = g.crashes, settled_claim = g.settled_claim,
        cancel_requested = g.cancel_requested, result = g.result, failure = g.failure, history = g.history,
        expires_at = g.expires_at, start_by = g.start_by, lease_until = CASE WHEN g.state = 2 THEN t.lease_until END,
        waits_for = ${isNew ? "nullif(g.waits_for, 0)" : "CASE WHEN g.state < 3 THEN t.waits_for END"},
        edges = t.edges + ${again}, told = t.told + ${again}
      FROM unnest(p_seqs, p_states, p_due_at, p_ranks, p_completed_at, p_failures, p_crashes, p_settled_claims,
        p_cancel_requested, p_results, p_failure_texts, p_histories, p_expires_at, p_start_by${
    isNew ? ", p_waits_for" : ""
  }) AS g (seq, state, due_at,
        rank, completed_at, failures, crashes, settled_claim, cancel_requested, result, failure, history, expires_at,
        start_by${isNew ? ", waits_for" : ""})
      WHERE ${isOneOf("t.seq", "g.seq")}`
  const untold = isNew
    ? "SELECT array_agg(seq::text) FILTER (WHERE state >= 3 AND told < edges) INTO v_untold FROM changed"
    : "SELECT count(*) INTO v_count FROM changed"
  return `CREATE OR REPLACE FUNCTION ${schema}.apply_changes_${version}(
    p_seqs bigint[], p_states smallint[], p_due_at bigint[], p_ranks bigint[], p_completed_at bigint[],
    p_failures int[], p_crashes int[], p_settled_claims bigint[], p_cancel_requested bool[], p_results text[],
    p_failure_texts text[], p_histories text[], p_expires_at bigint[], p_start_by bigint[],
    p_counts bigint[], p_gated bool${isNew ? ", p_waits_for int[]" : ""}
  ) RETURNS ${isNew ? "text[]" : "void"} LANGUAGE plpgsql ${lookups} AS $function$
  DECLARE ${isNew ? "v_untold text[]" : "v_count int"};
  BEGIN
    IF p_gated THEN
      WITH changed AS (
        ${changing} RETURNING t.*
      ), announced AS (
        INSERT INTO ${schema}.line_news (type, queue, gate, changed)
        SELECT DISTINCT type, queue, gate, true FROM changed WHERE gate IS NOT NULL
      ) ${untold};
    ELSE
      WITH changed AS (
        ${changing} RETURNING t.state, t.told, t.edges, t.seq
      ) ${untold};
    END IF;
    INSERT INTO ${schema}.tally (unfinished, scheduled, completed, failed, cancelled, total_completed, total_failed,
        total_cancelled, total_retried, total_crashed)
      VALUES (p_counts[1], p_counts[2], p_counts[3], p_counts[4], p_counts[5], p_counts[6], p_counts[7], p_counts[8],
        p_counts[9], p_counts[10]);
    IF cardinality(p_counts) > 10 THEN
      INSERT INTO ${schema}.tally_expired (stored, total) VALUES (p_counts[11], p_counts[12]);
    END IF;
    ${isNew ? "RETURN v_untold;" : ""}
  END $function$`
}

/**
 * Writes what locked tasks are from now on. Claims take note of their gates as they were: `applyFunction` announces the new ones.
 * A task that waits with others goes on to, if it keeps its gate. Instances of earlier versions do not see such a gate, so
 * their tasks keep it if they seem to have none.
 */
const reviseFunction = (schema: string, version: 2 | 3): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.revise_tasks_${version}(
    p_seqs bigint[], p_payloads text[], p_priorities smallint[], p_gates text[], p_costs text[], p_holds text[],
    p_start_within bigint[]
  ) RETURNS void LANGUAGE plpgsql ${lookups} AS $function$
  BEGIN
    INSERT INTO ${schema}.line_news (type, queue, gate, changed)
      SELECT DISTINCT t.type, t.queue, t.gate, true FROM ${schema}.task t
      WHERE t.seq = ANY (p_seqs) AND t.gate IS NOT NULL;
    UPDATE ${schema}.task t SET payload = coalesce(g.payload, t.payload), priority = g.priority,
        gate = CASE WHEN ${keepsGate(version)} THEN t.gate ELSE g.gate END,
        shared_gate = CASE WHEN ${keepsGate(version)} THEN t.shared_gate END,
        costs = g.costs, key_hold = g.key_hold, start_within = g.start_within
      FROM unnest(p_seqs, p_payloads, p_priorities, p_gates, p_costs, p_holds, p_start_within)
        AS g (seq, payload, priority, gate, costs, key_hold, start_within) WHERE ${isOneOf("t.seq", "g.seq")};
  END $function$`

const keepsGate = (version: 2 | 3): string =>
  `t.shared_gate IS NOT NULL AND (g.gate = t.shared_gate${version === 2 ? " OR g.gate IS NULL" : ""})`

/** The functions that write tasks by their numbers. */
export const functions = (schema: string): ReadonlyArray<string> => [
  applyFunction(schema, 2),
  applyFunction(schema, 3),
  reviseFunction(schema, 2),
  reviseFunction(schema, 3)
]

/** Prepares the statements. */
export const make = ({ now, query, schema }: Database, headStartMs: number, dependencies: Dependencies): Tasks => {
  const lock = `SELECT ${columnsOfDecisions} FROM ${schema}.task WHERE id = ANY ($1) ORDER BY seq + 0 FOR NO KEY UPDATE`
  const apply = `SELECT ${schema}.apply_changes_3($1::float8[]::bigint[], $2::float8[]::smallint[],
    $3::float8[]::bigint[], $4::float8[]::bigint[], $5::float8[]::bigint[], $6::float8[]::int[], $7::float8[]::int[],
    $8::float8[]::bigint[], $9, $10, $11, $12, $13::float8[]::bigint[], $14::float8[]::bigint[],
    $15::float8[]::bigint[], $16, $17::float8[]::int[])`
  const revise = `SELECT ${schema}.revise_tasks_3($1::float8[]::bigint[], $2, $3::float8[]::smallint[], $4, $5, $6,
    $7::float8[]::bigint[])`
  /** Writes what tasks are from now on. */
  const applyRevisions = (operation: string, decided: ReadonlyArray<Decided>): Effect.Effect<unknown, StoreError> => {
    const given = decided.flatMap(({ change: { revised }, task }) =>
      revised === undefined ? [] : [{ ...revised, task }]
    )
    return given.length === 0 ? Effect.void : query(operation, revise, [
      numbers(given.map(({ task }) => task.seq)),
      texts(given.map(({ payload }) => payload)),
      numbers(given.map(({ priority }) => priority)),
      texts(given.map(({ gate }) => gate)),
      texts(given.map(({ costs }) => costs)),
      texts(given.map(({ hold }) => hold)),
      numbers(given.map(({ startWithinMs }) => startWithinMs))
    ])
  }
  const tasks: Tasks = {
    lock: (operation, ids) =>
      Effect.map(
        query<Row>(operation, lock, [texts(ids)]),
        (rows) => new Map(rows.map((row) => [row[1], recordOf(row)]))
      ),
    apply: (operation, decided) =>
      Effect.suspend(() => {
        if (decided.length === 0) return Effect.void
        const written = query<[untold: ReadonlyArray<string> | null]>(operation, apply, [
          numbers(decided.map(({ task }) => task.seq)),
          numbers(decided.map(({ change }) => stateCode[change.state])),
          numbers(decided.map(({ change }) => change.dueAt)),
          numbers(
            decided.map(({ change, task }) => Rank.rankOf({ ...task, ...change.revised }, change.dueAt, headStartMs))
          ),
          numbers(decided.map(({ change }) => change.completedAt)),
          numbers(decided.map(({ change }) => change.failures)),
          numbers(decided.map(({ change }) => change.crashes)),
          numbers(decided.map(({ change }) => change.settledClaim)),
          booleans(decided.map(({ change }) => change.cancelRequested)),
          texts(decided.map(({ change }) => change.result)),
          texts(decided.map(({ change }) => failureTextOf(change))),
          texts(decided.map(({ change }) => historyTextOf(change))),
          numbers(decided.map(({ change }) => change.expiresAt)),
          numbers(decided.map(({ change }) => change.startBy)),
          numbers([...countersOf(decided), ...decided.some(isExpired) ? expiredCountersOf(decided) : []]),
          decided.some(isGated),
          numbers(decided.map(({ change }) => change.waitsFor))
        ])
        return Effect.andThen(
          applyRevisions(operation, decided),
          Effect.flatMap(written, ([row]) => dependencies.leave((row![0] ?? []).map(Number)))
        )
      }),
    change: (statements, operation, ids, unknown, decide) =>
      ids.length === 0 ? Effect.succeed([]) : dependencies.write(
        statements,
        operation,
        Effect.gen(function*() {
          const found = yield* tasks.lock(operation, ids)
          // read after the locks are held, or an end could lie before its beginning
          const at = yield* now(operation)
          const decided = new Map<string, Decided>()
          const answers = ids.map((id, place) => {
            const task = found.get(id)
            if (task === undefined) return unknown
            const [answer, change, counts] = decide({ ...task, ...decided.get(id)?.change }, at, place)
            if (change !== undefined) decided.set(id, { task, change, counts })
            return answer
          })
          yield* tasks.apply(operation, [...decided.values()])
          return answers
        })
      )
  }
  return tasks
}

const isGated = ({ change, task }: Decided): boolean => (change.revised ?? task).gate !== null

/** Whether a task has expired, or had before. */
const isExpired = ({ change, task }: Decided): boolean => change.state === "expired" || task.state === "expired"

/** How many more tasks have expired, of those that are stored and of all. */
const expiredCountersOf = (decided: ReadonlyArray<Decided>): ReadonlyArray<number> => {
  const came = decided.filter(({ change, task }) => change.state === "expired" && task.state !== "expired").length
  const went = decided.filter(({ change, task }) => change.state !== "expired" && task.state === "expired").length
  return [came - went, came]
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
    // those that have expired count as cancelled too: an instance of an earlier version knows no other
    moved("cancelled") + moved("expired"),
    ended("completed"),
    ended("failed"),
    ended("cancelled"),
    sum(({ counts }) => Number(counts === "retried")),
    sum(({ counts }) => Number(counts === "crashed"))
  ]
}
