/**
 * The sequences that number tasks and claims. Logical replication and dumps of data bring rows without them: what they
 * would give next has been given before. A task's number that repeats is refused by the table, but a claim's number that
 * repeats would let an old attempt settle a new one. So they are brought forward before anything is written.
 *
 * The greatest claim number is in `last_claim`, whose newest row is never forgotten, also when the task is long gone.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import type { Database } from "./Database.ts"

/** Sets each sequence behind its table to the greatest number in it. */
export const bringForward = Effect.fnUntraced(function*(
  { query, schema, transaction }: Database,
  name: string
): Effect.fn.Return<void, StoreError> {
  /** The greatest number that the sequence has given, or would give next if it has given none. */
  const given = (sequence: string) =>
    `(SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM ${schema}.${sequence})`
  const lastTask = `coalesce((SELECT max(seq) FROM ${schema}.task), 0)`
  const lastClaim = `(SELECT max(last_claim) FROM ${schema}.last_claim)`
  // there is no index by claim: all tasks are read only where a sequence is behind, or where no claim is remembered
  const lastClaimOfTasks = `(SELECT max(claim) FROM ${schema}.task)`
  const forward = (sequence: string, last: string) =>
    `SELECT setval('${schema}.${sequence}', ${last})::text WHERE ${given(sequence)} < ${last}`
  const behind = query<[tasks: boolean, claims: boolean]>(
    "open",
    `SELECT ${given("task_seq")} < ${lastTask},
      ${given("claim_number")} < coalesce(${lastClaim}, ${lastClaimOfTasks}, 0)`
  )
  const areBehind = Effect.map(behind, ([row]) => row![0] || row![1])

  if (!(yield* areBehind)) return
  const advance = Effect.gen(function*() {
    yield* query("open", "SELECT true FROM pg_advisory_xact_lock(hashtextextended($1, 0))", [`taskforge ${name}`])
    // asked again under the lock: a second process would set them back to where they were for this one
    if (!(yield* areBehind)) return
    yield* query("open", forward("task_seq", lastTask))
    yield* query("open", forward("claim_number", `greatest(${lastClaim}, ${lastClaimOfTasks}, 0)`))
    yield* Effect.logWarning(
      `the sequences of ${schema} were behind its tables, as after logical replication, and have been brought forward`
    )
  })
  yield* transaction("open", advance)
})
