/**
 * What happens to a running attempt: its lease is prolonged, it reports, it ends, or it is taken back.
 */
import * as Settlement from "../../domain/Settlement.ts"
import {
  type ClaimRef,
  type ExtendAnswer,
  type ProgressReport,
  type Rescued,
  rescuedOf,
  type RescueRequest
} from "../TaskStore.ts"
import type { Tasks } from "./Task.ts"

export const extend = (tasks: Tasks, { claim, id }: ClaimRef, leaseUntil: number): ExtendAnswer => {
  const entry = tasks.held(id, claim)
  if (entry === undefined) return "lost"
  entry.leaseUntil = leaseUntil
  return entry.cancelRequested ? "cancel" : "held"
}

export const report = (tasks: Tasks, { claim, id, progress }: ProgressReport): void => {
  const entry = tasks.held(id, claim)
  if (entry !== undefined) entry.progress = progress
}

export const settle = (
  tasks: Tasks,
  settlement: Settlement.Settlement,
  now: number
): Settlement.SettleAnswer => {
  const entry = tasks.log.get(settlement.id)
  if (entry === undefined) return "stale"
  const answer = Settlement.fence(entry, settlement.claim)
  if (answer === "applied") {
    const change = Settlement.settle(entry, settlement, now)
    if (settlement._tag === "Retry" && change.state !== "cancelled") tasks.totals.retried++
    tasks.apply(entry, change)
  }
  return answer
}

export const rescue = (
  tasks: Tasks,
  maxCrashes: number,
  request: RescueRequest,
  now: number,
  leasesNow: number
): ReadonlyArray<Rescued> =>
  tasks.running.expired(request, leasesNow).map((entry) => {
    const change = Settlement.rescue(entry, maxCrashes, now)
    tasks.apply(entry, change)
    tasks.totals.crashed++
    return rescuedOf(entry, change)
  })
