/** The log of events in this process's memory. */
import { type Clock, type Context, Effect } from "effect"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import type { TaskEvent } from "../../domain/TaskEvent.ts"
import { type EventLog, keptBytes, keptEvents, sizeOf } from "../EventLog.ts"

export const make = (clock: Clock.Clock): Context.Service.Shape<typeof EventLog> => {
  let events: Array<TaskEvent> = []
  let bytes = 0
  let seq = 0
  /** Every event after this number is in the log. */
  let floor = 0
  let attendedFrom = 0
  let attendedUntil = -Infinity
  const now = MonotonicClock.fromNow(clock)

  const beginAnew = (): void => {
    floor = ++seq
    events = []
    bytes = 0
  }

  const drop = (): void => {
    let first = Math.max(0, events.length - keptEvents)
    bytes = 0
    for (let index = events.length - 1; index >= first; index--) {
      bytes += sizeOf(events[index]!)
      if (bytes > keptBytes) first = index
    }
    events = events.slice(first)
    floor = seq - events.length
  }

  return {
    append: (added, lost = false) =>
      Effect.sync(() => {
        if (lost) beginAnew()
        const at = clock.currentTimeMillisUnsafe()
        for (const event of added) {
          events.push({ ...event, seq: ++seq, at })
          bytes += sizeOf(event)
        }
        // Half of it at once, so that each append pays little
        if (events.length > 2 * keptEvents || bytes > 2 * keptBytes) drop()
      }),
    read: (after, limit) =>
      Effect.sync(() => {
        const gap = after < floor || after > seq
        const from = gap ? floor : after
        // All numbers above the floor are there, one after the other
        const page = events.slice(from - floor, from - floor + limit)
        return { events: page, gap, next: page.at(-1)?.seq ?? seq }
      }),
    end: Effect.sync(() => seq),
    attend: (forMs) =>
      Effect.sync(() => {
        if (attendedUntil <= now()) {
          attendedFrom = now()
          beginAnew()
        }
        attendedUntil = Math.max(attendedUntil, now() + forMs)
      }),
    attended: Effect.sync(() => attendedUntil > now() ? now() - attendedFrom : undefined)
  }
}
