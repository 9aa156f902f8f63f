/** What another process on the same store does: it leaves tasks there, claims some, and may die with them. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { ClaimedTask, NewTask } from "../../src/domain/TaskRecord.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"

/** Stores a task of type `work` with defaults. */
export const enqueue = Effect.fnUntraced(function*(id: string, fields: Partial<NewTask> = {}) {
  const store = yield* TaskStore
  yield* store.enqueue([[{
    id,
    type: "work",
    queue: "default",
    payload: "null",
    priority: 1,
    key: null,
    maxRetries: 3,
    timeoutMs: null,
    gate: null,
    costs: null,
    delayMs: 0,
    runAt: null,
    expiresInMs: null,
    startWithinMs: null,
    ...fields
  }]])
})

/** Claims the task of type `work` that is next, with a lease that nobody will extend. */
export const claim = Effect.fnUntraced(function*(
  { leaseForMs = 15_000, instance = "other" } = {}
): Effect.fn.Return<ClaimedTask, unknown, TaskStore> {
  const store = yield* TaskStore
  const { tasks } = yield* store.claim({
    queues: ["default"],
    types: ["work"],
    limit: 1,
    instance,
    leaseForMs,
    nonce: ++nonce
  })
  return tasks[0] ?? assert.fail("There was nothing to claim")
})

let nonce = 0
