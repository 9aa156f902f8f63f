import type { TaskJson } from "../../src/http/api/TaskJson.ts"

/** What the servers that do nothing answer: as much as a new task. */
export const answer: TaskJson = {
  id: "01234567-89ab-7def-8123-456789abcdef",
  type: "echo",
  payload: {},
  priority: 1,
  status: "pending",
  created_at: "2026-01-01T00:00:00.000Z",
  started_at: null,
  completed_at: null,
  result: null,
  error: null,
  retry_count: 0,
  max_retries: 3,
  queue: "default",
  key: null,
  due_at: "2026-01-01T00:00:00.000Z",
  timeout_ms: null,
  expires_at: null,
  start_by: null,
  attempts: 0,
  failures: 0,
  crashes: 0,
  progress: null,
  instance: null,
  cancel_requested: false,
  history: []
}
