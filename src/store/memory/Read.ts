/**
 * Reads for people and for those who wait for results. They give copies: entries change in place.
 */
import * as Bounds from "../../domain/Bounds.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished } from "../../domain/TaskState.ts"
import { bytesOf, fitting } from "../Admission.ts"
import type { Listed, ListRequest, Outcome } from "../TaskStore.ts"
import type { Entry, Tasks } from "./Task.ts"

export const get = (tasks: Tasks, id: string): TaskRecord | undefined => {
  const entry = tasks.log.get(id)
  return entry === undefined ? undefined : recordOf(entry)
}

export const results = (
  tasks: Tasks,
  ids: ReadonlyArray<string>,
  maxBytes: number | undefined
): ReadonlyArray<Outcome | undefined | null> => {
  const outcomes = ids.map((id) => result(tasks, id))
  if (maxBytes === undefined) return outcomes
  const sizes = outcomes.map((outcome) => outcome === undefined || outcome === null ? 0 : bytesOf(outcome))
  return outcomes.slice(0, fitting(sizes, maxBytes))
}

const result = (tasks: Tasks, id: string): Outcome | undefined | null => {
  const entry = tasks.log.get(id)
  if (entry === undefined) return null
  if (!isFinished(entry.state)) return undefined
  return { id, state: entry.state, result: entry.result, failure: entry.failure }
}

export const list = (tasks: Tasks, request: ListRequest): Listed => {
  const { before, limit, maxBytes = Bounds.maxAnswerBytes, queues, states, types } = request
  const { found, next } = tasks.log.newest(
    before,
    limit + 1,
    (entry) =>
      states?.includes(entry.state) !== false && types?.includes(entry.type) !== false &&
      queues?.includes(entry.queue) !== false
  )
  const page = found.slice(0, limit)
  const count = fitting(page.map(bytesOf), maxBytes)
  const left = found[count]
  return { tasks: page.slice(0, count).map(recordOf), next: left === undefined ? next : left.seq + 1 }
}

const recordOf = ({ dead: _dead, place: _place, rank: _rank, ...record }: Entry): TaskRecord => record
