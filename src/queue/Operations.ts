/**
 * Operations on many tasks: what is to be done to all that a filter means is previewed, goes on in the background at a bounded rate, is
 * kept with who began it and why, and can be ended before its time. A cancel can be taken back. How it is kept says
 * `operation/OperationRecords`; `maintenance/Operator` goes on with it, in whichever instance does the chores.
 */
import { type DateTime, Effect } from "effect"
import * as Cursor from "../domain/Cursor.ts"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import { type Action, OperationNotFound, OperationRefused, type OperationState } from "../domain/Operation.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import * as Records from "../operation/OperationRecords.ts"
import { leaseMs, step, undoForMs } from "../operation/OperationSteps.ts"
import * as TaskFilter from "../operation/TaskFilter.ts"
import { maxRecords } from "../store/RecordDriver.ts"
import { absent, RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import {
  changeOf,
  check,
  checkDeed,
  checkTime,
  checkWanted,
  type DeedOptions,
  filterOf,
  type NewOperation,
  rates,
  type Wanted
} from "./NewOperation.ts"
import { checkPage, type PageOptions, sizeOf } from "./Queues.ts"
import { fromRecord, type StoredTask } from "./StoredTask.ts"

/** What an operation would do. */
export interface Preview {
  /** How many tasks are meant, among the 10,000 or more that were looked at. */
  readonly count: number
  /** Whether these are all. */
  readonly isComplete: boolean
  readonly looked: number
  /** Ten of them at most, the newest. */
  readonly sample: ReadonlyArray<StoredTask>
  /** Whether it can be taken back. */
  readonly canUndo: boolean
}

/** An operation. Times are by the store's clock. */
export interface OperationView {
  readonly id: string
  readonly name: string | null
  readonly action: Action
  readonly filter: TaskFilter.StoredFilter
  readonly priority: number | null
  readonly runAt: DateTime.Utc | null
  readonly why: string
  readonly by: string | null
  readonly rate: number
  readonly max: number | null
  readonly state: OperationState
  /** How many tasks were meant when it began, and whether these were all. */
  readonly expected: { readonly count: number; readonly isComplete: boolean }
  readonly looked: number
  /** Tasks that were meant so far, and how many of them were changed: others were faster with the rest. */
  readonly matched: number
  readonly done: number
  /** Tasks that were changed by it or by others while an instance that changed them crashed: none is changed twice. */
  readonly unsure: number
  /** Tasks that can be taken back, from now until then; `null` where none can. */
  readonly undo: { readonly tasks: number; readonly until: DateTime.Utc | null } | null
  /** Tasks that were taken back. */
  readonly restored: number
  readonly createdAt: DateTime.Utc
  readonly endedAt: DateTime.Utc | null
  /** Who ended it before its time, and who took it back. */
  readonly aborted: { readonly by: string | null; readonly at: DateTime.Utc } | null
  readonly undone: { readonly by: string | null; readonly at: DateTime.Utc } | null
}

/** A page of operations, the one that was begun last first. */
export interface OperationPage {
  readonly operations: ReadonlyArray<OperationView>
  /** The cursor of the next page, `null` on the last. */
  readonly next: string | null
}

/** What operations on an operation may fail with. */
export type OperationError = OperationNotFound | OperationRefused | InvalidOption | StoreError

/** The operations of a store. */
export interface Operations {
  /** Counts the tasks that an operation would change, and shows some of them. Changes nothing. */
  readonly preview: (wanted: Wanted) => Effect.Effect<Preview, InvalidOption | StoreError>
  /** Begins an operation. It goes on in the background, on any instance that runs tasks. */
  readonly start: (
    operation: NewOperation
  ) => Effect.Effect<OperationView, OperationRefused | InvalidOption | StoreError>
  readonly get: (id: string) => Effect.Effect<OperationView, OperationNotFound | StoreError>
  readonly list: (options?: PageOptions) => Effect.Effect<OperationPage, InvalidOption | StoreError>
  /** Ends an operation before its time. What it has done stays done. */
  readonly abort: (id: string, options?: DeedOptions) => Effect.Effect<OperationView, OperationError>
  /**
   * Takes an operation back, in the background: the tasks that it has cancelled, and that are still cancelled and have not run since,
   * wait as before. One that still runs is ended first.
   */
  readonly undo: (id: string, options?: DeedOptions) => Effect.Effect<OperationView, OperationError>
  /**
   * Goes on with what is due, in this process; answers how many milliseconds nothing more is. Instances that run tasks do so by
   * themselves, and so does the server of a remote queue: this is for a program that waits on a store that may have none.
   */
  readonly goOn: Effect.Effect<number, StoreError>
}

/** Operations that have not ended, at most. */
const maxRunning = 20

/** Operations that are kept once they have ended, the latest. */
const maxEnded = 1000

/** Tasks of a preview's sample. */
const sampleSize = 10

const isOver = ({ state }: Records.Operation): boolean => state !== "running" && state !== "undoing"

/** These operations on a store. */
export const make = (
  tasks: TaskStore["Service"],
  records: RecordStore["Service"],
  newId: Effect.Effect<string>
): Operations => {
  const on = Effect.provideService(RecordStore, records)

  const clock = Effect.map(Records.within(records.due(Records.kind, 1)), ({ now }) => now)

  const preview: Operations["preview"] = Effect.fnUntraced(function*(wanted) {
    yield* checkWanted(wanted)
    const { sample, ...counted } = yield* TaskFilter.count(tasks, filterOf(wanted), sampleSize)
    return { ...counted, sample: sample.map(fromRecord), canUndo: Records.isUndoable(wanted.action) }
  })

  /** Refuses another one where too many have not ended, and forgets those that have ended before many others. */
  const makeRoom = Effect.fnUntraced(function*(id: string) {
    let running = 0
    let over = 0
    let after: string | undefined
    for (let more = true; more;) {
      const page = yield* Records.within(records.list(Records.kind, { after }))
      for (const record of page.records) {
        const known = Records.ofRecord(record)
        if (known === undefined) continue
        if (!isOver(known.operation)) running++
        else if (++over >= maxEnded) {
          yield* Effect.ignore(
            records.put([Records.changeOf(known.id, known.version, { ...known.operation, hasParts: false }, 0)])
          )
        }
      }
      after = page.records.at(-1)?.id
      more = page.more
    }
    if (running >= maxRunning) return yield* new OperationRefused({ operation: id, reason: "busy" })
  })

  const start: Operations["start"] = Effect.fnUntraced(function*(given) {
    yield* check(given)
    const now = yield* clock
    yield* checkTime(given.id, now)
    const id = given.id ?? (yield* newId)
    const known = yield* on(Records.read(id))
    if (known !== undefined) return viewOf(known)
    yield* makeRoom(id)
    const filter = filterOf(given)
    const { count, isComplete } = yield* TaskFilter.count(tasks, filter, 0)
    const operation: Records.Operation = {
      name: given.name ?? null,
      action: given.action,
      change: changeOf(given, now),
      filter,
      why: given.why,
      by: given.by ?? null,
      rate: given.rate ?? rates.default,
      max: given.max ?? null,
      expected: { count, isComplete },
      state: "running",
      createdAt: now,
      endedAt: null,
      aborted: null,
      undone: null,
      position: null,
      looked: 0,
      matched: 0,
      done: 0,
      unsure: 0,
      parts: 0,
      part: null,
      kept: 0,
      undoing: 0,
      restored: 0,
      hasParts: false
    }
    // It may have been sent twice at once
    const version = yield* Effect.catchTag(
      Records.within(records.put([Records.changeOf(id, absent, operation, 0)])),
      "RecordConflict",
      () => Effect.succeed(absent)
    )
    const first = version === absent ? yield* on(Records.read(id)) : undefined
    return viewOf(first ?? { id, version, operation })
  })

  const updated = Effect.fnUntraced(function*(
    id: string,
    options: DeedOptions,
    change: (operation: Records.Operation, deed: { by: string | null; at: number }) =>
      | OperationRefused["reason"]
      | { readonly operation: Records.Operation; readonly dueInMs: number }
  ): Effect.fn.Return<OperationView, OperationError> {
    yield* checkDeed(options)
    const at = yield* clock
    const known = yield* on(Records.update(id, (operation) => {
      const next = change(operation, { by: options.by ?? null, at })
      return typeof next === "string"
        ? Effect.fail(new OperationRefused({ operation: id, reason: next }))
        : Effect.succeed(next)
    }))
    return known === undefined ? yield* new OperationNotFound({ operation: id }) : viewOf(known)
  })

  return {
    preview,
    start,
    goOn: on(Effect.provideService(step, TaskStore, tasks)),
    get: Effect.fnUntraced(function*(id) {
      const known = yield* on(Records.read(id))
      return known === undefined ? yield* new OperationNotFound({ operation: id }) : viewOf(known)
    }),
    list: Effect.fnUntraced(function*(options = {}) {
      yield* checkPage("operation", options)
      const after = options.cursor === undefined ? undefined : Cursor.decodeName("operation", options.cursor)
      const limit = Math.min(sizeOf(options), maxRecords)
      const page = yield* Records.within(records.list(Records.kind, { after, limit }))
      return {
        operations: page.records.flatMap((record) => {
          const known = Records.ofRecord(record)
          return known === undefined ? [] : [viewOf(known)]
        }),
        next: page.more ? Cursor.encodeName("operation", page.records.at(-1)!.id) : null
      }
    }),
    abort: (id, options = {}) =>
      updated(id, options, (operation, deed) =>
        operation.state !== "running" ? "ended" : {
          operation: { ...operation, state: "aborted", aborted: deed, endedAt: deed.at },
          // a part that is being changed is counted by the one that changes it, or once its lease has run out
          dueInMs: operation.part === null ? undoForMs : leaseMs
        }),
    undo: (id, options = {}) =>
      updated(id, options, (operation, deed) => {
        const { endedAt, hasParts, part, state } = operation
        if (!Records.isUndoable(operation.action)) return "final"
        if (state === "undoing" || state === "undone") return "undone"
        if (endedAt !== null && !hasParts && operation.done + operation.unsure > 0) return "late"
        const aborted = state === "running" ? deed : operation.aborted
        return {
          operation: { ...operation, state: "undoing", aborted, undone: deed, endedAt: endedAt ?? deed.at },
          dueInMs: part === null ? 0 : leaseMs
        }
      })
  }
}

const deedOf = (deed: { readonly by: string | null; readonly at: number } | null) =>
  deed && { by: deed.by, at: utc(deed.at) }

const viewOf = ({ id, operation }: Records.Read): OperationView => {
  const { aborted, change, createdAt, endedAt, hasParts, kept, state, undone } = operation
  const canUndo = hasParts && kept > 0 && state !== "undoing" && state !== "undone"
  return {
    id,
    name: operation.name,
    action: operation.action,
    filter: operation.filter,
    priority: change?.priority ?? null,
    runAt: utcOrNull(change?.runAt ?? null),
    why: operation.why,
    by: operation.by,
    rate: operation.rate,
    max: operation.max,
    state,
    expected: operation.expected,
    looked: operation.looked,
    matched: operation.matched,
    done: operation.done,
    unsure: operation.unsure,
    undo: canUndo ? { tasks: kept, until: utcOrNull(endedAt === null ? null : endedAt + undoForMs) } : null,
    restored: operation.restored,
    createdAt: utc(createdAt),
    endedAt: utcOrNull(endedAt),
    aborted: deedOf(aborted),
    undone: deedOf(undone)
  }
}
