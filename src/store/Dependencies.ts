/**
 * What stores keep of tasks that depend on others.
 *
 * An edge leads from a task to one that depends on it. Of each task a store counts the edges that it ever got, and how many of them it
 * has _told_ that the task has ended; so what ended twice, because it was run again, is told once. A task that waits counts the edges that
 * lead to it and have not been told. What is told, and what comes of it, is part of the write that ends the task, up to
 * {@link maxTold} edges; the next writes go on with the rest.
 */
import type { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { TaskFailure, TaskRecord } from "../domain/TaskRecord.ts"
import type { FinishedState } from "../domain/TaskState.ts"

/**
 * Edges that a write tells, besides one for each task that it ends: so the last end of those that a task waits for and its release are one
 * write, and none takes long.
 */
export const maxTold = 1000

/** A task that has ended because of one that it depended on. */
export interface Dropped extends Pick<TaskRecord, "id" | "type" | "queue"> {
  readonly state: FinishedState
  /** How many attempts it has had. */
  readonly attempt: number
  readonly failure: TaskFailure | null
}

/** What writes have made of tasks that depended on others. */
export interface Consequences {
  /** Whether there is work: one of them waits for no other any more, or others may start because a limit has room again. */
  readonly released: boolean
  /** Those that have ended. */
  readonly dropped: ReadonlyArray<Dropped>
  /** Whether more have ended than are told here. */
  readonly more: boolean
}

/** Nothing has come of anything. */
export const noConsequences: Consequences = { released: false, dropped: [], more: false }

/** How many that have ended are remembered at most: a store need not be asked. */
const maxDropped = 10_000

/** A task that has ended because of another one, as stores know it. */
export type Ended = Pick<TaskRecord, "id" | "type" | "queue" | "state" | "claims" | "failure">

/** What has come of a store's writes since it was asked last. */
export class Aftermath {
  private released = false
  private dropped: Array<Dropped> = []
  private more = false

  /** To be called for a task that waits for no other any more. */
  release(): void {
    this.released = true
  }

  /** To be called for one that has ended because of another one. */
  drop({ claims, failure, id, queue, state, type }: Ended): void {
    if (this.dropped.length >= maxDropped) this.more = true
    else this.dropped.push({ id, type, queue, state: state as FinishedState, attempt: claims, failure })
  }

  /** What has come of the writes since this was asked last. Nearly always nothing. */
  take(): Consequences {
    if (!this.released && this.dropped.length === 0) return noConsequences
    const { dropped, more, released } = this
    this.released = this.more = false
    this.dropped = []
    return { released, dropped, more }
  }
}

/**
 * The order in which one write runs tasks again, as places in their ids: each comes after those of them that it depends on, and so waits
 * for these. `after` answers what a task depends on.
 */
export const dependenciesFirst = (
  ids: ReadonlyArray<string>,
  after: (id: string) => Iterable<string>
): ReadonlyArray<number> => {
  const left = new Map<string, Array<number>>()
  for (const [place, id] of ids.entries()) {
    const places = left.get(id)
    if (places === undefined) left.set(id, [place])
    else places.push(place)
  }
  const order: Array<number> = []
  for (const [first] of left) {
    const path: Array<{ readonly places: ReadonlyArray<number>; readonly rest: Iterator<string> }> = []
    const enter = (id: string) => {
      const places = left.get(id)
      // taken when it is come by: what was read while others wrote may seem to form a circle
      if (places !== undefined && left.delete(id)) path.push({ places, rest: after(id)[Symbol.iterator]() })
    }
    enter(first)
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const next = last.rest.next()
      if (next.done !== true) {
        enter(next.value)
      } else {
        order.push(...last.places)
        path.pop()
      }
    }
  }
  return order
}

/** What a task depends on, and what depends on it. */
export interface Edges {
  /** Those that it depends on and that are stored, in the order given, with their types. */
  readonly after: ReadonlyArray<Pick<TaskRecord, "id" | "type" | "version">>
  /** The ids of those that depend on it, in no order. */
  readonly before: ReadonlyArray<string>
}

/** Ids in {@link Edges.before} at most. */
export const maxBefore = 1000

/** What is asked about the tasks that some are connected with. */
export interface LinksRequest {
  /** Of unknown ones nothing is told. */
  readonly ids: ReadonlyArray<string>
  /** What they depend on, or what depends on them. */
  readonly towards: "dependencies" | "dependents"
  /** Where the page begins: the answer of the one before, for the same ids. */
  readonly from?: LinkPlace | undefined
  readonly limit: number
}

/** A place among the links of some tasks. */
export interface LinkPlace {
  /** Of the task, in the ids. */
  readonly index: number
  /** Among its links, counted by the store. */
  readonly place: number
}

/** A task that depends on another one, or that another one depends on. */
export interface Link extends Pick<TaskRecord, "id" | "type" | "version"> {
  /** That other one, by its place in the ids. */
  readonly of: number
}

/** A page of links, in the order of the ids. Those from one task to what it depends on have the order given. */
export interface Links {
  readonly links: ReadonlyArray<Link>
  /** `undefined` on the last page. */
  readonly next: LinkPlace | undefined
}

/**
 * Reads such a page. A task that is run again between two pages may be on both. A page costs what it takes to look for the ids and to read
 * its links.
 */
export type ReadLinks = (request: LinksRequest) => Effect.Effect<Links, StoreError>

/** A link with its place, as stores find it. */
export interface PlacedLink extends Link {
  readonly place: number
}

/** The page of links that were found from a place on, where there may be one more than asked for. */
export const pageOfLinks = (found: ReadonlyArray<PlacedLink>, limit: number): Links => {
  const more = found[limit]
  return {
    links: found.slice(0, limit).map(({ place: _, ...link }) => link),
    next: more && { index: more.of, place: more.place }
  }
}
