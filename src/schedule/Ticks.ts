/**
 * What becomes of the ticks of a schedule: pure decisions, of what the record of the schedule says and the store's clock shows. They
 * are the same on whichever instance makes them.
 */
import { Hash } from "effect"
import type { NewTask } from "../domain/TaskRecord.ts"
import { isFinished, type TaskState } from "../domain/TaskState.ts"
import * as Timetable from "../domain/Timetable.ts"
import { type Entry, remember, type Schedule, taskIdOf } from "./StoredSchedule.ts"

/** The parts of a schedule that say when its ticks are. */
export type Times = Pick<Schedule, "timetable" | "startAt" | "endAt">

/** The first tick behind a time, `null` when there is none. */
export const nextTick = ({ endAt, startAt, timetable }: Times, after: number): number | null => {
  const tick = Timetable.next(timetable, startAt === null ? after : Math.max(after, startAt - 1))
  return tick === undefined || (endAt !== null && tick > endAt) ? null : tick
}

/** When the record of a schedule is due. */
export const dueAtOf = (schedule: Times & Pick<Schedule, "after" | "pause">): number | null =>
  schedule.pause === null ? nextTick(schedule, schedule.after) : null

/** Ticks that have passed: the latest of them, and those before, which are too many. */
interface Passed {
  /** In their order, as many as were asked for at most. */
  readonly latest: ReadonlyArray<number>
  readonly earlier: { readonly first: number; readonly last: number; readonly count: number } | null
}

/** Ticks that are counted one by one: after a day without instances, ten thousand schedules may have missed as many each. */
const maxCounted = 100

/** The ticks behind `after` until `now`. It costs a bounded number of steps, however many they are. */
const passed = (times: Times, after: number, now: number, max: number): Passed => {
  const ticks: Array<number> = []
  let tick = nextTick(times, after)
  for (; tick !== null && tick <= now && ticks.length < maxCounted; tick = nextTick(times, tick)) ticks.push(tick)
  const ended = tick === null || tick > now
  const latest = ended ? ticks.slice(-max) : lastTicks(times, after, now, max)
  const earlier = ended ? ticks.slice(0, -max) : ticks
  return {
    latest,
    earlier: earlier.length === 0
      ? null
      : {
        first: earlier[0]!,
        last: ended ? earlier.at(-1)! : tickBefore(times, after, latest[0]!) ?? earlier.at(-1)!,
        count: earlier.length
      }
  }
}

/** The last ticks behind `after` until `now`, in their order. */
const lastTicks = (times: Times, after: number, now: number, max: number): ReadonlyArray<number> =>
  regularTicks(times, after, now, max) ?? halvedTicks(times, after, now, max)

/** The same where the ticks before the last one are about as far from each other as it is from the one before. */
const regularTicks = (times: Times, after: number, now: number, max: number): ReadonlyArray<number> | undefined => {
  const last = tickBefore(times, after, now + 1)
  const before = last === undefined ? undefined : tickBefore(times, after, last)
  if (last === undefined || before === undefined) return undefined
  const ticks: Array<number> = []
  let tick = nextTick(times, Math.max(after, last - 2 * max * (last - before)))
  for (; tick !== null && tick <= now && ticks.length < 4 * max; tick = nextTick(times, tick)) ticks.push(tick)
  return ticks.length >= max && ticks.at(-1) === last ? ticks.slice(-max) : undefined
}

/** The same, however they are. */
const halvedTicks = (times: Times, after: number, now: number, max: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let end = now + 1; found.length < max;) {
    const tick = tickBefore(times, after, end)
    if (tick === undefined) break
    found.unshift(tick)
    end = tick
  }
  return found
}

/** The last tick behind `after` and before `end`, by halving the time in between. */
const tickBefore = (times: Times, after: number, end: number): number | undefined => {
  const isBehind = (time: number) => {
    const tick = nextTick(times, time)
    return tick !== null && tick < end ? tick : undefined
  }
  let found = isBehind(after)
  if (found === undefined) return undefined
  for (let from = found, until = end; until - from > 1;) {
    const middle = Math.floor((from + until) / 2)
    const tick = isBehind(middle)
    if (tick === undefined) until = middle
    else found = from = tick
  }
  return found
}

/** How late the latest tick may be with `missed: "skip"`. */
const graceMs = 60_000

/** What is known of the task that a schedule made last. `gone` is one that retention has removed. */
export type LastTask = TaskState | "gone" | null

/** What is to be written for a schedule whose time has come. */
export interface Decision {
  readonly schedule: Schedule
  readonly dueAt: number | null
  readonly tasks: ReadonlyArray<NewTask>
  /** Whether the task that was made last is to be cancelled. */
  readonly cancels: boolean
  /** What became of its ticks. */
  readonly entries: ReadonlyArray<Entry>
  /** How many ticks it is about, besides those that were missed together. */
  readonly ticks: number
}

/** Whether a decision about a schedule depends on the task that it made last. */
export const needsLastTask = ({ lastTask, onlyIf, overlap }: Schedule): boolean =>
  lastTask !== null && (onlyIf !== null || overlap !== "allow")

/** How much less is made of what is due, because the store has refused it. */
export interface Less {
  /** Tasks: the next one has a key that another one holds. */
  readonly maxTasks?: number | undefined
  /** Ticks: there is no room for the tasks of more. The others stay due. */
  readonly maxTicks?: number | undefined
}

/** What becomes of the ticks until now. */
export const decide = (
  name: string,
  schedule: Schedule,
  now: number,
  last: LastTask,
  { maxTasks = Infinity, maxTicks = Infinity }: Less = {}
): Decision => {
  const { after, missed, overlap } = schedule
  const max = missed === "all" && overlap !== "cancel" ? schedule.maxMissed : 1
  const { earlier, latest: due } = passed(schedule, after, now, max)
  const latest = due.slice(0, maxTicks)
  const entries: Array<Entry> = []
  const add = (tick: number, outcome: Entry["outcome"]) => entries.push({ tick, outcome, at: now })
  if (earlier !== null) {
    const { count, first, last: tick } = earlier
    entries.push({ tick, outcome: "missed", at: now, ...(count === 1 ? {} : { first, count }) })
  }
  const tasks: Array<NewTask> = []
  let state = last
  for (const tick of latest) {
    const outcome = missed === "skip" && now - tick >= graceMs
      ? "missed"
      : tasks.length >= maxTasks
      ? "refused"
      : outcomeOf(schedule, state)
    add(tick, outcome)
    if (outcome !== "made") continue
    tasks.push(taskOf(name, schedule, tick))
    state = "pending"
  }
  const next: Schedule = {
    ...schedule,
    after: latest.at(-1) ?? after,
    lastTask: tasks.at(-1)?.id ?? schedule.lastTask,
    made: schedule.made + tasks.length,
    skipped: schedule.skipped + (earlier?.count ?? 0) + latest.length - tasks.length,
    history: remember(schedule.history, entries)
  }
  return {
    schedule: next,
    dueAt: dueAtOf(next),
    tasks,
    cancels: overlap === "cancel" && tasks.length > 0 && isUnfinished(last),
    entries,
    ticks: latest.length
  }
}

const isUnfinished = (last: LastTask): boolean => last !== null && last !== "gone" && !isFinished(last)

const outcomeOf = ({ onlyIf, overlap }: Schedule, last: LastTask): Entry["outcome"] =>
  overlap === "skip" && isUnfinished(last)
    ? "overlap"
    // What retention has removed had its time
    : onlyIf === "lastSucceeded" && last !== null && last !== "gone" && last !== "completed"
    ? "unsuccessful"
    : "made"

/** The task of a tick. */
const taskOf = (name: string, { jitterMs, task }: Schedule, tick: number): NewTask => ({
  ...task,
  startWithinMs: task.startWithinMs ?? null,
  // The task of another tick, or of no tick, is not this one's: it would be said to be made, and waited for
  ...(task.unique?.onConflict === "return" ? { unique: { ...task.unique, onConflict: "refuse" } } : {}),
  id: taskIdOf(name, tick),
  delayMs: 0,
  // One that its key postpones is due that much later
  runAt: tick + jitterOf(name, tick, jitterMs) + (task.unique?.byMs ?? 0)
})

/** How much later than its tick a task is due: every instance finds the same. */
const jitterOf = (name: string, tick: number, jitterMs: number): number =>
  jitterMs === 0 ? 0 : (mixed(Hash.string(`${name} ${tick}`)) % (jitterMs + 1))

/** The same number with its bits spread: texts that differ at the end have hashes that are close to each other. */
const mixed = (hash: number): number => {
  let bits = hash | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
