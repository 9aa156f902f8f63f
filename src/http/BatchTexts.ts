/** What the API's description says of batches: examples, and what parameters mean. */
import type { BatchJson, MembersJson, NewBatchJson, NewMembersJson } from "./api/BatchesApi.ts"
import { pageSize } from "./api/RequestValues.ts"

const id = "01a20f46-60fe-779b-a926-cef2c43ec95c"

const batch: BatchJson = {
  id: "holiday",
  name: "Pictures of the holiday",
  status: "sealed",
  total: 1200,
  completed: 798,
  failed: 2,
  cancelled: 0,
  expired: 0,
  percent: 66,
  on_success: null,
  on_failure: null,
  on_finished: id,
  created_at: "2026-01-31T12:00:00.000Z",
  finished_at: null
}

const newBatch: typeof NewBatchJson.Encoded = {
  id: "holiday",
  name: "Pictures of the holiday",
  tasks: [{ type: "echo", payload: { picture: 1 } }, { type: "echo", payload: { picture: 2 } }],
  on_finished: { type: "echo", payload: { album: "holiday" } }
}

const newMembers: typeof NewMembersJson.Encoded = {
  tasks: [{ type: "echo", payload: { picture: 3 } }],
  addition: "file-2"
}

const members: typeof MembersJson.Type = { members: [{ id, duplicate: false }] }

/** Examples by the name of a schema. */
export const examples = {
  Batch: batch,
  NewBatch: newBatch,
  NewMembers: newMembers,
  Members: members,
  BatchPage: { batches: [batch], next: null },
  BatchNotFound: {
    error: {
      code: "batch_not_found",
      message: "No batch has the id \"holiday\": it never existed or has been removed",
      batch: "holiday"
    }
  },
  BatchFinished: {
    error: {
      code: "batch_finished",
      message: "The batch \"holiday\" has finished, and takes no more members",
      batch: "holiday",
      reason: "finished"
    }
  }
}

const one = { batch: { description: "The batch's id", example: "holiday" } }

/** Parameters by operation. */
export const parameters = {
  "batches.get": one,
  "batches.add": one,
  "batches.seal": one,
  "batches.cancel": one,
  "batches.list": {
    limit: {
      description: "Maximum number of batches on the page",
      schema: { type: "integer", minimum: 1, maximum: pageSize.max, default: pageSize.default }
    }
  }
}
