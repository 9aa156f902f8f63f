/**
 * Times as stores keep them, in milliseconds since the epoch, and as programs read them, as `DateTime.Utc`. The engine computes
 * with numbers: only what a program or a person reads becomes the other.
 */
import { type Clock, DateTime } from "effect"
import * as Bounds from "./Bounds.ts"

/** A time of a store's clock. Versions without bounds may have stored what no calendar has: it must not hide the rest. */
export const utc = (millis: number): DateTime.Utc =>
  DateTime.makeUnsafe(Math.min(Math.max(millis, Bounds.minRunAt), Bounds.maxRunAt))

/** The same, if there is one. */
export const utcOrNull = (millis: number | null): DateTime.Utc | null => millis === null ? null : utc(millis)

/** The time of a clock of this process. */
export const utcNow = (clock: Clock.Clock): DateTime.Utc => utc(clock.currentTimeMillisUnsafe())
