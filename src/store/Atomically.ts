/**
 * What all drivers share of {@link RecordStore.atomically}: what is asked is checked once, the nonce is a record like that of a
 * put, and what nothing was written for becomes an error. Stores that decide in this process decide here.
 */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { type InvalidOption, LeaseLost, RecordConflict, type StoreError } from "../domain/Errors.ts"
import type { Settlement } from "../domain/Settlement.ts"
import type { NewTask, TaskRecord } from "../domain/TaskRecord.ts"
import { isFinished } from "../domain/TaskState.ts"
import type { Merge } from "../domain/Uniqueness.ts"
import { refusalOf } from "./Admission.ts"
import type { Besides, Decided, Revised } from "./Draft.ts"
import { decideSettle, type Decision } from "./Driver.ts"
import * as RecordDriver from "./RecordDriver.ts"
import { absent, type RecordStore, type Refused, type StoredRecord, type Written } from "./RecordStore.ts"
import type { Accepted, EnqueueAnswer } from "./TaskStore.ts"

/** What is to be written. */
export interface Parts {
  /** Of no record twice, and of none that remembers a nonce. */
  readonly changes: ReadonlyArray<RecordDriver.PackedChange>
  readonly tasks: ReadonlyArray<NewTask>
  /** Of no task twice. */
  readonly settlements: ReadonlyArray<Settlement>
  /** The record that remembers the nonce and what the tasks have become. */
  readonly noteOf: (tasks: ReadonlyArray<Accepted>) => RecordDriver.PackedChange
  /** The same if all tasks are new. It has the same kind and id in any case. */
  readonly note: RecordDriver.PackedChange
}

/** What a driver found: all is written, or was before, or nothing is. */
export type Outcome =
  | {
    readonly _tag: "Written"
    readonly version: number
    readonly now: number
    readonly tasks: ReadonlyArray<Accepted>
  }
  | { readonly _tag: "Repeated"; readonly note: Remembered }
  /** A change met another version. */
  | { readonly _tag: "Changed"; readonly index: number; readonly found: number }
  /** An attempt does not hold its task. */
  | { readonly _tag: "Lost"; readonly index: number }
  | Exclude<EnqueueAnswer, { readonly _tag: "Accepted" }>

/** What an answer needs of the record of a nonce. */
export type Remembered = Pick<StoredRecord, "version" | "document" | "writtenAt">

/** What a driver has to give: one step that writes all parts or none. */
export type Driver = (parts: Parts) => Effect.Effect<Written, Refused | StoreError>

/** The operation that a driver's step is. */
export const make = (driver: Driver): RecordStore["Service"]["atomically"] =>
(
  nonce,
  { changes = [], settlements = [], tasks = [] }
): Effect.Effect<Written, Refused | InvalidOption | StoreError> =>
  RecordDriver.unless(
    RecordDriver.refuseNonce(nonce) ??
      Bounds.refuse("changes", Bounds.whole(0, RecordDriver.maxChanges), changes.length) ??
      RecordDriver.refuseChanges(changes) ?? refuseSettlements(settlements),
    () => {
      const noteOf = (accepted: ReadonlyArray<Accepted>) => {
        const known = accepted.flatMap(({ duplicate, id, merge }, index) =>
          duplicate ? [merge === undefined ? [index, id] : [index, id, merge]] : []
        )
        return RecordDriver.packed(RecordDriver.noteOf(nonce, JSON.stringify(known)))
      }
      return driver({ changes: changes.map(RecordDriver.packed), tasks, settlements, noteOf, note: noteOf([]) })
    }
  )

const refuseSettlements = (settlements: ReadonlyArray<Settlement>): InvalidOption | undefined => {
  const seen = new Set<string>()
  return RecordDriver.first(settlements, ({ id }, index) => {
    if (seen.has(id)) return Bounds.refuse("settlements", once, id, index)
    seen.add(id)
    return undefined
  })
}

const once: Bounds.Bound<string> = { expected: "no task that is settled already", accepts: () => false }

/** The answer to what was found. */
export const answer = ({ changes, settlements, tasks }: Parts, outcome: Outcome): Effect.Effect<Written, Refused> => {
  switch (outcome._tag) {
    case "Written": {
      const { now, tasks, version } = outcome
      return Effect.succeed({ version, tasks, now })
    }
    case "Repeated": {
      const { document, version, writtenAt: now } = outcome.note
      const known = new Map(entriesOf(document).map(([index, ...owner]) => [index, owner]))
      const accepted = tasks.map(({ id }, index): Accepted => {
        const [owner, merge] = known.get(index) ?? []
        if (owner === undefined) return { id, duplicate: false }
        return merge === undefined ? { id: owner, duplicate: true } : { id: owner, duplicate: true, merge }
      })
      return Effect.succeed({ version, tasks: accepted, now })
    }
    case "Changed": {
      const { found, index } = outcome
      const { expects: expected, id, kind } = changes[index]!
      return Effect.fail(new RecordConflict({ kind, id, index, expected, found }))
    }
    case "Lost": {
      const { claim, id } = settlements[outcome.index]!
      return Effect.fail(new LeaseLost({ id, claim }))
    }
    default:
      return Effect.fail(refusalOf(tasks, outcome))
  }
}

/** The places and the owners of tasks that were known, and what they made of these. A put has none. */
const entriesOf = (document: string): ReadonlyArray<[index: number, owner: string, merge?: Merge]> =>
  JSON.parse(document) ?? []

/** One step of a store that decides in this process. What it is asked for it answers at once. */
export interface Step<Task extends TaskRecord> {
  readonly recordOf: (kind: string, id: string) => Remembered | undefined
  readonly find: (id: string) => Task | undefined
  /** Decides about a group before any of it is stored. */
  readonly enqueue: (tasks: ReadonlyArray<NewTask>, besides: Besides) => Decided
  /** Writes records whatever their versions are, and answers the new version. */
  readonly put: (changes: ReadonlyArray<RecordDriver.PackedChange>) => number
  readonly apply: (task: Task, decision: Decision<unknown>) => void
}

/** Decides about all parts before any is written: storing tasks is the last decision, and the first that is written. */
export const inOneStep = <Task extends TaskRecord>(parts: Parts, now: number, step: Step<Task>): Outcome => {
  const { changes, note, noteOf, settlements, tasks } = parts
  const known = step.recordOf(note.kind, note.id)
  if (known !== undefined) return { _tag: "Repeated", note: known }
  const conflict = RecordDriver.conflictOf(changes, (kind, id) => step.recordOf(kind, id)?.version ?? absent)
  if (conflict !== undefined) return { _tag: "Changed", ...conflict }
  const decided: Array<readonly [task: Task, decision: Decision<unknown>]> = []
  const revised = new Map<string, Revised>()
  let ending = 0
  for (const [index, settlement] of settlements.entries()) {
    const task = step.find(settlement.id)
    const decision = task && decideSettle(task, settlement, now)
    if (task === undefined || decision?.[0] !== "applied") return { _tag: "Lost", index }
    decided.push([task, decision])
    const change = decision[1]
    if (change === undefined) continue
    revised.set(task.id, { task, change })
    if (isFinished(change.state)) ending++
  }
  const { answer: stored, write } = step.enqueue(tasks, { ending, revisedOf: (id) => revised.get(id) })
  if (stored._tag !== "Accepted") return stored
  const version = step.put([noteOf(stored.tasks), ...changes])
  for (const [task, decision] of decided) step.apply(task, decision)
  write()
  return { _tag: "Written", version, now, tasks: stored.tasks }
}
