/**
 * What operators do to tasks and queues.
 */
import type { DatabaseSync } from "node:sqlite"
import * as Settlement from "../../domain/Settlement.ts"
import { isFinished } from "../../domain/TaskState.ts"
import type { CancelAnswer, RemoveAnswer, RerunAnswer } from "../TaskStore.ts"
import { prepare } from "./Statement.ts"
import type { Tasks } from "./Task.ts"
import type { Transaction } from "./Writer.ts"

/** Prepares the operations. */
export const make = (database: DatabaseSync, tasks: Tasks) => {
  const deleteTask = prepare(database, "DELETE FROM task WHERE seq = ?")
  const pauseQueue = prepare(database, "INSERT INTO paused_queue (queue) VALUES (?) ON CONFLICT DO NOTHING")
  const resumeQueue = prepare(database, "DELETE FROM paused_queue WHERE queue = ?")

  return {
    cancel: (transaction: Transaction, ids: ReadonlyArray<string>): ReadonlyArray<CancelAnswer> =>
      ids.map((id) => {
        const task = tasks.find(id)
        if (task === undefined) return "unknown"
        const change = Settlement.cancel(task, transaction.now)
        if (change === undefined) return "finished"
        tasks.apply(transaction, task, change)
        return change.state === "running" ? "requested" : "cancelled"
      }),

    rerun: (transaction: Transaction, ids: ReadonlyArray<string>): ReadonlyArray<RerunAnswer> =>
      ids.map((id) => {
        const task = tasks.find(id)
        if (task === undefined) return { _tag: "unknown" }
        const change = Settlement.rerun(task, transaction.now)
        if (change === undefined) return { _tag: "conflict", state: task.state }
        tasks.apply(transaction, task, change)
        return { _tag: "rerun" }
      }),

    remove: ({ tally }: Transaction, ids: ReadonlyArray<string>): ReadonlyArray<RemoveAnswer> =>
      ids.map((id) => {
        const task = tasks.find(id)
        if (task === undefined) return "unknown"
        if (!isFinished(task.state)) return "unfinished"
        deleteTask.run(task.seq)
        tally.remove(task.state, 1)
        return "removed"
      }),

    pause: ({ lanes }: Transaction, queue: string, paused: boolean): void => {
      lanes.pause(queue, paused)
      if (paused) pauseQueue.run(queue)
      else resumeQueue.run(queue)
    }
  }
}
