/**
 * What the API's description says beyond the definitions: what requests and answers look like, by the name of the schema, or by
 * operation where a schema has none.
 */
import { names } from "../domain/LogModule.ts"
import { version } from "../store/InstanceStore.ts"
import type { TaskEventJson } from "./api/EventsApi.ts"
import type { ScalingJson } from "./api/InstancesApi.ts"
import type { LogLevelsJson } from "./api/LogLevelsApi.ts"
import type { PauseJson, QueueJson, QueuePageJson, TypeCountsJson } from "./api/QueuesApi.ts"
import type { HealthyJson, StatsJson, UnhealthyJson, WorkersJson } from "./api/SystemApi.ts"
import type { TaskJson, TaskPageJson, TaskResultJson } from "./api/TaskJson.ts"
import * as BatchTexts from "./BatchTexts.ts"
import * as BreakerTexts from "./BreakerTexts.ts"
import * as ClaimTexts from "./ClaimTexts.ts"
import * as LimitTexts from "./LimitTexts.ts"
import * as OperationTexts from "./OperationTexts.ts"
import * as ScheduleTexts from "./ScheduleTexts.ts"
import * as SignalTexts from "./SignalTexts.ts"
import * as StatisticsHandlers from "./StatisticsHandlers.ts"
import * as TaskTexts from "./TaskTexts.ts"

const id = "01a20f46-60fe-779b-a926-cef2c43ec95c"
const at = "2026-01-31T12:00:00.000Z"

const pending: TaskJson = {
  id,
  type: "echo",
  payload: { hello: "world" },
  priority: 2,
  status: "pending",
  created_at: at,
  started_at: null,
  completed_at: null,
  result: null,
  error: null,
  retry_count: 0,
  max_retries: 3,
  queue: "default",
  key: "welcome:ada",
  tags: ["onboarding"],
  due_at: at,
  expires_at: null,
  start_by: null,
  timeout_ms: null,
  attempts: 0,
  failures: 0,
  crashes: 0,
  progress: null,
  instance: null,
  cancel_requested: false,
  history: []
}

const completed: TaskJson = {
  ...pending,
  status: "completed",
  started_at: "2026-01-31T12:00:00.012Z",
  completed_at: "2026-01-31T12:00:00.015Z",
  result: { hello: "world" },
  attempts: 1,
  instance: "instance-1a2b3c4d"
}

const page: typeof TaskPageJson.Type = { tasks: [completed], next: null }
const result: TaskResultJson = { id, status: "completed", result: { hello: "world" }, error: null }
const unfinished: TaskResultJson = { id, status: "unfinished", result: null, error: null }
const event: TaskEventJson = {
  event: "completed",
  id,
  type: "echo",
  queue: "default",
  at: "2026-01-31T12:00:00.040Z",
  attempt: 1,
  instance: "instance-1a2b3c4d"
}
const healthy: typeof HealthyJson.Type = {
  status: "healthy",
  timestamp: at,
  version,
  uptime: 86_400.5,
  queue: { size: 12, capacity: 100_000, closed: false },
  slots: { count: 10, active: 4 },
  held_up: [{ code: "limit_full", tasks: 5 }],
  troubles: []
}
const unhealthy: typeof UnhealthyJson.Type = {
  ...healthy,
  status: "unhealthy",
  queue: { size: null, capacity: null, closed: true },
  troubles: [{ part: "store", since: at, failures: 3 }]
}
const stats: typeof StatsJson.Type = {
  queue_size: 12,
  capacity: 100_000,
  worker_pool: 10,
  workers_active: 4,
  tasks_total: 1012,
  tasks_pending: 8,
  tasks_running: 4,
  tasks_complete: 990,
  tasks_failed: 10,
  by_status: { scheduled: 3, pending: 5, running: 4, completed: 990, failed: 10, cancelled: 0, expired: 0 },
  totals: { created: 1012, completed: 990, failed: 10, cancelled: 0, retried: 7, crashed: 1, expired: 0 },
  uptime: 86_400.5
}
const workers: typeof WorkersJson.Type = {
  running: true,
  worker_count: 1,
  queue_size: 1,
  workers: [{
    id: "instance-1a2b3c4d/1",
    instance: "instance-1a2b3c4d",
    slot: 1,
    running: true,
    task: { id, type: "echo", running_for_ms: 12 }
  }],
  timestamp: at,
  instances: [{
    id: "instance-1a2b3c4d",
    host: "tasks-1",
    pid: 4711,
    version,
    started_at: "2026-01-30T12:00:00.000Z",
    seen_at: at,
    slot_count: 1,
    slots_active: 1,
    sized_by: "load",
    min_slots: 1,
    max_slots: 100,
    draining: false,
    leads: ["maintenance"],
    queues: [],
    types: ["echo"],
    shares: [{ queue: "mail", reserved: 2, max: null, weight: 3, running: 1 }]
  }]
}
const scaling: typeof ScalingJson.Type = {
  slots_wanted: 34,
  slots: 20,
  slots_active: 20,
  waiting: 1200,
  waiting_since: "2026-01-31T11:59:12.000Z",
  oldest_age_ms: 48_000,
  drain_ms: 27_000,
  task_ms: 450,
  ended_per_second: 44.4,
  timestamp: at
}

const setLevel: (typeof LogLevelsJson.Type)["levels"][number] = {
  module: "claimer",
  level: "debug",
  by: "ada",
  since: at,
  until: "2026-01-31T12:10:00.000Z"
}

const emails: typeof TypeCountsJson.Type = { type: "email", scheduled: 3, pending: 40, running: 4, waiting_since: at }
const { type: _, ...waiting } = emails
const mail: QueueJson = { queue: "mail", pause: null, ...waiting, type_count: 1, types: [emails] }
const pause: PauseJson = {
  by: "ada",
  reason: "The database is being moved",
  since: "2026-01-31T11:30:00.000Z",
  until: "2026-01-31T13:30:00.000Z"
}
const none = { scheduled: 0, pending: 0, running: 0, waiting_since: null }
const reports: QueueJson = { queue: "reports", pause, ...none, type_count: 0, types: [] }
const paused = [{ queue: "reports", ...pause }]
const queuePage: typeof QueuePageJson.Type = { queues: [mail, reports], next: null, paused, timestamp: at }

const error = (code: string, message: string, facts: object = {}) => ({ error: { code, message, ...facts } })

/** By the name of a schema. */
export const ofSchemas: Readonly<Record<string, unknown>> = {
  NewTask: { type: "echo", payload: { hello: "world" }, priority: "high", key: "welcome:ada", tags: ["onboarding"] },
  Task: pending,
  CreatedTask: pending,
  TaskPage: page,
  TaskResult: result,
  TaskEvent: event,
  Explanation: TaskTexts.explanation,
  Verdict: TaskTexts.verdict,
  TaskLogs: TaskTexts.logs,
  ...TaskTexts.examples,
  Healthy: healthy,
  Unhealthy: unhealthy,
  Live: { status: "live", timestamp: at },
  Ready: { status: "ready", timestamp: at },
  NotReady: { status: "not_ready", timestamp: at, reason: "store", since: at },
  Stats: stats,
  Me: { key: "ci", role: "write", version: "0.1.0", instance: "web-1", time_zone: "Europe/Berlin", timestamp: at },
  Workers: workers,
  NewSlots: { slots: 40 },
  NewLogLevels: { levels: { claimer: "debug", "handlers:email": "trace" }, for: "10m" },
  LogLevels: { levels: [setLevel], modules: names, timestamp: at },
  SetLogLevel: setLevel,
  Scaling: scaling,
  TypeCounts: emails,
  NewPause: { reason: "The database is being moved", for: "2h" },
  Pause: pause,
  ...LimitTexts.examples(pause),
  ...BatchTexts.examples,
  ...BreakerTexts.examples,
  ...ClaimTexts.examples,
  ...OperationTexts.examples,
  ...ScheduleTexts.examples,
  ...SignalTexts.examples,
  ...StatisticsHandlers.examples,
  Queue: mail,
  QueuePage: queuePage,
  QueueDetail: { ...mail, next: null, timestamp: at },
  TypePage: { types: [emails], next: null, timestamp: at },
  OlderStats: {
    jobs_submitted: 1012,
    jobs_completed: 990,
    jobs_failed: 10,
    workers_active: 4,
    queue_size: 12,
    uptime: "24h0m0s",
    total_processed: 1000,
    successful: 990,
    failed: 10,
    queue_length: 8
  },
  OlderStatus: { task_id: id, success: true, data: { hello: "world" }, processed_at: at },
  OlderMetrics: {
    tasks_per_second: 120.5,
    average_duration_ms: { echo: 0.4 },
    workers: { count: 10, active: 4, efficiency: 0.4 },
    tasks: stats.by_status,
    memory_bytes: 98_000_000,
    cpu: 0.2,
    uptime: 86_400.5
  },
  InvalidRequest: error("invalid_request", "Unknown field at body.colour", {
    issues: [{ path: ["body", "colour"], message: "Unknown field" }]
  }),
  InvalidPayload: error(
    "invalid_payload",
    "The payload does not fit task type \"sleep\": Missing key at [\"duration\"]",
    {
      type: "sleep",
      issue: "Missing key at [\"duration\"]",
      index: 0
    }
  ),
  UnknownTaskType: error("unknown_task_type", "Unknown task type \"dance\"; known types: echo, sleep", {
    type: "dance",
    known: ["echo", "sleep"],
    index: 0
  }),
  DefinitionNotFound: error("definition_not_found", "No definition has the type \"ecoh\"; did you mean \"echo\"?", {
    type: "ecoh",
    nearest: "echo"
  }),
  TaskNotFound: error("task_not_found", `No task has the id ${id}; it never existed or has been removed`, { id }),
  InstanceNotFound: error("instance_not_found", "No living instance has the id instance-1a2b3c4d", {
    id: "instance-1a2b3c4d"
  }),
  KeyConflict: error(
    "key_conflict",
    `The key "welcome:ada" of type "echo" belongs to task ${id}, which has another payload`,
    { type: "echo", key: "welcome:ada", id, index: 0 }
  ),
  ...TaskTexts.dependencyErrors,
  StateConflict: error("state_conflict", `Cannot rerun task ${id}: it is running`, {
    id,
    operation: "rerun",
    status: "running"
  }),
  BodyTooLarge: error(
    "body_too_large",
    "The body is larger than 1048576 bytes; send fewer or smaller tasks per request",
    { limit: 1_048_576 }
  ),
  UnsupportedMediaType: error(
    "unsupported_media_type",
    "Cannot read a body of type \"text/plain\"; send application/json in UTF-8, not compressed",
    { found: "text/plain" }
  ),
  BatchTooLarge: error(
    "batch_too_large",
    "A batch of 5000 tasks can never fit into a capacity of 1000; send smaller batches",
    { capacity: 1000, unfinished: 0, offered: 5000 }
  ),
  QueueFull: error(
    "queue_full",
    "The queue is full: 100000 of 100000 unfinished tasks; try again later or raise QUEUE_SIZE",
    { capacity: 100_000, unfinished: 100_000, offered: 1 }
  ),
  StoreUnavailable: error("store_unavailable", "The task store does not answer; try again")
}

/** The answer to a request that is no WebSocket where one is expected. */
export const upgradeRequired = error("upgrade_required", "Connect with a WebSocket, or watch /api/v1/events")

/** Errors that may meet any request, by status: they come from what is around the endpoints. */
export const ofErrors: Readonly<Record<string, { readonly about: string; readonly examples: ReadonlyArray<unknown> }>> =
  {
    401: {
      about: "A key is required, and the request has none or an unknown one",
      examples: [
        error("unauthorized", "This server needs an API key: send Authorization: Bearer <key>"),
        error(
          "unknown_key",
          "This server does not know the API key: it was mistyped, revoked, or made for another store"
        )
      ]
    },
    403: {
      about: "The key's role does not allow this, or a server without keys was asked by a page of another origin",
      examples: [error("forbidden", "This needs a key with the role write", { needed: "write" })]
    },
    429: {
      about: "Too many requests from this address or with this key; Retry-After says when to try again",
      examples: [
        error("rate_limited", "More than 100 requests within 1s; try again in 1 s", { limit: 100, retry_after: 1 })
      ]
    },
    500: {
      about: "A fault of the server; its log has the details",
      examples: [error("internal", "Something went wrong on the server")]
    }
  }

/** By operation and status, or `request`: what has no schema of its own. */
export const ofOperations: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "tasks.result": { 202: unfinished },
  "tasks.results": { request: { ids: [id], wait: "10s" }, 200: { results: [result] } },
  "tasks.cancel": { 200: { status: "requested" } },
  "tasks.cancelAll": { request: { ids: [id] }, 200: { results: [{ id, status: "requested" }] } },
  "tasks.reschedule": {
    request: { delay: "10m", priority: "high" },
    200: { ...pending, status: "scheduled", priority: 2 }
  },
  "tasks.rerunAll": { request: { ids: [id] }, 200: { results: [{ id, status: "conflict", state: "running" }] } },
  "tasks.removeAll": { request: { ids: [id] }, 200: { results: [{ id, status: "removed" }] } },
  "tasks.create": { request: ofSchemas["NewTask"], 200: { ...pending, duplicate: true }, 201: pending },
  ...ScheduleTexts.operations,
  ...SignalTexts.operations,
  "older.submitJob": { request: { to: "ada@example.com" }, 202: { job_id: id, status: "submitted" } },
  "older.olderWorkers": { 200: { workers: 10 } },
  "older.submitTask": {
    request: { type: "echo", payload: "{\"hello\":\"world\"}" },
    200: { message: "Task submitted", task_id: id, status: "pending" }
  }
}
