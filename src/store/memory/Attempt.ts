/**
 * What happens to a running attempt: its lease is prolonged, it reports, it ends, or it is taken back.
 */
import { Effect } from "effect"
import { decideRescue, decideSettle } from "../Driver.ts"
import type { TaskStore } from "../TaskStore.ts"
import type { AtOnce, Tasks } from "./Task.ts"

/** The operations. Leases are measured by a clock of their own. */
export const make = (
  tasks: Tasks,
  at: AtOnce,
  leasesNow: () => number,
  maxCrashes: number
): Pick<TaskStore["Service"], "extend" | "report" | "settle" | "rescue"> => ({
  extend: (refs, leaseForMs) =>
    Effect.sync(() => {
      const leaseUntil = leasesNow() + leaseForMs
      return refs.map(({ claim, id }) => {
        const entry = tasks.held(id, claim)
        if (entry === undefined) return "lost"
        entry.leaseUntil = leaseUntil
        return entry.cancelRequested ? "cancel" : "held"
      })
    }),

  report: (reports) =>
    Effect.sync(() => {
      for (const { claim, id, progress } of reports) {
        const entry = tasks.held(id, claim)
        if (entry !== undefined) entry.progress = progress
      }
    }),

  settle: (settlements) =>
    at((now) =>
      settlements.map((settlement) =>
        tasks.change(settlement.id, "stale", (entry) => decideSettle(entry, settlement, now))
      )
    ),

  rescue: (request) =>
    at((now) => {
      const measured = leasesNow()
      const rescued = tasks.running.expired(request, measured).map((entry) =>
        tasks.apply(entry, decideRescue(entry, maxCrashes, now))
      )
      return { now: measured, rescued }
    })
})
