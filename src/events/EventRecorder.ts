/**
 * Takes down what happens to tasks in this process and hands it to the log in batches, behind the work and not in its
 * way. While no reader attends, recording is one comparison; a full buffer drops the oldest and says that some were lost.
 * What must come after an event that another instance has yet to log waits for that, see `LifeOrder`.
 *
 * Whether a reader attends is asked of the log once a second at most, while things happen, and at once when a hint says
 * that one has come.
 */
import { Clock, Effect, Latch, type Scope } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { NewTaskEvent } from "../domain/TaskEvent.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { fitting } from "../store/Admission.ts"
import { type EventLog, keptBytes, keptEvents, sizeOf } from "../store/EventLog.ts"
import { events as hint, Notifier } from "../store/Notifier.ts"
import { LifeOrder } from "./LifeOrder.ts"

/** Events appended together at most. */
const batchSize = 1000

/** Their bytes: several batches are read at once. */
const maxBatchBytes = 256 * 1024

/** How long events are gathered. */
const gatherFor = "20 millis"

/** How long events are held before the log is read for what they wait for: most of it happens in this process. */
const lookAfterMs = 40

/** Events read together. */
const pageSize = 500

/** How long an answer about attendance holds. */
const askAgainAfterMs = 1000

/** Takes events down. */
export interface Recorder {
  /** Whether what is recorded now has a reader: ask before making events. */
  readonly isAttended: () => boolean
  /** Takes down events, those of each task in the order of its life. */
  readonly record: (events: ReadonlyArray<NewTaskEvent>) => void
  /** Something has happened whose events are lost: a process died. */
  readonly lost: () => void
}

/** Starts recording into a log; closing the scope flushes what waits. */
export const make = Effect.fnUntraced(function*(
  log: EventLog["Service"]
): Effect.fn.Return<Recorder, never, Notifier | Supervisor | Scope.Scope> {
  const notifier = yield* Notifier
  const supervisor = yield* Supervisor
  const clock = yield* Clock.Clock
  const now = () => MonotonicClock.millis(clock)
  const some = Latch.makeUnsafe(false)
  const ask = Latch.makeUnsafe(true)
  let waiting: Array<NewTaskEvent> = []
  /** Of those that wait. */
  let bytes = 0
  let isLost = false
  let attended = false
  let askedAt = now()
  let skippedAt = -Infinity
  const someHeld = Latch.makeUnsafe(false)
  /** How far the log was read for what is held. */
  let place = 0

  /** What is appended next; it does not wait any more. */
  const take = (): ReadonlyArray<NewTaskEvent> => {
    const sizes = waiting.slice(0, batchSize).map(sizeOf)
    const batch = waiting.slice(0, fitting(sizes, maxBatchBytes))
    waiting = waiting.slice(batch.length)
    bytes -= totalOf(batch)
    return batch
  }

  const append = Effect.gen(function*() {
    while (waiting.length > 0 || isLost) {
      const batch = take()
      const lost = isLost
      isLost = false
      yield* Effect.onError(log.append(batch, lost), () =>
        Effect.sync(() => {
          waiting = [...batch, ...waiting]
          bytes += totalOf(batch)
          isLost ||= lost
        }))
    }
    yield* notifier.publish(hint)
  })

  /** Drops the oldest of more than the log would keep: half at once, so that each event pays little. */
  const drop = (): void => {
    waiting = waiting.slice(-keptEvents / 2)
    bytes = totalOf(waiting)
    while (bytes > keptBytes / 2) {
      const half = waiting.splice(0, Math.ceil(waiting.length / 2))
      bytes -= totalOf(half)
    }
    isLost = true
  }

  const flush = Effect.suspend(() => waiting.length === 0 && !isLost ? Effect.void : append)

  const keep = (events: ReadonlyArray<NewTaskEvent>): void => {
    if (events.length === 0) return
    for (const event of events) {
      waiting.push(event)
      bytes += sizeOf(event)
    }
    if (waiting.length > keptEvents || bytes > keptBytes) drop()
    some.openUnsafe()
  }

  const order = new LifeOrder(keep, now)

  /** Reads what others have logged, as long as something has been held for so long. */
  const follow = (heldForMs: number) =>
    Effect.gen(function*() {
      while (order.holdsFor(heldForMs)) {
        const page = yield* log.read(place, pageSize)
        place = page.next
        order.read(page.events)
        if (page.events.length === 0) return
        yield* Effect.yieldNow
      }
    })

  yield* Effect.addFinalizer(() =>
    Effect.ignore(Effect.timeoutOption(follow(0), "500 millis")).pipe(
      Effect.andThen(Effect.sync(() => order.expire(true))),
      Effect.andThen(Effect.ignore(Effect.timeoutOption(flush, "1 second")))
    )
  )
  yield* supervisor.loop(
    "events",
    Effect.suspend(() => {
      some.closeUnsafe()
      return append
    }),
    { when: Effect.andThen(some.await, Effect.sleep(gatherFor)) }
  )
  yield* supervisor.loop(
    "order of events",
    Effect.ensuring(
      follow(lookAfterMs),
      Effect.sync(() => {
        order.expire()
        if (!order.holdsFor(0)) someHeld.closeUnsafe()
      })
    ),
    { when: Effect.andThen(someHeld.await, Effect.sleep(gatherFor)) }
  )
  yield* supervisor.loop(
    "attendance",
    Effect.gen(function*() {
      ask.closeUnsafe()
      askedAt = now()
      const since = yield* log.attended
      // What was left out since a reader came
      if (!attended && since !== undefined && skippedAt > now() - since) lost()
      attended = since !== undefined
    }),
    { when: ask.await }
  )
  yield* notifier.listen((hint) => {
    if (hint._tag === "Events" && !attended) ask.openUnsafe()
  })

  const lost = (): void => {
    isLost = true
    some.openUnsafe()
  }

  return {
    isAttended: () => {
      const at = now()
      if (at - askedAt >= askAgainAfterMs) ask.openUnsafe()
      if (!attended) skippedAt = at
      return attended
    },
    record: (events) => {
      order.record(events)
      if (order.holdsFor(0)) someHeld.openUnsafe()
    },
    lost: () => {
      if (attended) lost()
    }
  }
})

const totalOf = (events: ReadonlyArray<NewTaskEvent>): number => {
  let bytes = 0
  for (const event of events) bytes += sizeOf(event)
  return bytes
}
