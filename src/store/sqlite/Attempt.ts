/**
 * What happens to a running attempt: its lease is prolonged, it reports, it ends, or it is taken back.
 */
import type { DatabaseSync } from "node:sqlite"
import { decideRescue, decideSettle } from "../Driver.ts"
import { columns, recordOf, type Row } from "../TaskRow.ts"
import { rescuable } from "../TaskStore.ts"
import { prepare } from "./Database.ts"
import type { Tasks } from "./Task.ts"
import type { Operations } from "./Writer.ts"

/** Prepares the operations. */
export const make = (
  database: DatabaseSync,
  tasks: Tasks,
  maxCrashes: number
): Operations<"extend" | "report" | "settle" | "rescue"> => {
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

  return {
    extend: ({ now }, refs, leaseForMs) =>
      refs.map(({ claim, id }) => {
        const row = prolong.get(now + leaseForMs, id, claim)
        return row === undefined ? "lost" : row[0] === 1 ? "cancel" : "held"
      }),

    report: (_, reports) => {
      for (const { claim, id, progress } of reports) setProgress.run(progress, id, claim)
    },

    settle: (transaction, settlements) => {
      let completed = 0
      const answers = settlements.map((settlement) => {
        if (settlement._tag === "Complete") {
          const { claim, id, result } = settlement
          if (complete.run(transaction.now, result, id, claim).changes === 1) {
            completed++
            transaction.lanes.ended(claim)
            return "applied"
          }
        }
        return tasks.change(transaction, settlement.id, "stale", (task, now) => decideSettle(task, settlement, now))
      })
      transaction.tally.move("running", "completed", completed)
      return answers
    },

    rescue: (transaction, request) => {
      const { now } = transaction
      const leases = rescuable(request, now)
      if (leases === undefined) return { now, rescued: [] }
      const { limit } = request
      const rows = expired.all(leases.until, limit)
      if (rows.length < limit) rows.push(...farAhead.all(leases.after, limit - rows.length))
      const rescued = rows.map(recordOf)
        .map((task) => tasks.apply(transaction, task, decideRescue(task, maxCrashes, now)))
      return { now, rescued }
    }
  }
}
