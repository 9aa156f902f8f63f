/** What may be said about a schedule besides its timetable and its task. */
import { DateTime, Duration } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption } from "../domain/Errors.ts"
import type { EnqueueOptions } from "../queue/Submission.ts"

/**
 * What becomes of ticks that passed while no instance was there to make their tasks:
 *
 * - `once`: one task, for the latest of them
 * - `skip`: none, unless the latest is less than a minute late
 * - `all`: a task for each, but for the latest `maxMissed` only
 */
export type Missed = "skip" | "once" | "all"

/**
 * What becomes of a tick while the task before it has not finished: its task is made all the same (`allow`), it is left out (`skip`),
 * or it is made and the one before is cancelled (`cancel`).
 */
export type Overlap = "allow" | "skip" | "cancel"

/** How a schedule goes about its ticks. */
export interface TickOptions {
  /** Default `once`. */
  readonly missed?: Missed | undefined
  /** Tasks that `missed: "all"` makes up for at most. Default 10, at most 100. */
  readonly maxMissed?: number | undefined
  /** Default `allow`. */
  readonly overlap?: Overlap | undefined
  /** Each task is due up to so much after its tick: always the same for a tick, and another time for each. Default: none. */
  readonly jitter?: Duration.Input | undefined
  /** No tick is before. */
  readonly startAt?: DateTime.DateTime | undefined
  /** No tick is after. */
  readonly endAt?: DateTime.DateTime | undefined
  /** `lastSucceeded`: a tick is left out unless the task before it has completed. Default: none is. */
  readonly onlyIf?: "lastSucceeded" | undefined
}

/** The same, and how its tasks are enqueued. */
export interface ScheduleOptions
  extends
    TickOptions,
    Pick<EnqueueOptions, "queue" | "priority" | "maxRetries" | "timeout" | "expiresIn" | "startWithin" | "tags">
{}

/** Tasks that are made up for, unless it is said. */
export const defaultMaxMissed = 10

const maxMaxMissed = 100

const word = (...words: ReadonlyArray<string>): Bounds.Bound<string> => ({
  expected: words.map((one) => JSON.stringify(one)).join(" or "),
  accepts: (value) => words.includes(value)
})

/** Two ticks that are further apart than it never change places. */
const jitter: Bounds.Bound<Duration.Input> = {
  expected: "a duration from 0 to 1 day",
  accepts: (input) => Bounds.delay.accepts(input) && Duration.toMillis(input) <= Duration.toMillis("1 day")
}

const bounds: { readonly [Name in keyof TickOptions]-?: Bounds.Bound<any> } = {
  missed: word("skip", "once", "all"),
  maxMissed: Bounds.whole(1, maxMaxMissed),
  overlap: word("allow", "skip", "cancel"),
  jitter,
  startAt: Bounds.runAt,
  endAt: Bounds.runAt,
  onlyIf: word("lastSucceeded")
}

/** What a schedule's tasks may have said about them. */
const taskNames: Bounds.Names<Omit<ScheduleOptions, keyof TickOptions>> = {
  queue: 1,
  priority: 1,
  maxRetries: 1,
  timeout: 1,
  expiresIn: 1,
  startWithin: 1,
  tags: 1
}

const names: Bounds.Names<ScheduleOptions> = { ...bounds, ...taskNames }

/** The first option that is unknown or out of bounds, if one is. What is about tasks is looked at with their submissions. */
export const refuse = (options: ScheduleOptions): InvalidOption | undefined => {
  const unknown = Bounds.refuseUnknown(options, names)
  if (unknown !== undefined) return unknown
  for (const [name, bound] of Object.entries(bounds)) {
    const invalid = Bounds.refuse(name, bound, options[name as keyof TickOptions])
    if (invalid !== undefined) return invalid
  }
  const { endAt, maxMissed, missed, startAt } = options
  if (maxMissed !== undefined && missed !== "all") {
    return new InvalidOption({
      option: "maxMissed",
      found: Bounds.foundOf(maxMissed),
      expected: "none, unless missed is \"all\"",
      index: 0
    })
  }
  if (startAt !== undefined && endAt !== undefined && endAt.epochMilliseconds < startAt.epochMilliseconds) {
    return new InvalidOption({
      option: "endAt",
      found: DateTime.formatIso(endAt),
      expected: `a time from ${DateTime.formatIso(startAt)} on, before which there is no tick`,
      index: 0
    })
  }
  return undefined
}

/** Those options that are about tasks. */
export const ofTasks = (options: ScheduleOptions): EnqueueOptions => {
  const given: Record<string, unknown> = {}
  for (const name of Object.keys(taskNames) as Array<keyof typeof taskNames>) {
    if (options[name] !== undefined) given[name] = options[name]
  }
  return given
}

/** The name of a schedule. The ids of its tasks begin with it, and HTTP reaches it by a path, which ends with no dot segment. */
export const name: Bounds.Bound<string> = {
  expected: `${maxScheduleName()} characters at most, without U+0000 and lone surrogates, and neither "." nor ".."`,
  accepts: (text) => Bounds.id.accepts(text) && text.length <= maxScheduleName()
}

/** An id has room for a name, a mark and a time. */
function maxScheduleName() {
  return Bounds.maxIdLength - "@2026-01-31T13:30:00.000Z".length
}
