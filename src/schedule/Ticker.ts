/**
 * Makes the tasks of schedules when their time has come. It runs in every instance at once, and there is no leader: what is due is
 * taken under a lease, and one write makes the tasks of ticks and moves their schedules on to the next, fenced by the versions that
 * the take gave them. So a tick has one task at most: an instance that is late, stands still or repeats its write meets another version.
 */
import { Clock, Context, Duration, Effect, Layer, Metric, Schedule } from "effect"
import { SecureRandom } from "effect/crypto"
import { type InvalidOption, type QueueFull, type StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import * as Metrics from "../observability/Metrics.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { maxRecords } from "../store/RecordDriver.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { type Accepted, TaskStore } from "../store/TaskStore.ts"
import * as ScheduleRecords from "./ScheduleRecords.ts"
import { changeOf, kind, Outcome, read, type StoredSchedule } from "./StoredSchedule.ts"
import * as Ticks from "./Ticks.ts"

/**
 * How often it looks whether another instance has set a schedule that is due sooner than those it knows of. Default 1 s. Tests that let
 * days pass look less often.
 *
 * @example
 * ```ts
 * Effect.provideService(program, Ticker.Interval, Duration.days(1))
 * ```
 */
export class Interval extends Context.Reference<Duration.Duration>("taskforge/schedule/Ticker/Interval", {
  defaultValue: () => Duration.seconds(1)
}) {}

/** How long an instance has for what it took. Another one takes it then. */
const leaseMs = 5000

/** Pages of schedules that are taken for one write: a write costs most of what is not for a single schedule. */
const maxPages = 5

/** Tasks of one write, and bytes of them and of their schedules, unless a single schedule has more. */
const maxTasks = 500
const maxBytes = 4 * 1024 * 1024

/** An answer that was lost is asked for again by the nonce of its write. */
const again = {
  while: ({ _tag, ...error }: { readonly _tag: string; readonly refused?: boolean | undefined }) =>
    _tag === "StoreError" && error.refused !== true,
  times: 3,
  schedule: Schedule.exponential("20 millis")
}

const ticks = Metrics.counters(
  "taskforge_schedule_ticks_total",
  "Ticks of schedules that this process dealt with, by outcome"
)

const lateness = Metric.histogram("taskforge_schedule_lateness_seconds", {
  description: "Time from a tick to when its task was made",
  boundaries: [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 60, 600, 3600]
})

/** A schedule that was taken, and what is to become of it. */
interface Taken {
  readonly taken: StoredSchedule
  readonly last: Ticks.LastTask
  readonly less: Ticks.Less
  readonly decision: Ticks.Decision
}

/** Why a schedule could not go on. */
type Failed = QueueFull | InvalidOption | StoreError

/** What a step left to be done. */
interface Done {
  /** When it pays to look again. */
  readonly inMs: number
  /** The first that could not go on now. Its lease runs out, and it is tried again. */
  readonly failed: Failed | undefined
}

/** Deals with what is due, up to some pages of it. */
export const step: Effect.Effect<Done, StoreError, TaskStore | RecordStore | SecureRandom.SecureRandom> = Effect.gen(
  function*() {
    const records = yield* RecordStore
    const clock = yield* Clock.Clock
    const takenAt = MonotonicClock.millis(clock)
    const schedules: Array<StoredSchedule> = []
    let now = 0
    let inMs = 0
    for (let pages = 0; pages < maxPages && inMs === 0; pages++) {
      const taken = yield* Effect.catchTag(records.take(kind, maxRecords, leaseMs), "InvalidOption", Effect.die)
      now = taken.now
      inMs = taken.nextDueAt === null ? Infinity : Math.max(0, taken.nextDueAt - now)
      for (const record of taken.records) {
        const schedule = read(record)
        if (schedule !== undefined) schedules.push(schedule)
      }
    }
    if (schedules.length === 0) return { inMs, failed: undefined }
    const lastOf = yield* lastTasks(schedules)
    const decided: Array<Taken> = []
    for (const taken of schedules) {
      const last = taken.lastTask === null ? null : lastOf.get(taken.lastTask) ?? null
      const decision = Ticks.decide(taken.name, taken, now, last)
      decided.push({ taken, last, less: {}, decision })
      // Many ticks that were missed take their time, and other fibers have work too
      if (decision.entries[0]?.count !== undefined) yield* Effect.yieldNow
    }
    let failed: Failed | undefined
    for (const part of parts(decided)) {
      // It stood still: another instance has them, and a task must not be cancelled for what it found
      if (MonotonicClock.millis(clock) - takenAt >= leaseMs) break
      failed = (yield* write(part, now)) ?? failed
    }
    return { inMs, failed }
  }
)

/** The states of the tasks that were made last, of those schedules that depend on them. */
const lastTasks = Effect.fnUntraced(function*(schedules: ReadonlyArray<StoredSchedule>) {
  const store = yield* TaskStore
  const states = new Map<string, Ticks.LastTask>()
  let ids = schedules.flatMap((one) => Ticks.needsLastTask(one) ? [one.lastTask!] : [])
  while (ids.length > 0) {
    const outcomes = yield* store.results(ids, maxBytes)
    outcomes.forEach((outcome, index) =>
      states.set(ids[index]!, outcome === null ? "gone" : outcome === undefined ? "pending" : outcome.state)
    )
    ids = ids.slice(outcomes.length)
  }
  return states
})

/** As many schedules in each part as one write takes. */
const parts = function*(all: ReadonlyArray<Taken>) {
  let part: Array<Taken> = []
  let tasks = 0
  let bytes = 0
  for (const one of all) {
    const count = one.decision.tasks.length
    // The document has the payload too, and escapes what is in it
    const size = (count + 2) * one.taken.task.payload.length + 4096
    if (part.length > 0 && (tasks + count > maxTasks || bytes + size > maxBytes)) {
      yield part
      part = []
      tasks = bytes = 0
    }
    part.push(one)
    tasks += count
    bytes += size
  }
  if (part.length > 0) yield part
}

/** Writes what was decided, or as much of it as can be written; answers why the others cannot go on. */
const write = Effect.fnUntraced(function*(
  part: ReadonlyArray<Taken>,
  now: number
): Effect.fn.Return<Failed | undefined, StoreError, TaskStore | RecordStore | SecureRandom.SecureRandom> {
  const records = yield* RecordStore
  const random = yield* SecureRandom.SecureRandom
  const cancelled = part.flatMap(({ decision, taken }) => decision.cancels ? [taken.lastTask!] : [])
  if (cancelled.length > 0) yield* TaskStore.use((store) => store.cancel(cancelled))
  const changes = part.map(({ decision: { dueAt, schedule }, taken }) =>
    changeOf(taken.name, schedule, { expects: taken.version, dueAt, over: taken.document })
  )
  const tasks = part.flatMap(({ decision }) => decision.tasks)
  const nonce = yield* random.uuidV7()
  return yield* records.atomically(nonce, { changes, tasks }).pipe(
    Effect.retry(again),
    Effect.tap(({ tasks: accepted, version }) => ScheduleRecords.rename(renamings(part, accepted, version))),
    Effect.flatMap(() => measured(part, now)),
    Effect.catchTags({
      // Others have changed, paused or deleted some in between
      RecordConflict: ({ id }) => Effect.flatMap(stillHeld(part, id), (held) => rest(held, now)),
      KeyConflict: ({ index }) => rest(refusing(part, index, now), now),
      QueueFull: (full) => part.length > 1 ? halves(part, now) : fewer(part[0]!, full, now),
      InvalidOption: (invalid) => part.length === 1 ? Effect.succeed(invalid) : halves(part, now),
      StoreError: (error) =>
        error.refused !== true ? Effect.fail(error) : part.length === 1 ? Effect.succeed(error) : halves(part, now),
      LeaseLost: Effect.die,
      // no task of a schedule depends on others
      UnknownDependency: Effect.die,
      DependencyCycle: Effect.die
    })
  )
})

/** What names the tasks that there are, where keys have made others of those that were asked for. */
const renamings = (part: ReadonlyArray<Taken>, accepted: ReadonlyArray<Accepted>, version: number) => {
  let from = 0
  return part.flatMap(({ decision: { schedule, tasks }, taken }) => {
    const answers = accepted.slice(from, from += tasks.length)
    return ScheduleRecords.renaming(taken.name, schedule, tasks, answers, { over: taken.document, version }) ?? []
  })
}

const rest = (part: ReadonlyArray<Taken>, now: number) => part.length === 0 ? Effect.undefined : write(part, now)

/** There may be room for the first ticks of many. */
const fewer = (one: Taken, full: QueueFull, now: number) => {
  const maxTicks = one.decision.ticks >> 1
  return maxTicks === 0 ? Effect.succeed(full) : Effect.as(write([decidedAgain(one, { maxTicks }, now)], now), full)
}

/** The same schedule with less than before. */
const decidedAgain = ({ last, less, taken }: Taken, more: Ticks.Less, now: number): Taken => {
  const both = { ...less, ...more }
  return { taken, last, less: both, decision: Ticks.decide(taken.name, taken, now, last, both) }
}

/** What does not fit together may fit alone. */
const halves = (part: ReadonlyArray<Taken>, now: number) =>
  Effect.gen(function*() {
    const middle = part.length >> 1
    const first = yield* write(part.slice(0, middle), now)
    const second = yield* write(part.slice(middle), now)
    return first ?? second
  })

/** Those that no other instance has written since they were taken. */
const stillHeld = Effect.fnUntraced(function*(part: ReadonlyArray<Taken>, conflicting: string) {
  const records = yield* RecordStore
  const found = yield* Effect.catchTag(
    records.get(kind, part.map(({ taken }) => taken.name)),
    "InvalidOption",
    Effect.die
  )
  return part.filter(({ taken }, index) => taken.name !== conflicting && found[index]?.version === taken.version)
})

/**
 * The same without the task at an index of all, whose key another one holds, and those of its schedule behind it. A tick that cancels
 * the task before it stays due instead: that one may hold the key until it has ended, and nothing would come in its place.
 */
const refusing = (part: ReadonlyArray<Taken>, index: number, now: number): ReadonlyArray<Taken> => {
  let before = 0
  return part.flatMap((one) => {
    const from = before
    before += one.decision.tasks.length
    if (index < from || index >= before) return one
    return one.decision.cancels ? [] : decidedAgain(one, { maxTasks: index - from }, now)
  })
}

const ticksOf = new Map(
  Outcome.literals.map((outcome) => [outcome, ticks({ outcome })])
)

const measured = Effect.fnUntraced(function*(part: ReadonlyArray<Taken>, now: number) {
  const counts = new Map<Outcome, number>()
  for (const { decision } of part) {
    for (const { count = 1, outcome, tick } of decision.entries) {
      counts.set(outcome, (counts.get(outcome) ?? 0) + count)
      if (outcome === "made") yield* Metric.update(lateness, (now - tick) / 1000)
    }
  }
  for (const [outcome, count] of counts) yield* Metric.update(ticksOf.get(outcome)!, count)
  return undefined
})

/** Deals with all that is due; answers how many milliseconds nothing more is. */
export const tickDue: Effect.Effect<
  number,
  StoreError | QueueFull | InvalidOption,
  TaskStore | RecordStore | SecureRandom.SecureRandom
> = Effect.gen(function*() {
  const records = yield* RecordStore
  // To take is a write, and mostly there is nothing to take
  const { nextDueAt, now, records: found } = yield* records.due(kind, 1)
  if (found.length === 0) return nextDueAt === null ? Infinity : Math.max(1, nextDueAt - now)
  for (;;) {
    const { failed, inMs } = yield* step
    if (failed !== undefined) return yield* failed
    if (inMs > 0) return inMs
    yield* Effect.yieldNow
  }
})

/** Runs the ticker until the scope closes. */
export const layer: Layer.Layer<never, never, TaskStore | RecordStore | Supervisor | SecureRandom.SecureRandom> = Layer
  .effectDiscard(
    Effect.gen(function*() {
      const supervisor = yield* Supervisor
      const maxMs = Duration.toMillis(yield* Interval)
      const tick = Effect.provideContext(
        tickDue,
        yield* Effect.context<TaskStore | RecordStore | SecureRandom.SecureRandom>()
      )
      // Its wait is part of the step: what could not go on is leased, and looks done when it is tried again at once
      yield* supervisor.loop("ticker", Effect.flatMap(tick, (inMs) => Effect.sleep(Math.min(maxMs, inMs))))
    })
  )
