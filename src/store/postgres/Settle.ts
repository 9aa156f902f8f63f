/**
 * The ends of attempts. Completions, which nearly all are, take one statement for the whole batch; the others are read,
 * decided by `Settlement`, and written in one transaction.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as Settlement from "../../domain/Settlement.ts"
import { type Database, numbers, texts } from "./Database.ts"
import type { Decided, Tasks } from "./Task.ts"

type Complete = Extract<Settlement.Settlement, { readonly _tag: "Complete" }>

/**
 * `Settlement.settle` for Complete, fenced. Answers the ids that it completed, or nothing when it completed all: a
 * function, so that it can be told to use the index whatever the statistics say.
 */
export const completeFunction = (schema: string): string =>
  `CREATE FUNCTION ${schema}.complete_1(p_ids text[], p_claims bigint[], p_results text[])
  RETURNS text[] LANGUAGE plpgsql
    SET jit TO off SET enable_seqscan TO off SET enable_bitmapscan TO off SET enable_hashjoin TO off
    SET enable_mergejoin TO off AS $function$
  DECLARE
    v_ids text[];
    v_count int;
    v_now bigint := ${schema}.now_ms();
  BEGIN
    WITH done AS (
      UPDATE ${schema}.task t SET state = 3, completed_at = v_now, settled_claim = t.claim, result = p.result,
        failure = NULL, lease_until = NULL
      FROM unnest(p_ids, p_claims, p_results) AS p (id, claim, result)
      WHERE t.id = p.id AND t.claim = p.claim AND t.state + 0 = 2 RETURNING t.id
    ) SELECT array_agg(id), count(*) INTO v_ids, v_count FROM done;
    IF v_count > 0 THEN
      INSERT INTO ${schema}.tally (unfinished, completed, total_completed) VALUES (-v_count, v_count, v_count);
    END IF;
    RETURN CASE WHEN v_count < cardinality(p_ids) THEN coalesce(v_ids, '{}') END;
  END $function$`

/** Prepares the operation. */
export const make = ({ query, schema, transaction }: Database, tasks: Tasks) => {
  const completeAll = `SELECT ${schema}.complete_1($1, $2::float8[]::bigint[], $3)`
  const clock = `SELECT ${schema}.now_ms()::float8`

  /** Completes what it can; answers what it could not. */
  const complete = (settlements: ReadonlyArray<Complete>): Effect.Effect<ReadonlyArray<Complete>, StoreError> =>
    settlements.length === 0 ? Effect.succeed([]) : Effect.map(
      query<[ids: ReadonlyArray<string> | null]>("settle", completeAll, [
        texts(settlements.map(({ id }) => id)),
        numbers(settlements.map(({ claim }) => claim)),
        texts(settlements.map(({ result }) => result))
      ]),
      (rows) => {
        if (rows[0]![0] === null) return []
        const done = new Set(rows[0]![0])
        return settlements.filter(({ id }) => !done.has(id))
      }
    )

  const decideAndApply = Effect.fnUntraced(function*(settlements: ReadonlyArray<Settlement.Settlement>) {
    const found = yield* tasks.lock("settle", settlements.map(({ id }) => id))
    // read after the locks are held, or an end could lie before its beginning
    const [[now]] = (yield* query<[now: number]>("settle", clock)) as readonly [[number]]
    const decided: Array<Decided> = []
    const answers = settlements.map((settlement): Settlement.SettleAnswer => {
      const task = found.get(settlement.id)
      if (task === undefined) return "stale"
      const answer = Settlement.fence(task, settlement.claim)
      if (answer === "applied") {
        const change = Settlement.settle(task, settlement, now)
        const retried = settlement._tag === "Retry" && change.state !== "cancelled"
        decided.push({ task, change, counts: retried ? "retried" : undefined })
        found.set(task.id, { ...task, ...change })
      }
      return answer
    })
    yield* tasks.apply("settle", decided)
    return answers
  })

  return Effect.fnUntraced(function*(settlements: ReadonlyArray<Settlement.Settlement>) {
    // several ends of one task are looked at in their order
    const met = new Set<string>()
    const several = new Set<string>()
    for (const { id } of settlements) (met.has(id) ? several : met).add(id)
    const isPlain = (settlement: Settlement.Settlement): settlement is Complete =>
      settlement._tag === "Complete" && !several.has(settlement.id)
    const completions = settlements.filter(isPlain)
    const left = new Set<Settlement.Settlement>(yield* complete(completions))
    const answers = settlements.map((): Settlement.SettleAnswer => "applied")
    if (completions.length === settlements.length && left.size === 0) return answers
    const places = [...settlements.keys()].filter((place) => {
      const settlement = settlements[place]!
      return !isPlain(settlement) || left.has(settlement)
    })
    const decided = yield* transaction("settle", decideAndApply(places.map((place) => settlements[place]!)))
    for (const [index, place] of places.entries()) answers[place] = decided[index]!
    return answers
  })
}
