/** Pauses of queues, types and keys as programs ask for them and read them: who paused them, why, and until when. */
import { type DateTime, Duration, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption } from "../domain/Errors.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type * as PausedQueues from "../store/PausedQueues.ts"
import type * as PausedRecords from "../store/PausedRecords.ts"

/** Why something is paused, by whom, and for how long. */
export interface PauseOptions {
  /** Shown where it is: at most {@link Bounds.maxReasonLength} characters. */
  readonly reason?: string | undefined
  /** Who pauses it. Over HTTP, the name of a key takes its place. */
  readonly by?: string | undefined
  /** How long, by the store's clock; until it is resumed when left out. Not together with `until`. */
  readonly for?: Duration.Input | undefined
  /** When it goes on by itself: a time that has not passed by the store's clock. Not together with `for`. */
  readonly until?: DateTime.DateTime | undefined
}

/** A pause of a queue, a type or a key. Times are by the store's clock. */
export interface Pause {
  readonly by: string | null
  readonly reason: string | null
  readonly since: DateTime.Utc
  /** When it goes on by itself, within a second; `null` when it waits to be resumed. */
  readonly until: DateTime.Utc | null
}

/** A queue that is paused. */
export interface PausedQueue extends Pause {
  readonly queue: string
}

/** A type that is paused. */
export interface PausedType extends Pause {
  readonly type: string
}

/** A key of a limit that is paused. */
export interface PausedKey extends Pause {
  readonly limit: string
  readonly key: string
}

const pauseBounds: { readonly [Name in keyof PauseOptions]-?: Bounds.Bound<any> } = {
  reason: Bounds.reason,
  by: Bounds.name,
  for: Bounds.timeout,
  until: Bounds.runAt
}

/** The options of a pause, unless one is unknown or outside of its bound. */
export const check = (options: PauseOptions): Effect.Effect<PauseOptions, InvalidOption> => {
  const invalid = Bounds.refuseUnknown(options, pauseBounds) ??
    Bounds.refuse("reason", pauseBounds.reason, options.reason) ?? Bounds.refuse("by", pauseBounds.by, options.by) ??
    Bounds.refuse("for", pauseBounds.for, options.for) ?? Bounds.refuse("until", pauseBounds.until, options.until) ??
    (options.for !== undefined && options.until !== undefined
      ? new InvalidOption({ option: "for", found: "given with until", expected: "one of both", index: 0 })
      : undefined)
  return invalid === undefined ? Effect.succeed(options) : Effect.fail(invalid)
}

/** A pause, read. */
export const pauseOf = ({ by, reason, since, until }: Omit<PausedRecords.Paused, "id">): Pause => ({
  by,
  reason,
  since: utc(since),
  until: utcOrNull(until)
})

/** A paused queue, read. */
export const pausedQueueOf = (paused: PausedQueues.PausedQueue): PausedQueue => ({
  queue: paused.queue,
  ...pauseOf(paused)
})

/** What a store is told of a pause whose options have been checked. */
export const reasonOf = ({ by, for: time, reason, until }: PauseOptions): PausedQueues.Reason => ({
  by,
  reason,
  forMs: time === undefined ? undefined : Math.ceil(Duration.toMillis(time)),
  until: until === undefined ? undefined : Math.ceil(until.epochMilliseconds)
})
