/**
 * Tasks made by a clock: what programs, the HTTP API and operators call. Schedules are stored, and any instance makes their tasks: see
 * `Ticker`.
 *
 * @example
 * ```ts
 * const program = Schedules.set(
 *   "nightly",
 *   Sync.schedule({ cron: "30 2 * * *", timeZone: "Europe/Berlin" }, { tenant: "acme" }, { overlap: "skip" })
 * )
 * ```
 */
import { Context, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import * as Bounds from "../domain/Bounds.ts"
import * as Cursor from "../domain/Cursor.ts"
import {
  InvalidOption,
  type InvalidPayload,
  type InvalidTimetable,
  type KeyConflict,
  type QueueFull,
  ScheduleNotFound,
  type StoreError,
  type UnknownTaskType
} from "../domain/Errors.ts"
import * as QueueLimits from "../domain/QueueLimits.ts"
import { utc } from "../domain/StoredTime.ts"
import * as Timetable from "../domain/Timetable.ts"
import { defaultMaxRetries, type Options as QueueOptions } from "../queue/LocalTaskQueue.ts"
import { checkPage, type PageOptions, sizeOf } from "../queue/Queues.ts"
import { RecordStore, remove as removeRecord } from "../store/RecordStore.ts"
import { checkName, planOf } from "./Plan.ts"
import type { Scheduled } from "./Scheduled.ts"
import * as ScheduleRecords from "./ScheduleRecords.ts"
import { type Preview, type SchedulePage, type ScheduleView, type Tick, tickOf, viewOf } from "./ScheduleView.ts"
import { changeOf, remember, type Schedule, type StoredSchedule } from "./StoredSchedule.ts"
import { dueAtOf, nextTick } from "./Ticks.ts"

/** Who does something to a schedule. Over HTTP, the name of a key takes the place of `by`. */
export interface AuthorOptions {
  readonly by?: string | undefined
}

/** Who pauses a schedule, and why. */
export interface PauseOptions extends AuthorOptions {
  /** At most {@link Bounds.maxReasonLength} characters. */
  readonly reason?: string | undefined
}

/** What operations on a schedule may fail with. */
export type ScheduleError = ScheduleNotFound | InvalidOption | StoreError

/** Why a schedule is not set. Only remote ones fail with `UnknownTaskType`: their server may have other definitions. */
export type SetError = InvalidTimetable | InvalidPayload | UnknownTaskType | InvalidOption | StoreError

/** The schedules of a store. */
export class Schedules extends Context.Service<Schedules, {
  /**
   * Makes a schedule, or changes the one of this name: its past, its pause and a tick that is due stay. A timetable without a tick from
   * now on is refused.
   */
  readonly set: (
    name: string,
    scheduled: Scheduled,
    options?: AuthorOptions
  ) => Effect.Effect<ScheduleView, SetError>
  readonly get: (name: string) => Effect.Effect<ScheduleView, ScheduleError>
  /** A page of all schedules, by name. */
  readonly list: (options?: PageOptions) => Effect.Effect<SchedulePage, InvalidOption | StoreError>
  /** Removes a schedule. Tasks that it has made stay. */
  readonly remove: (name: string) => Effect.Effect<void, ScheduleError>
  /** Makes no tasks from now on. One that is paused already is paused as it is said now. */
  readonly pause: (name: string, options?: PauseOptions) => Effect.Effect<ScheduleView, ScheduleError>
  /** Goes on with the first tick from now on: those of the pause have not been missed. */
  readonly resume: (name: string) => Effect.Effect<ScheduleView, ScheduleError>
  /** Makes its task now, besides all ticks, also while it is paused; answers the id, of the one that has its unique key if there is one. */
  readonly runNow: (
    name: string,
    options?: AuthorOptions
  ) => Effect.Effect<string, ScheduleError | KeyConflict | QueueFull>
  /** The next ticks of a schedule, by its name, or of a timetable that is not stored: up to 100, 10 unless it is said. */
  readonly preview: (
    of: string | Timetable.Input,
    count?: number
  ) => Effect.Effect<Preview, ScheduleError | InvalidTimetable>
  /** What became of its latest ticks, the latest first: 25 at most. */
  readonly history: (name: string) => Effect.Effect<ReadonlyArray<Tick>, ScheduleError>
}>()("taskforge/schedule/Schedules") {
  /** The schedules of whichever store is provided. The options are those of the `TaskQueue`. */
  static readonly layer = (
    options: QueueOptions = {}
  ): Layer.Layer<Schedules, never, RecordStore | SecureRandom.SecureRandom> => Layer.effect(Schedules, make(options))

  /** See `Schedules` for each of these. */
  static readonly set = (name: string, scheduled: Scheduled, options?: AuthorOptions) =>
    Schedules.use((schedules) => schedules.set(name, scheduled, options))
  static readonly get = (name: string) => Schedules.use((schedules) => schedules.get(name))
  static readonly list = (options?: PageOptions) => Schedules.use((schedules) => schedules.list(options))
  static readonly remove = (name: string) => Schedules.use((schedules) => schedules.remove(name))
  static readonly pause = (name: string, options?: PauseOptions) =>
    Schedules.use((schedules) => schedules.pause(name, options))
  static readonly resume = (name: string) => Schedules.use((schedules) => schedules.resume(name))
  static readonly runNow = (name: string, options?: AuthorOptions) =>
    Schedules.use((schedules) => schedules.runNow(name, options))
  static readonly preview = (of: string | Timetable.Input, count?: number) =>
    Schedules.use((schedules) => schedules.preview(of, count))
  static readonly history = (name: string) => Schedules.use((schedules) => schedules.history(name))
}

/** What holds for tasks whose definition and schedule say nothing. */
export const defaultsOf = (options: QueueOptions = {}) => ({
  maxRetries: options.maxRetries ?? defaultMaxRetries,
  limits: QueueLimits.rulesOf(options.limits)
})

const authorBounds: { readonly [Name in keyof PauseOptions]-?: Bounds.Bound<any> } = {
  by: Bounds.name,
  reason: Bounds.reason
}

/** Fails with the first option that is unknown or out of bounds. */
export const checkAuthor = (options: PauseOptions, names: ReadonlyArray<keyof PauseOptions>) => {
  const known = Object.fromEntries(names.map((name) => [name, 1]))
  const invalid = Bounds.refuseUnknown(options, known) ??
    names.map((name) => Bounds.refuse(name, authorBounds[name], options[name])).find((one) => one !== undefined)
  return invalid === undefined ? Effect.void : Effect.fail(invalid)
}

/** Ticks of a preview. */
const maxPreview = 100

const previewCount = Bounds.whole(1, maxPreview)

/** Fails unless so many ticks can be asked for. */
export const checkCount = (count: number | undefined) => Bounds.check("count", previewCount, count)

const make = Effect.fnUntraced(function*(options: QueueOptions) {
  const records = yield* RecordStore
  const random = yield* SecureRandom.SecureRandom
  const defaults = defaultsOf(options)
  const counted = ScheduleRecords.counter()
  const on = Effect.provideService(RecordStore, records)

  const find = Effect.fnUntraced(function*(name: string) {
    yield* checkName(name)
    return yield* on(ScheduleRecords.find(name))
  })

  /** Writes a schedule as it is to be now; its past stays. */
  const change = (name: string, to: (schedule: StoredSchedule, now: number) => Schedule) =>
    ScheduleRecords.repeated(Effect.gen(function*() {
      const known = yield* find(name)
      const schedule = to(known, yield* on(ScheduleRecords.now))
      const dueAt = dueAtOf(schedule)
      const written = changeOf(name, schedule, { expects: known.version, dueAt, over: known.document })
      yield* records.put([written], yield* random.uuidV7())
      return viewOf({ ...known, ...schedule, dueAt })
    }))

  return Schedules.of({
    set: Effect.fnUntraced(function*(name, scheduled, options = {}) {
      yield* checkName(name)
      yield* checkAuthor(options, ["by"])
      const plan = yield* planOf(scheduled, defaults)
      return yield* ScheduleRecords.repeated(Effect.gen(function*() {
        const [record] = yield* records.get(ScheduleRecords.kind, [name])
        const now = yield* on(ScheduleRecords.now)
        const { by } = options
        const { change, schedule } = ScheduleRecords.setting(
          name,
          plan,
          (known) => ({ ...known.program === undefined ? {} : known, ...by === undefined ? {} : { by } }),
          record,
          now
        )
        if (nextTick(schedule, schedule.after) === null) return yield* withoutTick
        if (record === undefined) yield* on(counted(name))
        yield* records.put([change], yield* random.uuidV7())
        return viewOf({ ...schedule, name, version: 0, dueAt: change.dueAt ?? null, writtenAt: now, document: {} })
      }))
    }),
    get: (name) => Effect.map(find(name), viewOf),
    list: Effect.fnUntraced(function*(options = {}) {
      yield* checkPage("schedule", options)
      const after = options.cursor === undefined ? undefined : Cursor.decodeName("schedule", options.cursor)
      const { next, schedules } = yield* on(ScheduleRecords.list(after, sizeOf(options)))
      const now = yield* on(ScheduleRecords.now)
      return {
        schedules: schedules.map(viewOf),
        next: next === null ? null : Cursor.encodeName("schedule", next),
        now: utc(now)
      }
    }),
    remove: Effect.fnUntraced(function*(name) {
      yield* checkName(name)
      // Also one that this version cannot read
      if (!(yield* on(removeRecord(ScheduleRecords.kind, name)))) return yield* new ScheduleNotFound({ name })
    }),
    pause: Effect.fnUntraced(function*(name, options = {}) {
      yield* checkAuthor(options, ["by", "reason"])
      const { by, reason } = options
      return yield* change(name, (known, now) => ({
        ...known,
        pause: { at: now, ...by === undefined ? {} : { by }, ...reason === undefined ? {} : { reason } }
      }))
    }),
    resume: (name) =>
      change(name, (known, now) => known.pause === null ? known : { ...known, pause: null, after: now }),
    runNow: Effect.fnUntraced(function*(name, options = {}) {
      yield* checkAuthor(options, ["by"])
      const { by } = options
      const id = yield* random.uuidV7()
      return yield* ScheduleRecords.repeated(Effect.gen(function*() {
        const known = yield* find(name)
        const now = yield* on(ScheduleRecords.now)
        const entry = { tick: now, outcome: "run", at: now, task: id, ...by === undefined ? {} : { by } } as const
        const schedule = { ...known, lastTask: id, history: remember(known.history, [entry]) }
        const change = changeOf(name, schedule, {
          expects: known.version,
          dueAt: dueAtOf(schedule),
          over: known.document
        })
        const { startWithinMs = null, unique } = known.task
        const task = { ...known.task, startWithinMs, id, delayMs: unique?.byMs ?? 0, runAt: null }
        const { tasks, version } = yield* records.atomically(yield* random.uuidV7(), {
          changes: [change],
          tasks: [task]
        })
        const over = known.document
        const renaming = ScheduleRecords.renaming(name, schedule, [task], tasks, { over, version })
        if (renaming !== undefined) yield* on(ScheduleRecords.rename([renaming]))
        return tasks[0]!.id
      })).pipe(Effect.catchTags({
        LeaseLost: Effect.die,
        // no task of a schedule depends on others
        UnknownDependency: Effect.die,
        DependencyCycle: Effect.die
      }))
    }),
    preview: Effect.fnUntraced(function*(of, count = 10) {
      yield* checkCount(count)
      const known = typeof of === "string" ? yield* find(of) : undefined
      const timetable = known?.timetable ?? (yield* Effect.fromResult(Timetable.parse(of as Timetable.Input)))
      const now = yield* on(ScheduleRecords.now)
      const times = known ?? { timetable, startAt: null, endAt: null }
      const ticks: Array<number> = []
      // What is due is its next tick, although its time has come
      let tick = nextTick(times, known?.pause === null ? known.after : now)
      while (tick !== null && ticks.length < count) {
        ticks.push(tick)
        tick = nextTick(times, tick)
      }
      return { description: Timetable.describe(timetable), ticks: ticks.map(utc) }
    }),
    history: (name) => Effect.map(find(name), ({ history }) => history.map((entry) => tickOf(name, entry)).toReversed())
  })
})

/** A timetable all of whose ticks are past. */
const withoutTick = Effect.suspend(() =>
  new InvalidOption({
    option: "timetable",
    found: "a timetable without a tick to come",
    expected: "one that ticks from now on, and within the times between which the schedule may tick",
    index: 0
  })
)
