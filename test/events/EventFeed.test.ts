import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { EventFeed, type WatchedEvent } from "../../src/events/EventFeed.ts"
import { Engine, EventLog, MemoryStore, Task } from "../../src/index.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { withStepping } from "../engine/Clocks.ts"

const Email = Task.make("email")
const Report = Task.make("report")

const feedOnEngine = EventFeed.layer.pipe(
  Layer.provideMerge(Engine.layer(Layer.merge(Email.toLayer(() => Effect.void), Report.toLayer(() => Effect.void))))
)

const Live = Layer.provideMerge(feedOnEngine, MemoryStore.layer())

const onSqlite = Layer.provideMerge(feedOnEngine, Layer.orDie(SqliteStore.layer({ path: ":memory:" })))

/** Begins to watch, and is sure to have begun. */
const watching = Effect.fnUntraced(function*<A, E>(stream: Stream.Stream<A, E>) {
  const log = yield* EventLog
  const fiber = yield* Effect.forkChild(Stream.runCollect(stream))
  yield* Effect.repeat(log.attended, { until: (since) => since !== undefined })
  return fiber
})

const isEvent = (item: WatchedEvent | "gap"): item is WatchedEvent => item !== "gap"

describe("a program that watches", () => {
  it.live("gets what happens to the tasks that it names, with times as such", () =>
    Effect.gen(function*() {
      const feed = yield* EventFeed
      const fiber = yield* watching(
        feed.watch({ types: ["email"] }).pipe(
          Stream.filter(isEvent),
          Stream.takeUntil(({ event }) => event === "completed")
        )
      )
      const before = yield* DateTime.now
      yield* Report.execute()
      const { id } = yield* Email.enqueue()
      const events = yield* Fiber.join(fiber)
      assert.deepStrictEqual(events.map(({ event, id, type }) => [event, id, type]), [
        ["created", id, "email"],
        ["started", id, "email"],
        ["completed", id, "email"]
      ])
      for (const { at } of events) assert.isTrue(DateTime.isUtc(at) && DateTime.isGreaterThanOrEqualTo(at, before))
    }).pipe(Effect.provide(Live)))

  it.live("gets the wait before a retry as a duration, also where it has missed the event", () =>
    Effect.gen(function*() {
      const feed = yield* EventFeed
      const log = yield* EventLog
      const attending = yield* watching(feed.watch())
      const after = yield* log.end
      yield* log.append([{ event: "retrying", id: "a", type: "email", queue: "default", delayMs: 1500 }])
      const [missed] = yield* Stream.runCollect(feed.watch({ after }).pipe(Stream.filter(isEvent), Stream.take(1)))
      assert.deepStrictEqual(missed!.delay, Duration.millis(1500))
      assert.notProperty(missed, "delayMs")
      yield* Fiber.interrupt(attending)
    }).pipe(Effect.provide(Live)))

  it.live("goes on after the last event that it has seen, with what it names", () =>
    Effect.gen(function*() {
      const feed = yield* EventFeed
      const log = yield* EventLog
      const attending = yield* watching(feed.watch())
      const start = yield* log.end
      yield* log.append(["a", "b", "c", "b"].map((id) => ({ event: "created", id, type: "email", queue: "default" })))
      const next = yield* Stream.runCollect(feed.watch({ after: start + 1, ids: ["b"] }).pipe(Stream.take(2)))
      assert.deepStrictEqual(next.map((item) => item === "gap" ? item : [item.seq - start, item.id]), [[2, "b"], [
        4,
        "b"
      ]])
      yield* Fiber.interrupt(attending)
    }).pipe(Effect.provide(Live)))

  it.effect("is told of a gap, and of all that follows, once the store's clock was set forward", () =>
    withStepping((step) =>
      Effect.gen(function*() {
        const feed = yield* EventFeed
        const log = yield* EventLog
        const isLast = (item: WatchedEvent | "gap") =>
          item !== "gap" && item.id === "last" && item.event === "completed"
        const fiber = yield* watching(feed.watch().pipe(Stream.takeUntil(isLast)))
        yield* step("1 hour")
        assert.isUndefined(yield* log.attended)
        yield* TestClock.adjust("2 seconds")
        assert.isDefined(yield* log.attended)
        yield* Email.enqueue(undefined, { id: "last" })
        while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
        const items = yield* Fiber.join(fiber)
        assert.deepStrictEqual(
          items.map((item) => item === "gap" ? item : item.event),
          ["gap", "created", "started", "completed"]
        )
      }).pipe(Effect.provide(onSqlite, { local: true }))
    ))

  it.live("misses nothing when it is slower than a queue of its own is long", () =>
    Effect.gen(function*() {
      const feed = yield* EventFeed
      const log = yield* EventLog
      const count = 3000
      const event = { event: "progress", id: "one", type: "email", queue: "default" } as const
      let isHeldUp = true
      const fiber = yield* watching(
        feed.watch().pipe(
          Stream.tap(() => isHeldUp ? Effect.repeat(Effect.sleep(5), { while: () => isHeldUp }) : Effect.void),
          Stream.take(count)
        )
      )
      const start = yield* log.end
      for (let done = 0; done < count; done += 500) {
        yield* log.append(Array.from({ length: 500 }, () => event))
        // The feed looks at the log each second
        yield* Effect.sleep(20)
      }
      yield* Effect.sleep("1500 millis")
      isHeldUp = false
      const items = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        items.map((item) => item === "gap" ? item : item.seq),
        Array.from({ length: count }, (_, index) => start + index + 1)
      )
    }).pipe(Effect.provide(Live)))
})
