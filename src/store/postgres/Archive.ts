/** What backups need of a database. */
import { Effect } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import { type Archive, decideAdopt } from "../Archive.ts"
import { type Database, number, numbers, texts } from "./Database.ts"
import * as Failure from "./Failure.ts"
import type { Tasks } from "./Task.ts"

/** Prepares the operations. */
export const make = (database: Database, tasks: Tasks): Archive => {
  const { client, query, schema, transaction } = database
  // each is looked up behind the one before, so it costs as much as there are kinds
  const kinds = `WITH RECURSIVE k AS (
      (SELECT kind FROM ${schema}.record ORDER BY kind LIMIT 1)
      UNION ALL
      SELECT (SELECT r.kind FROM ${schema}.record r WHERE r.kind > k.kind ORDER BY r.kind LIMIT 1)
      FROM k WHERE k.kind IS NOT NULL
    ) SELECT kind FROM k WHERE kind IS NOT NULL`
  const facts = `UPDATE ${schema}.task t SET created_at = g.created_at::bigint, started_at = g.started_at::bigint,
      claims = g.claims::int, claim = g.claim::bigint, worker = g.worker, progress = g.progress
    FROM unnest($1::text[], $2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::text[], $7::float8[])
      AS g (id, created_at, started_at, claims, claim, worker, progress) WHERE t.id = g.id`
  const hold = `INSERT INTO ${schema}.holder (pass, seq)
    SELECT g.pass, t.seq FROM unnest($1::text[], $2::text[]) AS g (pass, id) JOIN ${schema}.task t ON t.id = g.id
    ON CONFLICT (pass) DO UPDATE SET seq = excluded.seq`
  const beyond = `SELECT setval('${schema}.claim_number', greatest($1::float8::bigint,
    (SELECT last_value FROM ${schema}.claim_number)))`
  const date = `UPDATE ${schema}.record r SET written_at = g.written_at::bigint
    FROM unnest($2::text[], $3::float8[]) AS g (id, written_at) WHERE r.kind = $1 AND r.id = g.id`
  return {
    kinds: Effect.map(query<[kind: string]>("list kinds of records", kinds), (rows) => rows.map(([kind]) => kind)),
    snapshot: (reads) =>
      client.withTransaction(
        Effect.andThen(client.unsafe("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"), reads)
      ).pipe(
        Effect.catchIf(isSqlError, (error) => Effect.fail(Failure.storeError("read a snapshot", error)))
      ),
    adopt: Effect.fnUntraced(function*(formers) {
      const byId = new Map(formers.map((former) => [former.id, former]))
      const all = [...byId.values()]
      if (all.length === 0) return
      const holds = all.flatMap(({ holds, id }) => holds.map((pass) => [pass, id] as const))
      yield* transaction(
        "adopt",
        Effect.gen(function*() {
          yield* query("adopt", facts, [
            texts(all.map(({ id }) => id)),
            numbers(all.map(({ createdAt }) => createdAt)),
            numbers(all.map(({ startedAt }) => startedAt)),
            numbers(all.map(({ claims }) => claims)),
            numbers(all.map(({ claim }) => claim)),
            texts(all.map(({ instance }) => instance)),
            numbers(all.map(({ progress }) => progress))
          ])
          yield* tasks.change(
            database,
            "adopt",
            all.map(({ id }) => id),
            undefined,
            (task, now, place) => decideAdopt(task, all[place]!, now)
          )
          if (holds.length > 0) {
            yield* query("adopt", hold, [texts(holds.map(([pass]) => pass)), texts(holds.map(([, id]) => id))])
          }
        })
      )
    }),
    claimBeyond: (claim) => query("adopt", beyond, [number(claim)]),
    date: (kind, records) =>
      query("date records", date, [
        kind,
        texts(records.map(({ id }) => id)),
        numbers(records.map(({ writtenAt }) => writtenAt))
      ])
  }
}
