/** What the API's description says of signals and steps: examples, and what parameters mean. */
import { pageSize } from "./api/RequestValues.ts"
import type { SignalEndJson, SignalJson } from "./api/SignalJson.ts"
import { defaultSteps, type TaskStepsJson } from "./api/StepsJson.ts"

const id = "01a20f46-60fe-779b-a926-cef2c43ec95c"

const end: typeof SignalEndJson.Type = { success: { by: "ada" } }

const signal: typeof SignalJson.Type = {
  name: "approval",
  task: id,
  status: "succeeded",
  success: { by: "ada" },
  completed_at: "2026-01-31T12:00:00.000Z"
}

const steps: typeof TaskStepsJson.Type = {
  id,
  count: 2,
  left_out: 0,
  steps: [{
    name: "charge",
    status: "succeeded",
    attempt: 1,
    started_at: "2026-01-31T12:00:00.013Z",
    ms: 212.4,
    until: null,
    signal: null,
    bytes: 52,
    issue: null
  }, {
    name: "signal approval",
    status: "waiting",
    attempt: 1,
    started_at: "2026-01-31T12:00:00.230Z",
    ms: 0,
    until: "2026-02-03T12:00:00.231Z",
    signal: "approval",
    bytes: 131,
    issue: null
  }],
  running: [],
  unasked: [],
  timestamp: "2026-01-31T12:05:00.000Z"
}

/** Examples by the name of a schema. */
export const examples = {
  Signal: signal,
  SignalEnd: end,
  SignalOutcome: { status: "failed", error: { reason: "too much" } },
  Step: steps.steps[0],
  TaskSteps: steps,
  SignalNotFound: {
    error: {
      code: "signal_not_found",
      message: `No signal has the token "approval.Zm9v"`,
      token: "approval.Zm9v"
    }
  },
  SignalConflict: {
    error: {
      code: "signal_conflict",
      message: `The signal "paid:invoice-42" was completed before, with another value`,
      token: "paid:invoice-42",
      kept: { status: "succeeded", success: { amount: 42 } }
    }
  }
}

/** Examples by operation, where a schema has none of its own. */
export const operations = {
  "signals.completeEvent": { 200: { ...signal, name: "paid", task: null } }
}

const token = {
  description: "The token that the task has handed out, or an event's: name:key",
  example: "paid:invoice-42"
}

/** Parameters by operation. */
export const parameters = {
  "signals.get": { token },
  "signals.complete": { token },
  "signals.completeEvent": {
    name: { description: "The name of the signal", example: "paid" },
    key: { description: "The key that those that wait know", example: "invoice-42" }
  },
  "tasks.steps": {
    limit: {
      description: "The latest so many steps",
      schema: { type: "integer", minimum: 1, maximum: pageSize.max, default: defaultSteps }
    }
  }
}
