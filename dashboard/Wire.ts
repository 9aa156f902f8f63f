/** What the API answers, by the types of its own definitions. Only types: nothing of the server is in the page. */
import type { BreakerPageJson } from "../src/http/api/BreakersApi.ts"
import type { GraphJson } from "../src/http/api/DependenciesApi.ts"
import type { TaskEventJson } from "../src/http/api/EventsApi.ts"
import type { ExplanationJson } from "../src/http/api/ExplanationJson.ts"
import type { ScalingJson } from "../src/http/api/InstancesApi.ts"
import type { LimitDetailJson, LimitPageJson } from "../src/http/api/LimitsApi.ts"
import type { LimitWaitingJson } from "../src/http/api/LimitWaitingJson.ts"
import type { TaskLogsJson } from "../src/http/api/LogsJson.ts"
import type { OperationJson, OperationPageJson, OperationPreviewJson } from "../src/http/api/OperationsApi.ts"
import type { DefinitionJson, DefinitionListJson, QueuePageJson, TypePageJson } from "../src/http/api/QueuesApi.ts"
import type { PreviewJson, SchedulePageJson } from "../src/http/api/ScheduleJson.ts"
import type { StackJson } from "../src/http/api/StackJson.ts"
import type { ErrorsJson, StatisticsJson } from "../src/http/api/StatisticsApi.ts"
import type { TaskStepsJson } from "../src/http/api/StepsJson.ts"
import type { MeJson, StatsJson, WorkersJson } from "../src/http/api/SystemApi.ts"
import type { TaskJson, TaskPageJson } from "../src/http/api/TaskJson.ts"
import type { VerdictJson } from "../src/http/api/VerdictJson.ts"

/** A task. */
export type Task = TaskJson
/** Where a task stands. */
export type State = Task["status"]
/** Why a task or an attempt failed. */
export type Failure = NonNullable<Task["error"]>
/** A page of tasks. */
export type TaskPage = typeof TaskPageJson.Type
/** What happened to a task. */
export type TaskEvent = TaskEventJson
/** Why a task waits. */
export type Explanation = typeof ExplanationJson.Type
/** What attempts have logged. */
export type TaskLogs = typeof TaskLogsJson.Type
/** Where a running task is. */
export type TaskStack = typeof StackJson.Type
/** What waits for a key of a limit. */
export type LimitWaiting = typeof LimitWaitingJson.Type
/** The steps of a task. */
export type TaskSteps = typeof TaskStepsJson.Type
/** Who asks, and whom. */
export type Me = typeof MeJson.Type
/** Counts of the store and of a process. */
export type Stats = typeof StatsJson.Type
/** A page of queues. */
export type QueuePage = typeof QueuePageJson.Type
/** A page of types. */
export type TypePage = typeof TypePageJson.Type
/** A type that the server accepts, with its schemas. */
export type Definition = typeof DefinitionJson.Type
/** Tasks that are connected. */
export type Graph = typeof GraphJson.Type
/** Every type that the server accepts. */
export type DefinitionList = typeof DefinitionListJson.Type
/** Every instance with its slots. */
export type Instances = typeof WorkersJson.Type
/** How many slots what waits needs. */
export type Scaling = typeof ScalingJson.Type
/** What holds tasks up. */
export type Verdict = typeof VerdictJson.Type
/** What happened in a time. */
export type Statistics = typeof StatisticsJson.Type
/** Which failures happened in a time. */
export type Errors = typeof ErrorsJson.Type
/** A page of schedules. */
export type SchedulePage = typeof SchedulePageJson.Type
/** A schedule. */
export type Schedule = SchedulePage["schedules"][number]
/** The ticks that come next. */
export type Preview = typeof PreviewJson.Type
/** A page of limits, and what is paused. */
export type LimitPage = typeof LimitPageJson.Type
/** A limit. */
export type Limit = LimitPage["limits"][number]
/** A limit, and how some of its keys stand. */
export type LimitDetail = typeof LimitDetailJson.Type
/** A page of breakers. */
export type BreakerPage = typeof BreakerPageJson.Type
/** What is done to all tasks that match. */
export type Operation = OperationJson
/** What it would do. */
export type OperationPreview = typeof OperationPreviewJson.Type
/** A page of operations. */
export type OperationPage = typeof OperationPageJson.Type
/** What a key may do. */
export type Role = Me["role"]

/** Every state, in the order of a task's life. */
export const states: ReadonlyArray<State> = [
  "scheduled",
  "pending",
  "running",
  "completed",
  "failed",
  "cancelled",
  "expired"
]

/** Whether a task is done: only an operator brings it back. */
export const isFinished = (state: State): boolean =>
  state === "completed" || state === "failed" || state === "cancelled" || state === "expired"
