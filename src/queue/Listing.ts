/** Pages of tasks, newest first. */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as Cursor from "../domain/Cursor.ts"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import * as TaskFilter from "../operation/TaskFilter.ts"
import type { ListRequest, TaskStore } from "../store/TaskStore.ts"
import { fromRecord, type StoredTask } from "./StoredTask.ts"

/** A page of tasks, newest first. */
export interface Page {
  readonly tasks: ReadonlyArray<StoredTask>
  /** The cursor of the next page, `null` on the last. */
  readonly next: string | null
}

/** What `TaskQueue` lists: tasks that fit all that is said. For all but states, types and queues each task is looked at. */
export interface ListOptions extends Omit<TaskFilter.TaskFilter, "ids">, Pick<ListRequest, "maxBytes"> {
  /** From the page before. */
  readonly cursor?: string | undefined
  /** Default 50, at most 1,000. */
  readonly limit?: number | undefined
}

/** The names of {@link ListOptions}. */
const { ids: _, ...filterNames } = TaskFilter.names
const listNames: Bounds.Names<ListOptions> = { ...filterNames, cursor: 1, limit: 1, maxBytes: 1 }

/** What a store does not look up. */
const restOf = ({ cursor: _, limit: _l, maxBytes: _m, queues: _q, states: _s, types: _t, ...rest }: ListOptions) =>
  TaskFilter.stored(rest)

/** The list that cursors of a filter belong to. */
const cursorsOf = ({ queues, states, types, ...options }: ListOptions): Cursor.Filter => {
  const rest = Object.entries(restOf(options)).sort()
  return rest.length === 0
    ? { states, types, queues }
    : { states: [...states ?? [], `besides ${JSON.stringify(rest)}`], types, queues }
}

/** Fails with the first of a list's options that is unknown or out of bounds, or is a cursor that no page of this filter gave. */
export const checkList = (options: ListOptions): Effect.Effect<void, InvalidOption> => {
  const { cursor, limit: _, maxBytes: _m, queues: _q, states: _s, types: _t, ...rest } = options
  const invalid = Bounds.refuseUnknown(options, listNames) ?? TaskFilter.refuse(rest)
  return invalid === undefined
    ? Bounds.check("cursor", Cursor.boundOf(cursorsOf(options)), cursor)
    : Effect.fail(invalid)
}

/** Tasks on a page at most. */
const maxPage = 1000

/** How often a store is asked for a page with a task on it: each time it looks at a bounded number of tasks. */
const maxLooks = 100

/** The same where each of them has to be looked at. */
const maxLooksAtEach = 20

/** Lists the tasks of a store. */
export const listOf = (store: TaskStore["Service"]) =>
  Effect.fnUntraced(function*(options: ListOptions = {}): Effect.fn.Return<Page, InvalidOption | StoreError> {
    yield* checkList(options)
    const { cursor, limit = 50, queues, states, types } = options
    const list = cursorsOf(options)
    const size = Math.min(Math.max(1, Math.trunc(limit) || 1), maxPage)
    const before = cursor === undefined ? undefined : Cursor.decode(cursor, list)
    const filter: TaskFilter.StoredFilter = {
      ...restOf(options),
      ...states !== undefined && { states },
      ...types !== undefined && { types },
      ...queues !== undefined && { queues }
    }
    // Where each has to be looked at, a page looks at a part of them
    const isLookedUp = Object.keys(restOf(options)).length === 0
    const looks = isLookedUp ? maxLooks : maxLooksAtEach
    let page: TaskFilter.Looked = yield* TaskFilter.select(store, filter, { before, limit: size, looks: 1 })
    for (let look = 1; page.found.length < (isLookedUp ? 1 : size) && page.next !== undefined && look < looks; look++) {
      const more: TaskFilter.Looked = yield* TaskFilter.select(store, filter, {
        before: page.next,
        limit: size - page.found.length,
        looks: 1
      })
      page = { ...more, found: [...page.found, ...more.found] }
    }
    return {
      tasks: page.found.map(fromRecord),
      next: page.next === undefined ? null : Cursor.encode(page.next, list)
    }
  })
