/**
 * Records in the schema. A put, and a look at what is due, is one function of it: one round trip, and one transaction
 * unless the application has one.
 */
import { Effect } from "effect"
import type { Budget } from "../Admission.ts"
import * as Atomically from "../Atomically.ts"
import * as Gates from "../Gates.ts"
import * as RecordDriver from "../RecordDriver.ts"
import { absent, type RecordStore } from "../RecordStore.ts"
import type { EnqueueAnswer, TaskStore } from "../TaskStore.ts"
import { type Database, number, numbers, texts } from "./Database.ts"
import type { Dependencies } from "./Dependencies.ts"

/**
 * The number of a put or a take. It follows the clock as `RecordDriver.nextVersion` does, but by adding to a sequence: a
 * counter in a row would be locked as long as an application's transaction. A sequence that has gone back after the loss of
 * a server is made up for by the time that has passed.
 */
const nextVersion = (schema: string): string =>
  `greatest(least(v_now, ${RecordDriver.versionEnd}) - ${RecordDriver.versionEpoch}, 0) * ${RecordDriver.versionsPerMs}
      + nextval('${schema}.record_version')`

/**
 * Documents by kind and id. `wake_at` is when one is due, or due again because its lease has run out.
 *
 * A put locks the records that are there in the order of their names, then makes the new ones in that order: so two of them
 * never wait for each other. Where another one was faster to make a record, what was made is taken back and all is looked
 * at again. A change is one step of a loop, so that no plan for many can be a scan.
 */
export const tables = (schema: string): ReadonlyArray<string> => [
  `CREATE SEQUENCE IF NOT EXISTS ${schema}.record_version`,
  `CREATE TABLE IF NOT EXISTS ${schema}.record (
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    due_at bigint,
    wake_at bigint,
    written_at bigint NOT NULL,
    document text NOT NULL,
    PRIMARY KEY (kind, id)
  ) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)`,
  `CREATE INDEX IF NOT EXISTS record_due ON ${schema}.record (kind, wake_at, id) WHERE wake_at IS NOT NULL`,
  putFunction(schema),
  `CREATE OR REPLACE FUNCTION ${schema}.due_records_1(p_kind text, p_limit int, p_lease bigint) RETURNS TABLE (
    out_now float8, out_next float8, out_id text, out_version float8, out_document text, out_due_at float8,
    out_written_at float8
  ) LANGUAGE plpgsql SET jit TO off SET enable_seqscan TO off SET enable_bitmapscan TO off SET enable_sort TO off
    AS $function$
  DECLARE
    v_now bigint := ${schema}.now_ms();
    v_version bigint;
    v_ids text[];
    v_id text;
  BEGIN
    IF p_lease IS NULL THEN
      v_ids := ARRAY(SELECT id FROM ${schema}.record WHERE kind = p_kind AND wake_at <= v_now
        ORDER BY wake_at, id LIMIT p_limit);
    ELSE
      v_ids := ARRAY(SELECT id FROM ${schema}.record WHERE kind = p_kind AND wake_at <= v_now
        ORDER BY wake_at, id LIMIT p_limit FOR UPDATE SKIP LOCKED);
      IF cardinality(v_ids) > 0 THEN v_version := ${nextVersion(schema)}; END IF;
      FOREACH v_id IN ARRAY v_ids LOOP
        UPDATE ${schema}.record SET version = greatest(version + 1, v_version), wake_at = v_now + p_lease
          WHERE kind = p_kind AND id = v_id;
      END LOOP;
    END IF;
    out_now := v_now;
    out_next := (SELECT min(wake_at) FROM ${schema}.record WHERE kind = p_kind AND wake_at > v_now);
    FOREACH v_id IN ARRAY v_ids LOOP
      SELECT id, version, document, due_at, written_at INTO out_id, out_version, out_document, out_due_at, out_written_at
        FROM ${schema}.record WHERE kind = p_kind AND id = v_id;
      RETURN NEXT;
    END LOOP;
    IF cardinality(v_ids) = 0 THEN RETURN NEXT; END IF;
  END $function$`
]

/** The kinds of records that open or close gates. */
const limiting = [Gates.limitKind, Gates.pausedKeyKind].map((kind) => `'${kind}'`).join(", ")

/** Puts records, each at the version that is expected. Claims read what it says of passes: see `Lines`. */
export const putFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.put_records_1(
    p_kinds text[], p_ids text[], p_expects bigint[], p_documents text[], p_due_at bigint[], p_due_in bigint[],
    OUT out_version float8, OUT out_index int, OUT out_found float8
  ) LANGUAGE plpgsql SET jit TO off SET enable_seqscan TO off SET enable_bitmapscan TO off AS $function$
  DECLARE
    v_now bigint;
    v_version bigint;
    v_found bigint;
    v_greatest bigint;
    v_places int[] := ARRAY(SELECT place FROM unnest(p_kinds, p_ids) WITH ORDINALITY AS c (kind, id, place)
      ORDER BY kind COLLATE "C", id COLLATE "C");
    v_place int;
    v_taken int;
  BEGIN
    LOOP
      v_greatest := 0;
      FOREACH v_place IN ARRAY v_places LOOP
        IF p_expects[v_place] = ${absent} THEN
          SELECT version INTO v_found FROM ${schema}.record WHERE kind = p_kinds[v_place] AND id = p_ids[v_place];
        ELSE
          SELECT version INTO v_found FROM ${schema}.record WHERE kind = p_kinds[v_place] AND id = p_ids[v_place]
            FOR UPDATE;
        END IF;
        v_found := coalesce(v_found, ${absent});
        v_greatest := greatest(v_greatest, v_found);
        IF v_found <> p_expects[v_place] AND (out_index IS NULL OR v_place <= out_index) THEN
          out_index := v_place - 1;
          out_found := v_found;
        END IF;
      END LOOP;
      EXIT WHEN out_index IS NOT NULL;

      -- read after the locks are held, or a record could be older than the one before it
      v_now := ${schema}.now_ms();
      v_version := greatest(v_greatest + 1, ${nextVersion(schema)});
      FOREACH v_place IN ARRAY v_places LOOP
        CONTINUE WHEN p_expects[v_place] <> ${absent};
        INSERT INTO ${schema}.record (kind, id, version, due_at, wake_at, written_at, document)
          SELECT p_kinds[v_place], p_ids[v_place], v_version, due, due, v_now, p_documents[v_place]
          FROM coalesce(p_due_at[v_place], v_now + p_due_in[v_place]) AS due ON CONFLICT DO NOTHING;
        v_taken := CASE WHEN NOT FOUND THEN v_place END;
        EXIT WHEN v_taken IS NOT NULL;
      END LOOP;
      IF v_taken IS NOT NULL THEN
        FOREACH v_place IN ARRAY v_places LOOP
          EXIT WHEN v_place = v_taken;
          CONTINUE WHEN p_expects[v_place] <> ${absent};
          DELETE FROM ${schema}.record WHERE kind = p_kinds[v_place] AND id = p_ids[v_place];
        END LOOP;
        CONTINUE;
      END IF;

      FOREACH v_place IN ARRAY v_places LOOP
        IF p_documents[v_place] IS NULL THEN
          DELETE FROM ${schema}.record WHERE kind = p_kinds[v_place] AND id = p_ids[v_place];
        ELSIF p_expects[v_place] <> ${absent} THEN
          UPDATE ${schema}.record SET version = v_version, due_at = due, wake_at = due, written_at = v_now,
            document = p_documents[v_place]
          FROM coalesce(p_due_at[v_place], v_now + p_due_in[v_place]) AS due
          WHERE kind = p_kinds[v_place] AND id = p_ids[v_place];
        END IF;
      END LOOP;
      IF p_kinds && ARRAY[${limiting}] THEN
        INSERT INTO ${schema}.pass_news (pass)
          SELECT id FROM unnest(p_kinds, p_ids) AS c (kind, id) WHERE kind = ANY (ARRAY[${limiting}]);
      END IF;
      out_version := v_version;
      EXIT;
    END LOOP;
  END $function$`

/** Prepares the operations. */
export const make = (database: Database, tasks: TaskSteps): RecordStore["Service"] => {
  const rows = prepareRows(database)
  return RecordDriver.make({ ...rows, atomically: atomic(database, rows, tasks) })
}

/** What is done to records alone. */
type Rows = Omit<RecordDriver.RecordDriver, "atomically">

const prepareRows = ({ once, query, schema }: Database): Rows => {
  const columns = "id, version::float8, document, due_at::float8, written_at::float8"
  const byIds = `SELECT ${columns} FROM ${schema}.record WHERE kind = $1 AND id = ANY ($2)`
  const put = `SELECT * FROM ${schema}.put_records_1($1, $2, $3::float8[]::bigint[], $4, $5::float8[]::bigint[],
    $6::float8[]::bigint[])`
  const list = (comparison: string) =>
    `SELECT ${columns} FROM ${schema}.record WHERE kind = $1 AND id ${comparison} $2 AND id < $3 ORDER BY id LIMIT $4::int`
  const listFrom = list(">=")
  const listAfter = list(">")
  const due = `SELECT * FROM ${schema}.due_records_1($1, $2::int, $3::bigint)`
  return {
    get: (kind, ids) =>
      Effect.map(
        query<RecordDriver.Row>("read records", byIds, [kind, texts(ids)]),
        (rows) => rows.map(RecordDriver.recordOf)
      ),
    put: (changes) =>
      Effect.map(
        once.query<[version: number | null, index: number, found: number]>("put records", put, [
          texts(changes.map(({ kind }) => kind)),
          texts(changes.map(({ id }) => id)),
          numbers(changes.map(({ expects }) => expects)),
          texts(changes.map(({ document }) => document)),
          numbers(changes.map(({ dueAt }) => dueAt)),
          numbers(changes.map(({ dueInMs }) => dueInMs))
        ]),
        ([row]) => {
          const [version, index, found] = row!
          return version === null ? { index, found } : { version }
        }
      ),
    list: (kind, { from, inclusive, until }, limit) =>
      Effect.map(
        query<RecordDriver.Row>("list records", inclusive ? listFrom : listAfter, [kind, from, until, number(limit)]),
        (rows) => rows.map(RecordDriver.recordOf)
      ),
    due: (kind, limit, leaseForMs) =>
      Effect.map(
        once.query<[now: number, next: number | null, ...record: RecordDriver.Row | [id: null]]>(
          "find due records",
          due,
          [
            kind,
            number(limit),
            number(leaseForMs ?? null)
          ]
        ),
        (rows) => ({
          records: rows.flatMap(([, , ...row]) =>
            row[0] === null ? [] : [RecordDriver.recordOf(row as RecordDriver.Row)]
          ),
          now: rows[0]![0],
          nextDueAt: rows[0]![1]
        })
      )
  }
}

const operation = "write together"

/** What is done to tasks in the same transaction, and what counts them. */
interface TaskSteps extends Pick<TaskStore["Service"], "settle" | "enqueue"> {
  readonly dependencies: Dependencies
  readonly budgets: ReadonlyArray<Budget>
}

/**
 * Records, new tasks and ends of attempts in one transaction, or in a savepoint of the application's. Each part is what it is
 * by itself; what is refused rolls back all of them.
 */
const atomic = (
  database: Database,
  records: Rows,
  { budgets, dependencies, enqueue, settle }: TaskSteps
): RecordStore["Service"]["atomically"] => {
  const { query, schema } = database
  const rewrite = `UPDATE ${schema}.record SET document = $3 WHERE kind = $1 AND id = $2`

  const write = Effect.fnUntraced(function*(parts: Atomically.Parts) {
    const { changes, note, noteOf, settlements, tasks } = parts
    const noted = Effect.map(records.get(note.kind, [note.id]), ([found]) => found)
    const put = yield* records.put([note, ...changes])
    if ("index" in put) {
      // looked for again: what the same call has written may be seen before its note
      const known = yield* noted
      return yield* Atomically.answer(
        parts,
        known === undefined ? { ...put, _tag: "Changed", index: put.index - 1 } : { _tag: "Repeated", note: known }
      )
    }
    const lost = settlements.length === 0
      ? -1
      : (yield* settle(settlements)).findIndex((answer) => answer !== "applied")
    if (lost >= 0) return yield* Atomically.answer(parts, { _tag: "Lost", index: lost })
    // what has ended in this transaction has made room
    const [stored]: ReadonlyArray<EnqueueAnswer> = tasks.length === 0 ? none : yield* enqueue([tasks])
    if (stored!._tag !== "Accepted") return yield* Atomically.answer(parts, stored!)
    const accepted = stored!.tasks
    const { document } = noteOf(accepted)
    if (document !== note.document) yield* query(operation, rewrite, [note.kind, note.id, document])
    const { writtenAt: now } = (yield* noted)!
    return yield* Atomically.answer(parts, { _tag: "Written", version: put.version, now, tasks: accepted })
  })

  return Atomically.make((parts) =>
    Effect.onError(
      dependencies.write(database, operation, write(parts)),
      // what was counted may have been rolled back
      () => Effect.sync(() => budgets.forEach((budget) => budget.forget()))
    )
  )
}

const none: ReadonlyArray<EnqueueAnswer> = [{ _tag: "Accepted", tasks: [], now: 0 }]
