/**
 * Tasks with a gate in the schema. Those of one queue, type and gate are a line; the table `line` has a row for each that has
 * pending tasks, with the first of them. Only claims write lines, one claim at a time, so that no two can overshoot a limit.
 *
 * All others leave news: rows that are only ever inserted, so that a transaction of the application, however long it
 * stays open, keeps no claim waiting. A claim begins with the news: it looks up the first tasks of the lines they name.
 *
 * A line whose gate is closed is parked: `closed_by` is the pass that refused it, and claims do not come across it. All that
 * are parked under one pass, and take as much of it, are a lot. When the pass may be open again, the first of each lane of
 * the lot is brought back. When a claim has looked at it, whether it was started or refused by another pass, the next of the
 * lot follows: so a lot of any size costs a claim as much as it starts. Until then the line remembers its lot in `from_pass`
 * and `from_cost`, for its first task may become another one that takes more or less.
 */
import * as Passes from "./Passes.ts"
import * as Take from "./Take.ts"

/** Lines that one claim reads the news of at most, and news of each: more than can be written between two claims. */
const maxFolded = 1000

/** News that a claim reads before it cares about which lines they are of. */
const maxRead = 2000

/** What a claim knows of the first task of a line. */
const head = "rank, seq, priority, costs"

/**
 * Columns, indexes, tables and functions. A task without gate is in the indexes of the order of work, one with a gate in those
 * of its line, of its lane, and of what runs; the one of its lane is on an expression, so that it is never taken for that of a line.
 *
 * News of a line come from whatever changes the state of a task: from the statements themselves, for a trigger would cost the tasks
 * that have no gate 2 µs each; only removals, which are few at a time, have one. Instances of earlier versions leave no news of
 * what they cancel, run again or rescue, so pruning leaves news of all lines as long as such instances claim: see {@link renewed}.
 */
export const tables = (schema: string): ReadonlyArray<string> => [
  `ALTER TABLE ${schema}.task ADD COLUMN IF NOT EXISTS gate text COLLATE "C", ADD COLUMN IF NOT EXISTS costs text`,
  `DROP INDEX IF EXISTS ${schema}.task_order, ${schema}.task_waiting`,
  `CREATE INDEX task_order ON ${schema}.task ((rank + 0), seq) WHERE state = 1 AND gate IS NULL`,
  `CREATE INDEX task_waiting ON ${schema}.task (type, queue, rank, seq) WHERE state = 1 AND gate IS NULL`,
  `CREATE INDEX IF NOT EXISTS task_line ON ${schema}.task (type, queue, gate, rank, seq)
    WHERE gate IS NOT NULL AND state = 1`,
  `CREATE INDEX IF NOT EXISTS task_gated ON ${schema}.task ((type || ''), (queue || ''), (rank + 0), seq)
    WHERE gate IS NOT NULL AND state = 1`,
  `CREATE INDEX IF NOT EXISTS task_busy ON ${schema}.task (gate) WHERE gate IS NOT NULL AND state = 2`,
  `CREATE TABLE IF NOT EXISTS ${schema}.line (
    type text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    gate text COLLATE "C" NOT NULL,
    passes text[] NOT NULL,
    rank bigint NOT NULL,
    seq bigint NOT NULL,
    priority smallint NOT NULL,
    costs text,
    place double precision NOT NULL,
    turn double precision,
    credit integer NOT NULL DEFAULT 0,
    closed_by text COLLATE "C",
    cost double precision NOT NULL DEFAULT 0,
    from_pass text COLLATE "C",
    from_cost double precision,
    PRIMARY KEY (type, queue, gate)
  ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1)`,
  `CREATE INDEX IF NOT EXISTS line_open ON ${schema}.line (type, queue, place, seq) WHERE closed_by IS NULL`,
  `CREATE INDEX IF NOT EXISTS line_lot ON ${schema}.line (closed_by, cost, type, queue, place, seq)
    WHERE closed_by IS NOT NULL`,
  `CREATE TABLE IF NOT EXISTS ${schema}.line_news (
    type text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    gate text COLLATE "C" NOT NULL,
    changed boolean NOT NULL
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)`,
  `CREATE INDEX IF NOT EXISTS line_news_line ON ${schema}.line_news (type, queue, gate)`,
  // a charge with the rate that it was made under, a holder that is let go, or just that a record has changed
  `CREATE TABLE IF NOT EXISTS ${schema}.pass_news (
    pass text COLLATE "C" NOT NULL,
    amount double precision,
    at bigint,
    tokens double precision,
    per_ms double precision,
    burst double precision,
    holder bigint,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)`,
  `CREATE INDEX IF NOT EXISTS pass_news_order ON ${schema}.pass_news (written_at)`,
  `CREATE INDEX IF NOT EXISTS pass_news_pass ON ${schema}.pass_news (pass)`,
  // when a lot that waits for its bucket may be open
  `CREATE TABLE IF NOT EXISTS ${schema}.lot (
    pass text COLLATE "C" NOT NULL,
    cost double precision NOT NULL,
    opens_at bigint NOT NULL,
    PRIMARY KEY (pass, cost)
  ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)`,
  `CREATE INDEX IF NOT EXISTS lot_opens ON ${schema}.lot (opens_at)`,
  `CREATE TABLE IF NOT EXISTS ${schema}.bucket (
    pass text COLLATE "C" PRIMARY KEY,
    level double precision NOT NULL,
    at bigint NOT NULL
  ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)`,
  `CREATE TABLE IF NOT EXISTS ${schema}.holder (
    pass text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL
  ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)`,
  `CREATE INDEX IF NOT EXISTS holder_task ON ${schema}.holder (seq)`,
  // logical replication needs to tell rows apart
  ...["line_news", "pass_news"].map((table) => `ALTER TABLE ${schema}.${table} REPLICA IDENTITY FULL`),
  `DROP TYPE IF EXISTS ${schema}.pass_state, ${schema}.pass_rule`,
  // the limit of a name
  `CREATE TYPE ${schema}.pass_rule AS (
    name text, kind text, most float8, tokens float8, per_ms float8, burst float8
  )`,
  // a pass as a claim sees it: 'max' of so many, or a rate, or an order, or of a weight
  `CREATE TYPE ${schema}.pass_state AS (
    pass text, paused boolean, kind text, most float8, tokens float8, per_ms float8, burst float8, running float8,
    level float8, at float8, spent boolean, holder bigint, state smallint, started boolean
  )`,
  ...Passes.functions(schema),
  foldFunction(schema),
  Take.takeFunction(schema),
  `CREATE OR REPLACE FUNCTION ${schema}.line_news_1() RETURNS trigger LANGUAGE plpgsql AS $function$
  BEGIN
    IF OLD.state IN (1, 2) OR EXISTS (SELECT FROM ${schema}.holder WHERE seq = OLD.seq) THEN
      INSERT INTO ${schema}.line_news VALUES (OLD.type, OLD.queue, OLD.gate, true);
    END IF;
    RETURN NULL;
  END $function$`,
  `CREATE OR REPLACE TRIGGER task_removed AFTER DELETE ON ${schema}.task FOR EACH ROW
    WHEN (OLD.gate IS NOT NULL) EXECUTE FUNCTION ${schema}.line_news_1()`
]

/** News of completed tasks, one row for all of a settlement: no line has another first task by them, but what is parked may start. */
export const endNews = (schema: string): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS ${schema}.end_news (
    gates text[] NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)`,
  `CREATE INDEX IF NOT EXISTS end_news_order ON ${schema}.end_news (written_at)`,
  `ALTER TABLE ${schema}.end_news REPLICA IDENTITY FULL`
]

/** The name of the setting that says when an instance of an earlier version has claimed. */
export const earlierAt = "earlier_instance_at"

/** How long after that there may be changes without news, in milliseconds. */
const earlierForMs = 600_000

/** News of all lines, while instances of earlier versions are running. */
export const renewed = (schema: string): string =>
  `INSERT INTO ${schema}.line_news SELECT DISTINCT type, queue, gate, true FROM ${schema}.task
    WHERE state = 1 AND gate IS NOT NULL AND EXISTS (
      SELECT FROM ${schema}.setting WHERE name = '${earlierAt}' AND value > ${schema}.now_ms() - ${earlierForMs}
    )`

/**
 * Takes note of the news, and brings back lines that may start. What it reads was committed, so what follows sees all of it. Each line
 * is looked up by its key: where statistics are of a time when there were none, a join would read all of them. So would `NOT EXISTS`, which is one.
 */
export const foldFunction = (schema: string): string => {
  const lineOf = (row: string) =>
    `LATERAL (
          SELECT o.ctid AS place FROM ${schema}.line o
          WHERE o.type = ${row}.type AND o.queue = ${row}.queue AND o.gate = ${row}.gate OFFSET 0
        ) l`
  return `CREATE OR REPLACE FUNCTION ${schema}.fold_lines_1(p_now bigint) RETURNS void LANGUAGE plpgsql ${Take.settings} AS $function$
  DECLARE
    v_types text[];
    v_queues text[];
    v_gates text[];
    v_changed boolean[];
    v_read int;
    v_passes text[] := '{}';
    v_more text[];
    v_costs float8[];
    v_news record;
    v_level float8;
    v_at bigint;
  BEGIN
    WITH gone AS (
      DELETE FROM ${schema}.line_news WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${schema}.line_news ORDER BY type, queue, gate LIMIT ${maxRead}
      )) RETURNING type, queue, gate, changed
    ), folded AS (
      SELECT type, queue, gate, bool_or(changed) AS changed, count(*) AS news FROM gone GROUP BY type, queue, gate
    ) SELECT array_agg(type), array_agg(queue), array_agg(gate), array_agg(changed), sum(news)
      INTO v_types, v_queues, v_gates, v_changed, v_read FROM folded;
    IF v_read = ${maxRead} THEN
      -- there are many: those of one line must not keep those of others from being read
      WITH RECURSIVE named AS (
        (SELECT type, queue, gate FROM ${schema}.line_news ORDER BY type, queue, gate LIMIT 1)
        UNION ALL
        SELECT n.type, n.queue, n.gate FROM named l, LATERAL (
          SELECT type, queue, gate FROM ${schema}.line_news
          WHERE (type, queue, gate) > (l.type, l.queue, l.gate) ORDER BY type, queue, gate LIMIT 1
        ) n
      ), bounded AS (
        SELECT type, queue, gate FROM named LIMIT ${maxFolded}
      ), gone AS (
        DELETE FROM ${schema}.line_news WHERE ctid = ANY (ARRAY(
          SELECT n.place FROM bounded b, LATERAL (
            SELECT ctid AS place FROM ${schema}.line_news
            WHERE type = b.type AND queue = b.queue AND gate = b.gate LIMIT ${maxFolded}
          ) n
        )) RETURNING type, queue, gate, changed
      ), folded AS (
        SELECT type, queue, gate, bool_or(changed) AS changed FROM (
          SELECT * FROM gone UNION ALL SELECT * FROM unnest(v_types, v_queues, v_gates, v_changed)
        ) g (type, queue, gate, changed) GROUP BY type, queue, gate
      ) SELECT array_agg(type), array_agg(queue), array_agg(gate), array_agg(changed)
        INTO v_types, v_queues, v_gates, v_changed FROM folded;
    END IF;

    IF v_types IS NOT NULL THEN
      -- what was refused stays refused, unless it is another task, or a task of its passes has changed
      WITH seen AS MATERIALIZED (
        SELECT n.type, n.queue, n.gate, h.*, l.at,
          (l.rank, l.seq, l.priority) IS DISTINCT FROM (h.rank, h.seq, h.priority) OR l.costs IS DISTINCT FROM h.costs
            OR n.changed AND l.closed_by IS NOT NULL AS is_other
        FROM unnest(v_types, v_queues, v_gates, v_changed) AS n (type, queue, gate, changed) LEFT JOIN LATERAL (
          SELECT t.rank, t.seq, t.priority, t.costs FROM ${schema}.task t
          WHERE t.state = 1 AND t.type = n.type AND t.queue = n.queue AND t.gate = n.gate ORDER BY t.rank, t.seq LIMIT 1
        ) h ON true LEFT JOIN LATERAL (
          SELECT o.ctid AS at, o.rank, o.seq, o.priority, o.costs, o.closed_by FROM ${schema}.line o
          WHERE o.type = n.type AND o.queue = n.queue AND o.gate = n.gate LIMIT 1
        ) l ON true
      ), emptied AS (
        DELETE FROM ${schema}.line WHERE ctid = ANY (ARRAY(SELECT at FROM seen WHERE seq IS NULL AND at IS NOT NULL))
      ), made AS (
        INSERT INTO ${schema}.line (type, queue, gate, passes, ${head}, place)
          SELECT type, queue, gate, ${schema}.passes_1(gate), ${head}, rank FROM seen WHERE seq IS NOT NULL AND at IS NULL
      ) UPDATE ${schema}.line l SET rank = s.rank, seq = s.seq, priority = s.priority, costs = s.costs, closed_by = NULL,
          cost = 0, place = greatest(s.rank, l.turn)
        FROM seen s WHERE s.seq IS NOT NULL AND s.is_other AND l.ctid = s.at;
      IF EXISTS (SELECT FROM ${schema}.line WHERE closed_by IS NOT NULL) OR EXISTS (SELECT FROM ${schema}.holder) THEN
        v_passes := ARRAY(SELECT DISTINCT p FROM unnest(v_gates, v_changed) AS n (gate, changed),
          unnest(${schema}.passes_1(n.gate)) p WHERE n.changed);
        DELETE FROM ${schema}.holder WHERE ctid = ANY (ARRAY(
          SELECT h.place FROM unnest(v_passes) AS p (pass), LATERAL (
            SELECT o.ctid AS place, o.seq FROM ${schema}.holder o WHERE o.pass = p.pass OFFSET 0
          ) h WHERE (SELECT true FROM ${schema}.task t WHERE t.seq = h.seq) IS NULL
        ));
      END IF;
    END IF;

    WITH ended AS (
      DELETE FROM ${schema}.end_news WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${schema}.end_news ORDER BY written_at LIMIT ${maxFolded}
      )) RETURNING gates
    ) SELECT array_agg(DISTINCT p.pass) INTO v_more FROM ended e, unnest(e.gates) AS g (gate),
        unnest(${schema}.passes_1(g.gate)) AS p (pass)
      WHERE EXISTS (SELECT FROM ${schema}.line WHERE closed_by IS NOT NULL);
    v_passes := v_passes || v_more;

    FOR v_news IN SELECT ctid AS place, * FROM ${schema}.pass_news ORDER BY written_at LIMIT ${maxFolded} LOOP
      DELETE FROM ${schema}.pass_news WHERE ctid = v_news.place;
      v_passes := v_passes || v_news.pass;
      IF v_news.holder IS NOT NULL THEN
        DELETE FROM ${schema}.holder WHERE pass = v_news.pass AND seq = v_news.holder;
      ELSIF v_news.amount IS NOT NULL THEN
        SELECT level, at INTO v_level, v_at FROM ${schema}.bucket WHERE pass = v_news.pass;
        v_at := greatest(v_at, v_news.at);
        INSERT INTO ${schema}.bucket AS b (pass, level, at) VALUES (v_news.pass, v_news.burst - v_news.amount, v_at)
          ON CONFLICT (pass) DO UPDATE SET at = v_at, level = least(v_news.burst,
            b.level + greatest(0, v_at - b.at)::float8 * v_news.tokens / v_news.per_ms) - v_news.amount;
      ELSE
        -- a limit, or the pause of a key: all that wait for it
        UPDATE ${schema}.line SET closed_by = NULL, cost = 0 WHERE closed_by = v_news.pass;
        UPDATE ${schema}.line SET closed_by = NULL, cost = 0
          WHERE closed_by > v_news.pass || '=' AND closed_by < v_news.pass || '>';
        UPDATE ${schema}.line SET closed_by = NULL, cost = 0 WHERE closed_by = v_news.pass || '=';
        UPDATE ${schema}.line l SET turn = NULL, credit = 0, place = l.rank WHERE l.turn IS NOT NULL AND NOT EXISTS (
          SELECT FROM unnest(l.passes) p (pass), LATERAL ${schema}.limit_of_1(p.pass) o WHERE o.kind = 'fair'
        );
      END IF;
    END LOOP;

    v_costs := array_fill(NULL::float8, ARRAY[cardinality(v_passes)]);
    WITH opened AS (
      DELETE FROM ${schema}.lot WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${schema}.lot WHERE opens_at <= p_now ORDER BY opens_at LIMIT ${maxFolded}
      )) RETURNING pass, cost
    ) SELECT v_passes || array_agg(pass), v_costs || array_agg(cost) INTO v_passes, v_costs FROM opened;
    IF cardinality(v_passes) = 0 OR NOT EXISTS (SELECT FROM ${schema}.line WHERE closed_by IS NOT NULL) THEN RETURN; END IF;
    -- the first of each lane of each lot
    WITH RECURSIVE first AS (
      SELECT e.pass, e.cost AS only_cost, h.* FROM unnest(v_passes, v_costs) AS e (pass, cost), LATERAL (
        SELECT l.cost, l.type, l.queue, l.gate FROM ${schema}.line l
        WHERE l.closed_by = e.pass AND l.cost >= coalesce(e.cost, '-Infinity') AND l.cost <= coalesce(e.cost, 'Infinity')
        ORDER BY l.cost, l.type, l.queue, l.place, l.seq LIMIT 1
      ) h
      UNION ALL
      SELECT f.pass, f.only_cost, h.* FROM first f, LATERAL (
        SELECT l.cost, l.type, l.queue, l.gate FROM ${schema}.line l
        WHERE l.closed_by = f.pass AND (l.cost, l.type, l.queue) > (f.cost, f.type, f.queue)
          AND l.cost <= coalesce(f.only_cost, 'Infinity')
        ORDER BY l.cost, l.type, l.queue, l.place, l.seq LIMIT 1
      ) h
    ) UPDATE ${schema}.line t SET closed_by = NULL, cost = 0, from_pass = f.pass, from_cost = f.cost
      FROM first f, ${lineOf("f")} WHERE t.ctid = l.place;
  END $function$`
}
