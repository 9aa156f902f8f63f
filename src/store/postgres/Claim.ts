/**
 * Handing out work: promotes what is due, then leases the tasks of lowest rank of the types and queues asked for. It is one
 * function of the schema, because what it does next depends on what it finds, and a claim has one round trip.
 */
import { Effect } from "effect"
import { afterExpiring } from "../Driver.ts"
import * as Gates from "../Gates.ts"
import { earlier } from "../Order.ts"
import * as PausedQueues from "../PausedQueues.ts"
import { type ClaimedRow, claimedTaskOf } from "../TaskRow.ts"
import { type ClaimAnswer, type ClaimRequest, maxPromoted, type TaskStore } from "../TaskStore.ts"
import { type Database, isOneOf, number, texts, typeName } from "./Database.ts"
import type { Dependencies } from "./Dependencies.ts"
import { someUntold } from "./Edges.ts"
import * as Lines from "./Lines.ts"
import { maxMoved, maxPage } from "./Shared.ts"
import { notExpired } from "./Take.ts"

type Row = [...ClaimedRow, now: number, nextDueAt: number | null, hasExpired: boolean, isUntold: boolean]

/** What a claimed task shows, besides the number of its attempt and that of its claim, to instances that know no gates. */
const plainFacts = [
  "id text",
  "type text",
  "queue text",
  "payload text",
  "priority smallint",
  "max_retries float8",
  "timeout_ms float8",
  "due_at float8",
  "failures int",
  "crashes int"
]

const facts = [...plainFacts, "gate text", "costs text", "start_by float8", "trace text"]

const columns = facts.map((fact) => `t.${fact.replace(" ", "::")}`).join(", ") + ", t.claims, t.claim::float8"

/**
 * Claim numbers left out when a session claims for the first time. A claim does not wait for the disk, so a crash of the
 * server, or a failover, may undo the last ones, numbers included; but systems outside may remember them, and the next
 * ones must be greater. By then every session is a new one. The server writes its log several times a second: what it
 * may lose has less than a tenth as many claims. On a logical replica the sequence may be far behind, so the newest claim
 * that is remembered counts too, see `Server`.
 */
const skippedNumbers = 1_000_000

/** Tasks that a claim steps over in the order of work at most, before it looks up the lanes that it takes from. */
const windowSize = 100

/** Before and after every rank. */
const startOfTime = "-9223372036854775807"
const endOfTime = "9223372036854775807"

/** Whether there are lines, or news of some. */
const someNews = (schema: string): string =>
  `EXISTS (SELECT FROM ${schema}.line) OR EXISTS (SELECT FROM ${schema}.line_news)
        OR EXISTS (SELECT FROM ${schema}.pass_news) OR EXISTS (SELECT FROM ${schema}.end_news)`

/** Tasks of a lane that the page does not have yet. */
const ofLane = `t.state = 1 AND t.gate IS NULL AND t.type = y AND t.queue = q AND t.seq <> ALL (v_page)
              AND (t.rank, t.seq) > (v_from_rank, v_from_seq) AND (v_takes OR t.shared_gate IS NULL)
              AND ${notExpired("t.", "v_now")}`

/** Begins what one claim at a time does, and answers the time. What is read after it is what the claims before have committed. */
export const enterFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.enter_gates_1() RETURNS bigint LANGUAGE plpgsql AS $function$
  BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
      RAISE EXCEPTION 'claims of tasks with a gate need the isolation level READ COMMITTED, which is not the default here';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('taskforge gates ${schema}', 0));
    RETURN ${schema}.now_ms();
  END $function$`

/** The same, and answers whether there are news by then. */
export const enterAndLookFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.enter_gates_2(OUT out_now bigint, OUT out_news bool)
  LANGUAGE plpgsql SET plan_cache_mode TO force_generic_plan AS $function$
  BEGIN
    out_now := ${schema}.enter_gates_1();
    out_news := ${someNews(schema)};
  END $function$`

/**
 * - Rows come in the order of work, each with the clock and the next due time; a claim that gives nothing answers one
 *   row without a task.
 * - Sessions skip numbers one after the other: of two at once, one could set the sequence back to numbers that the other
 *   has given.
 * - No plan may be a scan: one made while the table is small would be kept until its statistics are renewed.
 * - Tasks are locked as they are read in the order of work, whatever their queues and types: `p_queues` is `NULL` for
 *   all. But only the first hundred that are not wanted are stepped over. Where more come first, because this
 *   instance cannot run them, the wanted lanes are looked up, the first tasks of all of them found and then locked, or each lane
 *   would lock as many as all of them together give. Where another claim was faster, what is missing is locked as it is
 *   read, so that a claim never gives less than it could.
 * - Tasks with a gate are taken by one claim at a time, under a lock that ends with the claim: what it counts as running is all
 *   that is. A claim in a transaction of the application would keep the lock for as long as that lasts, so it leaves them alone.
 *   Most of them wait with those that have none, see `Shared`: then the lock is taken when the first of them was met. Where a gate is found closed, the
 *   claim reads on, more at a time. Those in lines follow, see `Lines`.
 * - Where a waiting task has expired, that is answered instead: it is to be ended. What another session has locked is stepped
 *   over, as is what is committed during the claim.
 */
export const claimFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.claim_8(
    p_queues text[], p_types text[], p_limit int, p_instance text, p_lease bigint, p_nonce bigint, p_alone boolean,
    p_gated boolean DEFAULT true
  ) RETURNS TABLE (
    out_now float8, out_next_due float8, ${
    facts.map((fact) => `out_${fact}`).join(", ")
  }, out_attempt int, out_claim float8, out_expired boolean, out_untold boolean
  ) LANGUAGE plpgsql
    SET jit TO off SET enable_seqscan TO off SET enable_bitmapscan TO off SET enable_sort TO off
    SET enable_hashjoin TO off SET enable_mergejoin TO off AS $function$
  DECLARE
    v_now bigint := ${schema}.now_ms();
    v_due bigint;
    v_moved int;
    v_takes boolean := p_gated AND p_alone AND p_limit > 0;
    v_seqs bigint[] := '{}';
    v_page bigint[];
    v_gates text[];
    v_shared int;
    v_size int := p_limit;
    v_from_rank bigint := ${startOfTime};
    v_from_seq bigint := 0;
    v_taken text[] := '{}';
    v_given int := 0;
    v_spread boolean;
    v_more bigint[];
    v_found int;
    v_left int;
    v_rank bigint;
    v_last bigint;
    v_crowded boolean;
    v_paused text[];
    v_paused_types text[];
    v_gated boolean := false;
    v_entered boolean := false;
    v_opens_at bigint;
    v_untold boolean := ${someUntold(schema)};
    v_claims bigint[];
    v_queues text[];
    v_types text[];
    v_known text := coalesce(current_setting('taskforge.numbered', true), '');
  BEGIN
    IF p_alone THEN PERFORM set_config('synchronous_commit', 'off', true); END IF;
    IF position('${schema};' IN v_known) = 0 THEN
      PERFORM pg_advisory_xact_lock(hashtextextended('taskforge claim_number ${schema}', 0));
      PERFORM setval('${schema}.claim_number', ${skippedNumbers} + greatest(
        nextval('${schema}.claim_number'), (SELECT max(last_claim) FROM ${schema}.last_claim)), false);
      PERFORM set_config('taskforge.numbered', v_known || '${schema};', false);
    END IF;

    SELECT min(due_at) INTO v_due FROM ${schema}.task WHERE state = 0 AND waits_for IS NULL;
    IF v_due <= v_now THEN
      WITH moved AS (
        UPDATE ${schema}.task SET state = 1 WHERE seq = ANY (ARRAY(
          SELECT seq FROM ${schema}.task WHERE state = 0 AND waits_for IS NULL AND due_at <= v_now
          ORDER BY due_at, seq LIMIT ${maxPromoted} FOR NO KEY UPDATE SKIP LOCKED
        )) RETURNING type, queue, gate
      ), announced AS (
        INSERT INTO ${schema}.line_news (type, queue, gate, changed)
          SELECT DISTINCT type, queue, gate, true FROM moved WHERE gate IS NOT NULL
      ) SELECT count(*) INTO v_moved FROM moved;
      IF v_moved > 0 THEN INSERT INTO ${schema}.tally (scheduled) VALUES (-v_moved); END IF;
      SELECT min(due_at) INTO v_due FROM ${schema}.task WHERE state = 0 AND waits_for IS NULL;
    END IF;

    SELECT ARRAY[first_claim, last_claim] INTO v_claims FROM ${schema}.last_claim
      WHERE worker = p_instance AND nonce = p_nonce;
    IF FOUND THEN
      RETURN QUERY SELECT v_now::float8, v_due::float8, ${columns}, false, v_untold FROM ${schema}.task t
        WHERE t.state = 2 AND t.worker = p_instance AND t.claim BETWEEN v_claims[1] AND v_claims[2] ORDER BY t.claim;
      IF NOT FOUND THEN
        out_now := v_now; out_next_due := v_due; out_expired := false; out_untold := v_untold; RETURN NEXT;
      END IF;
      RETURN;
    END IF;

    IF v_takes THEN
      v_gated := ${someNews(schema)};
      IF v_gated THEN
        v_now := ${schema}.enter_gates_1();
        v_entered := true;
        PERFORM ${schema}.fold_lines_1(v_now);
      END IF;
    END IF;
    IF p_limit > 0 THEN
      PERFORM FROM ${schema}.task WHERE expires_at IS NOT NULL AND state < 2 AND expires_at <= v_now
        LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
      IF FOUND THEN
        out_now := v_now; out_next_due := v_due; out_expired := true; out_untold := v_untold; RETURN NEXT;
        RETURN;
      END IF;
    END IF;
    SELECT coalesce(array_agg(id) FILTER (WHERE kind = '${PausedQueues.kind}'), '{}'),
        coalesce(array_agg(id) FILTER (WHERE kind = '${Gates.pausedTypeKind}'), '{}') INTO v_paused, v_paused_types
      FROM ${schema}.record WHERE kind IN ('${PausedQueues.kind}', '${Gates.pausedTypeKind}');
    IF p_queues[1] = '' THEN
      v_paused := v_paused || p_queues[2:];
      p_queues := NULL;
    END IF;
    IF cardinality(v_paused_types) > 0 THEN
      p_types := ARRAY(SELECT y FROM unnest(p_types) AS given (y) WHERE ${typeName("y")} <> ALL (v_paused_types));
    END IF;
    LOOP
      v_spread := false;
      SELECT rank, seq INTO v_rank, v_last FROM ${schema}.task WHERE state = 1 AND gate IS NULL
        AND (rank + 0, seq) > (v_from_rank, v_from_seq) ORDER BY rank + 0, seq OFFSET v_size + ${windowSize} LIMIT 1;
      v_crowded := FOUND;
      SELECT coalesce(array_agg(seq), '{}'), array_agg(shared_gate), count(shared_gate)
        INTO v_page, v_gates, v_shared FROM (
        SELECT seq, shared_gate FROM ${schema}.task WHERE state = 1 AND gate IS NULL
          AND (rank + 0, seq) > (v_from_rank, v_from_seq)
          AND (rank + 0, seq) < (coalesce(v_rank, ${endOfTime}), coalesce(v_last, 0))
          AND type = ANY (p_types) AND (p_queues IS NULL OR queue = ANY (p_queues)) AND queue <> ALL (v_paused)
          AND (v_takes OR shared_gate IS NULL) AND ${notExpired("", "v_now")}
        ORDER BY rank + 0, seq LIMIT v_size FOR NO KEY UPDATE SKIP LOCKED
      ) p;
      v_left := v_size - cardinality(v_page);
      IF v_crowded AND v_left > 0 THEN
        WITH RECURSIVE lane AS (
          SELECT y AS type, (SELECT min(t.queue) FROM ${schema}.task t WHERE t.state = 1 AND t.gate IS NULL AND t.type = y) AS queue
          FROM (SELECT DISTINCT unnest(p_types)) AS given (y)
          UNION ALL
          SELECT l.type, (
            SELECT min(t.queue) FROM ${schema}.task t WHERE t.state = 1 AND t.gate IS NULL AND t.type = l.type AND t.queue > l.queue
          ) FROM lane l WHERE l.queue IS NOT NULL
        ) SELECT coalesce(array_agg(type), '{}'), coalesce(array_agg(queue), '{}') INTO v_types, v_queues FROM lane
          WHERE queue IS NOT NULL AND (p_queues IS NULL OR queue = ANY (p_queues)) AND queue <> ALL (v_paused);
        v_more := ARRAY(
          WITH lane AS MATERIALIZED (
            SELECT y, q FROM unnest(v_types, v_queues) AS l (y, q), LATERAL (
              SELECT t.rank, t.seq FROM ${schema}.task t WHERE ${ofLane} ORDER BY t.rank, t.seq LIMIT 1
            ) h ORDER BY h.rank, h.seq LIMIT v_left
          ) SELECT h.seq FROM lane, LATERAL (
            SELECT t.rank, t.seq FROM ${schema}.task t WHERE ${ofLane} ORDER BY t.rank, t.seq LIMIT v_left
          ) h ORDER BY h.rank, h.seq LIMIT v_left
        );
        v_found := cardinality(v_more);
        v_page := v_page || ARRAY(SELECT seq FROM ${schema}.task WHERE seq = ANY (v_more) AND state + 0 = 1
          AND gate IS NULL FOR NO KEY UPDATE SKIP LOCKED);
        IF cardinality(v_page) < v_size AND v_found = v_left THEN
          v_more := ARRAY(SELECT h.seq FROM unnest(v_types, v_queues) AS l (y, q), LATERAL (
            SELECT t.seq, t.rank FROM ${schema}.task t WHERE ${ofLane}
            ORDER BY t.rank, t.seq LIMIT v_size - cardinality(v_page) FOR NO KEY UPDATE SKIP LOCKED
          ) h ORDER BY h.rank, h.seq LIMIT v_size - cardinality(v_page));
          v_page := v_page || v_more;
        END IF;
        SELECT coalesce(array_agg(seq), '{}'), array_agg(shared_gate), count(shared_gate)
          INTO v_page, v_gates, v_shared FROM (
          SELECT seq, shared_gate FROM ${schema}.task WHERE seq = ANY (v_page) ORDER BY rank, seq
        ) p;
      END IF;

      v_found := cardinality(v_page);
      IF v_shared = 0 THEN
        v_seqs := v_seqs || v_page[1 : p_limit - cardinality(v_seqs)];
      ELSE
        IF NOT v_entered THEN
          SELECT e.out_now, e.out_news INTO v_now, v_gated FROM ${schema}.enter_gates_2() e;
          v_entered := true;
          IF v_gated THEN PERFORM ${schema}.fold_lines_1(v_now); END IF;
        END IF;
        IF ${schema}.open_shared_1(v_now, v_gates, v_shared, v_taken) THEN
          v_seqs := v_seqs || v_page[1 : p_limit - cardinality(v_seqs)];
          -- as many as were asked for, or all that there are
          EXIT;
        END IF;
        SELECT v_seqs || o.out_seqs, v_taken || o.out_gates, v_given + o.out_given, o.out_spread
          INTO v_seqs, v_taken, v_given, v_spread
          FROM ${schema}.sort_shared_1(v_now, v_page, v_gates, p_limit - cardinality(v_seqs), v_taken) o;
      END IF;
      EXIT WHEN v_given >= ${maxMoved} OR cardinality(v_seqs) = p_limit OR v_found < v_size AND NOT v_spread;
      -- some were given to lines: more are looked at, behind these
      IF NOT v_spread THEN
        SELECT rank, seq INTO v_from_rank, v_from_seq FROM ${schema}.task WHERE seq = v_page[v_found];
      END IF;
      v_size := greatest(p_limit, least(${maxPage}, 4 * v_size));
    END LOOP;
    IF v_given > 0 THEN
      PERFORM ${schema}.fold_lines_1(v_now);
      v_gated := true;
      IF v_given >= ${maxMoved} THEN
        -- what stands behind them is not known, and which of their lines may start
        v_seqs := '{}';
        v_gated := false;
        v_due := v_now;
      ELSIF EXISTS (SELECT FROM ${schema}.line_news) THEN
        v_due := v_now;
      END IF;
    END IF;
    IF v_gated THEN
      SELECT out_seqs, out_opens_at INTO v_seqs, v_opens_at
        FROM ${schema}.take_lines_1(v_now, p_types, p_queues, v_paused, p_limit, v_seqs);
      v_due := least(v_due, v_opens_at);
    END IF;
    v_found := cardinality(v_seqs);
    IF v_found = 0 THEN
      out_now := v_now; out_next_due := v_due; out_expired := false; out_untold := v_untold; RETURN NEXT;
      RETURN;
    END IF;

    v_claims := ARRAY(SELECT nextval('${schema}.claim_number') FROM generate_series(1, v_found));
    INSERT INTO ${schema}.last_claim (worker, nonce, claimed_at, first_claim, last_claim)
      VALUES (p_instance, p_nonce, v_now, v_claims[1], v_claims[v_found]);
    RETURN QUERY WITH leased AS (
      UPDATE ${schema}.task t SET state = 2, claims = t.claims + 1, claim = p.claim, started_at = v_now,
        lease_until = v_now + p_lease, worker = p_instance, progress = NULL,
        gate = coalesce(t.gate, t.shared_gate), shared_gate = NULL
      FROM unnest(v_seqs, v_claims) AS p (seq, claim) WHERE ${isOneOf("t.seq", "p.seq")} RETURNING t.*
    ) SELECT v_now::float8, v_due::float8, ${columns}, false, v_untold FROM leased t ORDER BY t.claim;
  END $function$`

/** What the first versions of the function differ in: they knew no number of the attempt, and the very first called an instance a worker. */
const ofVersion = {
  1: { instance: "worker", ends: ["claim float8"] },
  2: { instance: "instance", ends: ["claim float8"] },
  3: { instance: "instance", ends: ["attempt int", "claim float8"] },
  4: { instance: "instance", ends: ["gate text", "costs text", "attempt int", "claim float8"] },
  5: { instance: "instance", ends: ["gate text", "costs text", "attempt int", "claim float8", "expired boolean"] },
  6: {
    instance: "instance",
    ends: ["gate text", "costs text", "start_by float8", "attempt int", "claim float8", "expired boolean"]
  },
  7: {
    instance: "instance",
    ends: [
      "gate text",
      "costs text",
      "start_by float8",
      "attempt int",
      "claim float8",
      "expired boolean",
      "untold boolean"
    ]
  }
} as const

/**
 * How instances of earlier versions claim, so that they run on during a deploy. Tasks with a gate are not for the first three of
 * them, which leave no news of what they do to lines.
 */
export const earlierFunction = (schema: string, version: 1 | 2 | 3 | 4 | 5 | 6 | 7): string => {
  const { ends, instance } = ofVersion[version]
  const given = [...plainFacts, ...ends]
  const answered = `c.out_now, c.out_next_due, ${given.map((fact) => `c.out_${fact.split(" ")[0]}`).join(", ")}`
  if (version >= 4) {
    return `CREATE OR REPLACE FUNCTION ${schema}.claim_${version}(
      p_queues text[], p_types text[], p_limit int, p_instance text, p_lease bigint, p_nonce bigint, p_alone boolean,
      p_gated boolean DEFAULT true
    ) RETURNS TABLE (out_now float8, out_next_due float8, ${given.map((fact) => `out_${fact}`).join(", ")})
    LANGUAGE sql AS $function$
      SELECT ${answered} FROM ${schema}.claim_8($1, $2, $3, $4, $5, $6, $7, $8) c
    $function$`
  }
  return `CREATE OR REPLACE FUNCTION ${schema}.claim_${version}(
    p_queues text[], p_types text[], p_limit int, p_${instance} text, p_lease bigint, p_nonce bigint, p_alone boolean
  ) RETURNS TABLE (out_now float8, out_next_due float8, ${given.map((fact) => `out_${fact}`).join(", ")})
  LANGUAGE plpgsql AS $function$
  BEGIN
    IF p_alone AND NOT EXISTS (
      SELECT FROM ${schema}.setting WHERE name = '${Lines.earlierAt}' AND value > ${schema}.now_ms() - 60000
    ) THEN
      INSERT INTO ${schema}.setting VALUES ('${Lines.earlierAt}', ${schema}.now_ms())
        ON CONFLICT (name) DO UPDATE SET value = excluded.value;
    END IF;
    RETURN QUERY SELECT ${answered} FROM ${schema}.claim_8($1, $2, $3, $4, $5, $6, $7, false) c;
  END $function$`
}

/** All of them. */
export const earlierFunctions = (schema: string): ReadonlyArray<string> =>
  ([1, 2, 3, 4, 5, 6, 7] as const).map((version) => earlierFunction(schema, version))

/** What a claim says of queues: `NULL` for all; their names; or an empty one, which no queue has, and those that it takes nothing from. */
const queuesOf = ({ except = [], queues }: ClaimRequest) =>
  queues !== undefined ? texts(queues) : except.length > 0 ? texts(["", ...except]) : null

/** Prepares the operation. */
export const make = (
  { inTransaction, query, schema }: Database,
  expire: TaskStore["Service"]["expire"],
  dependencies: Dependencies
): TaskStore["Service"]["claim"] => {
  const claim = `SELECT ${
    facts.map((fact) => `out_${fact.split(" ")[0]}`).join(", ")
  }, out_attempt, out_claim, out_now, out_next_due, out_expired, out_untold
    FROM ${schema}.claim_8($1, $2, $3::int, $4, $5::bigint, $6::bigint, $7)`
  const rowsOf = (request: ClaimRequest) =>
    // the application's transaction waits for the disk
    Effect.flatMap(inTransaction, (inside) =>
      query<Row>("claim", claim, [
        queuesOf(request),
        texts(request.types),
        number(Math.max(0, request.limit)),
        request.instance,
        number(Math.round(request.leaseForMs)),
        number(request.nonce),
        !inside
      ]))
  const answerOf = (rows: ReadonlyArray<Row>): ClaimAnswer => ({
    // a claim that gives nothing answers one row without a task
    tasks: (rows[0]![0] as string | null) === null ? [] : rows.map(claimedTaskOf),
    now: rows[0]![16],
    nextDueAt: rows[0]![17]
  })
  const claimOnce = (request: ClaimRequest) =>
    Effect.map(
      rowsOf(request),
      (rows) => ({ answer: answerOf(rows), mustExpire: rows[0]![18], isUntold: rows[0]![19] })
    )
  /** What is to be told is told when the claim has found it; one that has given nothing then asks once more. */
  const claimAndTell = Effect.fnUntraced(function*(request: ClaimRequest) {
    const claimed = yield* claimOnce(request)
    if (!claimed.isUntold) return claimed
    const pauseMs = yield* dependencies.goOn
    const { answer, mustExpire } = claimed.answer.tasks.length > 0 ? claimed : yield* claimOnce(request)
    const nextDueAt = pauseMs === undefined ? answer.nextDueAt : earlier(answer.nextDueAt, answer.now + pauseMs)
    return { answer: { ...answer, nextDueAt }, mustExpire }
  })
  return afterExpiring(claimAndTell, expire)
}
