/** What must hold of schedules on every store. */
import { assert, describe } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Latch, Layer, Schema } from "effect"
import { type SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { StoreError } from "../../src/domain/Errors.ts"
import * as PooledRandom from "../../src/engine/PooledRandom.ts"
import type { ScheduleOptions } from "../../src/schedule/ScheduleOptions.ts"
import * as ScheduleRecords from "../../src/schedule/ScheduleRecords.ts"
import { Schedules } from "../../src/schedule/Schedules.ts"
import * as Ticker from "../../src/schedule/Ticker.ts"
import type { StoreSettings } from "../../src/store/Driver.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { type Driver, scenario } from "../store/conformance/driver.ts"
import {
  add,
  cancel,
  complete,
  everything,
  fail,
  hour,
  minute,
  record,
  running,
  second,
  settled,
  stateOf,
  stop,
  take,
  takeOne
} from "../store/conformance/fixtures.ts"

const Work = Task.make("work", { payload: { n: Schema.Int } })

/** More than an instance keeps what it has taken. */
const lease = 6 * second

const services = Layer.provideMerge(Schedules.layer(), PooledRandom.layer)

/** One hourly schedule, whose first tick is half an hour from now; answers its ticks by their numbers. */
const hourly = Effect.fnUntraced(function*(name: string, options: ScheduleOptions = {}, n = 1) {
  const first = (yield* ScheduleRecords.now) + hour / 2
  yield* Schedules.set(name, Work.schedule({ every: "1 hour", start: first }, { n }, options))
  return (number: number) => first + (number - 1) * hour
})

/** The id of the task of a tick. */
const idOf = (name: string, tick: number) => `${name}@${new Date(tick).toISOString()}`

/** An instance that looks once. */
const look = Ticker.step

/** Looks until nothing is due. */
const lookAll = Ticker.tickDue

/** The ids of all tasks, sorted. */
const made = Effect.map(everything, (tasks) => tasks.map(({ id }) => id).toSorted())

/** What became of ticks, the latest last. */
const outcomes = (name: string) =>
  Effect.map(Schedules.history(name), (ticks) => ticks.map(({ outcome }) => outcome).toReversed())

/** A step on a store of records that behaves otherwise. */
const lookWith = (change: (records: RecordStore["Service"]) => Partial<RecordStore["Service"]>) =>
  Effect.gen(function*() {
    const records = yield* RecordStore
    return yield* Effect.provideService(look, RecordStore, { ...records, ...change(records) })
  })

const lost = new StoreError({ operation: "write", reason: "the answer was lost" })

export const keepsSchedules = (name: string, driver: Driver) => {
  const claim = (
    title: string,
    body: () => Effect.Effect<void, unknown, TaskStore | RecordStore | Schedules | SecureRandom.SecureRandom>,
    settings: StoreSettings = {}
  ) => scenario(driver, title, () => Effect.provide(body(), services), settings)

  /** Lets time pass while an effect waits. */
  const waiting = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    driver.live === true ? effect : Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(effect)
      while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 millis")
      return yield* Fiber.join(fiber)
    })

  describe(name, () => {
    claim("makes a task at each tick, which is due at the tick and named for it", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("a", { priority: "high", maxRetries: 7, timeout: "1 minute", queue: "night" }, 42)
        yield* lookAll
        assert.deepStrictEqual(yield* made, [])
        yield* driver.advance(hour)
        yield* lookAll
        assert.deepStrictEqual(yield* made, [idOf("a", tick(1))])
        const task = yield* record(idOf("a", tick(1)))
        assert.deepStrictEqual(
          [task.type, task.queue, task.payload, task.maxRetries, task.timeoutMs, task.dueAt],
          ["work", "night", "{\"n\":42}", 7, minute, tick(1)]
        )
        yield* lookAll
        yield* driver.advance(hour)
        yield* lookAll
        assert.deepStrictEqual(yield* made, [idOf("a", tick(1)), idOf("a", tick(2))])
        const view = yield* Schedules.get("a")
        assert.deepStrictEqual([view.made, view.skipped, view.next?.epochMilliseconds], [2, 0, tick(3)])
        assert.deepStrictEqual(yield* outcomes("a"), ["made", "made"])
      }))

    claim("gives each of many ticks to one of three instances that look at once", () =>
      Effect.gen(function*() {
        const names = Array.from({ length: 230 }, (_, index) => `s-${String(index).padStart(3, "0")}`)
        const ticks = yield* Effect.forEach(names, (name) => hourly(name), { concurrency: 10 })
        yield* driver.advance(hour)
        for (let round = 0; round < 4; round++) yield* Effect.all([look, look, look], { concurrency: "unbounded" })
        assert.deepStrictEqual(yield* made, names.map((name, index) => idOf(name, ticks[index]!(1))).toSorted())
        for (const name of names) assert.strictEqual((yield* Schedules.get(name)).made, 1, name)
      }))

    claim("gives what an instance took that died before it wrote to another one", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("a")
        yield* driver.advance(hour)
        yield* waiting(Effect.flip(lookWith(() => ({ atomically: () => Effect.fail(lost) }))))
        yield* lookAll
        assert.deepStrictEqual(yield* made, [])
        yield* driver.advance(lease)
        yield* lookAll
        assert.deepStrictEqual(yield* made, [idOf("a", tick(1))])
      }))

    claim("makes one task although answers are lost, once or for good", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("a")
        yield* driver.advance(hour)
        let answers = 0
        yield* waiting(lookWith(({ atomically }) => ({
          atomically: (nonce, parts) => Effect.filterOrFail(atomically(nonce, parts), () => answers++ > 0, () => lost)
        })))
        assert.strictEqual(answers, 2)
        yield* driver.advance(hour)
        yield* waiting(Effect.flip(lookWith(({ atomically }) => ({
          atomically: (nonce, parts) => Effect.andThen(atomically(nonce, parts), Effect.fail(lost))
        }))))
        yield* driver.advance(lease)
        yield* lookAll
        assert.deepStrictEqual(yield* made, [idOf("a", tick(1)), idOf("a", tick(2))])
        assert.strictEqual((yield* Schedules.get("a")).made, 2)
      }))

    claim("lets an instance write nothing that stood still for longer than its lease", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("a")
        yield* driver.advance(hour)
        const latch = yield* Latch.make()
        const frozen = yield* Effect.forkChild(lookWith(({ atomically }) => ({
          atomically: (nonce, parts) => Effect.andThen(latch.await, atomically(nonce, parts))
        })))
        yield* Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))
        yield* driver.live === true ? Effect.sleep("300 millis") : Effect.void
        yield* driver.advance(lease)
        yield* lookAll
        assert.deepStrictEqual(yield* made, [idOf("a", tick(1))])
        yield* latch.open
        yield* Fiber.join(frozen)
        const view = yield* Schedules.get("a")
        assert.deepStrictEqual([view.made, view.next?.epochMilliseconds], [1, tick(2)])
      }))

    claim(
      "makes no tick twice when the clock is set back, and goes on behind the last one",
      () =>
        Effect.gen(function*() {
          const tick = yield* hourly("a")
          yield* driver.advance(hour)
          yield* lookAll
          yield* driver.advance(-3 * hour)
          yield* lookAll
          yield* driver.advance(3 * hour)
          yield* lookAll
          assert.deepStrictEqual(yield* made, [idOf("a", tick(1))])
          yield* driver.advance(hour)
          yield* lookAll
          yield* driver.advance(-hour)
          yield* lookAll
          assert.deepStrictEqual(yield* made, [idOf("a", tick(1)), idOf("a", tick(2))])
          assert.deepStrictEqual(yield* outcomes("a"), ["made", "made"])
        })
    )

    claim(
      "makes up for missed ticks as it is told: with the latest, with none, or with as many as may be",
      () =>
        Effect.gen(function*() {
          const tick = yield* hourly("once")
          yield* hourly("skip", { missed: "skip" })
          yield* hourly("all", { missed: "all", maxMissed: 3 })
          yield* driver.advance(5 * hour)
          yield* lookAll
          const last = (name: string, number: number) => [name, number] as const
          const found = (yield* made).map((id) => id.split("@")[0])
          assert.deepStrictEqual(found, ["all", "all", "all", "once"])
          assert.include(yield* made, idOf("once", tick(5)))
          assert.deepStrictEqual(yield* outcomes("once"), ["missed", "made"])
          assert.deepStrictEqual(yield* outcomes("all"), ["missed", "made", "made", "made"])
          assert.deepStrictEqual(yield* outcomes("skip"), ["missed", "missed"])
          const [, missed] = yield* Schedules.history("once")
          assert.deepStrictEqual(
            [missed?.count, missed?.first.epochMilliseconds, missed?.tick.epochMilliseconds],
            [4, tick(1), tick(4)]
          )
          for (const [name, skipped] of [last("once", 4), last("skip", 5), last("all", 2)]) {
            assert.strictEqual((yield* Schedules.get(name)).skipped, skipped, name)
          }
        })
    )

    claim("finds the latest tick of years in which it was down", () =>
      Effect.gen(function*() {
        const first = (yield* ScheduleRecords.now) + 30 * second
        yield* Schedules.set("a", Work.schedule({ every: "1 minute", start: first }, { n: 1 }))
        yield* driver.advance(Duration.days(1000))
        yield* lookAll
        assert.deepStrictEqual(yield* made, [idOf("a", first + (1000 * 24 * 60 - 1) * minute)])
        const [, missed] = yield* Schedules.history("a")
        assert.strictEqual(missed?.tick.epochMilliseconds, first + (1000 * 24 * 60 - 2) * minute)
        yield* driver.advance(minute)
        yield* lookAll
        assert.lengthOf(yield* made, 2)
      }))

    claim(
      "leaves a tick out while the task before it has not finished, or cancels that task",
      () =>
        Effect.gen(function*() {
          const tick = yield* hourly("skip", { overlap: "skip" })
          const other = yield* hourly("cancel", { overlap: "cancel" })
          yield* driver.advance(hour)
          yield* lookAll
          yield* driver.advance(hour)
          yield* lookAll
          assert.deepStrictEqual(
            yield* made,
            [idOf("cancel", other(1)), idOf("cancel", other(2)), idOf("skip", tick(1))].toSorted()
          )
          assert.strictEqual(yield* stateOf(idOf("cancel", other(1))), "cancelled")
          assert.deepStrictEqual(yield* outcomes("skip"), ["made", "overlap"])
          yield* cancel(idOf("skip", tick(1)))
          yield* driver.advance(hour)
          yield* lookAll
          assert.deepStrictEqual(yield* outcomes("skip"), ["made", "overlap", "made"])
        })
    )

    claim("leaves ticks out until the last task has completed, if that is asked for", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("a", { onlyIf: "lastSucceeded" })
        yield* driver.advance(hour)
        yield* lookAll
        yield* settled(fail(yield* takeOne()))
        yield* driver.advance(hour)
        yield* lookAll
        assert.deepStrictEqual(yield* outcomes("a"), ["made", "unsuccessful"])
        yield* TaskStore.use((store) => store.rerun([idOf("a", tick(1))]))
        yield* settled(complete(yield* takeOne()))
        yield* driver.advance(hour)
        yield* lookAll
        assert.deepStrictEqual(yield* outcomes("a"), ["made", "unsuccessful", "made"])
      }))

    claim("makes nothing while it is paused, and misses nothing by that", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("a", { missed: "all" })
        const paused = yield* Schedules.pause("a", { by: "ada", reason: "It moves" })
        assert.deepStrictEqual([paused.state, paused.pause?.by, paused.pause?.reason, paused.next], [
          "paused",
          "ada",
          "It moves",
          null
        ])
        yield* driver.advance(3 * hour)
        yield* lookAll
        assert.deepStrictEqual(yield* made, [])
        const resumed = yield* Schedules.resume("a")
        assert.deepStrictEqual([resumed.state, resumed.next?.epochMilliseconds], ["active", tick(4)])
        yield* driver.advance(hour)
        yield* lookAll
        assert.deepStrictEqual(yield* made, [idOf("a", tick(4))])
      }))

    claim("keeps a tick that is due when it is set again, and starts from now otherwise", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("a")
        yield* driver.advance(hour)
        // what is due already stays due, whatever the new timetable would have been
        yield* Schedules.set("a", Work.schedule({ every: "1 hour", start: tick(1) }, { n: 2 }))
        yield* lookAll
        assert.deepStrictEqual(yield* made, [idOf("a", tick(1))])
        assert.strictEqual((yield* record(idOf("a", tick(1)))).payload, "{\"n\":2}")
        // what a new timetable would have said of the past was not missed
        const view = yield* Schedules.set("a", Work.schedule({ every: "10 minutes", start: tick(1) }, { n: 3 }))
        assert.strictEqual(view.next?.epochMilliseconds, tick(1) + 40 * minute)
        assert.strictEqual(view.made, 1)
        yield* lookAll
        assert.lengthOf(yield* made, 1)
      }))

    claim(
      "takes back a tick whose schedule is paused, changed or removed while it is made",
      () =>
        Effect.gen(function*() {
          for (const name of ["changed", "paused", "removed", "stays"]) yield* hourly(name)
          yield* driver.advance(hour)
          const schedules = yield* Effect.context<Schedules>()
          let between = true
          yield* lookWith(({ atomically }) => ({
            atomically: (nonce, parts) => {
              const first = between
              between = false
              const meddle = Effect.gen(function*() {
                yield* Schedules.pause("paused")
                yield* Schedules.remove("removed")
                yield* Schedules.set("changed", Work.schedule({ every: "1 hour" }, { n: 99 }))
              }).pipe(Effect.orDie, Effect.provideContext(schedules))
              return Effect.andThen(first ? meddle : Effect.void, atomically(nonce, parts))
            }
          }))
          assert.deepStrictEqual((yield* made).map((id) => id.split("@")[0]), ["stays"])
          yield* lookAll
          const found = yield* everything
          assert.deepStrictEqual(
            found.map(({ id, payload }) => [id.split("@")[0], payload]).toSorted(),
            [["changed", "{\"n\":99}"], ["stays", "{\"n\":1}"]]
          )
        })
    )

    claim("runs by hand, and keeps the next tick", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("a", { overlap: "skip" })
        const id = yield* Schedules.runNow("a", { by: "ada" })
        assert.strictEqual(yield* stateOf(id), "pending")
        assert.strictEqual((yield* Schedules.get("a")).next?.epochMilliseconds, tick(1))
        const [entry] = yield* Schedules.history("a")
        assert.deepStrictEqual([entry?.outcome, entry?.task, entry?.by], ["run", id, "ada"])
        yield* driver.advance(hour)
        yield* lookAll
        assert.deepStrictEqual(yield* outcomes("a"), ["run", "overlap"])
      }))

    claim("goes on where another task holds the key of one, and says so", () =>
      Effect.gen(function*() {
        const Unique = Task.make("work", {
          payload: { n: Schema.Int },
          unique: { key: () => "k", onConflict: "refuse" }
        })
        const start = (yield* ScheduleRecords.now) + hour / 2
        yield* Schedules.set("a", Unique.schedule({ every: "1 hour", start }, { n: 1 }, { missed: "all" }))
        yield* Schedules.set("b", Work.schedule({ every: "1 hour", start }, { n: 1 }))
        yield* driver.advance(2 * hour)
        yield* lookAll
        assert.deepStrictEqual(yield* outcomes("a"), ["made", "refused"])
        assert.deepStrictEqual(yield* outcomes("b"), ["missed", "made"])
      }))

    claim(
      "makes no tick again where a schedule is set while the clock shows an earlier time",
      () =>
        Effect.gen(function*() {
          const tick = yield* hourly("a")
          yield* driver.advance(hour)
          yield* lookAll
          yield* settled(complete(yield* takeOne()))
          yield* driver.advance(-hour)
          yield* Schedules.set("a", Work.schedule({ every: "1 hour", start: tick(1) }, { n: 2 }))
          assert.strictEqual((yield* Schedules.get("a")).next?.epochMilliseconds, tick(2))
          yield* driver.advance(hour)
          yield* lookAll
          assert.deepStrictEqual(yield* outcomes("a"), ["made"])
        })
    )

    claim(
      "takes a schedule as it was while its last tick is due, and none whose ticks are over",
      () =>
        Effect.gen(function*() {
          const at = (yield* ScheduleRecords.now) + hour / 2
          const once = Work.schedule({ at }, { n: 1 })
          yield* Schedules.set("a", once)
          yield* driver.advance(hour)
          assert.strictEqual((yield* Schedules.set("a", once)).next?.epochMilliseconds, at)
          yield* lookAll
          assert.deepStrictEqual(yield* made, [idOf("a", at)])
          assert.strictEqual((yield* Effect.flip(Schedules.set("a", once)))._tag, "InvalidOption")
          assert.strictEqual((yield* Effect.flip(Schedules.set("b", once)))._tag, "InvalidOption")
          assert.deepStrictEqual(yield* outcomes("a"), ["made"])
        })
    )

    claim(
      "says of ticks whose key another task holds what became of them, and names tasks that there are",
      () =>
        Effect.gen(function*() {
          const start = (yield* ScheduleRecords.now) + hour / 2
          const keyed = (onConflict: "return" | "replace") =>
            Task.make("work", {
              payload: { n: Schema.Int },
              unique: { key: () => onConflict, window: "waiting", onConflict }
            }).schedule({ every: "1 hour", start }, { n: 1 }, { overlap: "skip" })
          const first = {
            return: yield* Schedules.set("return", keyed("return")).pipe(Effect.andThen(Schedules.runNow("return"))),
            replace: yield* Schedules.set("replace", keyed("replace")).pipe(Effect.andThen(Schedules.runNow("replace")))
          }
          // The one that has the key is the one that runs, also where it is asked for by hand
          assert.strictEqual(yield* Schedules.runNow("return"), first.return)
          assert.strictEqual(yield* Schedules.runNow("replace"), first.replace)
          yield* driver.advance(hour)
          yield* lookAll
          assert.deepStrictEqual(yield* made, [first.replace, first.return].toSorted())
          for (const name of ["return", "replace"] as const) {
            assert.deepStrictEqual(yield* outcomes(name), ["run", "run", "overlap"], name)
            yield* Schedules.set(name, { ...keyed(name), options: {} })
          }
          yield* driver.advance(hour)
          yield* lookAll
          assert.deepStrictEqual(yield* outcomes("return"), ["run", "run", "overlap", "refused"])
          assert.deepStrictEqual(yield* outcomes("replace"), ["run", "run", "overlap", "made"])
          const [refused] = yield* Schedules.history("return")
          const [replaced] = yield* Schedules.history("replace")
          assert.deepStrictEqual([refused?.task, replaced?.task], [null, first.replace])
          assert.lengthOf(yield* made, 2)
          // A task that has the key is waited for like one of the schedule's own
          yield* Schedules.set("replace", keyed("replace"))
          yield* driver.advance(hour)
          yield* lookAll
          assert.strictEqual((yield* outcomes("replace")).at(-1), "overlap")
        })
    )

    claim("has a tick wait for the task that it cancels where that one holds its key", () =>
      Effect.gen(function*() {
        const start = (yield* ScheduleRecords.now) + hour / 2
        const keyed = (window: "unfinished" | "kept") =>
          Task.make("work", { payload: { n: Schema.Int }, unique: { key: () => window, window, onConflict: "refuse" } })
        for (const window of ["unfinished", "kept"] as const) {
          yield* Schedules.set(
            window,
            keyed(window).schedule({ every: "1 hour", start }, { n: 1 }, { overlap: "cancel", queue: window })
          )
        }
        yield* hourly("other", { queue: "third" })
        yield* driver.advance(hour)
        yield* lookAll
        const claimed = [
          yield* takeOne({ queues: ["unfinished"], leaseForMs: 5 * hour }),
          yield* takeOne({ queues: ["kept"], leaseForMs: 5 * hour })
        ]
        yield* driver.advance(hour)
        yield* lookAll
        assert.deepStrictEqual(yield* outcomes("unfinished"), ["made"])
        assert.deepStrictEqual(yield* outcomes("other"), ["made", "made"])
        for (const task of claimed) yield* settled(stop(task))
        yield* driver.advance(lease)
        yield* lookAll
        assert.deepStrictEqual(yield* outcomes("unfinished"), ["made", "made"])
        assert.deepStrictEqual(yield* outcomes("kept"), ["made", "refused"])
      }))

    claim("makes up for more ticks than a full queue has room for, as there is room", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("a", { missed: "all" })
        yield* driver.advance(9 * hour)
        const seen = new Set<string>()
        for (let round = 0; round < 40 && seen.size < 9; round++) {
          yield* Effect.ignore(lookAll)
          for (const task of yield* take()) {
            seen.add(task.id)
            yield* settled(complete(task))
          }
          // PostgreSQL counts tasks again after a second
          yield* driver.live === true ? Effect.sleep("300 millis") : Effect.void
          yield* driver.advance(lease)
        }
        assert.deepStrictEqual(
          [...seen].toSorted(),
          Array.from({ length: 9 }, (_, index) => idOf("a", tick(index + 1)))
        )
        assert.strictEqual((yield* Schedules.get("a")).made, 9)
      }), { capacity: 4 })

    claim("gives a task that is due by jitter the same time on each instance, within it", () =>
      Effect.gen(function*() {
        const offsets = new Set<number>()
        for (let index = 0; index < 40; index++) {
          const tick = yield* hourly(`j-${index}`, { jitter: "10 minutes" })
          yield* driver.advance(1)
          offsets.add(tick(1))
        }
        yield* driver.advance(hour)
        yield* lookAll
        const late = (yield* everything).map(({ dueAt, id }) => dueAt - Date.parse(id.split("@")[1]!))
        assert.lengthOf(late, 40)
        assert.isTrue(late.every((millis) => millis >= 0 && millis <= 10 * minute))
        assert.isAbove(new Set(late).size, 30)
      }))

    claim("has ticks between its dates only, and ends behind them", () =>
      Effect.gen(function*() {
        const start = yield* ScheduleRecords.now
        yield* Schedules.set(
          "a",
          Work.schedule({ every: "1 hour", start }, { n: 1 }, {
            startAt: DateTime.makeUnsafe(start + 2 * hour),
            endAt: DateTime.makeUnsafe(start + 3 * hour)
          })
        )
        for (let hours = 0; hours < 5; hours++) {
          yield* driver.advance(hour)
          yield* lookAll
        }
        assert.deepStrictEqual(yield* made, [idOf("a", start + 2 * hour), idOf("a", start + 3 * hour)])
        assert.strictEqual((yield* Schedules.get("a")).state, "ended")
      }))

    claim("leaves what this version cannot read to others", () =>
      Effect.gen(function*() {
        const tick = yield* hourly("b")
        const records = yield* RecordStore
        const now = yield* ScheduleRecords.now
        yield* records.put([
          { kind: "schedule", id: "a", expects: 0, document: "{\"timetable\":{\"moon\":\"full\"}}", dueAt: now },
          { kind: "schedule", id: "c", expects: 0, document: "not JSON", dueAt: now }
        ])
        yield* driver.advance(hour)
        yield* lookAll
        assert.deepStrictEqual(yield* made, [idOf("b", tick(1))])
        const [unknown] = yield* records.get("schedule", ["a"])
        assert.strictEqual(unknown?.document, "{\"timetable\":{\"moon\":\"full\"}}")
        // and it can be removed
        for (const name of ["a", "c"]) {
          yield* Schedules.remove(name)
          assert.strictEqual((yield* Effect.flip(Schedules.remove(name)))._tag, "ScheduleNotFound")
        }
        assert.deepStrictEqual((yield* records.list("schedule")).records.map(({ id }) => id), ["b"])
      }))

    claim("finishes the task of a tick like any other", () =>
      Effect.gen(function*() {
        yield* add({ payload: "{}" })
        yield* settled(complete(yield* takeOne()))
        const tick = yield* hourly("a")
        yield* driver.advance(hour)
        yield* lookAll
        const claimed = yield* takeOne()
        assert.strictEqual(claimed.id, idOf("a", tick(1)))
        yield* settled(complete(claimed))
        assert.strictEqual(yield* stateOf(claimed.id), "completed")
        yield* running({})
      }))
  })
}
