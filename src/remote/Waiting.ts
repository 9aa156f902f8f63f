/**
 * Workers that wait for tasks. Those that wait for the same types and queues stand in one line, and only the first of a line asks the
 * store: a thousand idle workers cost as much as one. One that gets tasks leaves the line, and the next one asks at once.
 */
import { Effect, Latch } from "effect"

/** Requests that wait at the same time at most. */
export const maxWaiting = 2000

/** What one look at the store has given. */
export interface Look<A> {
  readonly found: ReadonlyArray<A>
  /** How long nothing is known to become due, in milliseconds. */
  readonly quietMs: number
}

/** The lines of a process. Each place in one is a latch, which opens when it comes first, and for the first when there may be work. */
export class Waiting {
  private readonly lines = new Map<string, Array<Latch.Latch>>()
  private count = 0
  private closed = false
  private readonly monotonicMs: () => number

  constructor(monotonicMs: () => number) {
    this.monotonicMs = monotonicMs
  }

  /** Whether no other may wait now. */
  get isFull(): boolean {
    return this.count >= maxWaiting
  }

  /** There may be work: the first of each line looks. */
  wake(): void {
    for (const [first] of this.lines.values()) first?.openUnsafe()
  }

  /** Sends all away with nothing, and those that come later. */
  close(): void {
    this.closed = true
    for (const line of this.lines.values()) for (const place of line) place.openUnsafe()
  }

  /** Looks again and again until something is found or the time has passed. */
  until<A, E, R>(
    nameOfLine: string,
    waitMs: number,
    look: Effect.Effect<Look<A>, E, R>
  ): Effect.Effect<ReadonlyArray<A>, E, R> {
    return Effect.suspend(() => {
      const endsAt = this.monotonicMs() + waitMs
      const left = () => this.closed ? 0 : endsAt - this.monotonicMs()
      const line = this.lineOf(nameOfLine)
      const place = Latch.makeUnsafe(false)
      line.push(place)
      this.count++
      const found = Effect.gen(function*() {
        while (left() > 0) {
          let quietMs = Infinity
          if (line[0] === place) {
            // Before the look: what is announced from here on opens it again
            place.closeUnsafe()
            const seen = yield* look
            if (seen.found.length > 0) return seen.found
            quietMs = Math.max(1, seen.quietMs)
          }
          const ms = Math.ceil(Math.min(left(), quietMs))
          if (ms > 0) yield* Effect.timeoutOption(place.await, ms)
        }
        return []
      })
      return Effect.ensuring(found, Effect.sync(() => this.leave(nameOfLine, line, place)))
    })
  }

  private lineOf(name: string): Array<Latch.Latch> {
    const known = this.lines.get(name)
    if (known !== undefined) return known
    const line: Array<Latch.Latch> = []
    this.lines.set(name, line)
    return line
  }

  private leave(name: string, line: Array<Latch.Latch>, place: Latch.Latch): void {
    this.count--
    line.splice(line.indexOf(place), 1)
    if (line.length === 0) this.lines.delete(name)
    else line[0]!.openUnsafe()
  }
}
