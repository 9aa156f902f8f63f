/** How the records of schedules are changed: read, decided, and written by their versions, again where others were faster. */
import { Effect } from "effect"
import { InvalidOption, ScheduleNotFound, type StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { NewTask } from "../domain/TaskRecord.ts"
import { maxRecords } from "../store/RecordDriver.ts"
import { absent, all, type Change, type Listed, RecordStore, type StoredRecord } from "../store/RecordStore.ts"
import type { Accepted } from "../store/TaskStore.ts"
import type { Plan } from "./Plan.ts"
import { changeOf, kind, read, type Schedule, type StoredSchedule, taskOf } from "./StoredSchedule.ts"
import { dueAtOf } from "./Ticks.ts"

export { kind }

/** Schedules of a store, about: instances that make them at the same time count each for itself. */
const maxSchedules = 100_000

/** The store's clock. */
export const now: Effect.Effect<number, StoreError, RecordStore> = Effect.map(
  RecordStore.use((store) => Effect.catchTag(store.due(kind, 1), "InvalidOption", Effect.die)),
  ({ now }) => now
)

/** One schedule. */
export const find = Effect.fnUntraced(function*(
  name: string
): Effect.fn.Return<StoredSchedule, ScheduleNotFound | StoreError, RecordStore> {
  const [record] = yield* RecordStore.use((store) => store.get(kind, [name])).pipe(
    // What cannot be stored is not there
    Effect.catchTag("InvalidOption", () => Effect.succeed([]))
  )
  const known = record && read(record)
  return known ?? (yield* new ScheduleNotFound({ name }))
})

/** A page of schedules behind a name, and the last name on it, `null` where none follow. */
export const list = Effect.fnUntraced(function*(after: string | undefined, limit: number) {
  const store = yield* RecordStore
  const schedules: Array<StoredSchedule> = []
  let last = after
  for (let more = true; more && schedules.length < limit;) {
    const page: Listed = yield* Effect.catchTag(
      store.list(kind, { after: last, limit: Math.min(limit - schedules.length, maxRecords) }),
      "InvalidOption",
      Effect.die
    )
    schedules.push(...page.records.flatMap((record) => read(record) ?? []))
    last = page.records.at(-1)?.id ?? last
    more = page.more
    if (!more) return { schedules, next: null }
  }
  return { schedules, next: last ?? null }
})

/** A change that others made in between is met by deciding again; one whose answer was lost is done again by its nonce. */
export const repeated = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict" }),
    Effect.catchIf(
      (error): error is Extract<E, { readonly _tag: "RecordConflict" }> => error._tag === "RecordConflict",
      Effect.die
    )
  )

/** A schedule before its first tick. */
const fresh = (now: number): Omit<Schedule, keyof Plan | "owner"> => ({
  pause: null,
  after: now,
  lastTask: null,
  made: 0,
  skipped: 0,
  history: [],
  changedAt: now
})

/**
 * The change that sets a schedule. What has become of it so far stays. A tick that is due by the timetable before stays due; else the
 * new timetable begins now: what it would have said of the past has not been missed.
 */
export const setting = (
  name: string,
  plan: Plan,
  ownerOf: (before: Schedule["owner"]) => Schedule["owner"],
  record: StoredRecord | undefined,
  now: number
): { readonly schedule: Schedule; readonly change: Change } => {
  const known = record && read(record)
  const isDue = known !== undefined && known.dueAt !== null && known.dueAt <= now
  const before: Omit<Schedule, keyof Plan | "owner"> = known ?? fresh(now)
  const owner = ownerOf(known?.owner ?? {})
  // A clock that was set back shows ticks again that have been dealt with
  const schedule = {
    ...before,
    ...plan,
    owner,
    after: isDue ? before.after : Math.max(before.after, now),
    changedAt: now
  }
  const change = changeOf(name, schedule, {
    expects: record?.version ?? absent,
    dueAt: dueAtOf(schedule),
    over: known?.document
  })
  return { schedule, change }
}

/**
 * The change that has a schedule name the tasks that there are, where a key has made others of those that it asked for: each was
 * written, at this version, under the id that it would have had.
 */
export const renaming = (
  name: string,
  schedule: Schedule,
  asked: ReadonlyArray<NewTask>,
  accepted: ReadonlyArray<Accepted>,
  { over, version }: { readonly over: object; readonly version: number }
): Change | undefined => {
  const others = new Map(
    asked.flatMap(({ id }, index) => accepted[index]!.id === id ? [] : [[id, accepted[index]!.id]])
  )
  if (others.size === 0) return undefined
  const history = schedule.history.map((entry) => {
    const task = others.get(taskOf(name, entry) ?? "")
    return task === undefined ? entry : { ...entry, task }
  })
  const lastTask = others.get(schedule.lastTask ?? "") ?? schedule.lastTask
  const renamed = { ...schedule, history, lastTask }
  return changeOf(name, renamed, { expects: version, dueAt: dueAtOf(renamed), over })
}

/** Writes what {@link renaming} gives. It fails never: the tasks are there, and who has changed a schedule since has the last word. */
export const rename = (changes: ReadonlyArray<Change>): Effect.Effect<void, never, RecordStore> =>
  changes.length === 0 ? Effect.void : Effect.ignore(RecordStore.use((store) => store.put(changes)))

/** Counts schedules, but no more often than in ten seconds. */
export const counter = () => {
  let count = 0
  let countedAt = -Infinity
  return Effect.fnUntraced(function*(name: string) {
    const at = yield* MonotonicClock.now
    if (at - countedAt >= 10_000) {
      count = (yield* all(kind)).length
      countedAt = at
    }
    if (count >= maxSchedules) {
      const expected = `one of at most ${maxSchedules} schedules: remove another one first`
      return yield* new InvalidOption({ option: "name", found: name, expected, index: 0 })
    }
    count++
  })
}
