/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import { isFinished } from "../../domain/TaskState.ts"
import { decideCancel, decideRerun, decideReschedule } from "../Driver.ts"
import type { RescheduleAnswer } from "../Reschedule.ts"
import { lastClaimForMs, type RerunAnswer, type TaskStore } from "../TaskStore.ts"
import type { LastClaims } from "./Claim.ts"
import type { AtOnce, Tasks } from "./Task.ts"

/** The operations. */
export const make = (
  tasks: Tasks,
  at: AtOnce,
  leasesNow: () => number,
  lastClaims: LastClaims
): Pick<TaskStore["Service"], "expire" | "cancel" | "rerun" | "reschedule" | "remove" | "prune"> => ({
  expire: (limit) => at((now) => tasks.expire(limit, now)),

  cancel: (ids) => at((now) => ids.map((id) => tasks.change(id, "unknown", (entry) => decideCancel(entry, now)))),

  rerun: (ids) =>
    at((now) =>
      ids.map((id) =>
        tasks.change<RerunAnswer>(id, { _tag: "unknown" }, (entry) => {
          const [answer] = decideRerun(entry, now)
          if (answer._tag !== "rerun" || entry.node === undefined) return decideRerun(entry, now)
          return decideRerun(entry, now, tasks.dependencies.reconnect(entry.node))
        })
      )
    ),

  reschedule: (requests) =>
    at((now) =>
      requests.map((request) =>
        tasks.change<RescheduleAnswer>(
          request.id,
          { _tag: "unknown" },
          (entry) => decideReschedule(entry, request, now)
        )
      )
    ),

  remove: (ids) =>
    at(() =>
      ids.map((id) => {
        const entry = tasks.log.get(id)
        if (entry === undefined) return "unknown"
        if (!isFinished(entry.state)) return "unfinished"
        if (entry.node?.isAwaited === true) return "awaited"
        tasks.remove(entry)
        return "removed"
      })
    ),

  prune: (retention, limit) =>
    at((now) => {
      lastClaims.forget(leasesNow() - lastClaimForMs)
      tasks.passes.sweep(now)
      tasks.finished.look()
      let removed = 0
      for (; removed < limit; removed++) {
        const entry = tasks.finished.expired(retention, tasks.size, now)
        if (entry === undefined) break
        tasks.remove(entry)
      }
      return removed
    })
})
