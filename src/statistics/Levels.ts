/**
 * How long what happened is kept, and how finely. Instances write the first level; the leader adds each level up from the one before.
 * The widest question about each level is answered from 360 to 750 buckets, which is what a chart can show.
 */

/** Buckets of one width. */
export interface Level {
  /** The width of a bucket, in milliseconds. */
  readonly stepMs: number
  /** The time of all buckets that are in one record, in milliseconds. */
  readonly chunkMs: number
  /** How long they are kept, in milliseconds. */
  readonly keepMs: number
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** From the finest on. A chunk of each is whole chunks of those before, and a bucket whole buckets. */
export const levels: ReadonlyArray<Level> = [
  { stepMs: 10 * second, chunkMs: minute, keepMs: hour },
  { stepMs: minute, chunkMs: 10 * minute, keepMs: 6 * hour },
  { stepMs: 10 * minute, chunkMs: hour, keepMs: 3 * day },
  { stepMs: hour, chunkMs: 6 * hour, keepMs: 31 * day }
]

/** How long a chunk is waited for, so that an instance which could not reach the store for a while has written it, in milliseconds. */
export const graceMs: number = 5 * minute

/** The longest time that can be asked about, in milliseconds. */
export const maxSpanMs: number = levels.at(-1)!.keepMs

/** The start of the stretch of this width that a time is in. */
export const startOf = (at: number, widthMs: number): number => Math.floor(at / widthMs) * widthMs

/** The finest level that still has what happened at a time, and whose buckets are at least so wide. */
export const levelFor = (fromMs: number, stepMs: number, now: number): number => {
  const found = levels.findIndex((level, index) =>
    index === levels.length - 1 || (now - fromMs <= level.keepMs && levels[index + 1]!.stepMs > stepMs)
  )
  return found
}
