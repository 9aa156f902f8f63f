/** How busy a pool is, as its size and the others on its store have to know. Plain calls, because they run for every task. */
import type { Load } from "../store/InstanceStore.ts"

/** How far back the load of a pool is known, in milliseconds. */
const spanMs = 60_000

/** Points in that time that are kept at most. */
const maxPoints = 60

interface Point {
  readonly at: number
  readonly ended: number
  readonly busyMs: number
}

/** Counts attempts and the time that they took. Times are of the monotonic clock, in milliseconds. */
export class PoolLoad {
  private running = 0
  private endedCount = 0
  /** The time of all attempts so far, if each that runs were to end at zero: see {@link busyUntil}. */
  private busyMs = 0
  private maxWaitMs: number | undefined
  private exhaustedAt = -Infinity
  private readonly points: Array<Point> = []

  /** A claim that began then was given less than it asked for: nothing else could start. */
  exhausted(at: number): void {
    this.exhaustedAt = at
  }

  /** How long a task that has waited for so long may have waited for a slot, and for no limit, at most. */
  waitForSlot(waitMs: number, now: number): number {
    return Math.min(waitMs, now - this.exhaustedAt)
  }

  /** A task was claimed that had waited for a slot for so long. */
  claimed(waitMs: number): void {
    if (this.maxWaitMs === undefined || waitMs > this.maxWaitMs) this.maxWaitMs = waitMs
  }

  /** An attempt has started. */
  started(at: number): void {
    this.running++
    this.busyMs -= at
  }

  /** An attempt has ended. */
  ended(at: number): void {
    this.running--
    this.endedCount++
    this.busyMs += at
  }

  /** The longest wait of those claimed since this was asked last; `undefined` when none was. */
  takeMaxWait(): number | undefined {
    const wait = this.maxWaitMs
    this.maxWaitMs = undefined
    return wait
  }

  /** What was done since the oldest point that is kept, at most a minute ago; keeps a point of now. */
  since(now: number): Load {
    const point = { at: now, ended: this.endedCount, busyMs: this.busyUntil(now) }
    while (this.points.length > 0 && (this.points.length >= maxPoints || this.points[0]!.at < now - spanMs)) {
      this.points.shift()
    }
    const first = this.points[0] ?? point
    this.points.push(point)
    return {
      forMs: Math.round(point.at - first.at),
      ended: point.ended - first.ended,
      busyMs: Math.round(point.busyMs - first.busyMs)
    }
  }

  /** The time that all slots together were busy. */
  private busyUntil(now: number): number {
    return this.busyMs + this.running * now
  }
}
