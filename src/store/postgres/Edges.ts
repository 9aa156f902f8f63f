/**
 * The edges between tasks in the schema, and the functions that tell ends along them. What an edge is, and which are loose, is told in
 * `Dependencies`.
 */
import { failureOf } from "../../domain/Dependencies.ts"
import * as Rank from "../../domain/Rank.ts"
import { stateCode } from "../TaskRow.ts"
import { isOneOf, lookups } from "./Database.ts"
import { orderedPattern } from "./Take.ts"

/** Edges of a task that are told in the statement that completes it, without another one. */
export const maxToldTogether = 4

/** Tasks with ends to tell that are looked for at once. */
const maxEnded = 100

/** How long an end waits for others that are being told to the same task, before it is left to the next write. */
const patienceMs = 100

/** Loose edges that are looked at by one write at most. */
const maxLoose = 1000

export const tables = (schema: string): ReadonlyArray<string> => [
  `ALTER TABLE ${schema}.task ADD COLUMN IF NOT EXISTS on_failure text, ADD COLUMN IF NOT EXISTS waits_for integer,
    ADD COLUMN IF NOT EXISTS edges integer, ADD COLUMN IF NOT EXISTS told integer`,
  `CREATE TABLE IF NOT EXISTS ${schema}.edge (
    task bigint NOT NULL,
    place integer NOT NULL,
    dependency bigint NOT NULL,
    nr integer,
    PRIMARY KEY (task, place)
  ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)`,
  `CREATE INDEX IF NOT EXISTS edge_told ON ${schema}.edge (dependency, nr)`,
  `CREATE INDEX IF NOT EXISTS edge_loose ON ${schema}.edge (dependency, task) WHERE nr IS NULL`,
  // claim: nothing looks at a task that waits for others
  `DROP INDEX IF EXISTS ${schema}.task_due`,
  `CREATE INDEX task_due ON ${schema}.task (due_at) WHERE state = 0 AND waits_for IS NULL`,
  // those whose end is to be told
  `CREATE INDEX IF NOT EXISTS task_untold ON ${schema}.task (seq) WHERE state >= 3 AND told < edges`,
  // prune: those with edges apart, because one that has not ended may depend on them
  `DROP INDEX IF EXISTS ${schema}.task_finished`,
  `CREATE INDEX task_finished ON ${schema}.task (state, (key IS NULL), completed_at)
    WHERE state >= 3 AND edges IS NULL AND on_failure IS NULL`,
  `CREATE INDEX IF NOT EXISTS task_connected ON ${schema}.task (state, completed_at, seq)
    WHERE state >= 3 AND (edges IS NOT NULL OR on_failure IS NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS task_dependent ON ${schema}.task (seq) WHERE state < 3 AND on_failure IS NOT NULL`
]

/** Whether there is something to tell, which nearly always is not: two looks into empty indexes. */
export const someUntold = (schema: string): string =>
  `EXISTS (SELECT FROM ${schema}.task WHERE state >= 3 AND told < edges)
      OR EXISTS (SELECT FROM ${schema}.edge WHERE nr IS NULL)`

/** What stands for the id in the text of a failure. */
const mark = "#id#"

/** The failure of a task that ends because of another one, as SQL. */
const failureText = (id: string, state: string): string => {
  const texts = (["failed", "cancelled", "expired"] as const).map((ended) => {
    const text = JSON.stringify(failureOf({ id: mark, state: ended })).replaceAll("'", "''")
    return `WHEN ${stateCode[ended]} THEN '${text}'`
  })
  return `replace(CASE ${state} ${
    texts.join(" ")
  } END, '${mark}', substr(to_json(${id})::text, 2, length(to_json(${id})::text) - 2))`
}

/** Functions that join what they have read by hashing, and look up the rest. */
const joins = lookups.replace("SET enable_hashjoin TO off ", "")

/**
 * Tells ends to those that depend on them: first those of `p_members`, which were completed and are written as told; then those of
 * `p_ended`, of what ends because of them, and with `p_any` of all that have some to tell, `p_limit` edges in all. What is locked by
 * another session is waited for a moment, unless this is done `p_any` time; then its edge becomes loose.
 *
 * It decides as `Settlement.dependenciesEnded` does, and writes and counts as `apply_changes_3` does.
 */
export const tellFunction = (schema: string): string => {
  const released = "h.bad IS NULL AND h.rest <= 0"
  const ended = "unnest(v_deps, v_since, v_until) AS d (seq, since, until)"
  const toldNow = `${isOneOf("e.dependency", "d.seq")} AND e.nr > d.since AND e.nr <= d.until`
  const without = (heard: string) =>
    `SELECT array_agg(n.task), array_agg(n.total), array_agg(n.completed), array_agg(n.bad)
          INTO v_tasks, v_totals, v_completed, v_bad
          FROM unnest(v_tasks, v_totals, v_completed, v_bad) AS n (task, total, completed, bad)
          LEFT JOIN unnest(${heard}) AS h (task) ON h.task = n.task WHERE h.task IS NULL;`
  return `CREATE OR REPLACE FUNCTION ${schema}.tell_1(
    p_members bigint[], p_ended bigint[], p_any bool, p_limit int, p_head_start float8,
    OUT out_told int, OUT out_released bool, OUT out_dropped text[], OUT out_more bool
  ) LANGUAGE plpgsql ${joins} AS $function$
  DECLARE
    v_now bigint := ${schema}.now_ms();
    v_left int := p_limit;
    v_ended bigint[] := p_ended;
    v_deps bigint[] := p_members;
    v_since int[] := array_fill(0, ARRAY[cardinality(p_members)]);
    v_until int[] := array_fill(${maxToldTogether}, ARRAY[cardinality(p_members)]);
    v_states int[] := array_fill(${stateCode.completed}, ARRAY[cardinality(p_members)]);
    v_ids text[] := '{}';
    v_more bool;
    v_count int;
    v_tasks bigint[];
    v_totals int[];
    v_completed int[];
    v_bad int[];
    v_heard bigint[];
    v_failed int;
    v_cancelled int;
    v_released int;
    v_dropped text[];
    v_timeout text;
  BEGIN
    out_told := 0; out_released := false; out_dropped := '{}'; out_more := false;
    LOOP
      IF cardinality(v_deps) = 0 THEN
        IF cardinality(v_ended) = 0 AND p_any THEN
          v_ended := ARRAY(SELECT seq FROM ${schema}.task WHERE state >= 3 AND told < edges
            LIMIT ${maxEnded} FOR NO KEY UPDATE SKIP LOCKED);
        END IF;
        EXIT WHEN cardinality(v_ended) = 0;
        IF v_left <= 0 THEN
          out_more := true;
          EXIT;
        END IF;
        WITH due AS MATERIALIZED (
          SELECT d.*, sum(d.edges - d.told) OVER (ORDER BY d.seq) - (d.edges - d.told) AS before FROM (
            SELECT seq, id, state, edges, told FROM ${schema}.task WHERE seq = ANY (v_ended) AND state >= 3 AND told < edges
          ) d
        ), telling AS (
          UPDATE ${schema}.task t SET told = least(d.edges, d.told + v_left - d.before) FROM due d
          WHERE ${isOneOf("t.seq", "d.seq")} AND d.before < v_left
          RETURNING d.seq, d.told AS since, t.told AS until, d.state, d.id, t.edges
        ) SELECT coalesce(array_agg(seq), '{}'), array_agg(since), array_agg(until), array_agg(state), array_agg(id),
            coalesce(bool_or(until < edges), false) OR count(*) < (SELECT count(*) FROM due), coalesce(sum(until - since), 0)
          INTO v_deps, v_since, v_until, v_states, v_ids, v_more, v_count FROM telling;
        v_ended := '{}';
        v_left := v_left - v_count;
        out_more := out_more OR v_more;
        CONTINUE WHEN cardinality(v_deps) = 0;
      END IF;

      IF cardinality(p_members) > 0 THEN
        -- nearly all ends of members do no more than count, and many that end together count to a few
        WITH ends AS MATERIALIZED (
          SELECT e.task, count(*)::int AS total FROM ${schema}.edge e
          WHERE e.dependency = ANY (p_members) AND e.nr > 0 AND e.nr <= ${maxToldTogether} GROUP BY e.task
        ), heard AS MATERIALIZED (
          SELECT e.task, t.waits_for - e.total AS rest FROM ends e
          JOIN ${schema}.task t ON ${isOneOf("t.seq", "e.task")}
          WHERE (SELECT 2 * count(*) <= sum(total) FROM ends) FOR NO KEY UPDATE OF t SKIP LOCKED
        ), counted AS (
          UPDATE ${schema}.task t SET waits_for = h.rest FROM heard h
          WHERE ${isOneOf("t.seq", "h.task")} AND h.rest > 0 RETURNING t.seq
        ) SELECT coalesce(array_agg(task), '{}'), array_agg(total), coalesce(sum(total), 0),
            (SELECT array_agg(seq) FROM counted)
          INTO v_tasks, v_totals, v_count, v_heard FROM ends;
        p_members := '{}';
        v_completed := v_totals;
        v_bad := array_fill(NULL::int, ARRAY[cardinality(v_tasks)]);
        out_told := out_told + v_count;
        IF cardinality(v_heard) = cardinality(v_tasks) THEN
          v_deps := '{}';
          CONTINUE;
        END IF;
        IF v_heard IS NOT NULL THEN
          ${without("v_heard")}
        END IF;
      ELSE
        SELECT coalesce(array_agg(task), '{}'), array_agg(total), array_agg(completed), array_agg(bad), coalesce(sum(total), 0)
          INTO v_tasks, v_totals, v_completed, v_bad, v_count FROM (
          SELECT e.task, count(*) AS total, count(*) FILTER (WHERE v_states[d.place] = ${stateCode.completed}) AS completed,
            min(d.place) FILTER (WHERE v_states[d.place] <> ${stateCode.completed}) AS bad
          FROM unnest(v_deps, v_since, v_until) WITH ORDINALITY AS d (seq, since, until, place), LATERAL (
            SELECT e.task FROM ${schema}.edge e WHERE e.dependency = d.seq AND e.nr > d.since AND e.nr <= d.until OFFSET 0
          ) e GROUP BY e.task ORDER BY e.task
        ) n;
        out_told := out_told + v_count;
      END IF;
      FOR attempt IN 1 .. 2 LOOP
        EXIT WHEN cardinality(v_tasks) = 0;
        -- the latest of each, also where another session has written it since this began
        WITH heard AS MATERIALIZED (
          SELECT n.task, t.waits_for, t.on_failure,
            t.waits_for - CASE t.on_failure WHEN 'run' THEN n.total ELSE n.completed END AS rest,
            CASE WHEN t.on_failure <> 'run' THEN n.bad END AS bad
          FROM unnest(v_tasks, v_totals, v_completed, v_bad) AS n (task, total, completed, bad)
          JOIN ${schema}.task t ON ${isOneOf("t.seq", "n.task")} FOR NO KEY UPDATE OF t SKIP LOCKED
        ), changed AS (
          UPDATE ${schema}.task t SET
            waits_for = CASE WHEN h.bad IS NULL AND h.rest > 0 THEN h.rest END,
            state = CASE WHEN h.bad IS NOT NULL THEN CASE h.on_failure WHEN 'cancel' THEN ${stateCode.cancelled}
                ELSE ${stateCode.failed} END
              WHEN h.rest > 0 OR t.due_at > v_now THEN ${stateCode.scheduled} ELSE ${stateCode.pending} END,
            completed_at = CASE WHEN h.bad IS NOT NULL THEN v_now ELSE t.completed_at END,
            failure = CASE WHEN h.bad IS NOT NULL THEN ${
    failureText("v_ids[h.bad]", "v_states[h.bad]")
  } ELSE t.failure END,
            due_at = CASE WHEN ${released} THEN greatest(t.due_at, v_now) ELSE t.due_at END,
            start_by = CASE WHEN NOT (${released}) THEN t.start_by
              WHEN t.start_within IS NOT NULL AND (t.start_by IS NOT NULL OR t.claims = 0)
              THEN greatest(t.due_at, v_now) + t.start_within END,
            rank = CASE WHEN ${released} THEN CASE WHEN coalesce(t.gate, t.shared_gate) LIKE '${orderedPattern}'
                THEN t.created_at
                ELSE greatest(t.due_at, v_now)
                  + coalesce(t.start_within - least(p_head_start, ${Rank.maxUsualStartMs})::bigint, 0) END
              - (t.priority * p_head_start)::bigint ELSE t.rank END
          FROM heard h WHERE ${isOneOf("t.seq", "h.task")} AND h.waits_for > 0
          RETURNING t.seq, t.id, t.type, t.queue, t.gate, t.state, t.claims, t.failure, t.waits_for, t.told < t.edges AS untold
        ), announced AS (
          INSERT INTO ${schema}.line_news (type, queue, gate, changed)
            SELECT DISTINCT type, queue, gate, true FROM changed WHERE gate IS NOT NULL AND state <> ${stateCode.scheduled}
        ) SELECT (SELECT coalesce(array_agg(task), '{}') FROM heard),
            count(*) FILTER (WHERE state = ${stateCode.pending}), count(*) FILTER (WHERE state = ${stateCode.failed}),
            count(*) FILTER (WHERE state = ${stateCode.cancelled}),
            out_released OR coalesce(bool_or(state < 3 AND waits_for IS NULL), false),
            array_agg(json_build_array(id, type, queue, state, claims, failure)::text) FILTER (WHERE state >= 3),
            v_ended || coalesce(array_agg(seq) FILTER (WHERE state >= 3 AND untold), '{}')
          INTO v_heard, v_released, v_failed, v_cancelled, out_released, v_dropped, v_ended FROM changed;
        out_dropped := out_dropped || v_dropped;
        IF v_released + v_failed + v_cancelled > 0 THEN
          INSERT INTO ${schema}.tally (unfinished, scheduled, failed, cancelled, total_failed, total_cancelled)
            VALUES (-v_failed - v_cancelled, -v_released - v_failed - v_cancelled, v_failed, v_cancelled, v_failed, v_cancelled);
        END IF;
        EXIT WHEN cardinality(v_heard) = cardinality(v_tasks);
        ${without("v_heard")}
        IF attempt = 1 AND NOT p_any THEN
          -- mostly another end that is told to the same task, which takes a moment
          v_timeout := current_setting('lock_timeout');
          BEGIN
            PERFORM set_config('lock_timeout', '${patienceMs}', true);
            PERFORM FROM ${schema}.task WHERE seq = ANY (v_tasks) ORDER BY seq FOR NO KEY UPDATE;
          EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            NULL;
          END;
          PERFORM set_config('lock_timeout', v_timeout, true);
          CONTINUE;
        END IF;
        UPDATE ${schema}.edge SET nr = NULL WHERE ctid = ANY (ARRAY(
          SELECT e.ctid FROM ${ended} JOIN ${schema}.edge e ON ${toldNow}
          JOIN unnest(v_tasks) AS n (task) ON n.task = e.task FOR UPDATE OF e SKIP LOCKED
        ));
        EXIT;
      END LOOP;
      v_deps := '{}';
    END LOOP;
  END $function$`
}

/**
 * Gives loose edges their numbers, as far as their dependencies are not locked: those that lead from some tasks, or without these the next
 * ones behind a place. Answers which of the dependencies have ended, and how far it came, which is `NULL` at the end.
 */
const tieFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.tie_edges_1(
    p_dependencies bigint[], p_dependency bigint, p_task bigint, p_limit int,
    OUT out_ended bigint[], OUT out_dependency bigint, OUT out_task bigint, OUT out_tied int
  ) LANGUAGE plpgsql ${joins} AS $function$
  DECLARE
    v_tasks bigint[];
    v_places int[];
    v_dependencies bigint[];
  BEGIN
    out_ended := '{}';
    out_tied := 0;
    IF p_dependencies IS NULL THEN
      SELECT array_agg(task), array_agg(place), array_agg(dependency) INTO v_tasks, v_places, v_dependencies FROM (
        SELECT task, place, dependency FROM ${schema}.edge WHERE nr IS NULL AND (dependency, task) > (p_dependency, p_task)
        ORDER BY dependency, task LIMIT p_limit FOR UPDATE SKIP LOCKED
      ) e;
    ELSE
      SELECT array_agg(task), array_agg(place), array_agg(dependency) INTO v_tasks, v_places, v_dependencies FROM (
        SELECT task, place, dependency FROM ${schema}.edge WHERE nr IS NULL AND dependency = ANY (p_dependencies)
        LIMIT p_limit FOR UPDATE SKIP LOCKED
      ) e;
    END IF;
    IF v_tasks IS NULL THEN RETURN; END IF;
    IF cardinality(v_tasks) = p_limit THEN
      out_dependency := v_dependencies[p_limit];
      out_task := v_tasks[p_limit];
    END IF;
    WITH dep AS MATERIALIZED (
      SELECT t.seq, coalesce(t.edges, 0) AS edges FROM (SELECT DISTINCT unnest(v_dependencies) AS seq ORDER BY 1) n
      JOIN ${schema}.task t ON ${isOneOf("t.seq", "n.seq")} FOR NO KEY UPDATE OF t SKIP LOCKED
    ), numbered AS MATERIALIZED (
      SELECT e.*, d.edges + row_number() OVER (PARTITION BY e.dependency ORDER BY e.task) AS nr
      FROM unnest(v_tasks, v_places, v_dependencies) AS e (task, place, dependency) JOIN dep d ON d.seq = e.dependency
    ), tied AS (
      UPDATE ${schema}.edge e SET nr = n.nr FROM numbered n
      WHERE ${isOneOf("e.task", "n.task")} AND ${isOneOf("e.place", "n.place")} RETURNING 1
    ), counted AS (
      UPDATE ${schema}.task t SET edges = n.edges, told = coalesce(t.told, 0)
      FROM (SELECT dependency, max(nr) AS edges FROM numbered GROUP BY dependency) n
      WHERE ${isOneOf("t.seq", "n.dependency")} RETURNING t.seq, t.state
    ) SELECT coalesce(array_agg(seq) FILTER (WHERE state >= 3), '{}'), (SELECT count(*) FROM tied)
      INTO out_ended, out_tied FROM counted;
  END $function$`

/**
 * How many others each of some tasks waits for that is run again. It is locked, and has ended. Those of `p_again` are about to be run again,
 * and so have not ended. Edges to those that have not ended, and were told of an earlier end, become loose.
 */
export const reconnectFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.reconnect_2(
    p_tasks bigint[], p_again bigint[], OUT out_tasks text[], OUT out_waits text[], OUT out_dependencies text[]
  ) LANGUAGE plpgsql ${joins} AS $function$
  BEGIN
    WITH looked_up AS MATERIALIZED (
      SELECT e.*, d.state >= 3 AS has_ended, e.nr <= d.told AS is_told FROM unnest(p_tasks) AS n (seq), LATERAL (
        SELECT * FROM ${schema}.edge e WHERE e.task = n.seq OFFSET 0
      ) e JOIN ${schema}.task d ON ${isOneOf("d.seq", "e.dependency")}
    ), found AS MATERIALIZED (
      SELECT l.*, l.has_ended AND a.seq IS NULL AS is_over FROM looked_up l
      LEFT JOIN unnest(p_again) AS a (seq) ON a.seq = l.dependency
    ), loosened AS (
      UPDATE ${schema}.edge e SET nr = NULL FROM found f
      WHERE f.is_told AND NOT f.is_over AND ${isOneOf("e.task", "f.task")} AND ${isOneOf("e.place", "f.place")}
      RETURNING e.dependency
    ), counted AS (
      SELECT task, count(*) AS waits FROM found WHERE NOT coalesce(is_told AND is_over, false) GROUP BY task
    ) SELECT coalesce(array_agg(task::text), '{}'), coalesce(array_agg(waits::text), '{}'),
        (SELECT coalesce(array_agg(DISTINCT dependency::text), '{}') FROM loosened)
      INTO out_tasks, out_waits, out_dependencies FROM counted;
  END $function$`

/**
 * - `tell_more_1`: ties loose edges of some dependencies, and tells the ends of these and of others; or without them whatever
 *   there is to tie and to tell. Answers also how much was done, and where to go on.
 * - `reconnect_1`: as `reconnect_2`, for instances of earlier versions, which run tasks again one after the other.
 * - `is_awaited_1`: whether one that has not ended depends on a task. Asked after the task is locked, it sees what others have committed
 *   since the statement began.
 * - `count_awaited_1`: how many finished tasks of each state there are on which such one depends.
 * - `hold_tasks_1`: the numbers of tasks, which nothing can remove until the transaction ends. It waits for none but those who do.
 */
export const functions = (schema: string): ReadonlyArray<string> => [
  tellFunction(schema),
  tieFunction(schema),
  `CREATE OR REPLACE FUNCTION ${schema}.tell_more_1(
    p_dependencies bigint[], p_ended bigint[], p_dependency bigint, p_task bigint, p_limit int, p_head_start float8,
    OUT out_told int, OUT out_released bool, OUT out_dropped text[], OUT out_more bool,
    OUT out_dependency float8, OUT out_task float8
  ) LANGUAGE plpgsql AS $function$
  DECLARE
    v_ended bigint[] := '{}';
    v_tied int := 0;
  BEGIN
    IF p_dependencies IS NULL OR cardinality(p_dependencies) > 0 THEN
      SELECT o.out_ended, o.out_dependency, o.out_task, o.out_tied INTO v_ended, out_dependency, out_task, v_tied
        FROM ${schema}.tie_edges_1(p_dependencies, p_dependency, p_task,
          CASE WHEN p_dependencies IS NULL THEN ${maxLoose} ELSE ${maxTiedAtOnce} END) o;
    END IF;
    SELECT o.out_told + v_tied, o.out_released, o.out_dropped, o.out_more OR out_task IS NOT NULL
      INTO out_told, out_released, out_dropped, out_more
      FROM ${schema}.tell_1('{}', v_ended || p_ended, p_dependencies IS NULL, p_limit + cardinality(p_ended), p_head_start) o;
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.reconnect_1(
    p_tasks bigint[], OUT out_tasks text[], OUT out_waits text[], OUT out_dependencies text[]
  ) LANGUAGE plpgsql AS $function$
  BEGIN
    SELECT o.* INTO out_tasks, out_waits, out_dependencies FROM ${schema}.reconnect_2(p_tasks, '{}') o;
  END $function$`,
  reconnectFunction(schema),
  `CREATE OR REPLACE FUNCTION ${schema}.is_awaited_1(p_seq bigint) RETURNS bool LANGUAGE plpgsql ${lookups} AS $function$
  BEGIN
    RETURN EXISTS (
      SELECT FROM ${schema}.edge e JOIN ${schema}.task t ON ${isOneOf("t.seq", "e.task")}
      WHERE e.dependency = p_seq AND t.state < 3
    );
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.count_awaited_1() RETURNS TABLE (out_state int, out_count float8)
  LANGUAGE plpgsql ${lookups} AS $function$
  BEGIN
    RETURN QUERY SELECT d.state::int, count(*)::float8 FROM (
      SELECT DISTINCT e.dependency FROM ${schema}.task t JOIN ${schema}.edge e ON ${isOneOf("e.task", "t.seq")}
      WHERE t.state < 3 AND t.on_failure IS NOT NULL
    ) n JOIN ${schema}.task d ON ${isOneOf("d.seq", "n.dependency")} WHERE d.state >= 3 GROUP BY d.state;
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.hold_tasks_1(p_ids text[]) RETURNS TABLE (out_id text, out_seq float8)
  LANGUAGE plpgsql ${lookups} AS $function$
  BEGIN
    RETURN QUERY SELECT t.id, t.seq::float8 FROM ${schema}.task t WHERE t.id = ANY (p_ids) FOR KEY SHARE;
  END $function$`
]

/** Behind the places of all edges that have a number are those that are loose, by the task. */
const looseFrom = "2147483648"

/**
 * What is asked of graphs:
 *
 * - `links_1`: a page of what tasks depend on, or of what depends on them. It reads no more edges than the page has.
 * - `standing_1`: for how many others each of some tasks would wait, and the first of those that have ended without being completed.
 */
export const graphFunctions = (schema: string): ReadonlyArray<string> => [
  `CREATE OR REPLACE FUNCTION ${schema}.links_1(p_ids text[], p_up bool, p_index int, p_place float8, p_limit int)
  RETURNS TABLE (out_index int, out_place float8, out_id text, out_type text) LANGUAGE plpgsql ${lookups} AS $function$
  DECLARE
    v_seq bigint;
    v_from bigint := p_place::bigint;
    v_left int := p_limit;
    v_count int;
  BEGIN
    FOR i IN p_index + 1 .. cardinality(p_ids) LOOP
      EXIT WHEN v_left <= 0;
      SELECT seq INTO v_seq FROM ${schema}.task WHERE id = p_ids[i];
      IF FOUND AND p_up THEN
        RETURN QUERY SELECT i - 1, e.place::float8, o.id, o.type FROM (
          SELECT place, dependency FROM ${schema}.edge WHERE task = v_seq AND place >= v_from ORDER BY place LIMIT v_left
        ) e JOIN ${schema}.task o ON ${isOneOf("o.seq", "e.dependency")} ORDER BY e.place;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_left := v_left - v_count;
      ELSIF FOUND THEN
        RETURN QUERY SELECT i - 1, e.nr::float8, o.id, o.type FROM (
          SELECT nr, task FROM ${schema}.edge WHERE dependency = v_seq AND nr >= v_from ORDER BY nr LIMIT v_left
        ) e JOIN ${schema}.task o ON ${isOneOf("o.seq", "e.task")} ORDER BY e.nr;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_left := v_left - v_count;
        RETURN QUERY SELECT i - 1, (e.task + ${looseFrom})::float8, o.id, o.type FROM (
          SELECT task FROM ${schema}.edge WHERE dependency = v_seq AND nr IS NULL AND task >= v_from - ${looseFrom}
          ORDER BY task LIMIT v_left
        ) e JOIN ${schema}.task o ON ${isOneOf("o.seq", "e.task")} ORDER BY e.task;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_left := v_left - v_count;
      END IF;
      v_from := 0;
    END LOOP;
  END $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.standing_1(p_tasks bigint[])
  RETURNS TABLE (out_task float8, out_open float8, out_blocking text) LANGUAGE plpgsql ${lookups} AS $function$
  BEGIN
    RETURN QUERY SELECT s.seq::float8, s.open::float8, (
      SELECT d.id FROM ${schema}.edge e JOIN ${schema}.task d ON d.seq = e.dependency
      WHERE e.task = s.seq AND e.place = s.first
    ) FROM (
      SELECT n.seq, count(*) FILTER (WHERE NOT coalesce(d.state >= ${stateCode.completed} AND e.nr <= d.told, false)) AS open,
        min(e.place) FILTER (WHERE d.state > ${stateCode.completed}) AS first
      FROM unnest(p_tasks) AS n (seq), LATERAL (
        SELECT * FROM ${schema}.edge WHERE task = n.seq OFFSET 0
      ) e JOIN ${schema}.task d ON ${isOneOf("d.seq", "e.dependency")} GROUP BY n.seq
    ) s;
  END $function$`
]

/** Removes all edges from and to tasks, as SQL. */
export const untied = (schema: string, seqs: string): string =>
  `DELETE FROM ${schema}.edge WHERE dependency = ANY (${seqs}) OR task = ANY (${seqs})`

/** Edges of new tasks, or of such that are run again, that are tied in the write itself at most. */
const maxTiedAtOnce = 10_000
