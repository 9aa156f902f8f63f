/** Schedules as programs read them. */
import { type DateTime, Duration, type Schema } from "effect"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import * as Tags from "../domain/Tags.ts"
import * as Timetable from "../domain/Timetable.ts"
import type { Missed, Overlap } from "./ScheduleOptions.ts"
import { type Entry, type Outcome, type StoredSchedule, taskOf } from "./StoredSchedule.ts"

/** The task that a schedule makes at each tick. */
export interface ScheduledTask {
  readonly type: string
  /** The version of the type that the payload is of. */
  readonly version: number
  readonly queue: string
  readonly payload: Schema.Json
  readonly priority: number
  readonly maxRetries: number
  /** Time limit of one attempt; `null` is the instance's default. */
  readonly timeout: Duration.Duration | null
  /** How long it is of use, from its tick on; `null` is for ever. */
  readonly expiresIn: Duration.Duration | null
  /** Within which time after its tick it should start; `null` says nothing. */
  readonly startWithin: Duration.Duration | null
  /** Words that it is found by. */
  readonly tags: ReadonlyArray<string>
}

/** A tick of the past, and what became of it. */
export interface Tick {
  readonly tick: DateTime.Utc
  /**
   * - `made`: it has a task
   * - `missed`: no instance was there in time
   * - `overlap`: the task before it had not finished
   * - `unsuccessful`: the task before it had not completed
   * - `refused`: another task holds the key that its task would have
   * - `run`: no tick, but a task that was asked for by hand
   */
  readonly outcome: Outcome
  /** When that was decided. */
  readonly at: DateTime.Utc
  readonly task: string | null
  /** Of those that were missed together: the first one, and how many there were, as far as they were counted. */
  readonly first: DateTime.Utc
  readonly count: number
  /** Who asked for it by hand. */
  readonly by: string | null
}

/** Since when a schedule makes no tasks, and why. */
export interface SchedulePause {
  readonly by: string | null
  readonly reason: string | null
  readonly since: DateTime.Utc
}

/** A schedule. Times are by the store's clock. */
export interface ScheduleView {
  readonly name: string
  readonly timetable: Timetable.Timetable
  /** When it ticks, in plain words. */
  readonly description: string
  readonly task: ScheduledTask
  readonly missed: Missed
  readonly maxMissed: number
  readonly overlap: Overlap
  readonly jitter: Duration.Duration
  readonly startAt: DateTime.Utc | null
  readonly endAt: DateTime.Utc | null
  readonly onlyIf: "lastSucceeded" | null
  /** `ended` is one whose last tick has passed. */
  readonly state: "active" | "paused" | "ended"
  readonly pause: SchedulePause | null
  /** The program that declares it; `null` for one that was set at run time. */
  readonly program: string | null
  /** Who set it last, by hand. */
  readonly by: string | null
  /** Its next tick; `null` while it is paused, and when it has ended. */
  readonly next: DateTime.Utc | null
  /** What became of its latest tick. */
  readonly last: Tick | null
  /** Ticks that have tasks, and those that were left out. */
  readonly made: number
  readonly skipped: number
  readonly changedAt: DateTime.Utc
}

/** A page of schedules, by name. */
export interface SchedulePage {
  readonly schedules: ReadonlyArray<ScheduleView>
  /** The cursor of the next page, `null` on the last. */
  readonly next: string | null
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** When a timetable ticks next. */
export interface Preview {
  /** In plain words. */
  readonly description: string
  readonly ticks: ReadonlyArray<DateTime.Utc>
}

const durationOrNull = (millis: number | null) => millis === null ? null : Duration.millis(millis)

/** A tick, read. */
export const tickOf = (name: string, entry: Entry): Tick => ({
  tick: utc(entry.tick),
  outcome: entry.outcome,
  at: utc(entry.at),
  task: taskOf(name, entry),
  first: utc(entry.first ?? entry.tick),
  count: entry.count ?? 1,
  by: entry.by ?? null
})

/** A schedule, read. */
export const viewOf = (schedule: StoredSchedule): ScheduleView => {
  const { dueAt, history, name, owner, pause, task, timetable } = schedule
  const last = history.findLast(({ outcome }) => outcome !== "run")
  return {
    name,
    timetable,
    description: Timetable.describe(timetable),
    task: {
      type: task.type,
      version: task.version ?? 1,
      queue: task.queue,
      payload: JSON.parse(task.payload) as Schema.Json,
      priority: task.priority,
      maxRetries: task.maxRetries,
      timeout: durationOrNull(task.timeoutMs),
      expiresIn: durationOrNull(task.expiresInMs),
      startWithin: durationOrNull(task.startWithinMs ?? null),
      tags: Tags.fromText(task.tags ?? null)
    },
    missed: schedule.missed,
    maxMissed: schedule.maxMissed,
    overlap: schedule.overlap,
    jitter: Duration.millis(schedule.jitterMs),
    startAt: utcOrNull(schedule.startAt),
    endAt: utcOrNull(schedule.endAt),
    onlyIf: schedule.onlyIf,
    state: pause !== null ? "paused" : dueAt === null ? "ended" : "active",
    pause: pause && { by: pause.by ?? null, reason: pause.reason ?? null, since: utc(pause.at) },
    program: owner.program ?? null,
    by: owner.by ?? null,
    next: utcOrNull(dueAt),
    last: last === undefined ? null : tickOf(name, last),
    made: schedule.made,
    skipped: schedule.skipped,
    changedAt: utc(schedule.changedAt)
  }
}
