/**
 * What happens to a running attempt: its lease is prolonged, it reports, it is taken back, or it ends. All but the end wait
 * for no row that another session is writing.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import type * as Settlement from "../../domain/Settlement.ts"
import { maxTold } from "../Dependencies.ts"
import { decideRescue, decideSettle } from "../Driver.ts"
import { recordOf, type Row } from "../TaskRow.ts"
import { type ExtendAnswer, rescuable, type TaskStore } from "../TaskStore.ts"
import { type Database, isOneOf, lookups, number, numbers, texts } from "./Database.ts"
import { type Dependencies, type Told, toldColumns } from "./Dependencies.ts"
import { maxToldTogether } from "./Edges.ts"
import { endsLock } from "./Passes.ts"
import { columnsOfDecisions, type Tasks } from "./Task.ts"

/** The ids that were completed unless all were, what of it is to be told, and what was told. */
type Completed = [
  ids: ReadonlyArray<string> | null,
  untold: ReadonlyArray<string> | null,
  ...told: Told | [told: null, released: null, dropped: null, more: null]
]

/** Prepares the operations. */
export const make = (
  database: Database,
  tasks: Tasks,
  dependencies: Dependencies,
  maxCrashes: number,
  headStartMs: number,
  onRoom: Effect.Effect<void>
): Pick<TaskStore["Service"], "extend" | "report" | "settle" | "rescue"> => {
  const { now, query, schema } = database
  const extend = `SELECT * FROM ${schema}.extend_leases_1($1, $2::float8[]::bigint[], $3::bigint)`
  const report = `SELECT ${schema}.report_progress_1($1, $2::float8[]::bigint[], $3)`
  // $1 how many, $2 when they must have ended, $3 the end after which they are of before the clock was set back
  const expired = `SELECT ${columnsOfDecisions} FROM ${schema}.task
    WHERE state = 2 AND (lease_until <= $2::bigint OR lease_until > $3::bigint)
    ORDER BY lease_until, seq LIMIT $1::int FOR NO KEY UPDATE SKIP LOCKED`

  return {
    extend: (refs, leaseForMs) =>
      Effect.map(
        query<[place: number, cancelRequested: boolean]>("extend", extend, [
          texts(refs.map(({ id }) => id)),
          numbers(refs.map(({ claim }) => claim)),
          number(Math.round(leaseForMs))
        ]),
        (rows) => {
          const answers = refs.map((): ExtendAnswer => "lost")
          for (const [place, cancelRequested] of rows) answers[place - 1] = cancelRequested ? "cancel" : "held"
          return answers
        }
      ),

    report: (reports) => {
      // the last report of an attempt counts
      const last = [...new Map(reports.map((one) => [one.id, one])).values()]
      return Effect.asVoid(query("report", report, [
        texts(last.map(({ id }) => id)),
        numbers(last.map(({ claim }) => claim)),
        numbers(last.map(({ progress }) => progress))
      ]))
    },

    settle: settling(database, tasks, dependencies, headStartMs, onRoom),

    rescue: (request) =>
      dependencies.write(
        database,
        "rescue",
        Effect.gen(function*() {
          const at = yield* now("rescue")
          const leases = rescuable(request, at)
          if (leases === undefined) return { now: at, rescued: [] }
          const rows = yield* query<Row>("rescue", expired, [
            number(request.limit),
            number(leases.until),
            number(leases.after)
          ])
          const decided = rows.map((row) => {
            const task = recordOf(row)
            const [rescued, change, counts] = decideRescue(task, maxCrashes, at)
            return { task, rescued, change, counts }
          })
          yield* tasks.apply("rescue", decided)
          return { now: at, rescued: decided.map(({ rescued }) => rescued) }
        })
      )
  }
}

/**
 * The heartbeat and the reports of attempts. A row that is locked is being settled, perhaps in a long transaction of the application: its
 * lease is still held, and only those that are free are written.
 */
export const runningFunctions = (schema: string): ReadonlyArray<string> => {
  const fenced = `${isOneOf("t.id", "g.id")} AND t.claim = g.claim AND t.state + 0 = 2`
  return [
    `CREATE OR REPLACE FUNCTION ${schema}.extend_leases_1(
    p_ids text[], p_claims bigint[], p_lease bigint
  ) RETURNS TABLE (out_place int, out_cancel_requested bool) LANGUAGE plpgsql ${lookups} AS $function$
  BEGIN
    RETURN QUERY WITH fenced AS MATERIALIZED (
      SELECT g.place, t.seq, t.cancel_requested FROM unnest(p_ids, p_claims) WITH ORDINALITY AS g (id, claim, place)
      JOIN ${schema}.task t ON ${fenced}
    ), free AS (
      SELECT t.seq FROM ${schema}.task t WHERE t.seq = ANY (ARRAY(SELECT seq FROM fenced)) AND t.state + 0 = 2
      ORDER BY t.seq FOR NO KEY UPDATE SKIP LOCKED
    ), extended AS (
      UPDATE ${schema}.task t SET lease_until = ${schema}.now_ms() + p_lease
      WHERE t.seq = ANY (ARRAY(SELECT seq FROM free))
    )
    SELECT place::int, cancel_requested FROM fenced;
  END $function$`,
    `CREATE OR REPLACE FUNCTION ${schema}.report_progress_1(
    p_ids text[], p_claims bigint[], p_progress float8[]
  ) RETURNS void LANGUAGE plpgsql ${lookups} AS $function$
  BEGIN
    WITH free AS MATERIALIZED (
      SELECT t.seq, g.progress FROM unnest(p_ids, p_claims, p_progress) AS g (id, claim, progress)
      JOIN ${schema}.task t ON ${fenced} FOR NO KEY UPDATE OF t SKIP LOCKED
    )
    UPDATE ${schema}.task t SET progress = free.progress FROM free WHERE ${isOneOf("t.seq", "free.seq")};
  END $function$`
  ]
}

/**
 * The same without news, unless a line waits for one of the passes. A claim that stops a line at this moment has the lock: then there
 * are news of all. What the application does is in a transaction that may be long, so it takes no lock and leaves news.
 */
export const completeAloneFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.complete_alone_1(p_ids text[], p_claims bigint[], p_results text[])
  RETURNS text[] LANGUAGE plpgsql
    ${lookups} AS $function$
  DECLARE
    v_ids text[];
    v_count int;
    v_gates text[];
    v_now bigint := ${schema}.now_ms();
  BEGIN
    ${completing(schema)}
    IF v_gates IS NOT NULL THEN
      IF pg_try_advisory_xact_lock_shared(${endsLock(schema)}) THEN
        v_gates := ${gatesWaitedFor(schema)};
      END IF;
      IF cardinality(v_gates) > 0 THEN INSERT INTO ${schema}.end_news (gates) VALUES (v_gates); END IF;
    END IF;
    RETURN CASE WHEN v_count < cardinality(p_ids) OR cardinality(v_gates) > 0 THEN coalesce(v_ids, '{}') END;
  END $function$`

/** Those of `v_gates` for one of whose passes a line waits. */
const gatesWaitedFor = (schema: string): string =>
  `CASE WHEN EXISTS (SELECT FROM ${schema}.line WHERE closed_by IS NOT NULL) THEN ARRAY(
          SELECT g.gate FROM (SELECT DISTINCT unnest(v_gates)) AS g (gate) WHERE EXISTS (
            SELECT FROM unnest(${schema}.passes_1(g.gate)) AS p (pass), LATERAL (
              SELECT FROM ${schema}.line l WHERE l.closed_by = p.pass LIMIT 1
            ) l
          )
        ) ELSE '{}' END`

type Complete = Extract<Settlement.Settlement, { readonly _tag: "Complete" }>

const completing = (schema: string): string =>
  `WITH done AS (
      UPDATE ${schema}.task t SET state = 3, completed_at = v_now, settled_claim = t.claim, result = p.result,
        failure = NULL, lease_until = NULL
      FROM unnest(p_ids, p_claims, p_results) AS p (id, claim, result)
      WHERE ${isOneOf("t.id", "p.id")} AND t.claim = p.claim AND t.state + 0 = 2 RETURNING t.id, t.gate
    ) SELECT array_agg(id), count(*), array_agg(gate) FILTER (WHERE gate IS NOT NULL) INTO v_ids, v_count, v_gates FROM done;
    IF v_count > 0 THEN
      INSERT INTO ${schema}.tally (unfinished, completed, total_completed) VALUES (-v_count, v_count, v_count);
    END IF;`

/**
 * `Settlement.settle` for Complete, fenced. Answers the ids that it completed, or nothing when it completed all and left no news: a
 * function, so that it can be told to use the index whatever the statistics say.
 */
export const completeFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.complete_1(p_ids text[], p_claims bigint[], p_results text[])
  RETURNS text[] LANGUAGE plpgsql
    ${lookups} AS $function$
  DECLARE
    v_ids text[];
    v_count int;
    v_gates text[];
    v_now bigint := ${schema}.now_ms();
  BEGIN
    ${completing(schema)}
    IF v_gates IS NOT NULL THEN INSERT INTO ${schema}.end_news (gates) VALUES (v_gates); END IF;
    RETURN CASE WHEN v_count < cardinality(p_ids) OR v_gates IS NOT NULL THEN coalesce(v_ids, '{}') END;
  END $function$`

/**
 * `Settlement.settle` for Complete, fenced. `p_alone` it is a transaction of its own: then it tells those that depend on what it completed,
 * and looks at lines as `complete_alone_1` does. Answers the ids that it completed, or nothing when it completed all and no line waits for one of them; those of
 * which the ends are to be told; and what was told, if anything.
 *
 * A task with few edges is written as told with its end. One that was run again has more, see `apply_changes_3`: so what is
 * told with its end here has never been.
 */
export const completeAndTellFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.complete_2(
    p_ids text[], p_claims bigint[], p_results text[], p_alone bool, p_head_start float8,
    OUT out_ids text[], OUT out_untold text[],
    OUT out_told int, OUT out_released bool, OUT out_dropped text[], OUT out_more bool
  ) LANGUAGE plpgsql
    ${lookups} AS $function$
  DECLARE
    v_ids text[];
    v_count int;
    v_gates text[];
    v_members bigint[];
    v_untold bigint[];
    v_now bigint := ${schema}.now_ms();
  BEGIN
    WITH done AS (
      UPDATE ${schema}.task t SET state = 3, completed_at = v_now, settled_claim = t.claim, result = p.result,
        failure = NULL, lease_until = NULL,
        told = CASE WHEN t.told = 0 AND t.edges <= ${maxToldTogether} AND p_alone THEN t.edges ELSE t.told END
      FROM unnest(p_ids, p_claims, p_results) AS p (id, claim, result)
      WHERE ${isOneOf("t.id", "p.id")} AND t.claim = p.claim AND t.state + 0 = 2
      RETURNING t.id, t.gate, t.seq, t.edges, t.told
    ) SELECT array_agg(id), count(*), array_agg(gate) FILTER (WHERE gate IS NOT NULL),
        array_agg(seq) FILTER (WHERE told = edges AND edges <= ${maxToldTogether}),
        array_agg(seq) FILTER (WHERE told < edges)
      INTO v_ids, v_count, v_gates, v_members, v_untold FROM done;
    IF v_count > 0 THEN
      INSERT INTO ${schema}.tally (unfinished, completed, total_completed) VALUES (-v_count, v_count, v_count);
    END IF;
    IF v_gates IS NOT NULL THEN
      IF p_alone AND pg_try_advisory_xact_lock_shared(${endsLock(schema)}) THEN
        v_gates := ${gatesWaitedFor(schema)};
      END IF;
      IF cardinality(v_gates) > 0 THEN INSERT INTO ${schema}.end_news (gates) VALUES (v_gates); END IF;
    END IF;
    out_ids := CASE WHEN v_count < cardinality(p_ids) OR cardinality(v_gates) > 0 THEN coalesce(v_ids, '{}') END;
    IF v_members IS NOT NULL OR v_untold IS NOT NULL THEN
      IF p_alone THEN
        SELECT o.* INTO out_told, out_released, out_dropped, out_more FROM ${schema}.tell_1(coalesce(v_members, '{}'),
          coalesce(v_untold, '{}'), false, ${maxTold} + coalesce(cardinality(v_untold), 0), p_head_start) o;
      ELSE
        out_untold := v_untold::text[];
      END IF;
    END IF;
  END $function$`

/**
 * The ends of attempts. Completions, which nearly all are, take one statement for the whole batch; the others are read,
 * decided by `Settlement`, and written in one transaction. `onRoom` is done where others may start because of them.
 */
const settling = (
  database: Database,
  tasks: Tasks,
  dependencies: Dependencies,
  headStartMs: number,
  onRoom: Effect.Effect<void>
): TaskStore["Service"]["settle"] => {
  const { inTransaction, query, schema } = database
  const completeAll = `SELECT out_ids, out_untold, ${toldColumns}
    FROM ${schema}.complete_2($1, $2::float8[]::bigint[], $3, $4, $5)`

  /** Completes what it can; answers what it could not. */
  const complete = (settlements: ReadonlyArray<Complete>): Effect.Effect<ReadonlyArray<Complete>, StoreError> =>
    settlements.length === 0 ? Effect.succeed([]) : Effect.flatMap(
      Effect.flatMap(
        inTransaction,
        (inside) =>
          query<Completed>("settle", completeAll, [
            texts(settlements.map(({ id }) => id)),
            numbers(settlements.map(({ claim }) => claim)),
            texts(settlements.map(({ result }) => result)),
            !inside,
            number(headStartMs)
          ])
      ),
      ([row]) => {
        const [ids, untold, ...told] = row!
        if (told[0] !== null) dependencies.note(told as Told)
        const done = ids === null ? undefined : new Set(ids)
        const left = done === undefined ? [] : settlements.filter(({ id }) => !done.has(id))
        const leave = dependencies.leave((untold ?? []).map(Number))
        return Effect.as(ids === null ? leave : Effect.andThen(leave, onRoom), left)
      }
    )

  return Effect.fnUntraced(function*(settlements: ReadonlyArray<Settlement.Settlement>) {
    // several ends of one task are looked at in their order
    const met = new Set<string>()
    const several = new Set<string>()
    for (const { id } of settlements) (met.has(id) ? several : met).add(id)
    const isPlain = (settlement: Settlement.Settlement): settlement is Complete =>
      settlement._tag === "Complete" && !several.has(settlement.id)
    const refused = new Set<Settlement.Settlement>(yield* complete(settlements.filter(isPlain)))
    const isLeft = (settlement: Settlement.Settlement) => !isPlain(settlement) || refused.has(settlement)
    const left = settlements.filter(isLeft)
    let makesRoom = false
    const decided = yield* tasks.change<Settlement.SettleAnswer>(
      database,
      "settle",
      left.map(({ id }) => id),
      "stale",
      (task, now, place) => {
        const decision = decideSettle(task, left[place]!, now)
        makesRoom ||= task.gate !== null && decision[1] !== undefined
        return decision
      }
    )
    if (makesRoom) yield* onRoom
    let next = 0
    return settlements.map((settlement) => isLeft(settlement) ? decided[next++]! : "applied")
  })
}
