/**
 * The settings that belong to the stored queue: every process that uses the schema must agree with them.
 */
import { Duration, Effect } from "effect"
import * as DurationText from "../../domain/DurationText.ts"
import { type StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import { type Database, number } from "./Database.ts"

/** Stores the head start in a new schema; fails with `StoreIncompatible` when an old one has another. */
export const agreeOnHeadStart = Effect.fnUntraced(function*(
  { query, schema }: Database,
  headStartMs: number
): Effect.fn.Return<void, StoreError | StoreIncompatible> {
  const stored = query<[value: number]>(
    "open",
    `SELECT value::float8 FROM ${schema}.setting WHERE name = 'head_start_ms'`
  )
  let [found] = yield* stored
  if (found === undefined) {
    yield* query(
      "open",
      `INSERT INTO ${schema}.setting VALUES ('head_start_ms', $1) ON CONFLICT DO NOTHING`,
      [number(headStartMs)]
    )
    ;[found] = yield* stored
  }
  const value = found![0]
  if (value !== headStartMs) {
    return yield* new StoreIncompatible({
      reason: `The schema ${schema} was created with a head start of ${text(value)}, but this process is configured ` +
        `with ${text(headStartMs)}: ranks would disagree. Configure ${text(value)}, or use another schema`
    })
  }
})

const text = (millis: number): string => DurationText.format(Duration.millis(millis))
