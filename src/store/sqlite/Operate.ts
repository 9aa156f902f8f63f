/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import type { DatabaseSync } from "node:sqlite"
import { decideReopen, free, type ReopenAnswer } from "../../domain/Reopen.ts"
import { idOf, isAsSeen } from "../../domain/Seen.ts"
import { finished, type FinishedState, isFinished } from "../../domain/TaskState.ts"
import { dependenciesFirst, maxTold } from "../Dependencies.ts"
import { decideCancel, decideExpire, decideRerun, decideReschedule } from "../Driver.ts"
import type { RescheduleAnswer } from "../Reschedule.ts"
import { columns, recordOf, type Row, stateCode } from "../TaskRow.ts"
import { keyedForMs, lastClaimForMs, type RerunAnswer } from "../TaskStore.ts"
import { prepare } from "./Database.ts"
import type { Dependencies } from "./Dependencies.ts"
import type { Tasks } from "./Task.ts"
import type { Operations } from "./Writer.ts"

/** Prepares the operations. */
export const make = (
  database: DatabaseSync,
  tasks: Tasks,
  dependencies: Dependencies
): Operations<"expire" | "cancel" | "rerun" | "reopen" | "reschedule" | "remove" | "prune"> => {
  const deleteTask = prepare(database, "DELETE FROM task WHERE seq = ?")

  return {
    expire: expiring(database, tasks),

    cancel: (transaction, refs) =>
      refs.map((ref) => tasks.change(transaction, idOf(ref), "unknown", (task, now) => decideCancel(task, now, ref))),

    rerun: (transaction, refs) => {
      const answers = refs.map((): RerunAnswer => ({ _tag: "unknown" }))
      const ids = refs.map(idOf)
      const after = dependencies.among(ids)
      for (const place of dependenciesFirst(ids, (id) => after.get(id) ?? [])) {
        const ref = refs[place]!
        answers[place] = tasks.change<RerunAnswer>(transaction, idOf(ref), { _tag: "unknown" }, (task, now) => {
          const decision = decideRerun(task, now, 0, ref)
          return decision[0]._tag !== "rerun" || task.onFailure === null
            ? decision
            : decideRerun(task, now, dependencies.reconnect(task), ref)
        })
      }
      return answers
    },

    reopen: (transaction, ids, options) =>
      ids.map((id) =>
        tasks.change<ReopenAnswer>(transaction, id, { _tag: "unknown" }, (task, now) => {
          const standing = task.onFailure === null ? free : dependencies.standing(task)
          const decision = decideReopen(task, now, options, standing)
          if (decision[1] !== undefined && task.onFailure !== null) dependencies.reconnect(task)
          return decision
        })
      ),

    reschedule: (transaction, requests) =>
      requests.map((request) =>
        tasks.change<RescheduleAnswer>(
          transaction,
          request.id,
          { _tag: "unknown" },
          (task, now) => decideReschedule(task, request, now)
        )
      ),

    remove: ({ lanes, tally }, refs) =>
      refs.map((ref) => {
        const task = tasks.find(idOf(ref))
        if (task === undefined || !isAsSeen(task, ref)) return "unknown"
        if (!isFinished(task.state)) return "unfinished"
        if (dependencies.isAwaited(task.seq)) return "awaited"
        dependencies.disconnect(task.seq, Number.MAX_SAFE_INTEGER)
        deleteTask.run(task.seq)
        tally.remove(task.state, 1)
        lanes.touch(task.gate)
        return "removed"
      }),

    prune: pruning(database, dependencies)
  }
}

/** Ends waiting tasks that have expired. */
export const expiring = (database: DatabaseSync, tasks: Tasks): Operations<"expire">["expire"] => {
  const expired = prepare<Row>(
    database,
    `SELECT ${columns} FROM task INDEXED BY task_expires WHERE state < 2 AND expires_at <= ? ORDER BY expires_at LIMIT ?`
  )
  return (transaction, limit) => {
    const { lanes: { upcoming }, now, version } = transaction
    if (!upcoming.mayExpire(version, now)) return []
    // those that were claimed since do not wait any more
    upcoming.forget()
    return expired.all(now, limit).flatMap((row) => {
      const task = recordOf(row)
      return tasks.apply(transaction, task, decideExpire(task, now)) ?? []
    })
  }
}

interface Candidate {
  readonly seq: number
  readonly completedAt: number
  /** Whether it depends on others, or others on it. */
  readonly isConnected: boolean
}

/** Connected tasks that one look for those that may go looks at. */
const maxLooked = 1000

/** A place in the order of ends. */
type End = readonly [completedAt: number, seq: number]

const beforeAll: End = [-1, -1]

/**
 * Forgetting finished tasks: first those that are too old, then the oldest beyond the number to keep. Of those that are connected a
 * part is looked at each time, the next ones after those of the last time: many may have to stay.
 */
const pruning = (database: DatabaseSync, dependencies: Dependencies): Operations<"prune">["prune"] => {
  // one stretch of `task_finished`: a state, unkeyed or keyed, oldest first
  const oldest = prepare<[seq: number, completedAt: number]>(
    database,
    `SELECT seq, completed_at FROM task
      WHERE state = ? AND state >= 3 AND edges = 0 AND dependencies = 0 AND (key IS NULL) = ? AND completed_at <= ?
      ORDER BY completed_at, seq LIMIT ?`
  )
  const connected = prepare<[seq: number, completedAt: number, keyed: number]>(
    database,
    `SELECT seq, completed_at, key IS NOT NULL FROM task INDEXED BY task_connected
      WHERE state = ? AND state >= 3 AND (edges > 0 OR dependencies > 0) AND completed_at <= ?
        AND (completed_at, seq) > (?, ?) ORDER BY completed_at, seq LIMIT ${maxLooked}`
  )
  // no fewer than the tasks that have to stay because of those that wait
  const awaited = prepare<[count: number | null]>(
    database,
    "SELECT sum(dependencies) FROM task INDEXED BY task_dependent WHERE state < 3 AND dependencies > 0"
  )
  const deleteTask = prepare(database, "DELETE FROM task WHERE seq = ?")
  const forgetClaims = prepare(database, "DELETE FROM last_claim WHERE claimed_at <= ?")
  /** Behind which the next look begins, by what is looked for. */
  const places = new Map<string, End>()

  const connectedOf = (state: FinishedState, name: string, until: (keyed: boolean) => number): Array<Candidate> => {
    const rows = connected.all(stateCode[state], until(false), ...places.get(name) ?? beforeAll)
    const last = rows.at(-1)
    if (last === undefined || rows.length < maxLooked) places.delete(name)
    else places.set(name, [last[1], last[0]])
    return rows.filter(([seq, completedAt, keyed]) => completedAt <= until(keyed === 1) && !dependencies.isAwaited(seq))
      .map(([seq, completedAt]) => ({ seq, completedAt, isConnected: true }))
  }

  /** The oldest tasks of a state, at most `limit`, that finished by `until` of their keyedness. */
  const candidates = (
    state: FinishedState,
    limit: number,
    name: string,
    until: (keyed: boolean) => number
  ): Array<Candidate> =>
    limit <= 0 ?
      [] :
      [false, true].flatMap((keyed) =>
        oldest.all(stateCode[state], keyed ? 0 : 1, until(keyed), limit)
          .map(([seq, completedAt]) => ({ seq, completedAt, isConnected: false }))
      ).concat(connectedOf(state, name, until))
        .sort((a, b) => a.completedAt - b.completedAt || a.seq - b.seq).slice(0, limit)

  return ({ lanes, now, tally }, { forMs, max, maxKeyed }, limit) => {
    let removed = 0
    const remove = (
      state: FinishedState,
      excess: number,
      name: string,
      until: (keyed: boolean) => number
    ): void => {
      let count = 0
      for (const { isConnected, seq } of candidates(state, Math.min(excess, limit - removed), name + state, until)) {
        // one with very many edges loses them bit by bit
        if (isConnected && dependencies.disconnect(seq, maxTold) === maxTold) continue
        deleteTask.run(seq)
        count++
      }
      tally.remove(state, count)
      removed += count
    }
    /** How many there are beyond those that are to be kept. */
    const beyond = (state: FinishedState, kept: number): number => {
      const excess = tally.size(state) - kept
      return excess > 0 ? excess - (awaited.get()![0] ?? 0) : 0
    }
    forgetClaims.run(now - lastClaimForMs)
    for (const state of finished) remove(state, limit, "old ", () => now - forMs[state])
    for (const state of finished) {
      // a keyed task keeps answering repeated requests for a day
      remove(state, beyond(state, max[state]), "many ", (keyed) => keyed ? now - keyedForMs : now)
      remove(state, beyond(state, Math.max(max[state], maxKeyed)), "keyed ", () => now)
    }
    lanes.swept(now, removed)
    return removed
  }
}
