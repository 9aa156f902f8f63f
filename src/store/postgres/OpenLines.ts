/**
 * How a claim takes tasks with a gate where nothing holds them back, which is nearly always: as a set, in a few statements. Line by line
 * it takes several times as long. What `Take` would do with each line is told there, this does the same for as many as it can
 * in their order: up to the first line that takes turns, keeps an order, has a rate or a pause, or came back from a lot, and up to the first
 * task that a limit refuses.
 */
import * as Gates from "../Gates.ts"
import { notExpired, readAhead } from "./Take.ts"

/** Pages of lines that one claim takes from as sets. */
const maxPages = 8

/**
 * Takes the first tasks of open lines and the plain tasks that are locked, in one order of work. Answers the tasks, how many of the plain
 * ones are among them, and whether there is nothing left to look at.
 *
 * - A page of open lines is read, the first of all; `v_ends` says that there are more behind it.
 * - Of each line the next tasks are read, `v_depth` at most: the last of so many is not taken, for what comes after it is not known.
 * - `v_stops` says where the order of what was read ends, so all before it can be taken.
 * - A task that another session has locked ends it too: that is for `Take`.
 * - `p_gates` has the gates of plain tasks that have one, see `Shared`: they count like those of lines.
 */
export const takeOpenFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.take_open_2(
    p_now bigint, p_types text[], p_queues text[], p_limit int, p_plain bigint[], p_ranks bigint[], p_gates text[],
    p_parked bool,
    OUT out_seqs bigint[], OUT out_plain int, OUT out_done bool
  ) LANGUAGE plpgsql AS $function$
  DECLARE
    v_any_paused bool := EXISTS (SELECT FROM ${schema}.record WHERE kind = '${Gates.pausedKeyKind}');
    v_busy int;
    v_types text[];
    v_queues text[];
    v_gates text[];
    v_heads bigint[];
    v_head_seqs bigint[];
    v_special bool[];
    v_ats tid[];
    v_lasts int[];
    v_left int;
    v_page int;
    v_depth int;
    v_ends bool;
    v_end_rank bigint;
    v_end_seq bigint;
    v_passes text[];
    v_mosts float8[];
    v_closed text[];
    v_least float8;
    v_any_closed bool;
    v_places int[];
    v_ranks bigint[];
    v_seqs bigint[];
    v_stops bool[];
    v_stop int;
    v_over bool;
    v_over_rank bigint;
    v_over_seq bigint;
    v_count int;
    v_taken bigint[];
    v_gated int;
    v_locked int;
  BEGIN
    out_seqs := '{}';
    out_plain := 0;
    out_done := false;
    FOR page IN 1 .. ${maxPages} LOOP
      v_left := p_limit - cardinality(out_seqs);
      v_page := v_left + ${readAhead};
      SELECT array_agg(type), array_agg(queue), array_agg(gate), array_agg(rank), array_agg(seq), array_agg(special),
          array_agg(at), count(*) INTO v_types, v_queues, v_gates, v_heads, v_head_seqs, v_special, v_ats, v_count FROM (
        SELECT h.* FROM unnest(p_types, p_queues) AS a (type, queue), LATERAL (
          SELECT o.type, o.queue, o.gate, o.rank, o.seq, o.place, o.from_pass IS NOT NULL OR o.turn IS NOT NULL AS special,
            o.ctid AS at FROM ${schema}.line o
          WHERE o.closed_by IS NULL AND o.type = a.type AND o.queue = a.queue ORDER BY o.place, o.seq LIMIT v_page
        ) h ORDER BY h.place, h.seq LIMIT v_page
      ) p;
      -- what is taken of lines may leave no room for those that wait with others
      EXIT WHEN v_count = 0 AND cardinality(out_seqs) > 0 AND cardinality(array_remove(p_gates[out_plain + 1 :], NULL)) > 0;
      v_ends := v_count = v_page;
      v_end_rank := NULL;
      v_end_seq := NULL;
      v_closed := '{}';
      v_least := NULL;
      v_stop := NULL;
      v_over := false;
      v_seqs := '{}';
      IF v_count > 0 THEN
        IF v_ends THEN
          v_end_rank := v_heads[v_count];
          v_end_seq := v_head_seqs[v_count];
        END IF;
        WITH given AS MATERIALIZED (
          SELECT p.pass, split_part(p.pass, '=', 1) AS name
          FROM unnest(v_gates || array_remove(p_gates[out_plain + 1 :], NULL)) AS n (gate),
            unnest(${schema}.passes_1(n.gate)) AS p (pass) GROUP BY p.pass
        ), rule AS MATERIALIZED (
          SELECT g.name, o.* FROM (SELECT DISTINCT name FROM given) g, LATERAL ${schema}.limit_of_1(g.name) o WHERE g.name <> ''
        ), judged AS (
          SELECT g.pass, o.most, g.name = '' OR o.kind <> 'max' OR p_now < o.per_ms
            OR v_any_paused AND EXISTS (
              SELECT FROM ${schema}.record r WHERE r.kind = '${Gates.pausedKeyKind}' AND r.id = g.pass
            )
            OR p_parked AND EXISTS (SELECT FROM ${schema}.line l WHERE l.closed_by = g.pass) AS is_closed
          FROM given g CROSS JOIN LATERAL (
            SELECT EXISTS (SELECT FROM ${schema}.record r WHERE r.kind = '${Gates.limitKind}' AND r.id = g.pass) OFFSET 0
          ) w (own) LEFT JOIN LATERAL (
            SELECT r.kind, r.most, r.per_ms FROM rule r WHERE NOT w.own AND r.name = g.name
            UNION ALL
            SELECT l.kind, l.most, l.per_ms FROM ${schema}.limit_of_1(g.pass) l WHERE w.own
          ) o ON true
        ) SELECT array_agg(pass), array_agg(most), coalesce(array_agg(pass) FILTER (WHERE is_closed), '{}'), min(most)
          INTO v_passes, v_mosts, v_closed, v_least FROM judged;
        v_depth := 2 * v_left / v_count + 2;
        v_any_closed := cardinality(v_closed) > 0;
        SELECT array_agg(place), array_agg(rank), coalesce(array_agg(seq), '{}'), array_agg(stops)
          INTO v_places, v_ranks, v_seqs, v_stops FROM (
          SELECT n.place, c.rank, c.seq, c.no = v_depth OR n.special OR (c.rank, c.seq) > (v_end_rank, v_end_seq)
              OR v_any_closed AND ${schema}.passes_1(n.gate) && v_closed AS stops
          FROM unnest(v_types, v_queues, v_gates, v_heads, v_head_seqs, v_special) WITH ORDINALITY
            AS n (type, queue, gate, rank, seq, special, place), LATERAL (
            SELECT t.rank, t.seq, row_number() OVER () AS no FROM (
              SELECT t.rank, t.seq FROM ${schema}.task t
              WHERE t.state = 1 AND t.type = n.type AND t.queue = n.queue AND t.gate = n.gate
                AND ${notExpired("t.", "p_now")} AND (t.rank, t.seq) >= (n.rank, n.seq)
              ORDER BY t.rank, t.seq LIMIT v_depth
            ) t
          ) c ORDER BY c.rank, c.seq
        ) read;
        v_stop := array_position(v_stops, true);
        IF v_least IS NOT NULL THEN
          v_busy := coalesce(v_busy, (SELECT count(*) FROM ${schema}.task WHERE state = 2 AND gate >= ''));
          IF v_busy + p_limit > v_least THEN
            -- the first that would be one too many
            WITH running AS MATERIALIZED (
              SELECT p.pass, sum(b.tasks) AS tasks FROM (
                SELECT t.gate, count(*) AS tasks FROM ${schema}.task t WHERE t.state = 2 AND t.gate >= '' GROUP BY t.gate
                UNION ALL
                SELECT coalesce(t.gate, t.shared_gate), count(*) FROM ${schema}.task t
                  WHERE t.seq = ANY (out_seqs) AND coalesce(t.gate, t.shared_gate) >= '' GROUP BY 1
              ) b, unnest(${schema}.passes_1(b.gate)) AS p (pass) GROUP BY p.pass
            ), counts AS MATERIALIZED (
              SELECT jsonb_object_agg(pass, tasks) AS tasks FROM running
            ), room AS MATERIALIZED (
              SELECT jsonb_object_agg(m.pass, m.most - coalesce((c.tasks ->> m.pass)::float8, 0)) AS rooms
              FROM counts c, unnest(v_passes, v_mosts) AS m (pass, most) WHERE m.most IS NOT NULL
            ), candidate AS (
              SELECT c.rank, c.seq, v_gates[c.place] AS gate FROM unnest(v_places, v_ranks, v_seqs) AS c (place, rank, seq)
              UNION ALL
              SELECT c.rank, c.seq, c.gate FROM
                unnest(p_ranks[out_plain + 1 :], p_plain[out_plain + 1 :], p_gates[out_plain + 1 :]) AS c (rank, seq, gate)
              WHERE c.gate IS NOT NULL
            ) SELECT r.rank, r.seq INTO v_over_rank, v_over_seq FROM (
              SELECT c.rank, c.seq, row_number() OVER (PARTITION BY p.pass ORDER BY c.rank, c.seq) AS nth,
                (room.rooms ->> p.pass)::float8 AS room
              FROM room, candidate c, unnest(${schema}.passes_1(c.gate)) AS p (pass)
              WHERE (v_stop IS NULL OR (c.rank, c.seq) < (v_ranks[v_stop], v_seqs[v_stop]))
                AND (v_end_rank IS NULL OR (c.rank, c.seq) <= (v_end_rank, v_end_seq))
            ) r WHERE r.nth > r.room ORDER BY r.rank, r.seq LIMIT 1;
            v_over := FOUND;
          END IF;
        END IF;
      END IF;
      -- what comes before all that is not known
      IF v_stop IS NOT NULL AND (v_end_rank IS NULL OR (v_ranks[v_stop], v_seqs[v_stop]) < (v_end_rank, v_end_seq)) THEN
        v_end_rank := v_ranks[v_stop];
        v_end_seq := v_seqs[v_stop];
      END IF;
      v_count := coalesce(v_stop - 1, cardinality(v_seqs));
      IF v_over THEN
        v_end_rank := v_over_rank;
        v_end_seq := v_over_seq;
        v_count := (SELECT count(*) FROM unnest(v_ranks, v_seqs) AS c (rank, seq) WHERE (rank, seq) < (v_end_rank, v_end_seq));
      END IF;
      IF out_plain = cardinality(p_plain) THEN
        v_gated := least(v_count, v_left);
        v_taken := v_seqs[1 : v_gated];
      ELSE
        SELECT coalesce(array_agg(seq ORDER BY rank, seq), '{}'), count(*) FILTER (WHERE is_gated) INTO v_taken, v_gated FROM (
          SELECT rank, seq, is_gated FROM (
            SELECT rank, seq, true AS is_gated FROM unnest(v_ranks[1 : v_count], v_seqs[1 : v_count]) AS c (rank, seq)
            UNION ALL
            SELECT rank, seq, false FROM unnest(p_ranks[out_plain + 1 :], p_plain[out_plain + 1 :]) AS c (rank, seq)
            WHERE v_end_rank IS NULL OR (rank, seq) < (v_end_rank, v_end_seq)
          ) c ORDER BY rank, seq LIMIT v_left
        ) t;
      END IF;
      IF v_gated > 0 THEN
        SELECT count(*) INTO v_locked FROM unnest(v_places[1 : v_gated], v_seqs[1 : v_gated]) AS c (place, seq), LATERAL (
          SELECT FROM ${schema}.task t WHERE t.seq = c.seq AND t.state + 0 = 1 AND t.gate = v_gates[c.place]
            AND ${notExpired("t.", "p_now")} FOR NO KEY UPDATE SKIP LOCKED
        ) l;
        EXIT WHEN v_locked < v_gated;
        -- each of the lines goes on behind the last of its tasks that was taken
        v_lasts := array_fill(NULL::int, ARRAY[cardinality(v_gates)]);
        FOR i IN 1 .. v_gated LOOP
          v_lasts[v_places[i]] := i;
        END LOOP;
        WITH next AS MATERIALIZED (
          SELECT n.at, h.* FROM unnest(v_types, v_queues, v_gates, v_ats, v_lasts) AS n (type, queue, gate, at, last)
          LEFT JOIN LATERAL (
            SELECT t.rank, t.seq, t.priority, t.costs FROM ${schema}.task t
            WHERE t.state = 1 AND t.type = n.type AND t.queue = n.queue AND t.gate = n.gate
              AND ${notExpired("t.", "p_now")} AND (t.rank, t.seq) > (v_ranks[n.last], v_seqs[n.last])
            ORDER BY t.rank, t.seq LIMIT 1
          ) h ON true WHERE n.last IS NOT NULL
        ), emptied AS (
          DELETE FROM ${schema}.line WHERE ctid = ANY (ARRAY(SELECT at FROM next WHERE seq IS NULL))
        ) UPDATE ${schema}.line l SET rank = n.rank, seq = n.seq, priority = n.priority, costs = n.costs, place = n.rank
          FROM next n WHERE n.seq IS NOT NULL AND l.ctid = n.at;
      END IF;
      out_seqs := out_seqs || v_taken;
      out_plain := out_plain + cardinality(v_taken) - v_gated;
      out_done := cardinality(out_seqs) = p_limit OR v_end_rank IS NULL;
      EXIT WHEN out_done OR cardinality(v_taken) = 0 OR v_over;
    END LOOP;
  END $function$`
