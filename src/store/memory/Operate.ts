/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import { decideReopen, free, type ReopenAnswer } from "../../domain/Reopen.ts"
import { idOf, isAsSeen } from "../../domain/Seen.ts"
import { isFinished } from "../../domain/TaskState.ts"
import { dependenciesFirst } from "../Dependencies.ts"
import { decideCancel, decideRerun, decideReschedule } from "../Driver.ts"
import type { RescheduleAnswer } from "../Reschedule.ts"
import { lastClaimForMs, type RerunAnswer, type TaskStore } from "../TaskStore.ts"
import type { LastClaims } from "./Claim.ts"
import { afterOf } from "./Dependencies.ts"
import type { AtOnce, Tasks } from "./Task.ts"

/** The operations. */
export const make = (
  tasks: Tasks,
  at: AtOnce,
  leasesNow: () => number,
  lastClaims: LastClaims
): Pick<TaskStore["Service"], "expire" | "cancel" | "rerun" | "reopen" | "reschedule" | "remove" | "prune"> => ({
  expire: (limit) => at((now) => tasks.expire(limit, now)),

  cancel: (refs) =>
    at((now) => refs.map((ref) => tasks.change(idOf(ref), "unknown", (entry) => decideCancel(entry, now, ref)))),

  rerun: (refs) =>
    at((now) => {
      const answers = refs.map((): RerunAnswer => ({ _tag: "unknown" }))
      for (const place of dependenciesFirst(refs.map(idOf), (id) => afterOf(tasks.find(id)?.node))) {
        const ref = refs[place]!
        answers[place] = tasks.change<RerunAnswer>(idOf(ref), { _tag: "unknown" }, (entry) => {
          const decision = decideRerun(entry, now, 0, ref)
          if (decision[0]._tag !== "rerun" || entry.node === undefined) return decision
          return decideRerun(entry, now, tasks.dependencies.reconnect(entry.node), ref)
        })
      }
      return answers
    }),

  reopen: (ids, options) =>
    at((now) =>
      ids.map((id): ReopenAnswer => {
        const entry = tasks.log.get(id)
        if (entry === undefined) return { _tag: "unknown" }
        const { node } = entry
        const [answer, change] = decideReopen(
          entry,
          now,
          options,
          node === undefined ? free : tasks.dependencies.standing(node)
        )
        if (change === undefined) return answer
        if (node !== undefined) tasks.dependencies.reconnect(node)
        if (answer._tag === "waiting") tasks.waitFor(entry, change)
        else tasks.apply(entry, [answer, change])
        return answer
      })
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

  remove: (refs) =>
    at(() =>
      refs.map((ref) => {
        const entry = tasks.log.get(idOf(ref))
        if (entry === undefined || !isAsSeen(entry, ref)) return "unknown"
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
