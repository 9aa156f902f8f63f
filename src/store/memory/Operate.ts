/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import * as Settlement from "../../domain/Settlement.ts"
import { isFinished } from "../../domain/TaskState.ts"
import type { CancelAnswer, RemoveAnswer, RerunAnswer, Retention } from "../TaskStore.ts"
import type { Tasks } from "./Task.ts"

export const cancel = (tasks: Tasks, id: string, now: number): CancelAnswer => {
  const entry = tasks.log.get(id)
  if (entry === undefined) return "unknown"
  const change = Settlement.cancel(entry, now)
  if (change === undefined) return "finished"
  tasks.apply(entry, change)
  return entry.state === "running" ? "requested" : "cancelled"
}

export const rerun = (tasks: Tasks, id: string, now: number): RerunAnswer => {
  const entry = tasks.log.get(id)
  if (entry === undefined) return { _tag: "unknown" }
  const change = Settlement.rerun(entry, now)
  if (change === undefined) return { _tag: "conflict", state: entry.state }
  tasks.revive(entry, change)
  return { _tag: "rerun" }
}

export const remove = (tasks: Tasks, id: string): RemoveAnswer => {
  const entry = tasks.log.get(id)
  if (entry === undefined) return "unknown"
  if (!isFinished(entry.state)) return "unfinished"
  tasks.remove(entry)
  return "removed"
}

export const pause = (tasks: Tasks, queue: string, paused: boolean): void => {
  if (paused) tasks.paused.add(queue)
  else tasks.paused.delete(queue)
}

/** Removes finished tasks that retention no longer keeps, up to `limit`; answers how many. */
export const prune = (tasks: Tasks, retention: Retention, limit: number, now: number): number => {
  let removed = 0
  while (removed < limit) {
    const entry = tasks.finished.expired(retention, tasks.finishedCount, now)
    if (entry === undefined) break
    tasks.remove(entry)
    removed++
  }
  return removed
}
