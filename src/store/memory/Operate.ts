/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import { isFinished } from "../../domain/TaskState.ts"
import {
  type CancelAnswer,
  decideCancel,
  decideRerun,
  type RemoveAnswer,
  type RerunAnswer,
  type Retention
} from "../TaskStore.ts"
import type { Tasks } from "./Task.ts"

export const cancel = (tasks: Tasks, id: string, now: number): CancelAnswer => {
  const entry = tasks.log.get(id)
  if (entry === undefined) return "unknown"
  const [answer, change] = decideCancel(entry, now)
  if (change !== undefined) tasks.apply(entry, change)
  return answer
}

export const rerun = (tasks: Tasks, id: string, now: number): RerunAnswer => {
  const entry = tasks.log.get(id)
  if (entry === undefined) return { _tag: "unknown" }
  const [answer, change] = decideRerun(entry, now)
  if (change !== undefined) tasks.revive(entry, change)
  return answer
}

export const remove = (tasks: Tasks, id: string): RemoveAnswer => {
  const entry = tasks.log.get(id)
  if (entry === undefined) return "unknown"
  if (!isFinished(entry.state)) return "unfinished"
  tasks.remove(entry)
  return "removed"
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
