/**
 * Passes in the schema: how functions read gates and limits, and what is asked and said about passes besides claims.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as Gate from "../../domain/Gate.ts"
import * as Gates from "../Gates.ts"
import { stateOf } from "../TaskRow.ts"
import type { TaskStore } from "../TaskStore.ts"
import { type Database, lookups, numbers, texts } from "./Database.ts"

/** A pass as the schema knows it: one with a character that PostgreSQL has no text for is kept as JSON, behind a mark that no name has. */
const known = (pass: Gate.Pass): string =>
  pass.includes("\0") || !pass.isWellFormed() ? `=${JSON.stringify(pass).slice(1, -1)}` : pass

const between = ({ maximum, minimum }: typeof Gate.tokenBounds): string => `${minimum} AND ${maximum}`
const tokens = between(Gate.tokenBounds)
const perMs = between(Gate.perMsBounds)

/** Claims that stop lines until a task ends hold this lock alone, and those who end tasks without news of it hold it together. */
export const endsLock = (schema: string): string => `hashtextextended('taskforge ends ${schema}', 0)`

/** Whether a gate is more than one pass without escapes, which is looked up as it is written. */
export const isOdd = "(position('\",\"' IN gate) > 0 OR position(E'\\\\' IN gate) > 0)"

/**
 * Tasks that run, by gate: how many have a pass is looked up. What a gate with several passes counts for is not found so; these have an
 * index of their own, in which there is nearly never any.
 */
export const runningIndexes = (schema: string): ReadonlyArray<string> => [
  `CREATE INDEX IF NOT EXISTS task_gate ON ${schema}.task (gate, claim) WHERE state = 2`,
  `CREATE INDEX IF NOT EXISTS task_gate_odd ON ${schema}.task (gate) WHERE state = 2 AND ${isOdd}`,
  `DROP INDEX IF EXISTS ${schema}.task_running`,
  `DROP INDEX IF EXISTS ${schema}.task_busy`
]

/**
 * The passes of a gate; how many tasks with each of some passes are running; and the limit of a pass: its own, or that of its name, as
 * `Gates.limitFor` finds it. A gate that is
 * none has no passes.
 */
export const functions = (schema: string): ReadonlyArray<string> => [
  `CREATE OR REPLACE FUNCTION ${schema}.parsed_passes_1(p_gate text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $function$
  DECLARE
    v_passes text[] := '{}';
    v_pass json;
  BEGIN
    BEGIN
      RETURN ARRAY(SELECT json_array_elements_text(p_gate::json));
    EXCEPTION WHEN OTHERS THEN
      FOR v_pass IN SELECT json_array_elements(p_gate::json) LOOP
        BEGIN
          v_passes := v_passes || (v_pass #>> '{}');
        EXCEPTION WHEN OTHERS THEN
          v_passes := v_passes || ('=' || substr(v_pass::text, 2, length(v_pass::text) - 2));
        END;
      END LOOP;
      RETURN v_passes;
    END;
  EXCEPTION WHEN OTHERS THEN
    RETURN '{}';
  END $function$`,
  // a gate without escapes, as nearly all are, is split where its texts end
  `CREATE OR REPLACE FUNCTION ${schema}.passes_1(p_gate text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $function$
    SELECT CASE WHEN position(E'\\\\' IN p_gate) = 0 AND p_gate LIKE '["%"]'
      THEN string_to_array(substr(p_gate, 3, length(p_gate) - 4), '","') ELSE ${schema}.parsed_passes_1(p_gate) END
  $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.running_1(p_passes text[]) RETURNS bigint[] LANGUAGE plpgsql ${lookups} AS $function$
  DECLARE
    v_tasks jsonb := (SELECT jsonb_object_agg(pass, tasks) FROM (
      SELECT pass, count(*) AS tasks FROM (
        SELECT p.pass FROM unnest(p_passes) AS p (pass), LATERAL (
          SELECT FROM ${schema}.task t WHERE t.state = 2 AND t.gate = '["' || p.pass || '"]' AND NOT ${isOdd} OFFSET 0
        ) t
        UNION ALL
        SELECT p.pass FROM (
          SELECT gate FROM ${schema}.task WHERE state = 2 AND gate >= '' AND ${isOdd} OFFSET 0
        ) t, unnest(${schema}.passes_1(t.gate)) AS p (pass)
      ) r GROUP BY pass
    ) c);
  BEGIN
    RETURN CASE WHEN v_tasks IS NULL THEN array_fill(0::bigint, ARRAY[cardinality(p_passes)]) ELSE ARRAY(
      SELECT coalesce((v_tasks ->> p.pass)::bigint, 0) FROM unnest(p_passes) WITH ORDINALITY AS p (pass, place) ORDER BY p.place
    ) END;
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.limit_1(
    p_document text, OUT kind text, OUT most float8, OUT tokens float8, OUT per_ms float8, OUT burst float8
  ) LANGUAGE plpgsql IMMUTABLE AS $function$
  DECLARE
    v json;
  BEGIN
    -- as nearly all are written: a block that catches errors, and JSON, take longer
    most := substring(p_document FROM '^{"max":([0-9]{1,15})[,}]');
    IF most IS NOT NULL AND position('"notBefore"' IN p_document) = 0 THEN
      kind := 'max';
      RETURN;
    END IF;
    most := NULL;
    BEGIN
      v := p_document::json;
      IF json_typeof(v) <> 'object' THEN RETURN; END IF;
      -- a time before which nothing starts is in per_ms: the functions of earlier versions have no other place for it
      IF json_typeof(v -> 'max') = 'number' AND coalesce(json_typeof(v -> 'notBefore'), 'number') = 'number' THEN
        most := v ->> 'max';
        per_ms := v ->> 'notBefore';
        IF most >= 0 AND most = floor(most) AND most <= ${Number.MAX_SAFE_INTEGER}
          AND (per_ms IS NULL OR per_ms = floor(per_ms) AND abs(per_ms) <= ${Number.MAX_SAFE_INTEGER}) THEN
          kind := 'max';
          RETURN;
        END IF;
      END IF;
      IF json_typeof(v -> 'tokens') = 'number' AND json_typeof(v -> 'perMs') = 'number'
        AND json_typeof(v -> 'burst') = 'number' THEN
        tokens := v ->> 'tokens';
        per_ms := v ->> 'perMs';
        burst := v ->> 'burst';
        IF tokens BETWEEN ${tokens} AND burst BETWEEN ${tokens} AND per_ms BETWEEN ${perMs} THEN
          kind := 'rate';
          RETURN;
        END IF;
      END IF;
      IF json_typeof(v -> 'order') = 'string' AND v ->> 'order' IN ('block', 'continue') THEN
        kind := v ->> 'order';
        RETURN;
      END IF;
      IF json_typeof(v -> 'fair') = 'number' THEN
        most := v ->> 'fair';
        IF most = floor(most) AND most BETWEEN 1 AND 1000 THEN
          kind := 'fair';
          RETURN;
        END IF;
      END IF;
      IF json_typeof(v -> 'lifted') = 'boolean' AND v ->> 'lifted' = 'true' THEN kind := 'lifted'; END IF;
    EXCEPTION WHEN OTHERS THEN
      kind := NULL;
    END;
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.limit_of_1(
    p_pass text, OUT kind text, OUT most float8, OUT tokens float8, OUT per_ms float8, OUT burst float8
  ) LANGUAGE plpgsql STABLE AS $function$
  DECLARE
    v_document text;
    v_id text;
  BEGIN
    FOREACH v_id IN ARRAY ARRAY[p_pass, CASE WHEN p_pass LIKE '=%'
      THEN ('"' || split_part(p_pass, '=', 2) || '"')::json #>> '{}' ELSE split_part(p_pass, '=', 1) END] LOOP
      SELECT r.document INTO v_document FROM ${schema}.record r WHERE r.kind = '${Gates.limitKind}' AND r.id = v_id;
      CONTINUE WHEN NOT FOUND;
      SELECT l.kind, l.most, l.tokens, l.per_ms, l.burst INTO kind, most, tokens, per_ms, burst
        FROM ${schema}.limit_1(v_document) l;
      EXIT WHEN kind IS NOT NULL;
    END LOOP;
    IF kind = 'lifted' THEN kind := NULL; END IF;
  END $function$`
]

/**
 * Looks through the next buckets, as `Gate.swept` says. Neither those that a claim writes at this moment, nor those that a charge is
 * on its way to. A lot whose bucket goes on from now is looked at by the next claim, which knows when it opens.
 */
const sweeping = (schema: string): string => {
  const of = "b.pass = j.pass"
  const isFull = "j.kind = 'rate' AND b.level + greatest(0, c.now - b.at)::float8 * j.tokens / j.per_ms >= j.burst"
  return `WITH clock AS MATERIALIZED (SELECT ${schema}.now_ms() AS now),
    part AS MATERIALIZED (SELECT pass FROM ${schema}.bucket WHERE pass > $1 ORDER BY pass LIMIT ${Gates.maxSwept}),
    ruled AS MATERIALIZED (
      SELECT pass, CASE WHEN pass LIKE '=%' OR EXISTS (
        SELECT FROM ${schema}.record r WHERE r.kind = '${Gates.limitKind}' AND r.id = pass
      ) THEN pass ELSE split_part(pass, '=', 1) END AS id FROM part
    ), rules AS MATERIALIZED (
      SELECT i.id, l.* FROM (SELECT DISTINCT id FROM ruled) i, LATERAL ${schema}.limit_of_1(i.id) l
    ), judged AS MATERIALIZED (SELECT r.pass, l.* FROM ruled r JOIN rules l USING (id)),
    full_ones AS (
      SELECT b.ctid AS place FROM ${schema}.bucket b, judged j, clock c WHERE ${of} AND (
        ${isFull} OR j.kind IS DISTINCT FROM 'rate' AND c.now - b.at >= ${Gate.orphanForMs}
      ) AND NOT EXISTS (SELECT FROM ${schema}.pass_news n WHERE n.pass = b.pass) FOR UPDATE OF b SKIP LOCKED
    ), gone AS (
      DELETE FROM ${schema}.bucket WHERE ctid = ANY (ARRAY(SELECT place FROM full_ones))
    ), ahead AS (
      SELECT b.ctid AS place FROM ${schema}.bucket b, judged j, clock c
      WHERE ${of} AND b.at > c.now AND NOT coalesce(${isFull}, false) FOR UPDATE OF b SKIP LOCKED
    ), set_back AS (
      UPDATE ${schema}.bucket b SET at = c.now FROM clock c WHERE b.ctid = ANY (ARRAY(SELECT place FROM ahead)) RETURNING b.pass
    ), opened AS (
      UPDATE ${schema}.lot o SET opens_at = c.now FROM set_back s, clock c WHERE o.pass = s.pass
    )
    SELECT pass, (SELECT count(*)::int FROM part) FROM part ORDER BY pass DESC LIMIT 1`
}

/** Answers what looks through the next buckets each time, and begins again after the last one. */
export const sweep = ({ query, schema }: Database): Effect.Effect<void, StoreError> => {
  const text = sweeping(schema)
  let after = ""
  return Effect.map(
    Effect.suspend(() => query<[last: string, count: number]>("prune", text, [after])),
    ([last]) => {
      after = last === undefined || last[1] < Gates.maxSwept ? "" : last[0]
    }
  )
}

/** A charge that no claim has taken note of yet. */
type ChargeRow = [pass: string, amount: number, at: number, tokens: number, perMs: number, burst: number]

/** Prepares the operations. */
export const make = (
  { once, query, schema, transaction }: Database
): Pick<TaskStore["Service"], "passes" | "charge" | "letGo"> => {
  const running = `SELECT id, gate FROM ${schema}.task WHERE state = 2 AND gate >= '' ORDER BY claim`
  const buckets = `SELECT pass, level, at::float8 FROM ${schema}.bucket WHERE pass = ANY ($1)`
  const charges = `SELECT pass, amount, at::float8, tokens, per_ms, burst FROM ${schema}.pass_news
    WHERE pass = ANY ($1) AND amount IS NOT NULL ORDER BY written_at`
  const holders = `SELECT h.pass, t.id, t.state::int FROM ${schema}.holder h, LATERAL (
      SELECT o.id, o.state FROM ${schema}.task o WHERE o.seq = h.seq OFFSET 0
    ) t WHERE h.pass = ANY ($1) AND NOT EXISTS (
      SELECT FROM ${schema}.pass_news n WHERE n.pass = h.pass AND n.holder = h.seq
    )`
  const limits = `SELECT id, document FROM ${schema}.record WHERE kind = '${Gates.limitKind}' AND id = ANY ($1)`
  const charge = `INSERT INTO ${schema}.pass_news (pass, amount, tokens, per_ms, burst, at)
    SELECT n.*, ${schema}.now_ms() FROM unnest($1::text[], $2::float8[], $3::float8[], $4::float8[], $5::float8[]) AS n`
  const letGo = `INSERT INTO ${schema}.pass_news (pass, holder)
    SELECT pass, seq FROM ${schema}.holder WHERE pass = ANY ($1)`

  return {
    passes: (passes) =>
      passes.length === 0 ? Effect.succeed([]) : transaction(
        "read passes",
        Effect.gen(function*() {
          const names = [texts(passes.map(known))]
          const found = new Map(
            (yield* query<[pass: string, level: number, at: number]>("read passes", buckets, names)).map((
              [pass, level, at]
            ) => [pass, { level, at }] as const)
          )
          for (const [pass, amount, at, ...rate] of yield* query<ChargeRow>("read passes", charges, names)) {
            const [tokens, perMs, burst] = rate
            const bucket = found.get(pass)
            const since = Math.max(at, bucket?.at ?? at)
            found.set(pass, Gate.spend(bucket, { tokens, perMs, burst }, amount, since))
          }
          const held = new Map(
            (yield* query<[pass: string, id: string, state: number]>("read passes", holders, names)).map((
              [pass, id, state]
            ) => [pass, { id, state: stateOf(state) }] as const)
          )
          const ids = new Map(passes.map((pass): [Gate.Pass, Array<string>] => [pass, []]))
          for (const [id, gate] of yield* query<[id: string, gate: string]>("read passes", running)) {
            for (const pass of Gate.passesOf(gate)) ids.get(pass)?.push(id)
          }
          return passes.map((pass): Gates.PassState => ({
            pass,
            running: ids.get(pass)!.length,
            holders: ids.get(pass)!.slice(0, Gates.maxHolders),
            bucket: found.get(known(pass)) ?? null,
            holder: held.get(known(pass)) ?? null
          }))
        })
      ),

    letGo: (passes) =>
      passes.length === 0 ? Effect.void : Effect.asVoid(query("let go", letGo, [texts(passes.map(known))])),

    charge: Effect.fnUntraced(function*(charges) {
      if (charges.length === 0) return
      const ids = [...new Set(charges.flatMap(({ pass }) => [known(pass), Gate.limitOf(pass)]))]
      const documents = new Map(
        (yield* query<[id: string, document: string]>("charge", limits, [texts(ids)])).map(([id, document]) => [
          id,
          Gates.limitOfDocument(document)
        ])
      )
      const rated = charges.flatMap(({ amount, pass }) => {
        const limit = Gates.limitFor(pass, (id) => documents.get(id))
        return limit !== undefined && "tokens" in limit ? [{ pass, amount, limit }] : []
      })
      if (rated.length === 0) return
      yield* once.query("charge", charge, [
        texts(rated.map(({ pass }) => known(pass))),
        numbers(rated.map(({ amount }) => amount)),
        numbers(rated.map(({ limit }) => limit.tokens)),
        numbers(rated.map(({ limit }) => limit.perMs)),
        numbers(rated.map(({ limit }) => limit.burst))
      ])
    })
  }
}
