/** What the API's description says of why tasks wait, why they failed and what they have logged: examples, and what parameters mean. */
import { BranchTooLarge } from "../domain/DependencyErrors.ts"
import { FailureKind } from "../domain/TaskRecord.ts"
import * as Branches from "../queue/Branches.ts"
import type { DeadLetterGroupsJson, DeadLetterPartJson, DeadLettersDoneJson } from "./api/DeadLettersApi.ts"
import type { GraphJson } from "./api/DependenciesApi.ts"
import type { ExplanationJson } from "./api/ExplanationJson.ts"
import { levels, type TaskLogsJson } from "./api/LogsJson.ts"
import type { DefinitionJson } from "./api/QueuesApi.ts"
import type { StackJson } from "./api/StackJson.ts"
import type { VerdictJson } from "./api/VerdictJson.ts"

const id = "01a20f46-60fe-779b-a926-cef2c43ec95c"
const behind = "It is due, and waits for one of 4 slots, which are all busy; 40 due tasks of its queue and type wait."

/** Why a task waits. */
export const explanation: typeof ExplanationJson.Type = {
  id,
  status: "pending",
  summary: behind,
  reasons: [{ code: "behind", text: behind, pending: 40, slots: 4, busy: 4 }],
  deadline: null,
  may_start_at: null,
  timestamp: "2026-01-31T12:00:00.000Z"
}

/** What an attempt has logged. */
export const logs: typeof TaskLogsJson.Type = {
  id,
  attempts: [{
    attempt: 1,
    claim: 42,
    instance: "instance-1a2b3c4d",
    logged: 812,
    left_out: 811,
    lines: [{
      line: 1,
      at: "2026-01-31T12:00:00.013Z",
      level: "info",
      text: "read 812 addresses",
      annotations: { tenant: "acme" },
      spans: {},
      cause: null,
      cut: false
    }]
  }]
}

/** Failed tasks by reason. */
const deadLetterGroups: typeof DeadLetterGroupsJson.Type = {
  groups: [{
    type: "email",
    kind: "error",
    tag: "Refused",
    message: "Host mx#.example.org answered #",
    count: 128,
    first_at: "2026-01-31T11:00:00.000Z",
    last_at: "2026-01-31T12:00:00.000Z",
    latest: id
  }],
  more_groups: 0,
  looked: 131,
  complete: true
}

/** What was done to failed tasks. */
const deadLettersDone: typeof DeadLettersDoneJson.Type = { looked: 131, matched: 128, done: 128, next: null }

/** Which failed tasks are meant. */
const deadLetterPart: typeof DeadLetterPartJson.Encoded = { type: ["email"], error_tag: ["Refused"], limit: 100 }

/** The parameters by which failed tasks are chosen. */
export const filterParameters = {
  key: { description: "Only tasks with this idempotency key", schema: { type: "string" } },
  instance: { description: "Only tasks that this instance has claimed last", schema: { type: "string" } },
  trace: {
    description: "Only tasks that were enqueued in this trace",
    schema: { type: "string", pattern: "^[0-9a-f]{32}$" },
    example: "0af7651916cd43dd8448eb211c80319c"
  },
  tag: {
    description: "Only tasks that have all of these tags; repeated, or separated by commas",
    schema: { type: "array", items: { type: "string", minLength: 1 }, maxItems: 10 },
    example: "invoice"
  },
  error_tag: {
    description: "Only tasks whose latest error has one of these tags",
    schema: { type: "array", items: { type: "string" } }
  },
  kind: {
    description: "Only tasks whose latest failure is one of these kinds",
    schema: { type: "array", items: { type: "string", enum: FailureKind.literals } }
  },
  text: {
    description: "Only tasks whose latest error's message has this part; a # stands for a number",
    schema: { type: "string", minLength: 1, maxLength: 200 }
  },
  payload: {
    description: "Only tasks whose payload has this field: a path, an equals sign and a text; repeated for others",
    schema: { type: "array", items: { type: "string" } },
    example: "user.id=42"
  },
  created_since: {
    description: "Only tasks that were made then or later",
    schema: { type: "string", format: "date-time" }
  },
  created_before: { description: "Only tasks that were made earlier", schema: { type: "string", format: "date-time" } },
  ended_since: { description: "Only tasks that ended then or later", schema: { type: "string", format: "date-time" } },
  ended_before: { description: "Only tasks that ended earlier", schema: { type: "string", format: "date-time" } }
}

/** Parameters of dead letters. */
export const deadLetterParameters = {
  tag: { description: "Only tasks that have all of these tags; repeated, or separated by commas", example: "invoice" },
  error_tag: { description: "Only errors with these tags; repeated, or separated by commas" },
  text: { description: "Only errors whose message has this part; a # stands for a number" },
  since: { description: "Only tasks that failed at this time or later", example: "2026-01-31T12:00:00Z" },
  before: { description: "Only tasks that failed before this time", example: "2026-01-31T12:00:00Z" }
}

/** The parameters by which lines are chosen. */
export const logParameters = {
  attempt: { description: "Only what this attempt has logged", schema: { type: "integer", minimum: 1 } },
  level: { description: "Only lines of this level and those above it", schema: { type: "string", enum: levels } }
}

const linked = { id: "fetch-1", type: "echo", status: "completed", waits_for: 0 }

/** What a task waits for, and what waits for it. */
const links = {
  LinkedTask: linked,
  Dependencies: {
    id: "sum",
    on_failure: "fail",
    waits_for: 1,
    total: 2,
    tasks: [linked, { ...linked, id: "fetch-2", status: "running" }],
    next: null
  },
  Dependents: {
    id: "fetch-1",
    tasks: [{ ...linked, id: "sum", status: "scheduled", waits_for: 1 }],
    complete: true,
    next: null
  },
  Branch: { members: 5, own: 0, complete: true },
  BranchCancelled: { members: 5, cancelled: 4, requested: 1, finished: 0, unknown: 0, own: 0 },
  BranchRerun: {
    members: 5,
    rerun: 3,
    waiting: 0,
    running: 0,
    completed: 0,
    recent: 0,
    blocked: 2,
    blocked_by: ["fetch-1"],
    superseded: 0,
    unknown: 0,
    own: 0
  }
}

/** Errors about what a task depends on. */
export const dependencyErrors = {
  UnknownDependency: {
    error: {
      code: "unknown_dependency",
      message:
        "The task at index 1 depends on \"fetch-7\", which no task has as its id: it never existed or has been removed",
      id: "fetch-7",
      index: 1
    }
  },
  DependencyCycle: {
    error: {
      code: "dependency_cycle",
      message: "Tasks depend on each other in a circle, so none can start: fetch, sum, fetch",
      ids: ["fetch", "sum"],
      index: 0
    }
  },
  BranchTooLarge: {
    error: {
      code: "branch_too_large",
      message: new BranchTooLarge({ id: "fetch-1", ...Branches.changed }).message,
      id: "fetch-1",
      max_members: Branches.changed.maxMembers,
      max_edges: Branches.changed.maxEdges
    }
  }
}

const stack: typeof StackJson.Type = {
  id,
  status: "running",
  instance: "instance-1a2b3c4d",
  answered: true,
  attempt: 1,
  slot: 3,
  running_for_ms: 41_000,
  fibers: [{
    parent: null,
    step: "upload",
    frames: [
      {
        name: "putObject",
        called_at: "app/src/Upload.ts:41:12",
        defined_at: "app/src/Storage.ts:8:26",
        since: "2026-01-31T12:00:01.500Z"
      },
      { name: "upload", called_at: "app/src/Handlers.ts:12:24", defined_at: "app/src/Upload.ts:30:23", since: null }
    ],
    more_frames: 0
  }],
  more_fibers: false
}

const definition: typeof DefinitionJson.Type = {
  type: "sleep",
  description: "Waits for the given duration, 1s unless said, at most 1h",
  version: 1,
  queue: "default",
  priority: 1,
  timeout_ms: null,
  payload: { type: "object", properties: { duration: { type: "string", default: "1s" } } },
  result: { type: "object", properties: { slept: { type: "string" } }, required: ["slept"] }
}

/** Examples by the name of a schema. */
export const examples = {
  ...links,
  Graph: {
    id: "sum",
    tasks: [
      { id: "sum", type: "report", status: "scheduled", waits_for: 1 },
      { id: "fetch", type: "http_request", status: "running", waits_for: 0 }
    ],
    edges: [[1, 0]],
    complete: true
  } satisfies typeof GraphJson.Type,
  Definition: definition,
  TaskStack: stack,
  DefinitionList: { definitions: [{ type: "sleep", description: definition.description }] },
  DeadLetterGroups: deadLetterGroups,
  DeadLettersDone: deadLettersDone,
  DeadLetterPart: deadLetterPart
}

/** What holds up a queue. */
export const verdict: typeof VerdictJson.Type = {
  queue: "mail",
  summary: "40 tasks wait; 4 run, and 3 are due later. All 20 slots are busy.",
  action: "Add slots or instances: taskforge scaling says how many",
  causes: [{
    code: "behind",
    text: "All 20 slots are busy.",
    tasks: 40,
    action: "Add slots or instances: taskforge scaling says how many"
  }],
  scheduled: 3,
  pending: 40,
  running: 4,
  waiting_since: "2026-01-31T11:59:12.000Z",
  starts: { timed: 0, late: 0, max_late_ms: 0 },
  slots: 20,
  slots_active: 20,
  timestamp: "2026-01-31T12:00:00.000Z"
}
