/** New operations on many tasks as programs ask for them, and what is accepted of them. */
import { type DateTime, Duration, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption } from "../domain/Errors.ts"
import * as JsonText from "../domain/JsonText.ts"
import { Action } from "../domain/Operation.ts"
import * as Priority from "../domain/Priority.ts"
import * as Records from "../operation/OperationRecords.ts"
import * as TaskFilter from "../operation/TaskFilter.ts"

/** What is done to tasks, and to which. */
export interface Wanted {
  readonly action: Action
  /** Which tasks: something has to be said. Those that the action can do nothing to are left alone. */
  readonly filter: TaskFilter.TaskFilter
  /** What `reschedule` makes of them, and only that: a priority, a time, or both. */
  readonly change?: {
    readonly priority?: Priority.PriorityInput | undefined
    /** The tasks are due so long from now. Not together with `runAt`. */
    readonly delay?: Duration.Input | undefined
    readonly runAt?: DateTime.DateTime | undefined
  } | undefined
}

/** A new operation. */
export interface NewOperation extends Wanted {
  /**
   * An id of your own, so that what is sent again is one operation: a UUID of version 7 in lower case, as `TaskQueue.newId` gives
   * them, that was made within ten minutes of now.
   */
  readonly id?: string | undefined
  /** Why it is done: 1 to 1,000 characters. It is kept. */
  readonly why: string
  /** For people. */
  readonly name?: string | undefined
  /** Who begins it. Over HTTP, the name of a key takes its place. */
  readonly by?: string | undefined
  /** Tasks in a second at most, from 1 to 10,000. Default 100. */
  readonly rate?: number | undefined
  /** Ends after so many tasks. */
  readonly max?: number | undefined
}

/** Who ends an operation, or takes it back. */
export interface DeedOptions {
  /** Over HTTP, the name of a key takes its place. */
  readonly by?: string | undefined
}

/** Tasks in a second at most, when nothing is said and at all. */
export const rates = { default: 100, max: 10_000 } as const

/** Bytes of a filter as it is kept. */
const maxFilterBytes = 128 * 1024

const wantedNames: Bounds.Names<Wanted> = { action: 1, filter: 1, change: 1 }
const names: Bounds.Names<NewOperation> = { ...wantedNames, id: 1, why: 1, name: 1, by: 1, rate: 1, max: 1 }
const changeNames: Bounds.Names<NonNullable<Wanted["change"]>> = { priority: 1, delay: 1, runAt: 1 }
const deedNames: Bounds.Names<DeedOptions> = { by: 1 }

const refused = (option: string, found: string, expected: string) =>
  new InvalidOption({ option, found, expected, index: 0 })

const actions: Bounds.Bound<string> = {
  expected: Action.literals.join(", "),
  accepts: (action) => Action.literals.includes(action as Action)
}

const filterSize: Bounds.Bound<TaskFilter.TaskFilter> = {
  expected: `at most ${maxFilterBytes} bytes as JSON`,
  accepts: (filter) => JsonText.bytesOf(JSON.stringify(filter)) <= maxFilterBytes
}

const ids: Bounds.Bound<string> = {
  expected: "a UUID of version 7 in lower case, that was made within ten minutes of now",
  accepts: (id) => typeof id === "string" && Records.isId(id) && id[14] === "7"
}

/** How far from now an id may have been made, in milliseconds: lists are in the order of ids. */
const maxOffMs = 10 * 60 * 1000

/** Fails where the time in an id is not that of the store's clock. */
export const checkTime = (id: string | undefined, now: number): Effect.Effect<void, InvalidOption> =>
  id === undefined || Math.abs(Number.parseInt(id.replace("-", "").slice(0, 12), 16) - now) <= maxOffMs
    ? Effect.void
    : Effect.fail(refused("id", Bounds.foundOf(id), ids.expected))

const refuseChange = ({ action, change }: Wanted): InvalidOption | undefined => {
  if (action !== "reschedule") {
    return change === undefined ? undefined : refused("change", "given", `none, for a ${action}`)
  }
  const unknown = Bounds.refuseUnknown(change ?? null, changeNames, "change.")
  if (unknown !== undefined) return unknown
  const { delay, priority, runAt } = change!
  return Bounds.refuse("change.priority", Priority.bound, priority) ??
    Bounds.refuse("change.delay", Bounds.delay, delay) ?? Bounds.refuse("change.runAt", Bounds.runAt, runAt) ??
    (delay !== undefined && runAt !== undefined
      ? refused("change.delay", "given with runAt", "one of both")
      : undefined) ??
    ((priority ?? delay ?? runAt) === undefined
      ? refused("change", "empty", "a priority, a delay or runAt")
      : undefined)
}

/** The same for what is wanted. A state that the action can do nothing to is a mistake. */
const refuseWanted = (wanted: Wanted): InvalidOption | undefined => {
  const { action, filter } = wanted
  const invalid = Bounds.refuse("action", actions, action ?? "") ?? TaskFilter.refuse(filter ?? null) ??
    TaskFilter.refuseEmpty(filter) ?? Bounds.refuse("filter", filterSize, filter) ?? refuseChange(wanted)
  if (invalid !== undefined) return invalid
  const states = Records.statesOf[action]
  const state = filter.states?.find((one) => !states.includes(one))
  return state === undefined ? undefined : refused("states", state, `some of ${states.join(", ")}, for a ${action}`)
}

const failing = (invalid: InvalidOption | undefined) => invalid === undefined ? Effect.void : Effect.fail(invalid)

/** Fails with the first option that is unknown or outside of its bound, and where the filter means every task. */
export const checkWanted = (wanted: Wanted): Effect.Effect<void, InvalidOption> =>
  failing(Bounds.refuseUnknown(wanted, wantedNames) ?? refuseWanted(wanted))

/** The same of a new operation. */
export const check = (operation: NewOperation): Effect.Effect<void, InvalidOption> =>
  failing(
    Bounds.refuseUnknown(operation, names) ?? Bounds.refuse("id", ids, operation.id) ?? refuseWanted(operation) ??
      Bounds.refuse("why", Bounds.why, operation.why ?? "") ?? Bounds.refuse("name", Bounds.name, operation.name) ??
      Bounds.refuse("by", Bounds.name, operation.by) ??
      Bounds.refuse("rate", Bounds.whole(1, rates.max), operation.rate) ??
      Bounds.refuse("max", Bounds.whole(1), operation.max)
  )

/** The same of who does something to an operation. */
export const checkDeed = (options: DeedOptions): Effect.Effect<void, InvalidOption> =>
  failing(Bounds.refuseUnknown(options, deedNames) ?? Bounds.refuse("by", Bounds.name, options.by))

/** The filter of an operation as it is kept: without states it means those that the action can do something to. */
export const filterOf = ({ action, filter }: Wanted): TaskFilter.StoredFilter =>
  TaskFilter.stored({ ...filter, states: filter.states ?? Records.statesOf[action] })

/** What a reschedule makes of its tasks, as it is kept; `now` is a time of the store's clock. */
export const changeOf = ({ change }: NewOperation, now: number): Records.Operation["change"] => {
  if (change === undefined) return null
  const { delay, priority, runAt } = change
  const at = delay === undefined ? runAt?.epochMilliseconds : now + Duration.toMillis(delay)
  return {
    ...(priority === undefined ? {} : { priority: Priority.toNumber(priority) }),
    ...(at === undefined ? {} : { runAt: Math.ceil(at) })
  }
}
