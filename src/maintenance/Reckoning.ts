/**
 * What the store's clock can show now, as far as this process can tell without trusting it: each answer of the store says
 * what it showed then, and the monotonic clock says how long ago that was.
 *
 * All answers of the last lease count, and the one before them. In the hour that a clock jumps, they contradict each other for one lease, in which
 * every living instance renews what it holds; until then the earliest time is used for what should have run out, and the
 * latest for what lies too far ahead.
 */

interface Reading {
  /** What the store's clock showed at some moment between the next two. */
  readonly now: number
  readonly sentAt: number
  readonly receivedAt: number
}

/** The times between which the store's clock stands. */
export interface Bounds {
  readonly earliest: number
  readonly latest: number
}

/** Times are milliseconds: `now` those of the store, all others of the monotonic clock. */
export class Reckoning {
  private readings: ReadonlyArray<Reading> = []
  private readonly keepForMs: number

  constructor(keepForMs: number) {
    this.keepForMs = keepForMs
  }

  /**
   * Takes an answer of the store into account. One counts until a lease after the answer that followed it: the clock may have
   * been set just before that.
   */
  add(reading: Reading): void {
    const readings = [...this.readings, reading]
    this.readings = readings.filter((_, index) =>
      (readings[index + 1]?.receivedAt ?? Infinity) > reading.receivedAt - this.keepForMs
    )
  }

  /** Forgets everything: too much time has passed since. */
  clear(): void {
    this.readings = []
  }

  /** What the store's clock can show at a moment; `undefined` before the first answer. */
  at(moment: number): Bounds | undefined {
    if (this.readings.length === 0) return undefined
    let earliest = Infinity
    let latest = -Infinity
    for (const { now, receivedAt, sentAt } of this.readings) {
      earliest = Math.min(earliest, now + (moment - receivedAt))
      latest = Math.max(latest, now + (moment - sentAt))
    }
    return { earliest: Math.floor(earliest), latest: Math.ceil(latest) }
  }
}
