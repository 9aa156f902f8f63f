/** Batches over HTTP, in snake_case. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import * as Cursor from "../../domain/Cursor.ts"
import type { BatchPage, BatchView } from "../../queue/BatchViews.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { NewTaskJson } from "./NewTaskJson.ts"
import { cursorText, Name, PageSize } from "./RequestValues.ts"
import { instant, instantOrNull, Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"

/** Members in one request at most. */
const maxMembers = 10_000

const Members = Schema.Array(NewTaskJson).check(
  Schema.isMaxLength(maxMembers, { message: `Expected at most ${maxMembers} tasks in a request` })
)

/** A new batch. */
export const NewBatchJson = Schema.Struct({
  id: Schema.optionalKey(Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(160))).annotate({
    description: "Your own id, without /; posting a known one goes on with what is missing of that batch"
  }),
  name: Schema.optionalKey(Name).annotate({ description: "For people" }),
  queue: Schema.optionalKey(Name).annotate({
    description: "Where the engine's own tasks of it wait; the queue of its first callback, or default, when left out"
  }),
  on_success: Schema.optionalKey(NewTaskJson).annotate({
    description: "A task that starts once all members have completed; it is cancelled otherwise"
  }),
  on_failure: Schema.optionalKey(NewTaskJson).annotate({
    description: "A task that starts with the first member that does not complete; it is cancelled if all do"
  }),
  on_finished: Schema.optionalKey(NewTaskJson).annotate({
    description: "A task that starts once all members have ended, however they did"
  }),
  tasks: Schema.optionalKey(Members).annotate({ description: "Its first members" }),
  open: Schema.optionalKey(Schema.Boolean).annotate({
    description: "Whether it waits to be sealed; false when left out with tasks, else true"
  })
}).annotate({ identifier: "NewBatch" })

/** Members that are added. */
export const NewMembersJson = Schema.Struct({
  tasks: Members,
  addition: Schema.optionalKey(Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(64))).annotate({
    description: "A name of this request for the batch: sent again, it changes nothing"
  })
}).annotate({ identifier: "NewMembers" })

const TaskId = Schema.NullOr(Schema.String)

/** A batch. */
export const BatchJson = Schema.Struct({
  id: Schema.String,
  name: Schema.NullOr(Schema.String),
  status: Schema.Literals(["open", "sealed", "completed", "failed", "cancelled"]).annotate({
    description:
      "open: it does not finish before it is sealed. sealed: it finishes when its members have ended, and takes more until then"
  }),
  total: Schema.Int.annotate({ description: "Members that have been added" }),
  completed: Schema.Int,
  failed: Schema.Int,
  cancelled: Schema.Int,
  expired: Schema.Int,
  percent: Schema.Int.annotate({ description: "Members that have ended, in per cent, rounded down" }),
  on_success: TaskId.annotate({ description: "The id of that task" }),
  on_failure: TaskId,
  on_finished: TaskId,
  created_at: Timestamp,
  finished_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "Batch" })

export type BatchJson = typeof BatchJson.Type

/** A page of batches. */
const BatchPageJson = Schema.Struct({
  batches: Schema.Array(BatchJson),
  next: Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" })
}).annotate({ identifier: "BatchPage" })

/** Members that were added, in their order. */
export const MembersJson = Schema.Struct({
  members: Schema.Array(Schema.Struct({
    id: Schema.String,
    duplicate: Schema.Boolean.annotate({ description: "Whether it was stored before: that task is the member" }),
    merge: Schema.optionalKey(Schema.Literals(["replaced", "postponed"])).annotate({
      description: "What this has made of the task that holds its key"
    })
  }))
}).annotate({ identifier: "Members" })

const params = { batch: Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxIdLength)) }

const refusals = [
  ApiErrors.InvalidPayload,
  ApiErrors.UnknownTaskType,
  ApiErrors.KeyConflict,
  ApiErrors.UnknownDependency,
  ApiErrors.DependencyCycle,
  ApiErrors.BatchNotFound,
  ApiErrors.BatchFinished,
  ApiErrors.BatchTooLarge,
  ApiErrors.FullOrUnavailable
] as const

/** The endpoints of batches. */
export class BatchesApi extends HttpApiGroup.make("batches").add(
  HttpApiEndpoint.post("create", "/batches", {
    payload: NewBatchJson,
    success: [BatchJson.pipe(HttpApiSchema.status(200)), BatchJson.pipe(HttpApiSchema.status(201))],
    error: refusals
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Make a batch, with its first members",
    description:
      "Up to 1000 members are stored in one write. Where one is refused, the batch and those before it stay: send the request again, " +
      "with an id. 200 instead of 201 means that the batch existed."
  })),
  HttpApiEndpoint.get("list", "/batches", {
    query: {
      limit: Schema.optionalKey(PageSize),
      cursor: Schema.optionalKey(cursorText((text) => Cursor.decodeName("batch", text) !== undefined))
    },
    success: BatchPageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List batches",
    description: "By id: those without an id of their own in the order in which they were made."
  })),
  HttpApiEndpoint.get("get", "/batches/:batch", {
    params,
    success: BatchJson,
    error: [ApiErrors.BatchNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "Get a batch and its progress"),
  HttpApiEndpoint.post("add", "/batches/:batch/members", {
    params,
    payload: NewMembersJson,
    success: MembersJson,
    error: refusals
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Add members to a batch that has not finished",
    description: "Up to 1000 are stored in one write. Where one is refused, those of the writes before stay."
  })),
  HttpApiEndpoint.post("seal", "/batches/:batch/seal", {
    params,
    success: BatchJson,
    error: [ApiErrors.BatchNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Let a batch finish when its members have ended",
    description: "Until then it takes more."
  })),
  HttpApiEndpoint.post("cancel", "/batches/:batch/cancel", {
    params,
    success: BatchJson,
    error: [ApiErrors.BatchNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Cancel a batch and its members that have not ended",
    description: "It takes no more members from now on, and is cancelled once those that run have stopped."
  }))
).prefix("/api/v1") {}

/** A batch, on the wire. */
export const batchJson = (
  { callbacks, createdAt, finishedAt, state: status, ...batch }: BatchView
): BatchJson => ({
  ...batch,
  status,
  on_success: callbacks.onSuccess,
  on_failure: callbacks.onFailure,
  on_finished: callbacks.onFinished,
  created_at: timestamp(createdAt),
  finished_at: timestampOrNull(finishedAt)
})

/** A batch that was on the wire. */
export const batchFromJson = (
  {
    created_at: createdAt,
    finished_at: finishedAt,
    on_failure: onFailure,
    on_finished: onFinished,
    on_success: onSuccess,
    status: state,
    ...batch
  }: BatchJson
): BatchView => ({
  ...batch,
  state,
  callbacks: { onSuccess, onFailure, onFinished },
  createdAt: instant(createdAt),
  finishedAt: instantOrNull(finishedAt)
})

/** A page of batches, on the wire. */
export const pageJson = ({ batches, next }: BatchPage): typeof BatchPageJson.Type => ({
  batches: batches.map(batchJson),
  next
})
