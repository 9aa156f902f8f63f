/** Whether PostgreSQL takes writes. */
import { Effect } from "effect"
import { probeBytes, type Refusals, type WriteHealth } from "../WriteHealth.ts"
import type { Database } from "./Database.ts"

/** Watches one schema. What is noted by its database is in `refusals`. */
export const make = ({ query, schema, transaction }: Database, refusals: Refusals): WriteHealth => {
  // A table may be full although an update of one of its rows still fits, so the probe stores what callers store,
  // which does not compress
  const write = transaction(
    "write",
    Effect.gen(function*() {
      const [row] = yield* query<[id: string]>(
        "write",
        `INSERT INTO ${schema}.task (seq, id, type, queue, payload, priority, max_retries, state, created_at, due_at, rank)
          SELECT nextval('${schema}.task_seq'), 'probe ' || md5(random()::text), '', '',
            (SELECT string_agg(md5(random()::text || n), '') FROM generate_series(1, ${
          probeBytes / 32
        }) n), 0, 0, 5, 0, 0, 0
          RETURNING id`
      )
      yield* query("write", `DELETE FROM ${schema}.task WHERE id = $1`, [row![0]])
    })
  )
  return {
    refusal: Effect.sync(() => refusals.current),
    probe: Effect.suspend(() =>
      refusals.current === undefined ? Effect.void : Effect.andThen(write, Effect.sync(() => refusals.end()))
    )
  }
}
