/** What is stored of a schedule: its timetable read and its task and options checked. */
import { Duration, Effect, Exit, Hash } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption, type InvalidPayload, type InvalidTimetable } from "../domain/Errors.ts"
import type * as QueueLimits from "../domain/QueueLimits.ts"
import * as Timetable from "../domain/Timetable.ts"
import { invalidOption, toNewTask } from "../queue/Submission.ts"
import type { Scheduled } from "./Scheduled.ts"
import * as ScheduleOptions from "./ScheduleOptions.ts"
import { maxPayloadBytes, type Schedule } from "./StoredSchedule.ts"

/** What holds for tasks whose definition and schedule say nothing. */
export interface Defaults {
  readonly maxRetries: number
  readonly limits: QueueLimits.Rules
}

/** What is stored of a schedule, besides what becomes of it. */
export type Plan = Omit<
  Schedule,
  "owner" | "pause" | "after" | "lastTask" | "made" | "skipped" | "history" | "changedAt"
>

/** Why a payload is refused, if it is too large. */
const tooLarge = (payload: string): InvalidOption | undefined => {
  const bytes = Buffer.byteLength(payload)
  if (bytes <= maxPayloadBytes) return undefined
  const expected = `at most ${maxPayloadBytes} bytes of JSON: a schedule is read and written at each tick`
  return new InvalidOption({ option: "payload", found: `${bytes} bytes`, expected, index: 0 })
}

/** What a program without types may leave out, or write itself. */
const made: Bounds.Bound<Scheduled> = {
  expected: "what the method schedule of a task type makes",
  accepts: (scheduled) =>
    typeof scheduled === "object" && scheduled !== null && "timetable" in scheduled && Exit.isExit(scheduled.submission)
}

const millisOf = (input: Duration.Input): number => Math.ceil(Duration.toMillis(input))

/** Checks all of it. */
export const planOf = Effect.fnUntraced(function*(
  scheduled: Scheduled,
  defaults: Defaults
): Effect.fn.Return<Plan, InvalidOption | InvalidPayload | InvalidTimetable> {
  yield* Bounds.check("scheduled", made, scheduled ?? (null as never))
  const { options } = scheduled
  const submission = yield* scheduled.submission
  const invalid = ScheduleOptions.refuse(options) ?? invalidOption([submission]) ??
    tooLarge(submission.payload)
  if (invalid !== undefined) return yield* invalid
  const timetable = yield* Effect.fromResult(Timetable.parse(scheduled.timetable))
  const { delayMs: _delay, id: _id, runAt: _runAt, startWithinMs, tags, unique, version, ...task } = toNewTask(
    submission,
    "",
    defaults
  )
  // A field that earlier versions do not know changes the checksum of a plan only where it says something
  const more = {
    ...(version === undefined ? {} : { version }),
    ...(startWithinMs === null ? {} : { startWithinMs }),
    ...(tags === undefined ? {} : { tags }),
    ...(unique === undefined || unique === null ? {} : { unique })
  }
  return {
    timetable,
    task: { ...task, ...more },
    missed: options.missed ?? "once",
    maxMissed: options.maxMissed ?? ScheduleOptions.defaultMaxMissed,
    overlap: options.overlap ?? "allow",
    jitterMs: options.jitter === undefined ? 0 : millisOf(options.jitter),
    startAt: options.startAt === undefined ? null : Math.ceil(options.startAt.epochMilliseconds),
    endAt: options.endAt === undefined ? null : Math.floor(options.endAt.epochMilliseconds),
    onlyIf: options.onlyIf ?? null
  }
})

/** The same text for the same plan. */
export const checksumOf = (plan: Plan): string => {
  const text = JSON.stringify(plan)
  return `${text.length}.${(Hash.string(text) >>> 0).toString(36)}`
}

/** Fails unless something is the name of a schedule. */
export const checkName = (name: string): Effect.Effect<void, InvalidOption> =>
  Bounds.check("name", ScheduleOptions.name, name ?? (null as never))
