/**
 * Which tasks are due and have a key of a limit: those that wait for it, or for a slot. Stores keep them by queue, type and gate, and not by
 * limit, so it is found out by looking at what is due, a bounded number of tasks.
 */
import { type DateTime, Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** What waits for a key of a limit. */
export interface LimitWaiting {
  readonly limit: string
  readonly key: string
  /** How many due tasks have the key, among those that were looked at. */
  readonly count: number
  /** Whether these are all. */
  readonly isComplete: boolean
  /** How many due tasks were looked at, the newest first. */
  readonly looked: number
  /** The ids of the ten that were made first, among these. */
  readonly first: ReadonlyArray<string>
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** Tasks that are looked at, and how often the store is asked for some. */
const maxLooked = 10_000
const maxLooks = 40

/** Ids that are given. */
const maxFirst = 10

/** Looks at what is due for the tasks with a pass. */
export const look = Effect.fnUntraced(function*(
  store: Pick<TaskStore["Service"], "list">,
  pass: Gate.Pass
): Effect.fn.Return<Pick<LimitWaiting, "count" | "isComplete" | "looked" | "first">, StoreError> {
  let count = 0
  let looked = 0
  let first: ReadonlyArray<string> = []
  let before: number | undefined
  for (let looks = 0; looks < maxLooks && looked < maxLooked; looks++) {
    const { next, tasks } = yield* store.list({ states: ["pending"], limit: 1000, before })
    const found = tasks.filter(({ gate }) => Gate.passesOf(gate).includes(pass))
    looked += tasks.length
    count += found.length
    // The newest come first
    first = [...found.map(({ id }) => id).reverse(), ...first].slice(0, maxFirst)
    before = next
    if (next === undefined) break
  }
  return { count, isComplete: before === undefined, looked, first }
})
