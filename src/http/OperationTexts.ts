/** What the API's description says of operations on many tasks: examples, and what parameters mean. */
import type { NewOperationJson, OperationJson, OperationPreviewJson, WantedJson } from "./api/OperationsApi.ts"
import { pageSize } from "./api/RequestValues.ts"

const id = "01a20f46-60fe-779b-a926-cef2c43ec95c"

const filter = { status: ["pending"], type: ["email"], payload: { "user.id": "42" } } as const

const operation: OperationJson = {
  id,
  name: "Mail to a closed account",
  action: "cancel",
  filter,
  priority: null,
  run_at: null,
  why: "The account was closed",
  by: "ada",
  rate: 100,
  max: null,
  status: "running",
  expected: 1200,
  expected_complete: true,
  looked: 820,
  matched: 800,
  done: 798,
  unsure: 0,
  undo: { tasks: 798, until: null },
  restored: 0,
  created_at: "2026-01-31T12:00:00.000Z",
  ended_at: null,
  aborted: null,
  undone: null
}

const wanted: typeof WantedJson.Encoded = { action: "cancel", filter }

const newOperation: typeof NewOperationJson.Encoded = { ...wanted, why: "The account was closed", rate: 100 }

const preview: typeof OperationPreviewJson.Type = {
  count: 1200,
  complete: true,
  looked: 1300,
  can_undo: true,
  sample: []
}

/** Examples by the name of a schema. */
export const examples = {
  TaskFilter: filter,
  ShownFilter: filter,
  WantedOperation: wanted,
  NewOperation: newOperation,
  OperationPreview: preview,
  Operation: operation,
  OperationPage: { operations: [operation], next: null },
  OperationDeed: { by: "ada" },
  OperationNotFound: {
    error: {
      code: "operation_not_found",
      message: `No operation has the id "${id}": it never existed, or is too long ago`,
      operation: id
    }
  },
  OperationRefused: {
    error: {
      code: "operation_refused",
      message: `The operation "${id}" has ended already`,
      operation: id,
      reason: "ended"
    }
  }
}

const one = { operation: { description: "The operation's id", example: id } }

/** Parameters by operation of the API. */
export const parameters = {
  "operations.get": one,
  "operations.abort": one,
  "operations.undo": one,
  "operations.list": {
    limit: {
      description: "Maximum number of operations on the page: 100, whatever is said",
      schema: { type: "integer", minimum: 1, maximum: pageSize.max, default: pageSize.default }
    }
  }
}
