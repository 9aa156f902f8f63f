/**
 * How a claim takes tasks with a gate: the first tasks of lines whose gates are open, in one order with those that have none.
 * What a line and a lot are is told in `Lines`.
 */
import * as Gate from "../../domain/Gate.ts"
import * as Gates from "../Gates.ts"
import { isOneOf, lookups } from "./Database.ts"
import { endsLock } from "./Passes.ts"

/** How a gate begins whose tasks keep the order in which they were stored, as a pattern of LIKE. */
export const orderedPattern = `["${Gate.orderMark}%`

/** Whether a task may start as far as its expiry goes, as SQL. */
export const notExpired = (task: string, now: string): string =>
  `(${task}expires_at IS NULL OR ${task}expires_at > ${now})`

/** Lines that one claim parks at most; if there are more, the answer says to ask again at once. */
const maxParked = 500

/** Lines that are read ahead besides the tasks that are wanted. */
export const readAhead = 10

/** What becomes of a line that a claim has read. Where a task was passed over, its first one is looked up again. */
const [untouched, changed, emptied, unsure] = [0, 1, 2, 3]

/** Claims sort nothing but by an index. */
export const settings = `${lookups} SET enable_sort TO off`

/**
 * What a claim takes: the plain tasks that it has locked, and the first tasks of lines, in one order of work. It keeps the
 * lines that it has read, and the passes of these, in arrays, and writes at the end what has become of them.
 *
 * - `v_queue` has the places in `v_lines` of the lines to look at, in their order, from `v_front` on.
 * - A line is read again only through the lots.
 * - The task that holds a pass may stand behind the first of its line, after a retry for instance: then it goes first.
 * - A first task that another session has locked is passed over, but not where the order counts.
 */
export const takeFunction = (schema: string): string => {
  const ofLine = "t.state = 1 AND t.type = v_line.type AND t.queue = v_line.queue AND t.gate = v_line.gate AND " +
    notExpired("t.", "p_now")
  // each line is looked up by its key: where statistics are of a time when there were none, a join would read all of them
  const lookedUp = `unnest(v_lines) WITH ORDINALITY AS n, LATERAL (
        SELECT o.ctid AS at FROM ${schema}.line o WHERE o.type = n.type AND o.queue = n.queue AND o.gate = n.gate OFFSET 0
      ) l`
  const ofEntry =
    "c.state = 1 AND c.type = n.type AND c.queue = n.queue AND c.gate = n.gate AND c.seq <> ALL (out_seqs)"
  const rest = "closed_by = n.closed_by, cost = n.cost, from_pass = n.from_pass, from_cost = n.from_cost, " +
    "turn = n.turn, credit = n.credit"
  return `CREATE OR REPLACE FUNCTION ${schema}.take_lines_1(
    p_now bigint, p_types text[], p_queues text[], p_paused text[], p_limit int, p_plain bigint[],
    OUT out_seqs bigint[], OUT out_opens_at bigint
  ) LANGUAGE plpgsql ${settings} AS $function$
  DECLARE
    v_lines ${schema}.line[];
    v_states ${schema}.pass_state[];
    v_queue int[];
    v_front int;
    v_new int[];
    v_fates int[];
    v_known text[];
    v_rules ${schema}.pass_rule[];
    v_names text[];
    v_fresh ${schema}.line[];
    v_line ${schema}.line;
    v_pass ${schema}.pass_state;
    v_types text[];
    v_queues text[];
    v_ranks bigint[];
    v_gates text[];
    v_shared text[];
    v_asked text[]; v_withdrawn bigint[];
    v_opened bigint[]; v_first int;
    v_settled boolean := false;
    v_running jsonb;
    v_parked boolean;
    v_more boolean;
    v_page int := p_limit + ${readAhead};
    v_end_place float8;
    v_end_seq bigint;
    v_next int;
    v_count int;
    v_refusals int;
    v_place float8;
    v_low int;
    v_high int;
    v_mid int;
    v_x int;
    v_k int;
    v_seq bigint;
    v_priority int;
    v_costs text;
    v_amounts float8[];
    v_cost float8;
    v_refused text;
    v_level float8;
    v_until float8;
    v_weight float8;
    v_head_rank bigint;
    v_head_seq bigint;
    v_head_priority int;
    v_head_costs text;
    v_found boolean;
    v_behind boolean;
    v_done boolean;
    v_from text;
    v_try text[];
    v_try_costs float8[];
    v_lot_passes text[];
    v_lot_costs float8[];
    v_lot_untils float8[];
    v_head_start bigint;
  BEGIN
    out_seqs := '{}';
    WITH RECURSIVE lane AS (
      SELECT y AS type, (SELECT min(o.queue) FROM ${schema}.line o WHERE o.closed_by IS NULL AND o.type = y) AS queue
      FROM (SELECT DISTINCT unnest(p_types)) AS given (y)
      UNION ALL
      SELECT a.type, (
        SELECT min(o.queue) FROM ${schema}.line o WHERE o.closed_by IS NULL AND o.type = a.type AND o.queue > a.queue
      ) FROM lane a WHERE a.queue IS NOT NULL
    ) SELECT array_agg(type), array_agg(queue) INTO v_types, v_queues FROM lane
      WHERE queue IS NOT NULL AND (p_queues IS NULL OR queue = ANY (p_queues)) AND queue <> ALL (p_paused);
    IF v_types IS NULL THEN
      out_seqs := p_plain;
      out_opens_at := (SELECT min(opens_at) FROM ${schema}.lot);
      RETURN;
    END IF;
    SELECT coalesce(array_agg(t.rank ORDER BY s.place), '{}'), coalesce(array_agg(t.shared_gate ORDER BY s.place), '{}')
      INTO v_ranks, v_gates FROM unnest(p_plain) WITH ORDINALITY AS s (seq, place)
      JOIN ${schema}.task t ON ${isOneOf("t.seq", "s.seq")};
    v_parked := EXISTS (SELECT FROM ${schema}.line WHERE closed_by IS NOT NULL);
    SELECT o.out_seqs, o.out_plain, o.out_done INTO v_opened, v_first, v_done
      FROM ${schema}.take_open_2(p_now, v_types, v_queues, p_limit, p_plain, v_ranks, v_gates, v_parked) o;
    out_seqs := v_opened;
    IF v_done THEN
      out_opens_at := (SELECT min(opens_at) FROM ${schema}.lot);
      RETURN;
    END IF;
    <<again>>
    LOOP
      v_lines := '{}'; v_fresh := '{}'; v_queue := '{}'; v_front := 1; v_new := '{}'; v_fates := '{}';
      v_states := '{}'; v_known := '{}'; v_rules := '{}'; v_names := '{}';
      v_more := true; v_end_place := '-Infinity'; v_end_seq := -1; v_refusals := 0;
      v_lot_passes := '{}'; v_lot_costs := '{}'; v_lot_untils := '{}'; v_withdrawn := '{}';
      -- first of all those of the tasks that wait with others: lines may have them too
      v_asked := ARRAY(SELECT DISTINCT p.pass FROM unnest(v_gates) AS g (gate), unnest(${schema}.passes_1(g.gate)) AS p (pass)
        WHERE g.gate IS NOT NULL);
      v_withdrawn := '{}';
      out_seqs := v_opened; v_count := cardinality(out_seqs); v_next := v_first + 1;
      v_running := (SELECT jsonb_object_agg(pass, tasks) FROM (
        SELECT p.pass, sum(b.tasks) AS tasks FROM (
          SELECT t.gate, count(*) AS tasks FROM ${schema}.task t WHERE t.state = 2 AND t.gate >= '' GROUP BY t.gate
          UNION ALL
          SELECT coalesce(t.gate, t.shared_gate), count(*) FROM ${schema}.task t
            WHERE t.seq = ANY (out_seqs) AND coalesce(t.gate, t.shared_gate) IS NOT NULL GROUP BY 1
        ) b, unnest(${schema}.passes_1(b.gate)) AS p (pass) GROUP BY p.pass
      ) r);

      LOOP
        -- what has come back from a lot is put in, and then the next page of open lines
        v_done := v_count >= p_limit OR v_refusals >= ${maxParked};
        IF NOT v_done AND cardinality(v_fresh) = 0 AND cardinality(v_new) = 0 AND v_more AND (v_front > cardinality(v_queue)
          OR ((v_lines[v_queue[v_front]]).place, (v_lines[v_queue[v_front]]).seq) > (v_end_place, v_end_seq)) THEN
          v_fresh := ARRAY(SELECT n FROM unnest(v_types, v_queues) AS a (type, queue), LATERAL (
            SELECT o FROM ${schema}.line o WHERE o.closed_by IS NULL AND o.type = a.type AND o.queue = a.queue
              AND (o.place, o.seq) > (v_end_place, v_end_seq) ORDER BY o.place, o.seq LIMIT v_page
          ) h (n) ORDER BY (n).place, (n).seq LIMIT v_page);
          v_more := cardinality(v_fresh) = v_page;
          IF cardinality(v_fresh) > 0 THEN
            v_end_place := (v_fresh[cardinality(v_fresh)]).place;
            v_end_seq := (v_fresh[cardinality(v_fresh)]).seq;
          END IF;
        END IF;
        IF cardinality(v_fresh) + cardinality(v_asked) > 0 THEN
          v_asked := v_asked || ARRAY(SELECT p.pass FROM unnest(v_fresh) f, unnest(f.passes) AS p (pass));
          -- most passes have the limit of their name
          v_rules := v_rules || ARRAY(SELECT ROW(n.name, o.kind, o.most, o.tokens, o.per_ms, o.burst)::${schema}.pass_rule
            FROM (SELECT DISTINCT split_part(p.pass, '=', 1) AS name FROM unnest(v_asked) AS p (pass)) n
            CROSS JOIN LATERAL ${schema}.limit_of_1(n.name) o WHERE n.name <> ALL (v_names) AND n.name <> '');
          v_names := ARRAY(SELECT r.name FROM unnest(v_rules) r);
          v_states := v_states || ARRAY(SELECT ROW(n.pass,
              EXISTS (SELECT FROM ${schema}.record r WHERE r.kind = '${Gates.pausedKeyKind}' AND r.id = n.pass),
              o.kind, o.most, o.tokens, o.per_ms, o.burst, coalesce((v_running ->> n.pass)::float8, 0), b.level, b.at,
              false, h.seq, h.state, false)::${schema}.pass_state
            FROM (SELECT DISTINCT p.pass FROM unnest(v_asked) AS p (pass)
              WHERE p.pass <> ALL (v_known)) n
            CROSS JOIN LATERAL (SELECT n.pass LIKE '=%'
              OR EXISTS (SELECT FROM ${schema}.record r WHERE r.kind = '${Gates.limitKind}' AND r.id = n.pass) OFFSET 0) w (own)
            CROSS JOIN LATERAL (
              SELECT l.kind, l.most, l.tokens, l.per_ms, l.burst FROM ${schema}.limit_of_1(n.pass) l WHERE w.own
              UNION ALL
              SELECT u.kind, u.most, u.tokens, u.per_ms, u.burst FROM unnest(v_rules) u
                WHERE NOT w.own AND u.name = split_part(n.pass, '=', 1)
            ) o
            LEFT JOIN LATERAL (SELECT c.level, c.at FROM ${schema}.bucket c WHERE c.pass = n.pass LIMIT 1) b ON true
            LEFT JOIN LATERAL (SELECT t.seq, t.state FROM ${schema}.holder c JOIN ${schema}.task t ON ${
    isOneOf("t.seq", "c.seq")
  }
              WHERE c.pass = n.pass LIMIT 1) h ON true);
          v_known := ARRAY(SELECT p.pass FROM unnest(v_states) p);
          FOREACH v_line IN ARRAY v_fresh LOOP
            -- what comes back from a lot is open, even if it is not reached
            v_fates := v_fates || CASE WHEN v_line.closed_by IS NULL THEN ${untouched} ELSE ${changed} END;
            IF v_line.closed_by IS NOT NULL THEN
              v_line.from_pass := v_line.closed_by;
              v_line.from_cost := v_line.cost;
              v_line.closed_by := NULL;
              v_line.cost := 0;
            END IF;
            v_lines := v_lines || v_line;
            v_new := v_new || cardinality(v_lines);
          END LOOP;
          v_fresh := '{}';
          v_asked := '{}';
        END IF;
        IF v_done THEN
          IF v_count < p_limit THEN
            -- those with a gate are looked at by the next claim
            out_seqs := out_seqs || ARRAY(SELECT p.seq FROM unnest(p_plain, v_gates) WITH ORDINALITY AS p (seq, gate, place)
              WHERE p.place >= v_next AND p.gate IS NULL ORDER BY p.place LIMIT p_limit - v_count);
            out_opens_at := p_now;
          END IF;
          EXIT;
        END IF;
        FOREACH v_x IN ARRAY v_new LOOP
          v_low := v_front;
          v_high := cardinality(v_queue) + 1;
          v_place := (v_lines[v_x]).place;
          v_seq := (v_lines[v_x]).seq;
          IF v_high > v_low AND ((v_lines[v_queue[v_high - 1]]).place, (v_lines[v_queue[v_high - 1]]).seq) < (v_place, v_seq) THEN
            v_low := v_high;
          END IF;
          WHILE v_low < v_high LOOP
            v_mid := (v_low + v_high) / 2;
            IF ((v_lines[v_queue[v_mid]]).place, (v_lines[v_queue[v_mid]]).seq) < (v_place, v_seq) THEN
              v_low := v_mid + 1;
            ELSE
              v_high := v_mid;
            END IF;
          END LOOP;
          IF v_low > cardinality(v_queue) THEN
            v_queue := v_queue || v_x;
          ELSE
            v_queue := v_queue[v_front : v_low - 1] || v_x || v_queue[v_low : cardinality(v_queue)];
            v_front := 1;
          END IF;
        END LOOP;
        v_new := '{}';
        CONTINUE WHEN v_more AND (v_front > cardinality(v_queue)
          OR ((v_lines[v_queue[v_front]]).place, (v_lines[v_queue[v_front]]).seq) > (v_end_place, v_end_seq));
        EXIT WHEN v_front > cardinality(v_queue) AND v_next > cardinality(p_plain);

        v_x := v_queue[v_front];
        IF v_next <= cardinality(p_plain) AND (v_x IS NULL
          OR (v_ranks[v_next]::float8, p_plain[v_next]) < ((v_lines[v_x]).place, (v_lines[v_x]).seq)) THEN
          -- one that waits with others is given to its line where those of lines have been faster
          v_shared := CASE WHEN v_gates[v_next] IS NOT NULL THEN ${schema}.passes_1(v_gates[v_next]) END;
          IF v_shared IS NOT NULL AND EXISTS (
            SELECT FROM unnest(v_states) s WHERE s.pass = ANY (v_shared)
              AND (s.paused OR s.kind <> 'max' OR s.running >= s.most OR p_now < s.per_ms)
          ) THEN
            v_withdrawn := v_withdrawn || p_plain[v_next];
          ELSE
            out_seqs := out_seqs || p_plain[v_next];
            v_count := v_count + 1;
            FOR i IN 1 .. coalesce(cardinality(v_shared), 0) LOOP
              v_k := array_position(v_known, v_shared[i]);
              v_pass := v_states[v_k];
              v_pass.running := v_pass.running + 1;
              v_states[v_k] := v_pass;
            END LOOP;
          END IF;
          v_next := v_next + 1;
          CONTINUE;
        END IF;
        v_front := v_front + 1;
        v_line := v_lines[v_x];
        v_seq := v_line.seq;
        v_priority := v_line.priority;
        v_costs := v_line.costs;
        v_behind := false;
        v_weight := NULL;
        LOOP
          v_refused := NULL;
          v_amounts := CASE WHEN v_costs IS NOT NULL
            THEN ARRAY(SELECT e::float8 FROM json_array_elements_text(v_costs::json) e) END;
          FOR i IN 1 .. cardinality(v_line.passes) LOOP
            v_k := array_position(v_known, v_line.passes[i]);
            v_pass := v_states[v_k];
            IF v_pass.paused THEN
              v_refused := v_pass.pass;
              v_until := NULL;
            ELSIF v_pass.kind IS NULL THEN
              CONTINUE;
            ELSIF v_pass.kind = 'max' THEN
              IF p_now < v_pass.per_ms THEN
                v_refused := v_pass.pass;
                v_until := v_pass.per_ms;
                v_cost := 0;
              ELSIF v_pass.running >= v_pass.most THEN
                v_refused := v_pass.pass;
                v_until := NULL;
              END IF;
            ELSIF v_pass.kind = 'rate' THEN
              v_cost := coalesce(v_amounts[i], 1);
              v_level := CASE WHEN v_pass.level IS NULL THEN v_pass.burst ELSE least(v_pass.burst,
                v_pass.level + greatest(0, p_now - v_pass.at) * v_pass.tokens / v_pass.per_ms) END;
              IF least(v_cost, v_pass.burst) - v_level > 0 THEN
                v_refused := v_pass.pass;
                v_until := least(${Gate.maxLacksUntil}, p_now
                  + greatest(1, floor((least(v_cost, v_pass.burst) - v_level) * v_pass.per_ms / v_pass.tokens)));
              END IF;
            ELSIF v_pass.kind = 'fair' THEN
              v_weight := v_pass.most;
            ELSIF v_pass.holder <> v_seq
              AND (v_pass.state < 3 OR v_pass.state = 4 AND v_pass.kind = 'block') THEN
              v_refused := v_pass.pass;
              v_until := NULL;
              IF v_pass.state = 1 AND NOT v_behind THEN
                SELECT t.seq, t.priority, t.costs INTO v_head_seq, v_head_priority, v_head_costs FROM ${schema}.task t
                  WHERE t.seq = v_pass.holder AND t.state + 0 = 1 AND t.type = v_line.type AND t.queue = v_line.queue
                    AND t.gate = v_line.gate;
                v_behind := FOUND;
                EXIT WHEN v_behind;
              END IF;
            END IF;
            EXIT WHEN v_refused IS NOT NULL;
          END LOOP;
          EXIT WHEN NOT v_behind OR v_seq = v_head_seq;
          v_seq := v_head_seq;
          v_priority := v_head_priority;
          v_costs := v_head_costs;
        END LOOP;

        IF v_refused IS NOT NULL AND v_until IS NULL AND NOT v_settled THEN
          -- before a line is stopped until a task ends: what has ended without news is seen from here on
          PERFORM pg_advisory_xact_lock(${endsLock(schema)});
          v_settled := true;
          CONTINUE again;
        END IF;
        v_fates[v_x] := greatest(v_fates[v_x], ${changed});
        IF v_refused IS NOT NULL THEN
          v_lines[v_x].from_pass := NULL;
          v_refusals := v_refusals + 1;
          v_lines[v_x].closed_by := v_refused;
          IF v_until IS NOT NULL THEN
            v_lines[v_x].cost := v_cost;
            v_lot_passes := v_lot_passes || v_refused;
            v_lot_costs := v_lot_costs || v_cost;
            v_lot_untils := v_lot_untils || v_until;
          END IF;
        ELSE
          IF v_behind THEN
            PERFORM FROM ${schema}.task t WHERE t.seq = v_seq AND t.state + 0 = 1 AND t.gate = v_line.gate
              AND ${notExpired("t.", "p_now")} FOR NO KEY UPDATE SKIP LOCKED;
            v_found := FOUND;
          ELSE
            SELECT t.rank, t.seq, t.priority, t.costs
                INTO v_head_rank, v_head_seq, v_head_priority, v_head_costs FROM ${schema}.task t
              WHERE ${ofLine} AND (t.rank, t.seq) >= (v_line.rank, v_line.seq)
              ORDER BY t.rank, t.seq LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
            v_found := FOUND;
            IF NOT v_found THEN v_fates[v_x] := ${unsure}; END IF;
            IF v_found AND (v_head_seq <> v_seq OR v_head_costs IS DISTINCT FROM v_costs) THEN
              v_found := false;
              v_fates[v_x] := ${unsure};
              IF v_head_seq = v_seq OR v_line.gate NOT LIKE '${orderedPattern}' OR NOT EXISTS (
                SELECT FROM ${schema}.task t WHERE t.seq = v_seq AND t.state + 0 = 1
              ) THEN
                v_lines[v_x].rank := v_head_rank;
                v_lines[v_x].seq := v_head_seq;
                v_lines[v_x].priority := v_head_priority;
                v_lines[v_x].costs := v_head_costs;
                v_lines[v_x].place := CASE WHEN v_weight IS NULL THEN v_head_rank ELSE greatest(v_head_rank, v_line.turn) END;
                v_new := v_new || v_x;
                CONTINUE;
              END IF;
            END IF;
          END IF;
          IF v_found THEN
            out_seqs := out_seqs || v_seq;
            FOR i IN 1 .. cardinality(v_line.passes) LOOP
              v_k := array_position(v_known, v_line.passes[i]);
              v_pass := v_states[v_k];
              CONTINUE WHEN v_pass.kind IS NULL;
              IF v_pass.kind = 'max' THEN
                v_pass.running := v_pass.running + 1;
              ELSIF v_pass.kind = 'rate' THEN
                v_pass.level := CASE WHEN v_pass.level IS NULL THEN v_pass.burst ELSE least(v_pass.burst,
                  v_pass.level + greatest(0, p_now - v_pass.at) * v_pass.tokens / v_pass.per_ms) END
                  - coalesce(v_amounts[i], 1);
                v_pass.at := p_now;
                v_pass.spent := true;
              ELSIF v_pass.kind <> 'fair' THEN
                v_pass.holder := v_seq;
                v_pass.state := 2;
                v_pass.started := true;
              END IF;
              v_states[v_k] := v_pass;
            END LOOP;
            IF v_weight IS NOT NULL THEN
              v_line.credit := v_line.credit + 1;
              IF v_line.credit >= v_weight THEN
                IF v_head_start IS NULL THEN
                  SELECT value INTO v_head_start FROM ${schema}.setting WHERE name = 'head_start_ms';
                END IF;
                v_line.credit := 0;
                v_line.turn := (p_now - v_priority * v_head_start)::float8 + (v_count + 1) / 1024.0::float8;
              END IF;
            END IF;
            v_count := v_count + 1;
            IF NOT v_behind THEN
              SELECT t.rank, t.seq, t.priority, t.costs
                INTO v_head_rank, v_head_seq, v_head_priority, v_head_costs FROM ${schema}.task t
                WHERE ${ofLine} AND (t.rank, t.seq) > (v_line.rank, v_line.seq)
                ORDER BY t.rank, t.seq LIMIT 1;
              v_found := FOUND;
              IF NOT v_found THEN v_fates[v_x] := greatest(v_fates[v_x], ${emptied}); END IF;
              IF v_found THEN
                v_line.rank := v_head_rank;
                v_line.seq := v_head_seq;
                v_line.priority := v_head_priority;
                v_line.costs := v_head_costs;
              END IF;
            END IF;
            v_line.place := CASE WHEN v_weight IS NULL THEN v_line.rank ELSE greatest(v_line.rank, v_line.turn) END;
            v_from := v_line.from_pass;
            v_line.from_pass := NULL;
            v_lines[v_x] := v_line;
            v_line.from_pass := v_from;
            IF v_found THEN v_new := v_new || v_x; END IF;
          END IF;
        END IF;

        -- the next of the lots of this line, of those that may be open
        IF v_parked THEN
          v_try := '{}';
          v_try_costs := '{}';
          IF v_line.from_pass IS NOT NULL AND (v_refused IS NULL OR v_line.from_pass <> v_refused
            OR v_line.from_cost <> (v_lines[v_x]).cost) THEN
            v_try := v_try || v_line.from_pass;
            v_try_costs := v_try_costs || v_line.from_cost;
          END IF;
          FOR i IN 1 .. cardinality(v_line.passes) LOOP
            CONTINUE WHEN v_line.passes[i] = v_refused;
            v_pass := v_states[array_position(v_known, v_line.passes[i])];
            CONTINUE WHEN v_pass.paused
              OR v_pass.kind = 'max' AND (v_pass.running >= v_pass.most OR p_now < v_pass.per_ms);
            v_cost := CASE WHEN v_pass.kind = 'rate' THEN coalesce(v_amounts[i], 1) ELSE 0 END;
            CONTINUE WHEN v_pass.pass = v_line.from_pass AND v_cost = v_line.from_cost;
            v_try := v_try || v_pass.pass;
            v_try_costs := v_try_costs || v_cost;
          END LOOP;
          IF cardinality(v_try) > 0 THEN
            v_fresh := ARRAY(SELECT n FROM unnest(v_try, v_try_costs) AS e (pass, cost), LATERAL (
              SELECT o FROM ${schema}.line o WHERE o.closed_by = e.pass AND o.cost = e.cost
                AND o.type = v_line.type AND o.queue = v_line.queue
                AND o.gate <> ALL (ARRAY(SELECT m.gate FROM unnest(v_lines) m
                  WHERE m.type = v_line.type AND m.queue = v_line.queue))
              ORDER BY o.place, o.seq LIMIT 1
            ) h (n));
          END IF;
        END IF;
      END LOOP;
      EXIT;
    END LOOP;

    DELETE FROM ${schema}.line t USING ${lookedUp} WHERE v_fates[n.ordinality] = ${emptied} AND t.ctid = l.at;
    UPDATE ${schema}.line t SET rank = n.rank, seq = n.seq, priority = n.priority, costs = n.costs,
        place = greatest(n.rank, n.turn), ${rest}
      FROM ${lookedUp} WHERE v_fates[n.ordinality] = ${changed} AND t.ctid = l.at;
    IF ${unsure} = ANY (v_fates) THEN
      DELETE FROM ${schema}.line t USING ${lookedUp}
        WHERE v_fates[n.ordinality] = ${unsure} AND t.ctid = l.at AND (
          SELECT true FROM ${schema}.task c WHERE ${ofEntry} LIMIT 1
        ) IS NULL;
      UPDATE ${schema}.line t SET rank = h.rank, seq = h.seq, priority = h.priority, costs = h.costs,
          place = greatest(h.rank, n.turn), ${rest}
        FROM ${lookedUp}, LATERAL (
          SELECT c.rank, c.seq, c.priority, c.costs FROM ${schema}.task c WHERE ${ofEntry} ORDER BY c.rank, c.seq LIMIT 1
        ) h WHERE v_fates[n.ordinality] = ${unsure} AND t.ctid = l.at;
    END IF;
    IF cardinality(v_withdrawn) > 0 THEN
      PERFORM ${schema}.give_to_lines_1(v_withdrawn);
      IF v_count < p_limit THEN out_opens_at := p_now; END IF;
    END IF;
    INSERT INTO ${schema}.bucket (pass, level, at) SELECT p.pass, p.level, p.at::bigint FROM unnest(v_states) p WHERE p.spent
      ON CONFLICT (pass) DO UPDATE SET level = excluded.level, at = excluded.at;
    INSERT INTO ${schema}.holder (pass, seq) SELECT p.pass, p.holder FROM unnest(v_states) p WHERE p.started
      ON CONFLICT (pass) DO UPDATE SET seq = excluded.seq;
    IF cardinality(v_lot_passes) > 0 THEN
      INSERT INTO ${schema}.lot AS o (pass, cost, opens_at)
        SELECT pass, cost, min(until)::bigint FROM unnest(v_lot_passes, v_lot_costs, v_lot_untils) AS n (pass, cost, until)
        GROUP BY pass, cost
        ON CONFLICT (pass, cost) DO UPDATE SET opens_at = least(o.opens_at, excluded.opens_at);
    END IF;
    out_opens_at := least(out_opens_at, (SELECT min(opens_at) FROM ${schema}.lot));
  END $function$`
}
