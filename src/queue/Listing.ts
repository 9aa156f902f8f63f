/** Pages of tasks, newest first. */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as Cursor from "../domain/Cursor.ts"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import type { ListRequest, TaskStore } from "../store/TaskStore.ts"
import { fromRecord, type StoredTask } from "./StoredTask.ts"

/** A page of tasks, newest first. */
export interface Page {
  readonly tasks: ReadonlyArray<StoredTask>
  /** The cursor of the next page, `null` on the last. */
  readonly next: string | null
}

/** What `TaskQueue` lists. */
export interface ListOptions extends Omit<ListRequest, "before" | "limit"> {
  /** From the page before. */
  readonly cursor?: string | undefined
  /** Default 50, at most 1,000. */
  readonly limit?: number | undefined
}

/** The names of {@link ListOptions}. */
const listNames: Bounds.Names<ListOptions> = {
  cursor: 1,
  limit: 1,
  maxBytes: 1,
  queues: 1,
  states: 1,
  types: 1
}

/** Fails with the first of a list's options that is unknown, or is a cursor that no page of this filter gave. */
export const checkList = (options: ListOptions): Effect.Effect<void, InvalidOption> => {
  const invalid = Bounds.refuseUnknown(options, listNames)
  return invalid === undefined ? Bounds.check("cursor", Cursor.boundOf(options), options.cursor) : Effect.fail(invalid)
}

/** Tasks on a page at most. */
const maxPage = 1000

/** How often a store is asked for a page with a task on it: each time it looks at a bounded number of tasks. */
const maxLooks = 100

/** Lists the tasks of a store. */
export const listOf = (store: TaskStore["Service"]) =>
  Effect.fnUntraced(function*(options: ListOptions = {}): Effect.fn.Return<Page, InvalidOption | StoreError> {
    yield* checkList(options)
    const { cursor, limit = 50, states, ...names } = options
    const size = Math.min(Math.max(1, Math.trunc(limit) || 1), maxPage)
    const before = cursor === undefined ? undefined : Cursor.decode(cursor, options)
    const types = names.types?.filter(Bounds.isStorable)
    const queues = names.queues?.filter(Bounds.isStorable)
    let page = yield* store.list({ states, types, queues, before, limit: size })
    for (let looks = 1; page.tasks.length === 0 && page.next !== undefined && looks < maxLooks; looks++) {
      page = yield* store.list({ states, types, queues, before: page.next, limit: size })
    }
    return {
      tasks: page.tasks.map(fromRecord),
      next: page.next === undefined ? null : Cursor.encode(page.next, options)
    }
  })
