/**
 * How instances of earlier versions claim: a released function stays as it is, so that they run on during a deploy.
 */
import { maxPromoted } from "../TaskStore.ts"

const columns = "t.id, t.type, t.queue, t.payload, t.priority, t.max_retries::float8, t.timeout_ms::float8, " +
  "t.due_at::float8, t.failures, t.crashes, t.claim::float8"

/**
 * Claim numbers left out when a session claims for the first time. A claim does not wait for the disk, so a crash of the
 * server, or a failover, may undo the last ones, numbers included; but systems outside may remember them, and the next
 * ones must be greater. By then every session is a new one. The server writes its log several times a second: what it
 * may lose has less than a tenth as many claims. On a logical replica the sequence may be far behind, so the newest claim
 * that is remembered counts too, see `Sequences`.
 */
const skippedNumbers = 1_000_000

/**
 * - Rows come in the order of work, each with the clock and the next due time; a claim that gives nothing answers one
 *   row without a task.
 * - Sessions skip numbers one after the other: of two at once, one could set the sequence back to numbers that the other
 *   has given.
 * - No plan may be a scan: one made while the table is small would be kept until its statistics are renewed.
 * - With one lane its head is locked as it is read. With several, the best of all heads are found first and then
 *   locked, or each lane would lock as many as all of them together give. Where another claim was faster, what is
 *   missing is taken the other way, so that a claim never gives less than it could.
 */
export const claimFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.claim_1(
    p_queues text[], p_types text[], p_limit int, p_worker text, p_lease bigint, p_nonce bigint, p_alone boolean
  ) RETURNS TABLE (
    out_now float8, out_next_due float8, out_id text, out_type text, out_queue text, out_payload text,
    out_priority smallint, out_max_retries float8, out_timeout_ms float8, out_due_at float8, out_failures int,
    out_crashes int, out_claim float8
  ) LANGUAGE plpgsql
    SET jit TO off SET enable_seqscan TO off SET enable_bitmapscan TO off SET enable_sort TO off
    SET enable_hashjoin TO off SET enable_mergejoin TO off AS $function$
  DECLARE
    v_now bigint := ${schema}.now_ms();
    v_due bigint;
    v_moved int;
    v_seqs bigint[];
    v_more bigint[];
    v_found int;
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

    SELECT min(due_at) INTO v_due FROM ${schema}.task WHERE state = 0;
    IF v_due <= v_now THEN
      UPDATE ${schema}.task SET state = 1 WHERE seq = ANY (ARRAY(
        SELECT seq FROM ${schema}.task WHERE state = 0 AND due_at <= v_now
        ORDER BY due_at, seq LIMIT ${maxPromoted} FOR UPDATE SKIP LOCKED
      ));
      GET DIAGNOSTICS v_moved = ROW_COUNT;
      IF v_moved > 0 THEN INSERT INTO ${schema}.tally (scheduled) VALUES (-v_moved); END IF;
      SELECT min(due_at) INTO v_due FROM ${schema}.task WHERE state = 0;
    END IF;

    SELECT ARRAY[first_claim, last_claim] INTO v_claims FROM ${schema}.last_claim
      WHERE worker = p_worker AND nonce = p_nonce;
    IF FOUND THEN
      RETURN QUERY SELECT v_now::float8, v_due::float8, ${columns} FROM ${schema}.task t
        WHERE t.state = 2 AND t.worker = p_worker AND t.claim BETWEEN v_claims[1] AND v_claims[2] ORDER BY t.claim;
      IF NOT FOUND THEN out_now := v_now; out_next_due := v_due; RETURN NEXT; END IF;
      RETURN;
    END IF;

    v_queues := ARRAY(SELECT DISTINCT q FROM unnest(p_queues) q
      WHERE NOT EXISTS (SELECT FROM ${schema}.paused_queue p WHERE p.queue = q));
    v_types := ARRAY(SELECT DISTINCT y FROM unnest(p_types) y);
    IF cardinality(v_queues) = 1 AND cardinality(v_types) = 1 THEN
      v_seqs := ARRAY(SELECT seq FROM ${schema}.task WHERE state = 1 AND queue = v_queues[1] AND type = v_types[1]
        ORDER BY rank, seq LIMIT p_limit FOR UPDATE SKIP LOCKED);
    ELSE
      v_seqs := ARRAY(SELECT h.seq FROM unnest(v_queues) q, unnest(v_types) y, LATERAL (
        SELECT t.seq, t.rank FROM ${schema}.task t WHERE t.state = 1 AND t.queue = q AND t.type = y
        ORDER BY t.rank, t.seq LIMIT p_limit
      ) h ORDER BY h.rank, h.seq LIMIT p_limit);
      v_found := cardinality(v_seqs);
      v_seqs := ARRAY(SELECT seq FROM ${schema}.task WHERE seq = ANY (v_seqs) AND state + 0 = 1
        ORDER BY rank, seq FOR UPDATE SKIP LOCKED);
      IF cardinality(v_seqs) < v_found THEN
        v_more := ARRAY(SELECT h.seq FROM unnest(v_queues) q, unnest(v_types) y, LATERAL (
          SELECT t.seq, t.rank FROM ${schema}.task t
          WHERE t.state = 1 AND t.queue = q AND t.type = y AND t.seq <> ALL (v_seqs)
          ORDER BY t.rank, t.seq LIMIT p_limit - cardinality(v_seqs) FOR UPDATE SKIP LOCKED
        ) h ORDER BY h.rank, h.seq LIMIT p_limit - cardinality(v_seqs));
        v_seqs := ARRAY(SELECT seq FROM ${schema}.task WHERE seq = ANY (v_seqs || v_more) ORDER BY rank, seq);
      END IF;
    END IF;
    v_found := cardinality(v_seqs);
    IF v_found = 0 THEN
      out_now := v_now; out_next_due := v_due; RETURN NEXT;
      RETURN;
    END IF;

    v_claims := ARRAY(SELECT nextval('${schema}.claim_number') FROM generate_series(1, v_found));
    INSERT INTO ${schema}.last_claim (worker, nonce, claimed_at, first_claim, last_claim)
      VALUES (p_worker, p_nonce, v_now, v_claims[1], v_claims[v_found]);
    RETURN QUERY WITH leased AS (
      UPDATE ${schema}.task t SET state = 2, claims = t.claims + 1, claim = p.claim, started_at = v_now,
        lease_until = v_now + p_lease, worker = p_worker, progress = NULL
      FROM unnest(v_seqs, v_claims) AS p (seq, claim) WHERE t.seq = p.seq RETURNING t.*
    ) SELECT v_now::float8, v_due::float8, ${columns} FROM leased t ORDER BY t.claim;
  END $function$`
