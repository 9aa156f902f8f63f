import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import * as Rank from "../../src/domain/Rank.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** From 1970 to 2100, in milliseconds. */
const time = between(0, 4_102_444_800_000)
const priority = between(0, 9)
const headStart = between(0, 86_400_000)

describe("Rank", () => {
  it("reads head starts as whole milliseconds, five minutes by default", () => {
    assert.strictEqual(Rank.headStartMillis("5 minutes"), 300_000)
    assert.strictEqual(Rank.headStartMillis(Rank.defaultHeadStart), 300_000)
    assert.strictEqual(Rank.headStartMillis(0), 0)
    assert.strictEqual(Rank.headStartMillis(Duration.micros(1500n)), 2)
  })

  it.prop("is an exact integer for any task, also with an infinite head start", [time, priority], ([dueAt, level]) => {
    const rank = Rank.rank(dueAt, level, Rank.headStartMillis(Infinity))
    assert.isTrue(Number.isSafeInteger(rank))
    assert.strictEqual(rank + level * Rank.headStartMillis(Infinity), dueAt)
  })

  it.prop(
    "is first come, first served within a priority",
    [time, time, priority, headStart],
    ([a, b, level, ms]) => Math.sign(Rank.rank(a, level, ms) - Rank.rank(b, level, ms)) === Math.sign(a - b)
  )

  it.prop("puts the more urgent first exactly while the other is not older by more than the head start", [
    time,
    between(0, 10_000_000),
    priority,
    priority,
    headStart
  ], ([dueAt, age, a, b, ms]) => {
    const [urgent, patient] = [Math.max(a, b), Math.min(a, b)]
    const urgentFirst = Rank.rank(dueAt, urgent, ms) < Rank.rank(dueAt - age, patient, ms)
    return urgentFirst === age < (urgent - patient) * ms
  })

  it.prop(
    "is strict with an infinite head start, however long the other has waited",
    [time, time, priority, priority],
    ([
      a,
      b,
      x,
      y
    ]) => {
      if (x === y || Math.abs(a - b) >= Rank.headStartMillis(Infinity)) return
      const ms = Rank.headStartMillis(Infinity)
      assert.strictEqual(Rank.rank(a, x, ms) < Rank.rank(b, y, ms), x > y)
    }
  )

  const within = between(1, 7_200_000)

  it.prop("puts the earliest deadline first among tasks of one priority that should start within a time", [
    time,
    within,
    time,
    within,
    priority,
    headStart
  ], ([a, aWithin, b, bWithin, level, ms]) => {
    const task = { gate: null, createdAt: 0, priority: level }
    const [first, second] = [
      Rank.rankOf({ ...task, startWithinMs: aWithin }, a, ms),
      Rank.rankOf({ ...task, startWithinMs: bWithin }, b, ms)
    ]
    return Math.sign(first - second) === Math.sign(a + aWithin - b - bWithin)
  })

  it.prop("lets a less urgent task go first only if its deadline had passed when the other became due", [
    time,
    between(-1_000_000, 10_000_000),
    within,
    between(0, 8),
    headStart
  ], ([dueAt, later, startWithinMs, level, ms]) => {
    const task = { gate: null, createdAt: 0 }
    const timed = Rank.rankOf({ ...task, priority: level, startWithinMs }, dueAt, ms)
    const urgent = Rank.rankOf({ ...task, priority: level + 1, startWithinMs: null }, dueAt + later, ms)
    if (timed < urgent) assert.isAbove(later, startWithinMs)
  })

  it.prop("keeps a task without such a time from what becomes due the usual time after it, and an hour at most", [
    time,
    within,
    between(1, 1_000_000),
    priority,
    between(0, 4_000_000_000)
  ], ([dueAt, startWithinMs, later, level, ms]) => {
    const task = { gate: null, createdAt: 0, priority: level }
    const plain = Rank.rankOf({ ...task, startWithinMs: null }, dueAt, ms)
    assert.strictEqual(plain, Rank.rank(dueAt, level, ms))
    const usual = Math.min(ms, 3_600_000)
    return plain < Rank.rankOf({ ...task, startWithinMs }, dueAt + usual + later, ms)
  })

  it("knows no such time in an order, which goes by when its tasks were stored", () => {
    const task = { gate: `["!o=a"]`, createdAt: 7, priority: 0 }
    assert.strictEqual(Rank.rankOf({ ...task, startWithinMs: 5 }, 1000, 300_000), 7)
  })

  it.prop("starves nothing: a task outranks everything that becomes due nine head starts after it", [
    time,
    between(1, 1_000_000),
    priority,
    priority,
    headStart
  ], ([dueAt, later, a, b, ms]) => Rank.rank(dueAt, a, ms) < Rank.rank(dueAt + 9 * ms + later, b, ms))
})
