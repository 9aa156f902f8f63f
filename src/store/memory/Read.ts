/**
 * Reads for people and for those who wait for results. They give copies: entries change in place.
 */
import { fitting } from "../../domain/Sizes.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished } from "../../domain/TaskState.ts"
import type { ListRequest, Outcome } from "../TaskStore.ts"
import type { Entry } from "./Entry.ts"
import type { Tasks } from "./Tasks.ts"

export const get = (tasks: Tasks, id: string): TaskRecord | undefined => {
  const entry = tasks.log.get(id)
  return entry === undefined ? undefined : recordOf(entry)
}

export const result = (tasks: Tasks, id: string): Outcome | undefined | null => {
  const entry = tasks.log.get(id)
  if (entry === undefined) return null
  if (!isFinished(entry.state)) return undefined
  return { id, state: entry.state, result: entry.result, failure: entry.failure }
}

export const list = (tasks: Tasks, { before, limit, queues, states, types }: ListRequest): ReadonlyArray<TaskRecord> =>
  fitting(tasks.log.newest(
    before,
    limit,
    (entry) =>
      states?.includes(entry.state) !== false && types?.includes(entry.type) !== false &&
      queues?.includes(entry.queue) !== false
  )).map(recordOf)

const recordOf = ({ dead: _dead, place: _place, rank: _rank, ...record }: Entry): TaskRecord => record
