/**
 * What happens to a running attempt: its lease is prolonged, it reports, it ends, or it is taken back.
 */
import type { DatabaseSync } from "node:sqlite"
import { decideRescue, decideSettle } from "../Driver.ts"
import { columns, recordOf, type Row } from "../TaskRow.ts"
import { rescuable } from "../TaskStore.ts"
import { prepare } from "./Database.ts"
import { type Dependencies, maxToldTogether } from "./Dependencies.ts"
import type { Tasks } from "./Task.ts"
import type { Operations } from "./Writer.ts"

/** Prepares the operations. */
export const make = (
  database: DatabaseSync,
  tasks: Tasks,
  dependencies: Dependencies,
  maxCrashes: number
): Operations<"extend" | "report" | "settle" | "rescue"> => {
  // every write to an attempt is fenced by its claim number
  const fence = "id = ? AND claim = ? AND state = 2"
  const prolong = prepare<[cancelRequested: number]>(
    database,
    `UPDATE task SET lease_until = ? WHERE ${fence} RETURNING cancel_requested`
  )
  const setProgress = prepare(database, `UPDATE task SET progress = ? WHERE ${fence}`)
  // `Settlement.settle` for Complete, in one statement: nearly every attempt ends this way, of a task that no other depends on
  const completed =
    "UPDATE task SET state = 3, completed_at = ?, settled_claim = claim, result = ?, failure = NULL, lease_until = NULL"
  const complete = prepare(database, `${completed} WHERE ${fence} AND edges = told`)
  // where the number of the task is known: the index of ids costs a fifth of the statement
  const completeKnown = prepare(database, `${completed} WHERE ${fence} AND seq = ? AND edges = told`)
  // and of one that a few depend on, which are told of all those that are settled together
  const completeMember = prepare(
    database,
    `${completed}, told = edges WHERE ${fence} AND seq = ? AND told = 0 AND edges BETWEEN 1 AND ${maxToldTogether}`
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
      const { lanes } = transaction
      const seqs = settlements.map(({ claim }) => lanes.seqOf(claim))
      const completed: Array<number> = []
      const members: Array<number> = []
      const answers = settlements.map((settlement, index) => {
        if (settlement._tag === "Complete") {
          const { claim, id, result } = settlement
          const seq = seqs[index]
          if (seq !== undefined && dependencies.isMember(claim)) {
            if (completeMember.run(transaction.now, result, id, claim, seq).changes === 1) {
              completed.push(claim)
              members.push(seq)
              return "applied"
            }
          }
          const { changes } = seq === undefined
            ? complete.run(transaction.now, result, id, claim)
            : completeKnown.run(transaction.now, result, id, claim, seq)
          if (changes === 1) {
            completed.push(claim)
            return "applied"
          }
        }
        return tasks.change(transaction, settlement.id, "stale", (task, now) => decideSettle(task, settlement, now))
      })
      // all at once: each is cheap, but not between two statements
      for (const claim of completed) lanes.ended(claim)
      transaction.tally.move("running", "completed", completed.length)
      dependencies.completed(transaction, tasks, members)
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
