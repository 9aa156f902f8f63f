/**
 * What happens to a running attempt: its lease is prolonged, it reports, it ends, or it is taken back.
 */
import type { DatabaseSync } from "node:sqlite"
import * as Settlement from "../../domain/Settlement.ts"
import { columns, recordOf, type Row } from "../TaskRow.ts"
import {
  type ClaimRef,
  type ExtendAnswer,
  type ProgressReport,
  rescuable,
  type RescueAnswer,
  rescuedOf,
  type RescueRequest
} from "../TaskStore.ts"
import { prepare } from "./Database.ts"
import type { Tasks } from "./Task.ts"
import type { Transaction } from "./Writer.ts"

/** Prepares the operations. */
export const make = (database: DatabaseSync, tasks: Tasks, maxCrashes: number) => {
  // every write to an attempt is fenced by its claim number
  const fence = "id = ? AND claim = ? AND state = 2"
  const prolong = prepare<[cancelRequested: number]>(
    database,
    `UPDATE task SET lease_until = ? WHERE ${fence} RETURNING cancel_requested`
  )
  const setProgress = prepare(database, `UPDATE task SET progress = ? WHERE ${fence}`)
  // `Settlement.settle` for Complete, in one statement: nearly every attempt ends this way
  const complete = prepare(
    database,
    `UPDATE task SET state = 3, completed_at = ?, settled_claim = claim, result = ?, failure = NULL,
      lease_until = NULL WHERE ${fence}`
  )
  const expired = prepare<Row>(
    database,
    `SELECT ${columns} FROM task WHERE state = 2 AND lease_until <= ? ORDER BY lease_until, seq LIMIT ?`
  )
  const farAhead = prepare<Row>(
    database,
    `SELECT ${columns} FROM task WHERE state = 2 AND lease_until > ? ORDER BY lease_until, seq LIMIT ?`
  )

  /** What `Settlement` decides, read and written. */
  const settleOne = (transaction: Transaction, settlement: Settlement.Settlement): Settlement.SettleAnswer => {
    const { claim, id } = settlement
    const task = tasks.find(id)
    if (task === undefined) return "stale"
    const answer = Settlement.fence(task, claim)
    if (answer === "applied") {
      const change = Settlement.settle(task, settlement, transaction.now)
      if (settlement._tag === "Retry" && change.state !== "cancelled") transaction.tally.count("retried")
      tasks.apply(transaction, task, change)
    }
    return answer
  }

  return {
    extend: ({ now }: Transaction, refs: ReadonlyArray<ClaimRef>, leaseForMs: number): ReadonlyArray<ExtendAnswer> =>
      refs.map(({ claim, id }) => {
        const row = prolong.get(now + leaseForMs, id, claim)
        return row === undefined ? "lost" : row[0] === 1 ? "cancel" : "held"
      }),

    report: (_: Transaction, reports: ReadonlyArray<ProgressReport>): void => {
      for (const { claim, id, progress } of reports) setProgress.run(progress, id, claim)
    },

    settle: (
      transaction: Transaction,
      settlements: ReadonlyArray<Settlement.Settlement>
    ): ReadonlyArray<Settlement.SettleAnswer> => {
      let completed = 0
      const answers = settlements.map((settlement) => {
        if (settlement._tag === "Complete") {
          const { claim, id, result } = settlement
          if (complete.run(transaction.now, result, id, claim).changes === 1) {
            completed++
            return "applied"
          }
        }
        return settleOne(transaction, settlement)
      })
      transaction.tally.move("running", "completed", completed)
      return answers
    },

    rescue: (
      transaction: Transaction,
      request: RescueRequest
    ): RescueAnswer => {
      const { now, tally } = transaction
      const leases = rescuable(request, now)
      if (leases === undefined) return { now, rescued: [] }
      const { limit } = request
      const rows = expired.all(leases.until, limit)
      if (rows.length < limit) rows.push(...farAhead.all(leases.after, limit - rows.length))
      const rescued = rows.map((row) => {
        const task = recordOf(row)
        const change = Settlement.rescue(task, maxCrashes, now)
        tally.count("crashed")
        tasks.apply(transaction, task, change)
        return rescuedOf(task, change)
      })
      return { now, rescued }
    }
  }
}
