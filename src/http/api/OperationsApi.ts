/** Operations on many tasks over HTTP, in snake_case. */
import { DateTime, Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import * as Cursor from "../../domain/Cursor.ts"
import { Action, OperationState } from "../../domain/Operation.ts"
import type { NewOperation, Wanted } from "../../queue/NewOperation.ts"
import type { OperationPage, OperationView, Preview } from "../../queue/Operations.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { NewTaskJson } from "./NewTaskJson.ts"
import { cursorText, Name, PageSize, within } from "./RequestValues.ts"
import {
  filterJson,
  filterOf,
  shownFilterFromJson,
  ShownFilterJson,
  shownFilterJson,
  TaskFilterJson
} from "./TaskFilterJson.ts"
import * as TaskJson from "./TaskJson.ts"
import { instant, instantOrNull, Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"

/** What is done to tasks, and to which. */
export const WantedJson = Schema.Struct({
  action: Action,
  filter: TaskFilterJson,
  change: Schema.optionalKey(Schema.Struct({
    priority: NewTaskJson.fields.priority,
    delay: NewTaskJson.fields.delay,
    run_at: NewTaskJson.fields.run_at
  })).annotate({ description: "What reschedule makes of the tasks" })
}).annotate({ identifier: "WantedOperation" })

/** A new operation. */
export const NewOperationJson = Schema.Struct({
  id: Schema.optionalKey(Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(36))).annotate({
    description:
      "Your own id, so that a request that is sent again is one operation: a UUID of version 7, made within ten minutes of now"
  }),
  ...WantedJson.fields,
  why: Schema.String.check(within(Bounds.why), Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxReasonLength))
    .annotate({ description: "Why it is done. It is kept" }),
  name: Schema.optionalKey(Name).annotate({ description: "For people" }),
  by: Schema.optionalKey(Name).annotate({ description: "Who begins it; the name of the API key takes its place" }),
  rate: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))).annotate({
    description: "Tasks in a second at most; 100 when left out"
  }),
  max: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })))
    .annotate({ description: "Ends after so many tasks" })
}).annotate({ identifier: "NewOperation" })

/** What an operation would do. */
export const OperationPreviewJson = Schema.Struct({
  count: Schema.Int.annotate({ description: "How many tasks are meant, among those that were looked at" }),
  complete: Schema.Boolean.annotate({ description: "Whether these are all; false: at least so many" }),
  looked: Schema.Int,
  can_undo: Schema.Boolean.annotate({ description: "Whether it can be taken back" }),
  sample: Schema.Array(TaskJson.TaskJson).annotate({ description: "Ten of them at most, the newest" })
}).annotate({ identifier: "OperationPreview" })

const Deed = Schema.NullOr(Schema.Struct({ by: Schema.NullOr(Schema.String), at: Timestamp }))
/** An operation. */
export const OperationJson = Schema.Struct({
  id: Schema.String,
  name: Schema.NullOr(Schema.String),
  action: Action,
  filter: ShownFilterJson,
  priority: Schema.NullOr(Schema.Int).annotate({ description: "What reschedule makes of the tasks" }),
  run_at: Schema.NullOr(Timestamp),
  why: Schema.String,
  by: Schema.NullOr(Schema.String).annotate({ description: "Who began it: the name of the API key" }),
  rate: Schema.Int.annotate({ description: "Tasks in a second at most" }),
  max: Schema.NullOr(Schema.Int),
  status: OperationState,
  expected: Schema.Int.annotate({ description: "How many tasks were meant when it began" }),
  expected_complete: Schema.Boolean.annotate({ description: "Whether these were all; false: at least so many" }),
  looked: Schema.Int,
  matched: Schema.Int.annotate({ description: "Tasks that were meant so far" }),
  done: Schema.Int.annotate({ description: "How many of them were changed: others were faster with the rest" }),
  unsure: Schema.Int.annotate({
    description: "Tasks that it or others have changed while an instance that changed them crashed"
  }),
  undo: Schema.NullOr(Schema.Struct({ tasks: Schema.Int, until: Schema.NullOr(Timestamp) })).annotate({
    description: "How many tasks can be taken back, and until when; null where none can"
  }),
  restored: Schema.Int.annotate({ description: "Tasks that were taken back" }),
  created_at: Timestamp,
  ended_at: Schema.NullOr(Timestamp),
  aborted: Deed.annotate({ description: "Who ended it before its time" }),
  undone: Deed.annotate({ description: "Who took it back" })
}).annotate({ identifier: "Operation" })

export type OperationJson = typeof OperationJson.Type

/** A page of operations. */
export const OperationPageJson = Schema.Struct({
  operations: Schema.Array(OperationJson),
  next: Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" })
}).annotate({ identifier: "OperationPage" })

/** Who does something to an operation. */
const DeedJson = Schema.Struct({
  by: Schema.optionalKey(Name).annotate({ description: "Who it is; the name of the API key takes its place" })
}).annotate({ identifier: "OperationDeed" })

const params = { operation: Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxIdLength)) }

const deed = <const Verb extends string>(name: Verb, path: `/${string}`, summary: string, description: string) =>
  HttpApiEndpoint.post(name, path, {
    params,
    payload: DeedJson,
    success: OperationJson,
    error: [ApiErrors.OperationNotFound, ApiErrors.OperationRefused, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({ summary, description }))

/** The endpoints of operations. */
export class OperationsApi extends HttpApiGroup.make("operations").add(
  HttpApiEndpoint.post("preview", "/operations/preview", {
    payload: WantedJson,
    success: OperationPreviewJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Count the tasks that an operation would change",
    description: "Changes nothing. 10000 tasks are looked at, or some more: complete says whether there are others."
  })),
  HttpApiEndpoint.post("start", "/operations", {
    payload: NewOperationJson,
    success: OperationJson.pipe(HttpApiSchema.status(202)),
    error: [ApiErrors.OperationRefused, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Do something to all tasks that match",
    description:
      "Goes on in the background, at a bounded rate, and after a crash. A task that others change in between is looked " +
      "at again, and none is changed twice. An empty filter is refused."
  })),
  HttpApiEndpoint.get("list", "/operations", {
    query: {
      limit: Schema.optionalKey(PageSize),
      cursor: Schema.optionalKey(cursorText((text) => Cursor.decodeName("operation", text) !== undefined))
    },
    success: OperationPageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List operations, with who began them and why",
    description:
      "The one that was begun last comes first. An operation is kept for 30 days after its end, and so are the last 1000."
  })),
  HttpApiEndpoint.get("get", "/operations/:operation", {
    params,
    success: OperationJson,
    error: [ApiErrors.OperationNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "Get an operation and its progress"),
  deed(
    "abort",
    "/operations/:operation/abort",
    "End an operation before its time",
    "What it has done stays done."
  ),
  deed(
    "undo",
    "/operations/:operation/undo",
    "Take an operation back",
    "Of a cancel only, within 24 hours: the tasks that it has cancelled, and that are still cancelled and have not run since, " +
      "wait as before. It goes on in the background."
  )
).prefix("/api/v1") {}

/** What is wanted, as the queue takes it. */
export const wantedOf = ({ action, change, filter }: typeof WantedJson.Type): Wanted => ({
  action,
  filter: filterOf(filter),
  ...change !== undefined && {
    change: {
      ...change.priority !== undefined && { priority: change.priority },
      ...change.delay !== undefined && { delay: change.delay },
      ...change.run_at !== undefined && { runAt: change.run_at }
    }
  }
})

/** The preview of an operation, on the wire. */
export const previewJson = ({ canUndo, isComplete, sample, ...counts }: Preview): typeof OperationPreviewJson.Type => ({
  ...counts,
  complete: isComplete,
  can_undo: canUndo,
  sample: sample.map(TaskJson.toJson)
})

/** The same as it was on the wire. */
export const previewFromJson = (
  { can_undo: canUndo, complete: isComplete, sample, ...counts }: typeof OperationPreviewJson.Type
): Preview => ({ ...counts, isComplete, canUndo, sample: sample.map(TaskJson.fromJson) })

const deedJson = (deed: OperationView["aborted"]) => deed && { by: deed.by, at: timestamp(deed.at) }
const deedFromJson = (deed: OperationJson["aborted"]) => deed && { by: deed.by, at: instant(deed.at) }

/** An operation, on the wire. */
export const operationJson = (
  { aborted, createdAt, endedAt, expected, filter, runAt, state, undo, undone, ...view }: OperationView
): OperationJson => ({
  ...view,
  filter: shownFilterJson(filter),
  run_at: timestampOrNull(runAt),
  status: state,
  expected: expected.count,
  expected_complete: expected.isComplete,
  undo: undo && { tasks: undo.tasks, until: timestampOrNull(undo.until) },
  created_at: timestamp(createdAt),
  ended_at: timestampOrNull(endedAt),
  aborted: deedJson(aborted),
  undone: deedJson(undone)
})

/** The same as it was on the wire. */
export const operationFromJson = (json: OperationJson): OperationView => {
  const { created_at, ended_at, expected, expected_complete, run_at, status, ...view } = json
  return {
    ...view,
    filter: shownFilterFromJson(json.filter),
    runAt: instantOrNull(run_at),
    state: status,
    expected: { count: expected, isComplete: expected_complete },
    undo: json.undo && { tasks: json.undo.tasks, until: instantOrNull(json.undo.until) },
    createdAt: instant(created_at),
    endedAt: instantOrNull(ended_at),
    aborted: deedFromJson(json.aborted),
    undone: deedFromJson(json.undone)
  }
}

/** A page of operations, on the wire. */
export const pageJson = ({ next, operations }: OperationPage): typeof OperationPageJson.Type => ({
  operations: operations.map(operationJson),
  next
})

/** A new operation as requests have it. */
export const newJson = (
  { action, by, change, filter, id, max, name, rate, why }: NewOperation,
  priority: number | undefined
): typeof NewOperationJson.Type => ({
  ...wantedJson({ action, filter, ...change !== undefined && { change } }, priority),
  why,
  ...id !== undefined && { id },
  ...by !== undefined && { by },
  ...name !== undefined && { name },
  ...rate !== undefined && { rate },
  ...max !== undefined && { max }
})

/** What is wanted, as requests have it. */
export const wantedJson = (
  { action, change, filter }: Wanted,
  priority: number | undefined
): typeof WantedJson.Type => ({
  action,
  filter: filterJson(filter),
  ...change !== undefined && {
    change: {
      ...priority !== undefined && { priority },
      ...change.delay !== undefined && { delay: Duration.fromInputUnsafe(change.delay) },
      ...change.runAt !== undefined && { run_at: DateTime.toUtc(change.runAt) }
    }
  }
})
