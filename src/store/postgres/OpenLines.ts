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
 * - `v_lines` is a page of open lines, the first of all; `v_ends` says that there are more behind it.
 * - Of each line the next tasks are read, `v_depth` at most: the last of so many is not taken, for what comes after it is not known.
 * - `v_stops` says where the order of what was read ends, so all before it can be taken.
 * - A task that another session has locked ends it too: that is for `Take`.
 */
export const takeOpenFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.take_open_1(
    p_now bigint, p_types text[], p_queues text[], p_limit int, p_plain bigint[], p_ranks bigint[], p_parked bool,
    OUT out_seqs bigint[], OUT out_plain int, OUT out_done bool
  ) LANGUAGE plpgsql AS $function$
  DECLARE
    v_any_paused bool := EXISTS (SELECT FROM ${schema}.record WHERE kind = '${Gates.pausedKeyKind}');
    v_busy int;
    v_lines ${schema}.line[];
    v_ats tid[];
    v_left int;
    v_page int;
    v_depth int;
    v_ends bool;
    v_end_place float8;
    v_end_seq bigint;
    v_passes text[];
    v_mosts float8[];
    v_closed text[];
    v_least float8;
    v_places int[];
    v_gates text[];
    v_ranks bigint[];
    v_seqs bigint[];
    v_next_ranks bigint[];
    v_next_seqs bigint[];
    v_next_priorities int[];
    v_next_costs text[];
    v_stops bool[];
    v_stop int;
    v_over int;
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
      SELECT array_agg(n), array_agg(at) INTO v_lines, v_ats FROM (
        SELECT h.n, h.at FROM unnest(p_types, p_queues) AS a (type, queue), LATERAL (
          SELECT o, o.ctid, o.place, o.seq FROM ${schema}.line o
          WHERE o.closed_by IS NULL AND o.type = a.type AND o.queue = a.queue ORDER BY o.place, o.seq LIMIT v_page
        ) h (n, at, place, seq) ORDER BY h.place, h.seq LIMIT v_page
      ) p;
      v_count := coalesce(cardinality(v_lines), 0);
      v_ends := v_count = v_page;
      v_end_place := NULL;
      v_end_seq := NULL;
      v_closed := '{}';
      v_least := NULL;
      v_stop := NULL;
      v_over := NULL;
      v_seqs := '{}';
      IF v_count > 0 THEN
        IF v_ends THEN
          v_end_place := (v_lines[v_count]).place;
          v_end_seq := (v_lines[v_count]).seq;
        END IF;
        WITH given AS MATERIALIZED (
          SELECT p.pass, split_part(p.pass, '=', 1) AS name FROM unnest(v_lines) n, unnest(n.passes) p (pass) GROUP BY p.pass
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
        SELECT array_agg(place), array_agg(gate), array_agg(rank), coalesce(array_agg(seq), '{}'), array_agg(next_rank),
            array_agg(next_seq), array_agg(next_priority), array_agg(next_costs), array_agg(stops)
          INTO v_places, v_gates, v_ranks, v_seqs, v_next_ranks, v_next_seqs, v_next_priorities, v_next_costs, v_stops FROM (
          SELECT n.ordinality AS place, n.gate, c.*,
            c.no = v_depth OR (c.rank::float8, c.seq) > (v_end_place, v_end_seq) OR n.from_pass IS NOT NULL
              OR n.turn IS NOT NULL OR n.passes && v_closed AS stops
          FROM unnest(v_lines) WITH ORDINALITY AS n, LATERAL (
            SELECT t.rank, t.seq, lead(t.rank) OVER w AS next_rank, lead(t.seq) OVER w AS next_seq,
              lead(t.priority) OVER w AS next_priority, lead(t.costs) OVER w AS next_costs, row_number() OVER w AS no
            FROM (
              SELECT t.rank, t.seq, t.priority, t.costs FROM ${schema}.task t
              WHERE t.state = 1 AND t.type = n.type AND t.queue = n.queue AND t.gate = n.gate
                AND ${notExpired("t.", "p_now")} AND (t.rank, t.seq) >= (n.rank, n.seq)
              ORDER BY t.rank, t.seq LIMIT v_depth
            ) t WINDOW w AS (ORDER BY t.rank, t.seq)
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
                SELECT t.gate, count(*) FROM ${schema}.task t WHERE t.seq = ANY (out_seqs) AND t.gate >= '' GROUP BY t.gate
              ) b, unnest(${schema}.passes_1(b.gate)) AS p (pass) GROUP BY p.pass
            ), counts AS MATERIALIZED (
              SELECT jsonb_object_agg(pass, tasks) AS tasks FROM running
            ), room AS MATERIALIZED (
              SELECT jsonb_object_agg(m.pass, m.most - coalesce((c.tasks ->> m.pass)::float8, 0)) AS rooms
              FROM counts c, unnest(v_passes, v_mosts) AS m (pass, most) WHERE m.most IS NOT NULL
            ) SELECT min(n) INTO v_over FROM (
              SELECT c.n, row_number() OVER (PARTITION BY p.pass ORDER BY c.n) AS nth, (room.rooms ->> p.pass)::float8 AS room
              FROM room, unnest(v_gates[1 : coalesce(v_stop - 1, cardinality(v_gates))]) WITH ORDINALITY AS c (gate, n),
                unnest(${schema}.passes_1(c.gate)) AS p (pass)
            ) r WHERE r.nth > r.room;
            v_stop := coalesce(v_over, v_stop);
          END IF;
        END IF;
      END IF;
      -- what comes before all that is not known
      IF v_stop IS NOT NULL AND (v_end_place IS NULL OR (v_ranks[v_stop], v_seqs[v_stop]) < (v_end_place, v_end_seq)) THEN
        v_end_place := v_ranks[v_stop];
        v_end_seq := v_seqs[v_stop];
      END IF;
      v_count := coalesce(v_stop - 1, cardinality(v_seqs));
      IF out_plain = cardinality(p_plain) THEN
        v_gated := least(v_count, v_left);
        v_taken := v_seqs[1 : v_gated];
      ELSE
        SELECT coalesce(array_agg(seq ORDER BY rank, seq), '{}'), count(*) FILTER (WHERE is_gated) INTO v_taken, v_gated FROM (
          SELECT rank, seq, is_gated FROM (
            SELECT rank, seq, true AS is_gated FROM unnest(v_ranks[1 : v_count], v_seqs[1 : v_count]) AS c (rank, seq)
            UNION ALL
            SELECT rank, seq, false FROM unnest(p_ranks[out_plain + 1 :], p_plain[out_plain + 1 :]) AS c (rank, seq)
            WHERE v_end_place IS NULL OR (rank, seq) < (v_end_place, v_end_seq)
          ) c ORDER BY rank, seq LIMIT v_left
        ) t;
      END IF;
      IF v_gated > 0 THEN
        SELECT count(*) INTO v_locked FROM unnest(v_gates[1 : v_gated], v_seqs[1 : v_gated]) AS c (gate, seq), LATERAL (
          SELECT FROM ${schema}.task t WHERE t.seq = c.seq AND t.state + 0 = 1 AND t.gate = c.gate
            AND ${notExpired("t.", "p_now")} FOR UPDATE SKIP LOCKED
        ) l;
        EXIT WHEN v_locked < v_gated;
        -- where the lines go on, each behind the last of its tasks that was taken
        WITH next AS MATERIALIZED (
          SELECT v_ats[n.place] AS at, n.rank, n.seq, n.priority, n.costs FROM unnest(v_places[1 : v_gated],
            v_next_ranks[1 : v_gated], v_next_seqs[1 : v_gated], v_next_priorities[1 : v_gated],
            v_next_costs[1 : v_gated]) AS n (place, rank, seq, priority, costs)
          WHERE n.seq IS NULL OR (n.rank, n.seq) > (v_ranks[v_gated], v_seqs[v_gated])
        ), emptied AS (
          DELETE FROM ${schema}.line WHERE ctid = ANY (ARRAY(SELECT at FROM next WHERE seq IS NULL))
        ) UPDATE ${schema}.line l SET rank = n.rank, seq = n.seq, priority = n.priority, costs = n.costs, place = n.rank
          FROM next n WHERE n.seq IS NOT NULL AND l.ctid = n.at;
      END IF;
      out_seqs := out_seqs || v_taken;
      out_plain := out_plain + cardinality(v_taken) - v_gated;
      out_done := cardinality(out_seqs) = p_limit OR v_end_place IS NULL;
      EXIT WHEN out_done OR cardinality(v_taken) = 0 OR v_over IS NOT NULL;
    END LOOP;
  END $function$`
