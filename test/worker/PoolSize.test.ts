import { assert, describe, it } from "@effect/vitest"
import { Effect, Random, Schema } from "effect"
import * as PoolSize from "../../src/worker/PoolSize.ts"

const range: PoolSize.Range = { min: 4, max: 100, patienceMs: 1000 }

/** What a pool of so many slots shows at a look. */
type Pool = (slots: number, second: number) => Omit<PoolSize.Look, "slots">

/** The sizes of a pool, second by second. */
const sizes = (seconds: number, from: number, pool: Pool, within = range): ReadonlyArray<number> => {
  const found: Array<number> = []
  let memory = PoolSize.start
  let slots = from
  for (let second = 0; second < seconds; second++) {
    const decision = PoolSize.next(memory, { slots, ...pool(slots, second) }, within)
    slots = decision.slots
    memory = decision.memory
    found.push(slots)
  }
  return found
}

const changesIn = (sizes: ReadonlyArray<number>): number =>
  sizes.reduce((count, size, index) => index > 0 && size !== sizes[index - 1] ? count + 1 : count, 0)

/** So many tasks at a time would never wait; they compute for none of it. */
const needing = (needed: number): Pool => (slots) => ({
  busy: Math.min(slots, needed),
  waitMs: slots < needed ? 5000 : 0,
  delayMs: 1
})

/** There is always more to do, and more than so many at a time make the loop late. */
const bearing = (bears: number, lateness = 100): Pool => (slots) => ({
  busy: slots,
  waitMs: 60_000,
  delayMs: slots > bears ? lateness : 5
})

const day = 86_400
const hour = 3600

describe("a pool that sizes itself", () => {
  it.each([4, 5, 7, 10, 13, 24, 40, 77, 99, 100])(
    "has enough for a load of %i after two minutes, and stays",
    (needed) => {
      const found = sizes(day, 4, needing(needed))
      assert.isAtLeast(found[120]!, needed)
      assert.isAtMost(found[120]!, Math.max(4, Math.ceil(needed * 1.5)))
      assert.strictEqual(changesIn(found.slice(120)), 0)
    }
  )

  it.each([4, 13, 40, 77])("has not many more than a load of %i needs, whatever it began with", (needed) => {
    const found = sizes(day, 100, needing(needed))
    const end = found.at(-1)!
    assert.isAtLeast(end, needed)
    assert.isAtMost(end, Math.max(4, needed * 2))
    assert.strictEqual(changesIn(found.slice(hour)), 0)
    assert.isTrue(found.every((size) => size >= needed))
  })

  it.each([4, 5, 8, 9, 31, 32, 64, 65, 95, 99])("finds that the loop bears %i, and seldom tries more", (bears) => {
    const found = sizes(day, 4, bearing(bears))
    assert.isAtLeast(found[hour]!, Math.floor(bears * 0.75))
    const overtaxed = (from: number, until: number) => found.slice(from, until).filter((size) => size > bears).length
    // Tries one more once an hour at last, for some seconds
    assert.isAtMost(overtaxed(day - hour * 4, day), 4 * 8)
    assert.isAtMost(changesIn(found.slice(day - hour * 4)), 4 * 2)
    assert.isAtMost(changesIn(found.slice(0, hour)), 40)
    assert.isAtMost(Math.max(...found.slice(hour)), bears + 4)
  })

  it.each([3, 5, 9, 20])("stays where the loop is neither late nor calm, at %i ms for each task", (perTask) => {
    const found = sizes(day, 40, (slots) => ({ busy: slots, waitMs: 60_000, delayMs: slots * perTask }))
    const end = found.at(-1)!
    assert.isTrue(end === range.min || end * perTask < PoolSize.lateMs)
    assert.strictEqual(changesIn(found.slice(300)), 0)
  })

  it.effect("does not follow noise", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 20; round++) {
        const numbers = yield* Effect.forEach(Array.from({ length: hour * 3 }), () => Random.next)
        // One second in four is crowded, one in four is late, any number of slots is busy
        const found = sizes(hour, 20, (slots, second) => {
          const [a, b, c] = numbers.slice(second * 3, second * 3 + 3) as [number, number, number]
          return {
            busy: a < 0.25 ? slots : Math.floor(b * (slots + 1)),
            waitMs: a < 0.25 ? 3000 : 0,
            delayMs: c < 0.25 ? 200 : 5
          }
        })
        // Three in a row come about every minute; both kinds together would move it every ten seconds without a rule
        assert.isAtMost(changesIn(found), 150, `round ${round}`)
        assert.isTrue(found.every((size) => size >= range.min && size <= range.max))
      }
    }))

  it("does not move for a burst, a pause of the collector, or a wait with free slots", () => {
    const moved = (pool: Pool) => changesIn([20, ...sizes(hour, 20, pool)])
    assert.strictEqual(moved((slots, second) => ({ busy: second % 5 < 2 ? slots : 12, waitMs: 9000, delayMs: 0 })), 0)
    assert.strictEqual(moved((_, second) => ({ busy: 12, waitMs: 0, delayMs: second % 5 < 2 ? 900 : 0 })), 0)
    assert.strictEqual(moved((slots) => ({ busy: slots - 1, waitMs: 9000, delayMs: 0 })), 0)
    assert.strictEqual(moved((slots) => ({ busy: slots, waitMs: 1000, delayMs: 0 })), 0)
    // Full once in a minute, and idle between
    assert.strictEqual(moved((slots, second) => ({ busy: second % 60 === 0 ? slots : 0, waitMs: 0, delayMs: 0 })), 0)
  })

  it("shrinks within seconds while the loop is late, and not where no task runs", () => {
    const late: Pool = (slots) => ({ busy: slots, waitMs: 60_000, delayMs: 400 })
    const found = sizes(60, 40, late)
    assert.strictEqual(found[2], 30)
    assert.strictEqual(found.at(-1), range.min)
    assert.strictEqual(changesIn([40, ...sizes(59, 40, () => ({ busy: 0, waitMs: 0, delayMs: 400 }))]), 0)
  })

  it("shrinks slowly while it is idle: by an eighth a minute", () => {
    const found = sizes(hour, 80, () => ({ busy: 0, waitMs: 0, delayMs: 0 }))
    assert.strictEqual(found[58], 80)
    assert.strictEqual(found[59], 70)
    assert.isAtLeast(found[600]!, 20)
    assert.strictEqual(found.at(-1), range.min)
    for (const [index, size] of found.entries()) {
      const before = found[index - 1] ?? 80
      assert.isAtLeast(size, before - Math.max(1, Math.floor(before / 8)))
    }
  })

  it("grows again within a minute after the load has gone and come back", () => {
    const found = sizes(hour * 2, 4, (slots, second) => needing(second < hour ? 0 : 60)(slots, second))
    assert.strictEqual(found[hour - 1], range.min)
    assert.isAtLeast(found[hour + 60]!, 60)
  })

  it("forgets what the loop did not bear once the load has gone", () => {
    const found = sizes(hour * 3, 4, (slots, second) =>
      second < hour
        ? bearing(9)(slots, second)
        : second < hour * 2
        ? needing(0)(slots, second)
        : needing(60)(slots, second))
    assert.isAtMost(found[hour - 1]!, 9)
    assert.isAtLeast(found[hour * 2 + 60]!, 60)
  })

  const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
  const Any = Schema.Union([int(0, 200), Schema.Literals([1e308, Number.MAX_SAFE_INTEGER, -1, 0.5])])
  const AnyLooks = Schema.Array(Schema.Struct({ busy: Any, waitMs: Any, delayMs: Any })).check(Schema.isMaxLength(200))

  it.effect.prop(
    "is within its range, whatever it sees",
    { min: int(1, 50), more: int(0, 100), from: int(1, 500), looks: AnyLooks },
    ({ from, looks, min, more }) =>
      Effect.sync(() => {
        const within = { min, max: min + more, patienceMs: 1000 }
        for (const size of sizes(looks.length, from, (_, second) => looks[second]!, within)) {
          assert.isTrue(Number.isInteger(size) && size >= within.min && size <= within.max, String(size))
        }
      })
  )

  const Looks = Schema.Array(Schema.Struct({
    busy: Schema.Literals([0, 1, 1000]),
    waitMs: Schema.Literals([0, 5000]),
    delayMs: Schema.Literals([0, 30, 500]),
    times: int(1, 12)
  })).check(Schema.isMaxLength(40))

  it.effect.prop("has six seconds at least between changes", { looks: Looks }, ({ looks }) =>
    Effect.sync(() => {
      const seen = looks.flatMap(({ times, ...look }) => Array.from({ length: times }, () => look))
      const found = sizes(seen.length, 20, (slots, second) => {
        const look = seen[second]!
        return { ...look, busy: Math.min(slots, look.busy) }
      })
      for (let from = 0; from < found.length; from++) assert.isAtMost(changesIn(found.slice(from, from + 6)), 1)
    }))
})
