/**
 * Tasks with a gate that wait together with those that have none. As long as nothing holds them back they need no line: they stand in
 * the order of work of their lane, and a claim takes the first ones as a set. `shared_gate` has the gate of such a task, and
 * `gate` is `NULL` until it runs or is given to its line, whichever comes first.
 *
 * This is exact where it does not matter to a task which of its line was looked at before: limits of how many run, and breakers. All
 * other limits need lines from the start. Where a claim meets a task with such a limit, which was put later, it gives all tasks
 * that wait together in that lane to their lines before it takes any: no line comes before its first task, so none of
 * those behind would have come first.
 */
import * as Gates from "../Gates.ts"
import { lookups } from "./Database.ts"
import { endsLock, isOdd } from "./Passes.ts"
import { orderedPattern } from "./Take.ts"

/** Tasks that one claim gives to lines at most, about. Then it answers nothing, and pays to be repeated. */
export const maxMoved = 2000

/** Tasks of one gate in one write that wait together at most: more have a line at once, which a claim need not give them to. */
export const maxAlike = 100

/** Tasks that a claim looks at together at most where it has met closed gates. */
export const maxPage = 1000

const settings = "SET jit TO off SET enable_seqscan TO off SET enable_bitmapscan TO off " +
  "SET plan_cache_mode TO force_generic_plan"

/** Whether tasks with limits of this kind can wait together. */
const isSimple = (kind: string): string => `(${kind} IS NULL OR ${kind} = 'max')`

/** Whether a pass may be closed by something else than the limit of its name: a limit of its own, the pause of its key, or a line that it has stopped. */
const mayClose = (schema: string): string =>
  `v_has_own AND position('=' IN p.pass) > 0
          AND EXISTS (SELECT FROM ${schema}.record c WHERE c.kind = '${Gates.limitKind}' AND c.id = p.pass)
        OR v_paused AND EXISTS (SELECT FROM ${schema}.record c WHERE c.kind = '${Gates.pausedKeyKind}' AND c.id = p.pass)
        OR v_parked AND EXISTS (SELECT FROM ${schema}.line l WHERE l.closed_by = p.pass)`

/**
 * - `rules_1`: the limits of passes, as `limit_of_1` finds them, and whether any key of the name has a limit of its own.
 * - `may_share_1`: which new tasks may wait together. Where there is a line, its new tasks belong to it, and very many at once make one.
 * - `give_to_lines_1`: gives tasks to their lines, of which the next fold takes note.
 * - `open_shared_1`: whether all of a page of tasks in the order of work may start together, next to what runs. `p_gates` has a gate for each, and
 *   `NULL` for those without, `p_shared` is how many have one, and `p_taken` has the gates of those that the claim has taken before. It is asked by
 *   each claim, and nearly always finds one limit, with one pass a task: then gates are compared as they are written.
 * - `open_several_1`: the same where tasks have several passes, or several limits, or their limit is no plain number.
 * - `sort_shared_1`: where not all may start, those that do, and how many were given to lines. The gates of those that start
 *   come with them. A limit that has a line stopped, or a key that is paused, sends all to their lines, so that these decide. In
 *   doubt a task goes to its line too: `Take` looks at it once more.
 */
export const functions = (schema: string): ReadonlyArray<string> => [
  `CREATE OR REPLACE FUNCTION ${schema}.rules_1(p_passes text[]) RETURNS TABLE (
    out_pass text, out_kind text, out_most float8, out_per_ms float8, out_has_own bool
  ) LANGUAGE plpgsql ${settings} AS $function$
  BEGIN
    RETURN QUERY WITH given AS MATERIALIZED (
      SELECT p.pass, split_part(p.pass, '=', 1) AS name FROM unnest(p_passes) AS p (pass)
    ), rule AS MATERIALIZED (
      SELECT n.name, o.kind, o.most, o.per_ms, EXISTS (
        SELECT FROM ${schema}.record r
        WHERE r.kind = '${Gates.limitKind}' AND r.id >= n.name || '=' AND r.id < n.name || '>'
      ) AS has_own FROM (SELECT DISTINCT name FROM given) n, LATERAL ${schema}.limit_of_1(n.name) o
    ) SELECT g.pass, o.kind, CASE WHEN o.kind = 'max' THEN o.most END, CASE WHEN o.kind = 'max' THEN o.per_ms END, r.has_own
      FROM given g JOIN rule r USING (name)
      CROSS JOIN LATERAL (SELECT r.has_own AND EXISTS (
        SELECT FROM ${schema}.record c WHERE c.kind = '${Gates.limitKind}' AND c.id = g.pass
      ) OFFSET 0) w (own) CROSS JOIN LATERAL (
        SELECT r.kind, r.most, r.per_ms WHERE NOT w.own
        UNION ALL
        SELECT l.kind, l.most, l.per_ms FROM ${schema}.limit_of_1(g.pass) l WHERE w.own
      ) o;
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.may_share_1(p_types text[], p_queues text[], p_gates text[]) RETURNS bool[]
  LANGUAGE plpgsql ${settings} AS $function$
  DECLARE
    v_special text[];
    v_lines bool;
    v_many text[];
  BEGIN
    IF cardinality(p_gates) > ${maxAlike} THEN
      v_many := ARRAY(
        SELECT g.gate FROM unnest(p_gates) AS g (gate) WHERE g.gate IS NOT NULL GROUP BY g.gate HAVING count(*) > ${maxAlike}
      );
    END IF;
    SELECT array_agg(out_pass) INTO v_special FROM ${schema}.rules_1(ARRAY(
      SELECT DISTINCT p.pass FROM unnest(p_gates) AS g (gate), unnest(${schema}.passes_1(g.gate)) AS p (pass)
    )) WHERE NOT ${isSimple("out_kind")};
    v_lines := EXISTS (SELECT FROM ${schema}.line);
    RETURN ARRAY(
      SELECT coalesce(n.gate LIKE '["%"]' AND n.gate NOT LIKE '${orderedPattern}' AND position(E'\\\\' IN n.gate) = 0
        AND (v_many IS NULL OR n.gate <> ALL (v_many))
        AND (v_special IS NULL OR NOT ${schema}.passes_1(n.gate) && v_special)
        AND (NOT v_lines OR NOT EXISTS (
          SELECT FROM ${schema}.line l WHERE l.type = n.type AND l.queue = n.queue AND l.gate = n.gate
        )), false)
      FROM unnest(p_types, p_queues, p_gates) WITH ORDINALITY AS n (type, queue, gate, place) ORDER BY n.place
    );
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.give_to_lines_1(p_seqs bigint[]) RETURNS void LANGUAGE plpgsql ${lookups} AS $function$
  BEGIN
    WITH given AS (
      UPDATE ${schema}.task SET gate = shared_gate, shared_gate = NULL WHERE seq = ANY (p_seqs)
      RETURNING type, queue, gate
    ) INSERT INTO ${schema}.line_news (type, queue, gate, changed) SELECT DISTINCT type, queue, gate, false FROM given;
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.open_shared_1(
    p_now bigint, p_gates text[], p_shared int, p_taken text[]
  ) RETURNS bool LANGUAGE plpgsql ${settings} AS $function$
  DECLARE
    -- no gate that waits with others has an escape: its passes end where a quotation mark is
    v_text text := array_to_string(p_gates || p_taken, ',');
    v_first text := split_part(v_text, '=', 1) || '=';
    v_name text := substr(v_first, 3, length(v_first) - 3);
    v_count int := p_shared + cardinality(p_taken);
    v_document text;
    v_max text;
    v_has_own bool;
    v_paused bool;
    v_parked bool;
    v_odd bool;
    v_busy text[];
  BEGIN
    IF position('","' IN v_text) > 0
      OR octet_length(v_text) - octet_length(replace(v_text, v_first, '')) <> v_count * octet_length(v_first) THEN
      RETURN ${schema}.open_several_1(p_now, p_gates, p_taken);
    END IF;
    SELECT (SELECT document FROM ${schema}.record WHERE kind = '${Gates.limitKind}' AND id = v_name),
        EXISTS (SELECT FROM ${schema}.record
          WHERE kind = '${Gates.limitKind}' AND id >= v_name || '=' AND id < v_name || '>'),
        EXISTS (SELECT FROM ${schema}.record WHERE kind = '${Gates.pausedKeyKind}'),
        EXISTS (SELECT FROM ${schema}.line WHERE closed_by IS NOT NULL),
        EXISTS (SELECT FROM ${schema}.task WHERE state = 2 AND gate >= '' AND ${isOdd})
      INTO v_document, v_has_own, v_paused, v_parked, v_odd;
    -- as nearly all are written, see limit_1
    v_max := split_part(split_part(substr(v_document, 8), ',', 1), '}', 1);
    IF v_odd OR v_document NOT LIKE '{"max":%}' OR position('"notBefore"' IN v_document) > 0
      OR length(v_max) NOT BETWEEN 1 AND 15 OR translate(v_max, '0123456789', '') <> '' THEN
      RETURN ${schema}.open_several_1(p_now, p_gates, p_taken);
    END IF;
    IF v_has_own OR v_paused OR v_parked THEN
      IF EXISTS (
        SELECT FROM (
          SELECT DISTINCT substr(g.gate, 3, length(g.gate) - 4) AS pass FROM unnest(p_gates) AS g (gate)
          WHERE g.gate IS NOT NULL
        ) p WHERE ${mayClose(schema)}
      ) THEN
        RETURN false;
      END IF;
    END IF;
    IF v_max IS NULL THEN RETURN true; END IF;
    v_busy := ARRAY(SELECT gate FROM ${schema}.task WHERE state = 2 AND gate >= '' LIMIT 4 * v_count);
    IF cardinality(v_busy) = 4 * v_count THEN
      -- many run, of which few have these passes
      RETURN NOT EXISTS (
        SELECT FROM (
          SELECT g.gate, count(*) AS tasks FROM unnest(p_gates || p_taken) AS g (gate) WHERE g.gate IS NOT NULL
          GROUP BY g.gate
        ) g WHERE g.tasks + (SELECT count(*) FROM ${schema}.task t WHERE t.state = 2 AND t.gate = g.gate) > v_max::bigint
      );
    END IF;
    IF v_count + cardinality(v_busy) <= v_max::bigint THEN RETURN true; END IF;
    RETURN NOT EXISTS (
      SELECT FROM unnest(p_gates || p_taken || v_busy) AS g (gate) WHERE starts_with(g.gate, v_first)
      GROUP BY g.gate HAVING count(*) > v_max::bigint
    );
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.open_several_1(p_now bigint, p_gates text[], p_taken text[])
  RETURNS bool LANGUAGE plpgsql ${settings} AS $function$
  DECLARE
    v_text text := replace(array_to_string(p_gates || p_taken, ','), '"],["', '","');
    v_given text[] := string_to_array(substr(v_text, 3, length(v_text) - 4), '","');
    v_passes text[];
    v_tasks bigint[];
    v_busy text[];
    v_open bool;
    v_has_own bool;
    v_paused bool := EXISTS (SELECT FROM ${schema}.record WHERE kind = '${Gates.pausedKeyKind}');
    v_parked bool := EXISTS (SELECT FROM ${schema}.line WHERE closed_by IS NOT NULL);
    v_least float8;
    v_enough bigint := 2 * cardinality(v_given);
  BEGIN
    SELECT bool_and(${
    isSimple("out_kind")
  } AND (out_per_ms IS NULL OR out_per_ms <= p_now)), min(out_most), bool_or(out_has_own)
      INTO v_open, v_least, v_has_own
      FROM ${schema}.rules_1(ARRAY(SELECT DISTINCT split_part(p.pass, '=', 1) FROM unnest(v_given) AS p (pass)));
    IF NOT v_open OR (v_has_own OR v_paused OR v_parked) AND EXISTS (
      SELECT FROM (SELECT DISTINCT pass FROM unnest(v_given) AS p (pass)) p WHERE ${mayClose(schema)}
    ) THEN
      RETURN false;
    END IF;
    IF v_least IS NULL THEN RETURN true; END IF;
    v_busy := ARRAY(SELECT gate FROM ${schema}.task WHERE state = 2 AND gate >= '' LIMIT v_enough);
    IF cardinality(v_busy) = v_enough OR position(E'\\\\' IN array_to_string(v_busy, '')) > 0 THEN
      -- many run, of which few have these passes
      SELECT array_agg(pass), array_agg(tasks) INTO v_passes, v_tasks FROM (
        SELECT pass, count(*) AS tasks FROM unnest(v_given) AS p (pass) GROUP BY pass
      ) p;
      RETURN NOT EXISTS (
        SELECT FROM unnest(v_tasks, ${schema}.running_1(v_passes)) AS n (tasks, running) WHERE n.tasks + n.running > v_least
      );
    END IF;
    v_text := replace(array_to_string(p_gates || p_taken || v_busy, ','), '"],["', '","');
    v_given := string_to_array(substr(v_text, 3, length(v_text) - 4), '","');
    RETURN cardinality(v_given) <= v_least OR NOT EXISTS (
      SELECT FROM unnest(v_given) AS p (pass) GROUP BY pass HAVING count(*) > v_least
    );
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.sort_shared_1(
    p_now bigint, p_seqs bigint[], p_gates text[], p_limit int, p_taken text[],
    OUT out_seqs bigint[], OUT out_gates text[], OUT out_given int, OUT out_spread bool
  ) LANGUAGE plpgsql ${settings} AS $function$
  DECLARE
    v_paused bool := EXISTS (SELECT FROM ${schema}.record WHERE kind = '${Gates.pausedKeyKind}');
    v_parked bool := EXISTS (SELECT FROM ${schema}.line WHERE closed_by IS NOT NULL);
    v_refused bigint[];
    v_special bigint[];
  BEGIN
    out_given := 0;
    out_spread := false;
    FOR attempt IN 1 .. 2 LOOP
      WITH wanted AS MATERIALIZED (
        SELECT c.place, p.pass FROM unnest(p_gates) WITH ORDINALITY AS c (gate, place),
          unnest(${schema}.passes_1(c.gate)) AS p (pass)
      ), running AS MATERIALIZED (
        SELECT p.pass, sum(b.tasks) AS tasks FROM (
          SELECT t.gate, count(*) AS tasks FROM ${schema}.task t WHERE t.state = 2 AND t.gate >= '' GROUP BY t.gate
          UNION ALL
          SELECT g.gate, count(*) FROM unnest(p_taken) AS g (gate) GROUP BY g.gate
        ) b, unnest(${schema}.passes_1(b.gate)) AS p (pass) GROUP BY p.pass
      ), judged AS MATERIALIZED (
        SELECT r.out_pass AS pass, NOT ${isSimple("r.out_kind")} AS special,
          coalesce(p_now < r.out_per_ms, false) OR v_paused AND EXISTS (
            SELECT FROM ${schema}.record c WHERE c.kind = '${Gates.pausedKeyKind}' AND c.id = r.out_pass
          ) OR v_parked AND EXISTS (SELECT FROM ${schema}.line l WHERE l.closed_by = r.out_pass) AS closed,
          r.out_most - coalesce(n.tasks, 0) AS room
        FROM ${schema}.rules_1(ARRAY(SELECT DISTINCT pass FROM wanted)) r LEFT JOIN running n ON n.pass = r.out_pass
      ), numbered AS (
        SELECT w.place, j.*, row_number() OVER (PARTITION BY w.pass ORDER BY w.place) AS nth
        FROM wanted w JOIN judged j ON j.pass = w.pass
      ), sorted AS (
        SELECT place, bool_or(special) AS special, bool_or(special OR closed OR coalesce(nth > room, false)) AS refused
        FROM numbered GROUP BY place
      ), counted AS (
        SELECT s.*, coalesce(o.special, false) AS special, coalesce(o.refused, false) AS refused,
          count(*) FILTER (WHERE o.refused IS NOT true) OVER (ORDER BY s.place) AS number
        FROM unnest(p_seqs, p_gates) WITH ORDINALITY AS s (seq, gate, place) LEFT JOIN sorted o ON o.place = s.place
      ) SELECT coalesce(array_agg(seq ORDER BY place) FILTER (WHERE NOT refused AND number <= p_limit), '{}'),
          coalesce(array_agg(gate) FILTER (WHERE NOT refused AND number <= p_limit AND gate IS NOT NULL), '{}'),
          array_agg(seq) FILTER (WHERE refused AND number < p_limit), array_agg(seq) FILTER (WHERE special AND number < p_limit)
        INTO out_seqs, out_gates, v_refused, v_special FROM counted;
      EXIT WHEN v_refused IS NULL;
      -- what has ended without news is seen by now
      IF attempt = 1 THEN PERFORM pg_advisory_xact_lock(${endsLock(schema)}); END IF;
    END LOOP;
    IF v_special IS NOT NULL THEN
      out_seqs := '{}';
      out_gates := '{}';
      out_spread := true;
      v_refused := ARRAY(SELECT h.seq FROM (
        SELECT DISTINCT t.type, t.queue FROM ${schema}.task t WHERE t.seq = ANY (v_special)
      ) l, LATERAL (
        SELECT t.seq FROM ${schema}.task t
        WHERE t.state = 1 AND t.gate IS NULL AND t.type = l.type AND t.queue = l.queue AND t.shared_gate IS NOT NULL
        ORDER BY t.rank, t.seq LIMIT ${maxMoved} FOR NO KEY UPDATE SKIP LOCKED
      ) h);
    END IF;
    IF v_refused IS NOT NULL THEN
      out_given := cardinality(v_refused);
      PERFORM ${schema}.give_to_lines_1(v_refused);
    END IF;
  END $function$`
]
