/** What every driver's `InstanceStore` has to keep. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type Beat, InstanceStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import { minute, nearly, second } from "./fixtures.ts"

/** A sign of life with defaults. */
const beat = (fields: Partial<Beat> = {}): Beat => ({
  id: "a",
  host: "host-1",
  pid: 4711,
  version: "1.2.3",
  upForMs: 0,
  capacity: 10,
  queues: ["default"],
  types: ["work"],
  running: [],
  ...fields
})

const idsOf = Effect.map(
  InstanceStore.use((store) => store.list),
  ({ instances }) => instances.map(({ id }) => id)
)

const leadsOf = Effect.map(
  InstanceStore.use((store) => store.list),
  ({ instances }) => Object.fromEntries(instances.map(({ id, leads }) => [id, leads]))
)

/** The store's clock. */
const storeNow = Effect.map(InstanceStore.use((store) => store.list), ({ now }) => now)

/** Holds a driver to the contract of `InstanceStore`. */
export const instances = (name: string, driver: Driver): void => {
  describe(`${name} knows its instances, which`, () => {
    scenario(driver, "are listed with all that they say of themselves", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        const said = beat({
          queues: ["default", "größer \"quoted\""],
          types: ["email", "image_resize"],
          running: [
            { slot: 1, id: "task-1", type: "email", forMs: 12 },
            { slot: 7, id: "a task, 'quoted'\\", type: "image_resize", forMs: 34_567 }
          ],
          sizing: { by: "load", min: 4, max: 100, draining: true },
          load: { forMs: 60_000, ended: 12, busyMs: 34_567 }
        })
        const before = yield* storeNow
        yield* store.beat(said, minute)
        const { instances, now } = yield* store.list
        const { upForMs: _, ...expected } = said
        const [{ seenAt, startedAt, ...found }] = instances as [typeof instances[0] & {}]
        assert.deepStrictEqual(found, { ...expected, leads: [] })
        assert.isTrue(seenAt >= before && seenAt <= now)
        assert.strictEqual(startedAt, seenAt)
        for (const time of [seenAt, startedAt, now]) assert.isTrue(Number.isSafeInteger(time))
      }))

    scenario(driver, "are nobody at first", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* idsOf, [])
      }))

    scenario(driver, "say something new with each beat, and keep when they started", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        yield* store.beat(beat({ upForMs: 5 * second }), minute)
        const [first] = (yield* store.list).instances
        assert.strictEqual(first!.startedAt, first!.seenAt - 5 * second)
        yield* driver.advance("10 seconds")
        yield* store.beat(beat({ upForMs: 16 * second, capacity: 20, types: [] }), minute)
        const [second_] = (yield* store.list).instances
        assert.deepInclude(second_, { startedAt: first!.startedAt, capacity: 20, types: [] })
        nearly(second_!.seenAt - first!.seenAt, 10 * second)
        assert.isAtLeast(second_!.seenAt - first!.seenAt, 10 * second)
      }))

    scenario(driver, "come oldest first", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        for (const [id, upForMs] of [["c", minute], ["b", 10 * minute], ["d", 0], ["a", 5 * minute]] as const) {
          yield* store.beat(beat({ id, upForMs }), minute)
        }
        assert.deepStrictEqual(yield* idsOf, ["b", "a", "c", "d"])
      }))

    scenario(
      driver,
      "are gone when they have given no sign of life for as long as they said",
      () =>
        Effect.gen(function*() {
          const store = yield* InstanceStore
          yield* store.beat(beat({ id: "a", upForMs: 1 }), 10 * second)
          yield* store.beat(beat({ id: "b" }), minute)
          yield* driver.advance("10 seconds")
          assert.deepStrictEqual(yield* idsOf, ["b"])
          yield* store.beat(beat({ id: "c" }), minute)
          assert.deepStrictEqual(yield* idsOf, ["b", "c"])
        })
    )

    scenario(driver, "stay as long as they go on", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        for (let turn = 0; turn < 5; turn++) {
          yield* store.beat(beat({ upForMs: turn * 20 * second }), 30 * second)
          yield* driver.advance("20 seconds")
          assert.deepStrictEqual(yield* idsOf, ["a"])
        }
      }))

    scenario(driver, "that were gone may come back", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        yield* store.beat(beat(), second)
        yield* driver.advance("1 minute")
        yield* store.beat(beat({ upForMs: minute }), minute)
        const { instances: [found], now } = yield* store.list
        nearly(found!.startedAt, now - minute)
      }))

    scenario(driver, "leave at once", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        yield* store.beat(beat({ id: "a" }), minute)
        yield* store.beat(beat({ id: "b" }), minute)
        yield* store.leave("a")
        yield* store.leave("a")
        yield* store.leave("nobody")
        assert.deepStrictEqual(yield* idsOf, ["b"])
      }))
  })

  describe(`${name} gives leads, which`, () => {
    scenario(driver, "belong to one instance until they run out", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        assert.isTrue(yield* store.lead("chores", "a", 10 * second))
        assert.isFalse(yield* store.lead("chores", "b", 10 * second))
        yield* driver.advance("10 seconds")
        assert.isTrue(yield* store.lead("chores", "b", minute))
        assert.isFalse(yield* store.lead("chores", "a", minute))
      }))

    scenario(driver, "are renewed by their holder", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        for (let turn = 0; turn < 5; turn++) {
          assert.isTrue(yield* store.lead("chores", "a", 30 * second))
          yield* driver.advance("20 seconds")
          assert.isFalse(yield* store.lead("chores", "b", 30 * second))
        }
      }))

    scenario(driver, "of different chores are apart", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        assert.isTrue(yield* store.lead("sweep", "a", minute))
        assert.isTrue(yield* store.lead("dust", "b", minute))
        assert.isFalse(yield* store.lead("dust", "a", minute))
      }))

    scenario(driver, "are shown with their holders while they last", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        yield* store.beat(beat({ id: "a" }), 10 * minute)
        yield* store.beat(beat({ id: "b" }), 10 * minute)
        yield* store.lead("sweep", "a", 10 * minute)
        yield* store.lead("dust", "a", 10 * second)
        yield* store.lead("cook", "not listed", minute)
        assert.deepStrictEqual(yield* leadsOf, { a: ["dust", "sweep"], b: [] })
        yield* driver.advance("10 seconds")
        assert.deepStrictEqual(yield* leadsOf, { a: ["sweep"], b: [] })
      }))

    scenario(driver, "of one who leaves are free", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        yield* store.lead("sweep", "a", minute)
        yield* store.lead("dust", "a", minute)
        yield* store.lead("cook", "c", minute)
        yield* store.leave("a")
        assert.isTrue(yield* store.lead("sweep", "b", minute))
        assert.isTrue(yield* store.lead("dust", "b", minute))
        assert.isFalse(yield* store.lead("cook", "b", minute))
      }))

    scenario(driver, "are won by exactly one of many who ask at once", () =>
      Effect.gen(function*() {
        const store = yield* InstanceStore
        const ids = Array.from({ length: 20 }, (_, index) => `instance-${index}`)
        const ask = Effect.forEach(ids, (id) => store.lead("chores", id, 10 * second), { concurrency: "unbounded" })
        const first = yield* ask
        assert.strictEqual(first.filter((won) => won).length, 1)
        assert.deepStrictEqual(yield* ask, first)
        yield* driver.advance("10 seconds")
        assert.strictEqual((yield* ask).filter((won) => won).length, 1)
      }))
  })
}
