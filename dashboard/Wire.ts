/** What the API answers, by the types of its own definitions. Only types: nothing of the server is in the page. */
import type { TaskEventJson } from "../src/http/api/EventsApi.ts"
import type { ExplanationJson } from "../src/http/api/ExplanationJson.ts"
import type { TaskLogsJson } from "../src/http/api/LogsJson.ts"
import type { QueuePageJson, TypePageJson } from "../src/http/api/QueuesApi.ts"
import type { TaskStepsJson } from "../src/http/api/StepsJson.ts"
import type { MeJson, StatsJson } from "../src/http/api/SystemApi.ts"
import type { TaskJson, TaskPageJson } from "../src/http/api/TaskJson.ts"

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
