/**
 * Reads for people and for those who wait for results. They give copies: entries change in place.
 */
import * as Bounds from "../../domain/Bounds.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished } from "../../domain/TaskState.ts"
import { bytesOf, fitting } from "../Admission.ts"
import { type Edges, pageOfLinks, type PlacedLink } from "../Dependencies.ts"
import { type CountedLanes, type LaneCounts, type LaneRange, nameOf } from "../Lanes.ts"
import type { Listed, ListRequest, Outcome, TaskStore } from "../TaskStore.ts"
import { linksOf } from "./Dependencies.ts"
import type { Entry } from "./Lists.ts"
import type { AtOnce, Tasks } from "./Task.ts"

/** The reads. */
export const make = (
  tasks: Tasks,
  at: AtOnce
): Pick<TaskStore["Service"], "get" | "results" | "awaitResults" | "list" | "laneCounts" | "edges" | "links"> => {
  const outcomeOf = (id: string): Outcome | undefined | null => {
    const entry = tasks.log.get(id)
    if (entry === undefined) return null
    if (!isFinished(entry.state)) return undefined
    return { id, state: entry.state, result: entry.result, failure: entry.failure }
  }

  const results: TaskStore["Service"]["results"] = (ids, maxBytes) =>
    at(() => {
      const outcomes = ids.map(outcomeOf)
      if (maxBytes === undefined) return outcomes
      const sizes = outcomes.map((outcome) => outcome === undefined || outcome === null ? 0 : bytesOf(outcome))
      return outcomes.slice(0, fitting(sizes, maxBytes))
    })

  return {
    get: (id) =>
      at(() => {
        const entry = tasks.log.get(id)
        return entry === undefined ? undefined : recordOf(entry)
      }),
    edges: (id) =>
      at(() => {
        const entry = tasks.log.get(id)
        return entry && (entry.node === undefined ? noEdges : tasks.dependencies.edgesOf(entry.node))
      }),
    links: ({ from = { index: 0, place: 0 }, ids, limit, towards }) =>
      at(() => {
        const found: Array<PlacedLink> = []
        for (let index = from.index; index < ids.length && found.length <= limit; index++) {
          const node = tasks.log.get(ids[index]!)?.node
          const place = index === from.index ? from.place : 0
          if (node !== undefined) found.push(...linksOf(node, towards, index, place, limit + 1 - found.length))
        }
        return pageOfLinks(found, limit)
      }),
    results,
    // Its own process hears of every end
    awaitResults: results,
    list: (request) => at(() => list(tasks, request)),
    laneCounts: (range) => at((now) => laneCounts(tasks, range, now))
  }
}

const noEdges: Edges = { after: [], before: [] }

const list = (tasks: Tasks, request: ListRequest): Listed => {
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

const recordOf = (
  { dead: _dead, node: _node, place: _place, rank: _rank, standings: _standings, steppedTo: _steppedTo, ...record }:
    Entry
): TaskRecord => record

/**
 * Counts the lanes of a range. How many are pending the lanes of the claims know, and those that run are looked through when a
 * client asks: a task that is claimed and completed pays for no counter on its way.
 */
const laneCounts = (tasks: Tasks, range: LaneRange, now: number): CountedLanes => {
  const running = countsOf(tasks.running.all())
  const lanes: Array<LaneCounts> = []
  for (const { queue, scheduled, type } of tasks.stored.in(range)) {
    if (lanes.length >= range.limit) return { lanes, more: true, now }
    const pending = tasks.pending.find(queue, type)
    lanes.push({
      queue,
      type,
      scheduled,
      pending: pending?.size ?? 0,
      running: running.get(nameOf(queue, type)) ?? 0,
      waitingSince: pending?.earliest()?.dueAt ?? null
    })
  }
  return { lanes, more: false, now }
}

const countsOf = (entries: Iterable<Entry>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const { queue, type } of entries) {
    const key = nameOf(queue, type)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}
