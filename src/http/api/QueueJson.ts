/**
 * Queues on the wire, in snake_case: what waits and runs in them, by type.
 */
import { Schema } from "effect"
import { Timestamp } from "./TaskJson.ts"

/** Tasks that have not finished. */
const unfinished = {
  scheduled: Schema.Int.annotate({ description: "Tasks that are due later" }),
  pending: Schema.Int.annotate({ description: "Tasks that are due and wait" }),
  running: Schema.Int,
  waiting_since: Schema.NullOr(Timestamp).annotate({
    description: "When the task that will run next became due; null when none is pending"
  })
}

/** The unfinished tasks of a type. */
export const TypeCountsJson = Schema.Struct({ type: Schema.String, ...unfinished }).annotate({
  identifier: "TypeCounts"
})

const queue = {
  queue: Schema.String,
  paused: Schema.Boolean.annotate({ description: "Whether no instance starts its tasks" }),
  ...unfinished,
  type_count: Schema.Int.annotate({ description: "Types that have tasks in it, whatever their status" }),
  types: Schema.Array(TypeCountsJson)
}

const next = Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" })
const timestamp = Timestamp.annotate({ description: "The store's clock" })

/** A queue among others. */
export const QueueJson = Schema.Struct({
  ...queue,
  types: queue.types.annotate({ description: "By name; the first 100" })
}).annotate({ identifier: "Queue" })

/** See the {@link QueueJson} schema. */
export type QueueJson = typeof QueueJson.Type

/** A page of queues, by name. */
export const QueuePageJson = Schema.Struct({
  queues: Schema.Array(QueueJson),
  next,
  paused: Schema.Array(Schema.String).annotate({ description: "All paused queues, also those on other pages" }),
  timestamp
}).annotate({ identifier: "QueuePage" })

/** One queue, and a page of its types by name. */
export const QueueDetailJson = Schema.Struct({ ...queue, next, timestamp }).annotate({ identifier: "QueueDetail" })

/** A page of types by name, counted over all queues. */
export const TypePageJson = Schema.Struct({ types: Schema.Array(TypeCountsJson), next, timestamp }).annotate({
  identifier: "TypePage"
})
