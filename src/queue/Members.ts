/** The tasks that are connected with one, read from the store page by page, and the order in which they depend on each other. */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import type { LinkPlace, Links } from "../store/Dependencies.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** Links on a page. */
const pageSize = 1000

/** How many are kept in the process at most. */
export interface Bound {
  readonly maxMembers: number
  readonly maxEdges: number
}

/** Tasks, and the edges between them as places among these. */
export interface Members {
  readonly ids: ReadonlyArray<string>
  /** Edges lead from these … */
  readonly from: ReadonlyArray<number>
  /** … to these, which depend on them. */
  readonly to: ReadonlyArray<number>
  /** Tasks that were met and are left out, because of their type. */
  readonly left: number
  /** Whether there are no others. */
  readonly isComplete: boolean
}

/** A task with all that depend on it, or with all that are connected, up to a bound. Tasks of one type are left out, and nothing behind them is looked for. */
export const find = Effect.fnUntraced(function*(
  store: Pick<TaskStore["Service"], "links">,
  root: Pick<TaskRecord, "id" | "type">,
  both: boolean,
  without: string,
  { maxEdges, maxMembers }: Bound
): Effect.fn.Return<Members, StoreError> {
  const places = new Map<string, number>()
  const ids: Array<string> = []
  const from: Array<number> = []
  const to: Array<number> = []
  const left = new Set<string>()

  const add = ({ id, type }: Pick<TaskRecord, "id" | "type">): number | undefined => {
    if (type === without) {
      left.add(id)
      return undefined
    }
    let place = places.get(id)
    if (place === undefined) {
      place = ids.push(id) - 1
      places.set(id, place)
    }
    return place
  }

  add(root)
  for (let start = 0; start < ids.length;) {
    const asked = ids.slice(start, start + Bounds.maxIds)
    for (const towards of both ? directions : ["dependents"] as const) {
      let place: LinkPlace | undefined
      do {
        const page: Links = yield* store.links({ ids: asked, towards, from: place, limit: pageSize })
        for (const link of page.links) {
          const other = add(link)
          // each edge is met on the way down
          if (other === undefined || towards === "dependencies") continue
          from.push(start + link.of)
          to.push(other)
        }
        if (ids.length + left.size > maxMembers || from.length > maxEdges) {
          // The edges among those that are kept
          const edges = from.slice(0, maxEdges).flatMap((place, edge) =>
            place < maxMembers && to[edge]! < maxMembers ? [[place, to[edge]!] as const] : []
          )
          return {
            ids: ids.slice(0, maxMembers),
            from: edges.map(([place]) => place),
            to: edges.map(([, place]) => place),
            left: left.size,
            isComplete: false
          }
        }
        place = page.next
      } while (place !== undefined)
    }
    start += asked.length
  }
  return { ids, from, to, left: left.size, isComplete: true }
})

const directions = ["dependents", "dependencies"] as const

/** The members in levels: what one depends on is in the levels before its own. */
export const levelsOf = ({ from, ids, to }: Members): ReadonlyArray<ReadonlyArray<string>> => {
  const open = new Int32Array(ids.length)
  // the places in `to` of a member's edges, one after the other
  const begin = new Int32Array(ids.length + 1)
  for (const place of from) begin[place + 1]!++
  for (let place = 0; place < ids.length; place++) begin[place + 1]! += begin[place]!
  const next = begin.slice()
  const ends = new Int32Array(to.length)
  from.forEach((place, edge) => {
    ends[next[place]!++] = to[edge]!
    open[to[edge]!]!++
  })
  const levels: Array<ReadonlyArray<string>> = []
  let level: Array<number> = []
  for (let place = 0; place < ids.length; place++) if (open[place] === 0) level.push(place)
  let placed = 0
  while (level.length > 0) {
    levels.push(level.map((place) => ids[place]!))
    placed += level.length
    const after: Array<number> = []
    for (const place of level) {
      for (let edge = begin[place]!; edge < begin[place + 1]!; edge++) {
        if (--open[ends[edge]!]! === 0) after.push(ends[edge]!)
      }
    }
    level = after
  }
  // Ids that were removed and stored again while this was read may seem to form a circle. The store decides about each by itself
  if (placed < ids.length) { for (const [place, count] of open.entries()) if (count > 0) levels.push([ids[place]!]) }
  return levels
}
