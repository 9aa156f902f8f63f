/** Queues and types over HTTP, in snake_case: what waits and runs in them, and what the types take. */
import { DateTime, Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import * as Errors from "../../domain/Errors.ts"
import * as PayloadSchema from "../../domain/PayloadSchema.ts"
import { shortened } from "../../domain/Quoting.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import type { AnyTaskDefinition } from "../../domain/TaskDefinition.ts"
import type { Pause, PausedQueue, PauseOptions } from "../../queue/Pauses.ts"
import type { QueueCounts, QueueDetail, QueuePage, TypeCounts, TypePage } from "../../queue/Queues.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { MillisOrText, Name, PageSize, QueueCursor, TypeCursor, within } from "./RequestValues.ts"
import { instant, instantOrNull, Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"
import { VerdictJson } from "./VerdictJson.ts"

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

/** What is known of a pause. */
export const pauseFields = {
  by: Schema.NullOr(Schema.String).annotate({
    description: "Who paused it: the name of the API key, if there was one"
  }),
  reason: Schema.NullOr(Schema.String),
  since: Timestamp,
  until: Schema.NullOr(Timestamp).annotate({
    description: "When it goes on by itself; null when it waits to be resumed"
  })
}

/** A pause of a queue, a type or a key. */
export const PauseJson = Schema.Struct(pauseFields).annotate({ identifier: "Pause" })

/** See the {@link PauseJson} schema. */
export type PauseJson = typeof PauseJson.Type

/** A paused queue. */
const PausedQueueJson = Schema.Struct({ queue: Schema.String, ...pauseFields }).annotate({ identifier: "PausedQueue" })

/** What may be said about a pause. */
export const NewPauseJson = Schema.Struct({
  reason: Schema.optionalKey(Schema.String.check(within(Bounds.reason))),
  by: Schema.optionalKey(Name).annotate({ description: "Who pauses it; the name of an API key takes its place" }),
  for: Schema.optionalKey(MillisOrText.check(within(Bounds.timeout))).annotate({
    description: "How long: text such as 5m or 1h30m, or milliseconds"
  }),
  until: Schema.optionalKey(Rfc3339.check(within(Bounds.runAt)))
}).check(
  Schema.makeFilter((pause: { readonly for?: unknown; readonly until?: unknown }) =>
    pause.for === undefined || pause.until === undefined
      ? undefined
      : { path: ["for"], issue: "Expected either for or until, not both" }
  )
).annotate({ identifier: "NewPause" })

const queue = {
  queue: Schema.String,
  pause: Schema.NullOr(PauseJson).annotate({ description: "Why no instance starts its tasks; null where they start" }),
  ...unfinished,
  type_count: Schema.Int.annotate({ description: "Types that have tasks in it, whatever their status" }),
  types: Schema.Array(TypeCountsJson)
}

const next = Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" })
const storeTime = Timestamp.annotate({ description: "The store's clock" })

/** A queue among others. */
export const QueueJson = Schema.Struct({
  ...queue,
  types: queue.types.annotate({ description: "By name; the first 100" })
}).annotate({ identifier: "Queue" })

export type QueueJson = typeof QueueJson.Type

/** A page of queues, by name. */
export const QueuePageJson = Schema.Struct({
  queues: Schema.Array(QueueJson),
  next,
  paused: Schema.Array(PausedQueueJson).annotate({ description: "All paused queues, also those on other pages" }),
  timestamp: storeTime
}).annotate({ identifier: "QueuePage" })

/** One queue, and a page of its types by name. */
export const QueueDetailJson = Schema.Struct({ ...queue, next, timestamp: storeTime }).annotate({
  identifier: "QueueDetail"
})

/** A page of types by name, counted over all queues. */
export const TypePageJson = Schema.Struct({
  types: Schema.Array(TypeCountsJson),
  next,
  timestamp: storeTime
}).annotate({ identifier: "TypePage" })

const description = Schema.NullOr(Schema.String).annotate({ description: "One line for people, where there is one" })
const JsonSchema = Schema.Record(Schema.String, Schema.Unknown)

/** No definition has the type. */
export const DefinitionNotFound = ApiErrors.onWire(Errors.DefinitionNotFound, {
  status: 404,
  code: "definition_not_found",
  description: "No definition has this type",
  facts: {
    type: Schema.String,
    nearest: Schema.NullOr(Schema.String).annotate({ description: "The known type that was meant, if one is close" })
  },
  encode: ({ nearest, type }) => ({ type: shortened(type, Bounds.maxNameLength), nearest })
})

/** Every type that the server accepts. */
export const DefinitionListJson = Schema.Struct({
  definitions: Schema.Array(Schema.Struct({ type: Schema.String, description })).annotate({
    description: "By type, in alphabetical order"
  })
}).annotate({ identifier: "DefinitionList" })

/** What a type takes and gives, and what holds for its tasks unless one says otherwise. */
export const DefinitionJson = Schema.Struct({
  type: Schema.String,
  description,
  version: Schema.Int.annotate({ description: "The version of its payloads that the schema is of" }),
  queue: Schema.String,
  priority: Schema.Int,
  timeout_ms: Schema.NullOr(Schema.Finite).annotate({
    description: "Time limit of one attempt; null where it is the instance's"
  }),
  payload: JsonSchema.annotate({ description: "A JSON Schema, with the defaults of fields that may be left out" }),
  result: JsonSchema.annotate({ description: "A JSON Schema" })
}).annotate({ identifier: "Definition" })

const params = { queue: Name }
const pageOfTypes = { limit: Schema.optionalKey(PageSize), cursor: Schema.optionalKey(TypeCursor) }

/** The endpoints of queues. */
export class QueuesApi extends HttpApiGroup.make("queues").add(
  HttpApiEndpoint.get("list", "/queues", {
    query: { limit: Schema.optionalKey(PageSize), cursor: Schema.optionalKey(QueueCursor) },
    success: QueuePageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List queues",
    description:
      "By name: those that have tasks, whatever their status, or are paused, with exact counts of what waits and runs. " +
      "How many tasks have finished, GET /api/v1/stats says for all queues together. A page ends early once it has 1,000 " +
      "types."
  })),
  HttpApiEndpoint.get("get", "/queues/:queue", {
    params,
    query: pageOfTypes,
    success: QueueDetailJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Get a queue",
    description: "With a page of its types by name. A queue that has no tasks has zeros."
  })),
  HttpApiEndpoint.get("explain", "/queues/:queue/explain", {
    params,
    success: VerdictJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Explain what holds up a queue",
    description: "One sentence, the causes with the most tasks first, and the one action that would help most."
  })),
  HttpApiEndpoint.get("explainAll", "/explain", { success: VerdictJson, error: ApiErrors.Unavailable })
    .annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
      summary: "Explain what holds up the tasks of all queues",
      description: "The same as for one queue."
    })),
  HttpApiEndpoint.get("types", "/types", {
    query: pageOfTypes,
    success: TypePageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List types",
    description:
      "By name: those that have tasks, whatever their status, with exact counts of what waits and runs in all " +
      "queues. It takes as long as there are queues and types with tasks."
  })),
  HttpApiEndpoint.get("definitions", "/definitions", { success: DefinitionListJson, error: ApiErrors.Unavailable })
    .annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
      summary: "List the types that the server accepts",
      description: "Whether or not there are tasks of them, or an instance that runs them."
    })),
  HttpApiEndpoint.get("definition", "/definitions/:type", {
    params: { type: Name },
    success: DefinitionJson,
    error: [DefinitionNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Get what a type takes",
    description: "The JSON Schemas of its payload and its result, and what holds for tasks that do not say otherwise."
  })),
  HttpApiEndpoint.post("pause", "/queues/:queue/pause", {
    params,
    payload: [NewPauseJson, Schema.Null],
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Pause a queue",
    description:
      "No instance starts tasks of the queue until it is resumed or its time has come; running tasks go on, and new ones " +
      "are accepted. A queue that is paused already is paused as it is said now. " +
      "On a server with keys, this needs the role admin."
  })),
  HttpApiEndpoint.post("resume", "/queues/:queue/resume", {
    params,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Resume a queue",
    description: "On a server with keys, this needs the role admin."
  }))
).prefix("/api/v1") {}

const typeJson = ({ waitingSince, ...counts }: TypeCounts): typeof TypeCountsJson.Type => ({
  ...counts,
  waiting_since: timestampOrNull(waitingSince)
})

const typeFromJson = ({ waiting_since, ...counts }: typeof TypeCountsJson.Type): TypeCounts => ({
  ...counts,
  waitingSince: instantOrNull(waiting_since)
})

/** A pause on the wire. */
export const pauseJson = ({ by, reason, since, until }: Pause): PauseJson => ({
  by,
  reason,
  since: timestamp(since),
  until: timestampOrNull(until)
})

/** The pause that was on the wire. */
export const pauseFromJson = ({ by, reason, since, until }: PauseJson): Pause => ({
  by,
  reason,
  since: instant(since),
  until: instantOrNull(until)
})

/** What is said about a pause, on the wire. */
export const newPauseJson = (options: PauseOptions): typeof NewPauseJson.Type => ({
  ...options.reason !== undefined && { reason: options.reason },
  ...options.by !== undefined && { by: options.by },
  ...options.for !== undefined && { for: Duration.fromInputUnsafe(options.for) },
  ...options.until !== undefined && { until: DateTime.toUtc(options.until) }
})

/** The paused queue that was on the wire. */
export const pausedFromJson = ({ queue, ...pause }: typeof PausedQueueJson.Type): PausedQueue => ({
  queue,
  ...pauseFromJson(pause)
})

const queueJson = ({ pause, typeCount, types, waitingSince, ...counts }: QueueCounts): QueueJson => ({
  ...counts,
  pause: pause && pauseJson(pause),
  waiting_since: timestampOrNull(waitingSince),
  type_count: typeCount,
  types: types.map(typeJson)
})

const queueFromJson = ({ pause, type_count, types, waiting_since, ...counts }: QueueJson): QueueCounts => ({
  ...counts,
  pause: pause && pauseFromJson(pause),
  waitingSince: instantOrNull(waiting_since),
  typeCount: type_count,
  types: types.map(typeFromJson)
})

/** A page of queues on the wire. */
export const pageJson = (
  { next, now, queues }: QueuePage,
  paused: ReadonlyArray<PausedQueue>
): typeof QueuePageJson.Type => ({
  queues: queues.map(queueJson),
  next,
  paused: paused.map(({ queue, ...pause }) => ({ queue, ...pauseJson(pause) })),
  timestamp: timestamp(now)
})

/** The page that was on the wire. */
export const pageFromJson = ({ next, queues, timestamp }: typeof QueuePageJson.Type): QueuePage => ({
  queues: queues.map(queueFromJson),
  next,
  now: instant(timestamp)
})

/** One queue on the wire. */
export const detailJson = ({ next, now, ...queue }: QueueDetail): typeof QueueDetailJson.Type => ({
  ...queueJson(queue),
  next,
  timestamp: timestamp(now)
})

/** The queue that was on the wire. */
export const detailFromJson = ({ next, timestamp, ...queue }: typeof QueueDetailJson.Type): QueueDetail => ({
  ...queueFromJson(queue),
  next,
  now: instant(timestamp)
})

/** A page of types on the wire. */
export const typesJson = ({ next, now, types }: TypePage): typeof TypePageJson.Type => ({
  types: types.map(typeJson),
  next,
  timestamp: timestamp(now)
})

/** The page that was on the wire. */
export const typesFromJson = ({ next, timestamp, types }: typeof TypePageJson.Type): TypePage => ({
  types: types.map(typeFromJson),
  next,
  now: instant(timestamp)
})

/** A definition on the wire. */
export const definitionJson = (definition: AnyTaskDefinition): typeof DefinitionJson.Type => {
  const { description = null, priority, queue, success, timeoutMs = null, type, version } = definition
  return {
    type,
    description,
    version,
    queue,
    priority,
    timeout_ms: timeoutMs,
    payload: PayloadSchema.payloadSchemaOf(definition),
    result: PayloadSchema.schemaOf(success)
  }
}
