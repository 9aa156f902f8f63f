import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as PooledRandom from "../../src/engine/PooledRandom.ts"
import * as ScheduleRecords from "../../src/schedule/ScheduleRecords.ts"
import { Schedules } from "../../src/schedule/Schedules.ts"
import * as ZoneChange from "../../src/schedule/ZoneChange.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import * as Task from "../../src/Task.ts"

const Work = Task.make("work", { payload: { n: Schema.Int } })
const hour = 3_600_000

const onMemory = <A, E>(effect: Effect.Effect<A, E, Schedules | RecordStore>) =>
  Effect.provide(
    effect,
    Schedules.layer().pipe(Layer.provide(PooledRandom.layer), Layer.provideMerge(MemoryStore.layer()))
  )

const setNightly = (name: string) =>
  Schedules.set(name, Work.schedule({ cron: "30 2 * * *", timeZone: "Europe/Berlin" }, { n: 1 }))

const dueAt = (name: string) => Effect.map(ScheduleRecords.find(name), (schedule) => schedule.dueAt)

/** Stores the next tick as a process with other zone data would have. */
const shift = Effect.fnUntraced(function*(name: string, millis: number) {
  const store = yield* RecordStore
  const [record] = yield* store.get(ScheduleRecords.kind, [name])
  const { document, dueAt, id, kind, version } = { kind: ScheduleRecords.kind, ...record! }
  yield* store.put([{ kind, id, expects: version, document, dueAt: dueAt! + millis }])
})

describe("the next tick of a schedule", () => {
  it.effect("is worked out again when an instance starts, and written where it is another one", () =>
    onMemory(Effect.gen(function*() {
      for (let number = 0; number < 70; number++) yield* setNightly(`s${number}`)
      const right = yield* dueAt("s0")
      assert.deepStrictEqual(yield* ZoneChange.renewed, [])
      for (let number = 0; number < 70; number += 2) yield* shift(`s${number}`, number % 4 === 0 ? hour : -hour)
      assert.strictEqual((yield* ZoneChange.renewed).length, 35)
      for (let number = 0; number < 70; number++) assert.strictEqual(yield* dueAt(`s${number}`), right)
    })))

  it.effect("stays where it is due by the earlier rules, and the schedule may be taken, or is paused", () =>
    onMemory(Effect.gen(function*() {
      const store = yield* RecordStore
      yield* setNightly("due")
      yield* setNightly("paused")
      yield* Schedules.pause("paused")
      const tick = yield* dueAt("due")
      yield* shift("due", -hour)
      yield* TestClock.adjust(tick! - hour / 2)
      const [taken] = (yield* store.take(ScheduleRecords.kind, 10, 5000)).records
      assert.strictEqual(taken?.id, "due")
      assert.deepStrictEqual(yield* ZoneChange.renewed, [])
      assert.strictEqual((yield* ScheduleRecords.find("due")).version, taken?.version)
      assert.isNull(yield* dueAt("paused"))
    })))

  it.effect("is not looked for where the process has no such zone, and it says so", () => {
    const said: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => void said.push(String(message)))
    return onMemory(Effect.gen(function*() {
      yield* setNightly("here")
      yield* setNightly("on mars")
      const store = yield* RecordStore
      const kind = ScheduleRecords.kind
      const [record] = yield* store.get(kind, ["on mars"])
      const { dueAt, id, version } = record!
      const document = record!.document.replace("Europe/Berlin", "Mars/Olympus")
      yield* store.put([{ kind, id, expects: version, document, dueAt: dueAt! }])
      assert.deepStrictEqual(yield* ZoneChange.renewed, [])
      assert.lengthOf(said, 1)
      assert.include(
        said[0],
        `1 schedules cannot be read by this instance and are as if they were not there, among them "on mars"`
      )
    })).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("is due at once where its time has passed by the rules of now", () =>
    onMemory(Effect.gen(function*() {
      yield* setNightly("late")
      const tick = yield* dueAt("late")
      yield* shift("late", hour)
      yield* TestClock.adjust(tick! + hour / 2)
      assert.deepStrictEqual(yield* ZoneChange.renewed, ["late"])
      assert.strictEqual(yield* dueAt("late"), tick)
    })))
})
