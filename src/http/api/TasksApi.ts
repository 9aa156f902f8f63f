/** Tasks over HTTP. */
import { Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import { maxDependencies, OnFailure } from "../../domain/Dependencies.ts"
import { DurationText } from "../../domain/DurationText.ts"
import { PriorityFromInput } from "../../domain/Priority.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import { maxVersion } from "../../domain/StoredType.ts"
import { TaskState } from "../../domain/TaskState.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { ExplanationJson } from "./ExplanationJson.ts"
import { LogsQuery, TaskLogsJson } from "./LogsJson.ts"
import { NeededRole } from "./NeededRole.ts"
import { JsonValue, MillisOrText, Name, taskListQuery, within } from "./RequestValues.ts"
import { StepsQuery, TaskStepsJson } from "./StepsJson.ts"
import { filterQuery } from "./TaskFilterJson.ts"
import { CreatedTaskJson, KnownTaskJson, TaskJson, TaskPageJson, TaskResultJson, TaskResultsJson } from "./TaskJson.ts"

/** Tasks in one request at most. */
const maxBatch = 10_000

const Key = Schema.String.check(within(Bounds.key), Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxKeyLength))

const Id = Schema.String.check(within(Bounds.id), Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxIdLength))

/** How a task is unique. */
const UniqueJson = Schema.Struct({
  key: Key,
  window: Schema.optionalKey(
    Schema.Union([Schema.Literals(["waiting", "unfinished", "kept"]), MillisOrText.check(within(Bounds.timeout))])
  ).annotate({
    description:
      "How long it keeps others away: waiting until its first start, unfinished until its end (the default), kept as " +
      "long as it is stored, or a duration from its creation"
  }),
  on_conflict: Schema.optionalKey(Schema.Literals(["return", "refuse", "replace", "postpone"])).annotate({
    description:
      "What becomes of others: return answers with it (the default), refuse is a conflict, replace gives it their " +
      "payload if it waits, postpone also makes it due later"
  }),
  postpone: Schema.optionalKey(Schema.Struct({
    by: MillisOrText.annotate({ description: "How far from the latest one it is due" }).check(within(Bounds.timeout)),
    max_delay: Schema.optionalKey(
      MillisOrText.annotate({ description: "How far from its creation at most" }).check(within(Bounds.timeout))
    )
  })).annotate({ description: "With on_conflict postpone, which is the default with it" })
})

/** A new task. */
export const NewTaskJson = Schema.Struct({
  type: Name.annotate({ description: "A task type that the server knows" }),
  payload: Schema.optionalKey(JsonValue).annotate({ description: "What the type takes; {} when left out" }),
  version: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxVersion }))).annotate({
    description: "The version of the type that the payload is of; 1 when left out"
  }),
  priority: Schema.optionalKey(PriorityFromInput).annotate({
    description: "low, normal, high, critical, urgent, or 0 to 9; larger is more urgent"
  }),
  max_retries: Schema.optionalKey(Schema.Int.check(
    Schema.isBetween({ minimum: Bounds.unlimitedRetries, maximum: Bounds.maxRetryCount })
  )).annotate({
    description: "Retries after the first execution; -1 is unlimited"
  }),
  delay: Schema.optionalKey(
    MillisOrText.annotate({
      description: "Wait before the task is due: text such as 250ms, 5m or 1h30m, or milliseconds"
    }).check(within(Bounds.delay))
  ),
  run_at: Schema.optionalKey(Rfc3339.check(within(Bounds.runAt))),
  timeout: Schema.optionalKey(
    MillisOrText.annotate({ description: "Time limit of one attempt, written like delay" }).check(
      within(Bounds.timeout)
    )
  ),
  expires_in: Schema.optionalKey(
    MillisOrText.annotate({
      description: "How long the task is of use once it is due, written like delay: after that it ends as expired"
    }).check(within(Bounds.span))
  ),
  start_within: Schema.optionalKey(
    MillisOrText.annotate({
      description:
        "Within which time the task should start once it is due, written like delay: among due tasks of one " +
        "priority that have such a time the earliest deadline goes first"
    }).check(within(Bounds.span))
  ),
  key: Schema.optionalKey(Key).annotate({
    description: "Idempotency key: the same key and payload give the same task, another payload a conflict"
  }),
  unique: Schema.optionalKey(UniqueJson).annotate({
    description: "How tasks with the same key keep each other away, for a while. Not together with key"
  }),
  id: Schema.optionalKey(Id).annotate({
    description: "Your own id; posting a known one again changes nothing"
  }),
  queue: Schema.optionalKey(Name).annotate({
    description: "Where the task waits; the queue of its type when left out"
  }),
  after: Schema.optionalKey(Schema.Array(Id).check(Schema.isMaxLength(maxDependencies))).annotate({
    description: "The ids of tasks that must have ended before it starts: stored ones, or others of the same request"
  }),
  on_failure: Schema.optionalKey(OnFailure).annotate({
    description: "What becomes of it when one of these does not complete; it fails with the reason when left out"
  })
}).check(
  Schema.makeFilter(({ delay, run_at }) =>
    delay === undefined || run_at === undefined
      ? undefined
      : { path: ["delay"], issue: "Expected either delay or run_at, not both" }
  )
).annotate({ identifier: "NewTask" })

export type NewTaskJson = typeof NewTaskJson.Type

/** What is changed about a task. */
export const RescheduleJson = Schema.Struct({
  payload: Schema.optionalKey(JsonValue).annotate({ description: "The whole payload, as the type takes it" }),
  version: NewTaskJson.fields.version,
  priority: NewTaskJson.fields.priority,
  delay: NewTaskJson.fields.delay,
  run_at: NewTaskJson.fields.run_at,
  start_within: NewTaskJson.fields.start_within
}).check(
  Schema.makeFilter((given) => {
    if (Object.keys(given).length === 0) {
      return { path: [], issue: "Expected payload, priority, delay, run_at or start_within" }
    }
    return given.delay === undefined || given.run_at === undefined
      ? undefined
      : { path: ["delay"], issue: "Expected either delay or run_at, not both" }
  })
).annotate({ identifier: "Reschedule" })

/** One task, or several that are stored together or not at all. */
export const NewTasksJson = Schema.Union([
  NewTaskJson,
  Schema.Array(NewTaskJson).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(maxBatch, { message: `Expected at most ${maxBatch} tasks in a request` })
  )
]).annotate({ expected: "a task or an array of tasks" })

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
