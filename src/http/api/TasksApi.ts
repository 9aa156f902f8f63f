/** Tasks over HTTP. */
import { Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import { DurationText } from "../../domain/DurationText.ts"
import { TaskState } from "../../domain/TaskState.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { ExplanationJson } from "./ExplanationJson.ts"
import { LogsQuery, TaskLogsJson } from "./LogsJson.ts"
import { NeededRole } from "./NeededRole.ts"
import { NewTasksJson, RescheduleJson } from "./NewTaskJson.ts"
import { MillisOrText, taskListQuery } from "./RequestValues.ts"
import { StackJson } from "./StackJson.ts"
import { StepsQuery, TaskStepsJson } from "./StepsJson.ts"
import { filterQuery } from "./TaskFilterJson.ts"
import { CreatedTaskJson, KnownTaskJson, TaskJson, TaskPageJson, TaskResultJson, TaskResultsJson } from "./TaskJson.ts"

/** Results asked for in one request at most. */
export const maxResults: number = Bounds.maxIds

/** How long a request may wait for results. */
const maxWait = Duration.seconds(30)

const isShort = Schema.makeFilter(
  (duration: Duration.Duration) => Duration.isLessThanOrEqualTo(duration, maxWait),
  { expected: `a duration of at most ${Duration.toSeconds(maxWait)}s` }
)
const Wait = MillisOrText.check(isShort)
const WaitText = DurationText.check(isShort)

const id = { id: Schema.String }

const Ids = Schema.Array(Schema.String.check(Schema.isMaxLength(Bounds.maxIdLength))).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(maxResults)
)

/** Does something to many tasks. */
const operation = <const Name extends string, const Status extends ReadonlyArray<string>>(
  name: Name,
  path: `/${string}`,
  statuses: Status,
  summary: string,
  description: string
) =>
  HttpApiEndpoint.post(name, path, {
    payload: Schema.Struct({ ids: Ids }),
    success: Schema.Struct({
      results: Schema.Array(Schema.Struct({
        id: Schema.String,
        status: Schema.Literals(statuses),
        state: Schema.optionalKey(TaskState).annotate({
          description: "The task's status, where it does not allow this"
        })
      })).annotate({ description: "Each id once, in the order in which they were given" })
    }),
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({ summary, description }))

const CreatedTasksJson = Schema.Union([
  CreatedTaskJson,
  Schema.Array(Schema.Union([CreatedTaskJson, KnownTaskJson]))
])

/** The endpoints of tasks. */
export class TasksApi extends HttpApiGroup.make("tasks").add(
  HttpApiEndpoint.post("create", "/tasks", {
    payload: NewTasksJson,
    success: [
      CreatedTasksJson.pipe(HttpApiSchema.status(200)),
      CreatedTasksJson.pipe(HttpApiSchema.status(201))
    ],
    error: [
      ApiErrors.InvalidPayload,
      ApiErrors.UnknownTaskType,
      ApiErrors.KeyConflict,
      ApiErrors.UnknownDependency,
      ApiErrors.DependencyCycle,
      ApiErrors.BatchTooLarge,
      ApiErrors.FullOrUnavailable
    ]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Create tasks",
    description:
      "One task as an object, or several as an array: all are stored or none. 200 instead of 201 means that all of them " +
      "existed already, by their ids or keys."
  })),
  HttpApiEndpoint.get("list", "/tasks", {
    query: {
      ...filterQuery,
      ...taskListQuery
    },
    success: TaskPageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(
    OpenApi.annotations({
      summary: "List tasks",
      description:
        "Newest first, in pages. A page with large tasks ends early, and so does one whose filter matches little: " +
        "the last one is that whose next is null. Stores look up states, types and queues; for the rest, a page looks at 20000 tasks at most."
    })
  ),
  HttpApiEndpoint.get("get", "/tasks/:id", {
    params: id,
    success: TaskJson,
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "Get a task"),
  HttpApiEndpoint.get("explain", "/tasks/:id/explain", {
    params: id,
    success: ExplanationJson,
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Explain why a task waits",
    description:
      "All that has to change before it starts, in codes and in words. A task that runs or has finished has no reasons."
  })),
  HttpApiEndpoint.get("logs", "/tasks/:id/logs", {
    params: id,
    query: LogsQuery,
    success: TaskLogsJson,
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Read what the attempts at a task have logged",
    description:
      "Also while it runs, about half a second late. Of each attempt the first and the latest lines are kept: left_out says how " +
      "many are not."
  })),
  HttpApiEndpoint.get("steps", "/tasks/:id/steps", {
    params: id,
    query: StepsQuery,
    success: TaskStepsJson,
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Read the steps of a task: how each has ended, and what the task waits for",
    description: "What they gave is not shown. A task whose handler has no steps has none."
  })),
  HttpApiEndpoint.get("stack", "/tasks/:id/stack", {
    params: id,
    success: StackJson,
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Say where the handler of a running task is now",
    description:
      "The functions made with Effect.fn, spans and steps that its fibers are in, with their places in the code and since when; no values. " +
      "The instance that runs it knows: answered says whether that is the one that was asked."
  })),
  HttpApiEndpoint.delete("remove", "/tasks/:id", {
    params: id,
    query: { only: Schema.optionalKey(Schema.Literal("finished")) },
    success: HttpApiSchema.NoContent,
    error: [ApiErrors.TaskNotFound, ApiErrors.StateConflict, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write").annotate(OpenApi.Summary, "Cancel an unfinished task, remove a finished one"),
  HttpApiEndpoint.get("result", "/tasks/:id/result", {
    params: id,
    query: { wait: Schema.optionalKey(WaitText) },
    success: [TaskResultJson, TaskResultJson.pipe(HttpApiSchema.status(202))],
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Get a task's result",
    description: "200 if the task has finished, else 202. With wait, the answer comes as soon as the task has finished."
  })),
  HttpApiEndpoint.post("results", "/results", {
    payload: Schema.Struct({
      ids: Ids,
      wait: Schema.optionalKey(Wait).annotate({
        description: "How long to wait for the first of them to finish, at most 30s; 0 when left out"
      })
    }),
    success: TaskResultsJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Get the results of several tasks",
    description: "Each id once, in the order of the ids. With wait, the answer comes as soon as one of the tasks has " +
      "finished."
  })),
  HttpApiEndpoint.post("cancel", "/tasks/:id/cancel", {
    params: id,
    success: Schema.Struct({ status: Schema.Literals(["cancelled", "requested", "finished"]) }),
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Cancel a task",
    description: "cancelled: it was waiting and will never start. requested: it runs and is being interrupted. " +
      "finished: there was nothing left to cancel."
  })),
  HttpApiEndpoint.post("rerun", "/tasks/:id/rerun", {
    params: id,
    success: TaskJson,
    error: [ApiErrors.TaskNotFound, ApiErrors.StateConflict, ApiErrors.TaskSuperseded, ApiErrors.Unavailable]
  }).annotate(NeededRole, "write")
    .annotate(OpenApi.Summary, "Run a failed or cancelled task again, with all its retries"),
  HttpApiEndpoint.patch("reschedule", "/tasks/:id", {
    params: id,
    payload: RescheduleJson,
    success: TaskJson,
    error: [
      ApiErrors.TaskNotFound,
      ApiErrors.StateConflict,
      ApiErrors.InvalidPayload,
      ApiErrors.UnknownTaskType,
      ApiErrors.Unavailable
    ]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Change a task that waits: its payload, its priority, when it is due, or when it should start",
    description:
      "A task that runs or has finished is left as it is: state_conflict. Limits and costs are those of the new " +
      "payload. A key that its type makes of the payload has to stay the same."
  })),
  operation(
    "cancelAll",
    "/cancel",
    ["cancelled", "requested", "finished", "unknown"],
    "Cancel several tasks",
    "cancelled: it was waiting and will never start. requested: it runs and is being interrupted. " +
      "finished: there was nothing left to cancel. unknown: no task has this id."
  ),
  operation(
    "rerunAll",
    "/rerun",
    ["rerun", "conflict", "superseded", "unknown"],
    "Run several failed or cancelled tasks again, with all their retries",
    "rerun: it is due now, or waits for those that it depends on and that have not ended or are run again with it. " +
      "conflict: it is neither failed nor cancelled. superseded: a later task has its key. " +
      "unknown: no task has this id."
  ),
  operation(
    "removeAll",
    "/remove",
    ["removed", "unfinished", "awaited", "unknown"],
    "Remove several finished tasks",
    "removed: it was stored and is not any more. unfinished: it waits or runs. " +
      "awaited: a task that has not finished depends on it. unknown: no task has this id."
  )
).prefix("/api/v1") {}
