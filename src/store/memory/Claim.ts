/**
 * Handing out work: promotes what is due, then leases the tasks of lowest rank among the lanes asked for.
 */
import type { ClaimedTask } from "../../domain/TaskRecord.ts"
import { wantedOf } from "../Lanes.ts"
import { earlier } from "../Order.ts"
import { type ClaimAnswer, type ClaimRequest, maxExpired } from "../TaskStore.ts"
import type { Entry } from "./Lists.ts"
import type { Tasks } from "./Task.ts"

/** Answers a claim, or answers the instance's last one again. */
export const claim = (
  tasks: Tasks,
  lastClaims: LastClaims,
  request: ClaimRequest,
  now: number,
  leasesNow: number
): ClaimAnswer => {
  tasks.promote(now)
  tasks.dependencies.tell(now)
  tasks.keeper.begin(now)
  const last = lastClaims.get(request.instance, request.nonce)
  if (last !== undefined) {
    const held = last.filter((task) => tasks.held(task.id, task.claim) !== undefined)
    return { tasks: held, now, nextDueAt: nextDueAt(tasks) }
  }
  if (request.limit <= 0) return { tasks: [], now, nextDueAt: nextDueAt(tasks) }
  const expired = tasks.expire(maxExpired, now)
  if (expired.length === maxExpired) return { tasks: [], now, nextDueAt: now, expired }
  const claimed = tasks.pending.take(wantedOf(request, tasks.rules), request.limit).map((entry): ClaimedTask => {
    tasks.begin(entry, request.instance, leasesNow + request.leaseForMs, now)
    return claimedTask(entry)
  })
  if (claimed.length > 0) lastClaims.remember(request.instance, { nonce: request.nonce, at: leasesNow, tasks: claimed })
  const asksAgain = tasks.keeper.isHalted || tasks.dependencies.hasMore
  return { tasks: claimed, now, nextDueAt: asksAgain ? now : nextDueAt(tasks), expired }
}

const nextDueAt = ({ keeper, scheduled }: Tasks): number | null => earlier(scheduled.nextDueAt(), keeper.nextOpenAt())

const claimedTask = (entry: Entry): ClaimedTask => ({
  id: entry.id,
  type: entry.type,
  queue: entry.queue,
  payload: entry.payload,
  priority: entry.priority,
  maxRetries: entry.maxRetries,
  timeoutMs: entry.timeoutMs,
  gate: entry.gate,
  costs: entry.costs,
  dueAt: entry.dueAt,
  startBy: entry.startBy,
  trace: entry.trace,
  failures: entry.failures,
  crashes: entry.crashes,
  attempt: entry.claims,
  claim: entry.claim
})

interface LastClaim {
  readonly nonce: number
  readonly at: number
  readonly tasks: ReadonlyArray<ClaimedTask>
}

/** The last claim of each instance that gave tasks, so that repeating its nonce gives them again. */
export class LastClaims {
  private readonly byInstance = new Map<string, LastClaim>()

  /** What the instance's last claim gave, if it bore this nonce. */
  get(instance: string, nonce: number): ReadonlyArray<ClaimedTask> | undefined {
    const last = this.byInstance.get(instance)
    return last?.nonce === nonce ? last.tasks : undefined
  }

  remember(instance: string, last: LastClaim): void {
    this.byInstance.set(instance, last)
  }

  /** Forgets the claims made by then, so that instances that have gone leave nothing behind. */
  forget(until: number): void {
    for (const [instance, { at }] of this.byInstance) if (at <= until) this.byInstance.delete(instance)
  }
}
