/**
 * `sql_query` asks a SQLite file: one statement that only reads, with parameters, in a process of its own. A long query
 * keeps SQLite in native code, where neither a thread nor a message can stop it; a process can be ended.
 */
import { Duration, Effect, Schema } from "effect"
import { DurationText } from "../domain/DurationText.ts"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { onThread } from "../threads/onThread.ts"
import { moduleBeside } from "../threads/ThreadModule.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"

/** SQLite does not take the statement, or it does more than read. */
export class QueryRefused extends Schema.TaggedError<QueryRefused>()("QueryRefused", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

/** The query took longer than it may. */
export class QueryTooSlow extends Schema.TaggedError<QueryTooSlow>()("QueryTooSlow", { limit: DurationText }) {
  override get message(): string {
    return `The query took longer than ${Duration.toMillis(this.limit)} ms`
  }
}

const Value = Schema.NullOr(Schema.Union([Schema.String, Schema.Finite]))

/** An integer of JavaScript beyond 2^53 may have been rounded already; as text it keeps its digits. */
const Param = Schema.NullOr(Schema.Union([
  Schema.String,
  Schema.Finite.check(
    Schema.makeFilter((value: number) => !Number.isInteger(value) || Number.isSafeInteger(value), {
      expected: "a number that is kept exactly; send integers beyond 2^53 as text"
    })
  )
]))
const MaxRows = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))
const Limit = DurationText.check(
  Schema.makeFilter(
    (limit: Duration.Duration) =>
      Duration.between(limit, { minimum: Duration.millis(1), maximum: Duration.minutes(10) }),
    {
      expected: "a duration from 1ms to 10m"
    }
  )
)

const fields = {
  sql: Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(100_000)),
  /** By position for `?`, by name for `:name`. */
  params: withDefault(Schema.Union([Schema.Array(Param), Schema.Record(Schema.String, Param)]), []),
  max_rows: withDefault(MaxRows, 1000)
}

const Success = Schema.Struct({
  columns: Schema.Array(Schema.String),
  /** Integers beyond 2^53 are text, blobs are base64. */
  rows: Schema.Array(Schema.Array(Value)),
  /** There are more rows, or they are larger than 1 MiB. */
  truncated: Schema.Boolean
})

/** The task type `sql_query`. */
export const SqlQuery = Task.make("sql_query", {
  description: "Asks a SQLite file: one statement that only reads",
  payload: { database: PathText, ...fields, timeout: withDefault(Limit, "30s") },
  success: Success,
  error: Schema.Union([PathRefused, QueryRefused, QueryTooSlow]),
  retry: { byTag: { PathRefused: false, QueryRefused: false, QueryTooSlow: false } }
})

/** What the process does. */
export const SqlWork = Task.make("sql_query", {
  payload: { database: Schema.String, ...fields },
  success: Success,
  error: QueryRefused
})

const work = onThread(SqlWork, moduleBeside(import.meta.url, "SqlQuery.thread"), { isolation: "process" })

/** Runs `sql_query`. */
export const SqlQueryLive = SqlQuery.toLayer(Effect.fnUntraced(function*({ timeout, ...query }) {
  const folders = yield* Folders
  const database = yield* folders.existing(query.database)
  return yield* Effect.timeoutOrElse(work({ ...query, database }), {
    duration: timeout,
    orElse: () => new QueryTooSlow({ limit: timeout })
  })
}))
