/**
 * Handing out work: promotes what is due, then leases the tasks of lowest rank among the lanes asked for.
 */
import type { ClaimedTask } from "../../domain/TaskRecord.ts"
import type { ClaimAnswer, ClaimRequest } from "../TaskStore.ts"
import type { Entry } from "./Entry.ts"
import type { LastClaims } from "./LastClaims.ts"
import type { Tasks } from "./Tasks.ts"

/** Answers a claim, or answers the worker's last one again. */
export const claim = (
  tasks: Tasks,
  lastClaims: LastClaims,
  request: ClaimRequest,
  now: number,
  leasesNow: number
): ClaimAnswer => {
  tasks.promote(now)
  const last = lastClaims.get(request.worker, request.nonce)
  if (last !== undefined) {
    const held = last.filter((task) => tasks.held(task.id, task.claim) !== undefined)
    return { tasks: held, now, nextDueAt: tasks.waiting.nextDueAt() }
  }
  const queues = request.queues.filter((queue) => !tasks.paused.has(queue))
  const claimed = tasks.waiting.take(queues, request.types, request.limit).map((entry): ClaimedTask => {
    tasks.begin(entry, request.worker, leasesNow + request.leaseForMs, now)
    return claimedTask(entry)
  })
  if (claimed.length > 0) lastClaims.remember(request.worker, { nonce: request.nonce, at: leasesNow, tasks: claimed })
  return { tasks: claimed, now, nextDueAt: tasks.waiting.nextDueAt() }
}

const claimedTask = (entry: Entry): ClaimedTask => ({
  id: entry.id,
  type: entry.type,
  queue: entry.queue,
  payload: entry.payload,
  priority: entry.priority,
  maxRetries: entry.maxRetries,
  timeoutMs: entry.timeoutMs,
  dueAt: entry.dueAt,
  failures: entry.failures,
  crashes: entry.crashes,
  claim: entry.claim
})
