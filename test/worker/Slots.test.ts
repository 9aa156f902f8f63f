import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Slots } from "../../src/worker/Slots.ts"

const take = (slots: Slots, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, () => slots.take("default"))

describe("the slots of a pool", () => {
  it("are numbered from 1, and the one freed last is taken next", () => {
    const slots = new Slots(3)
    assert.deepStrictEqual(take(slots, 3), [1, 2, 3])
    slots.release(2, "default")
    slots.release(1, "default")
    assert.deepStrictEqual(take(slots, 2), [1, 2])
    assert.strictEqual(slots.free, 0)
  })

  it("that are taken away while they are busy are gone when they are freed", () => {
    const slots = new Slots(5)
    take(slots, 4)
    slots.resize(2)
    assert.deepStrictEqual([slots.size, slots.free], [2, 0])
    slots.release(4, "default")
    assert.strictEqual(slots.free, 0)
    slots.release(1, "default")
    // Two run still: 2 and 3
    assert.strictEqual(slots.free, 0)
    slots.release(3, "default")
    assert.strictEqual(slots.free, 1)
    assert.strictEqual(slots.take("default"), 1)
  })

  it("are no more than the size, whatever numbers those have that run still", () => {
    const slots = new Slots(10)
    take(slots, 10)
    slots.resize(5)
    for (const slot of [1, 2, 3, 4, 5]) slots.release(slot, "default")
    assert.strictEqual(slots.free, 0)
    slots.release(6, "default")
    assert.strictEqual(slots.free, 1)
  })

  it("give what was claimed before they were taken away a number beyond the size", () => {
    const slots = new Slots(5)
    slots.resize(2)
    assert.deepStrictEqual(take(slots, 4), [1, 2, 3, 4])
    slots.resize(3)
    slots.release(3, "default")
    slots.release(4, "default")
    assert.deepStrictEqual(take(slots, 1), [3])
  })

  it.effect("wake who waits for one when some are added, and when they are held no more", () =>
    Effect.gen(function*() {
      const slots = new Slots(1)
      slots.take("default")
      const waiting = yield* Effect.forkChild(slots.awaitFree, { startImmediately: true })
      slots.hold(true)
      slots.resize(2)
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      assert.strictEqual(slots.free, 0)
      slots.hold(false)
      yield* Fiber.join(waiting)
      assert.strictEqual(slots.free, 1)
    }))

  it("know how many were busy at most since they were asked last", () => {
    const slots = new Slots(5)
    take(slots, 3)
    slots.release(1, "default")
    slots.release(2, "default")
    assert.strictEqual(slots.takePeak(), 3)
    assert.strictEqual(slots.takePeak(), 1)
    slots.release(3, "default")
    slots.take("default")
    assert.strictEqual(slots.takePeak(), 1)
  })

  const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
  const Step = Schema.Union([
    Schema.Struct({ does: Schema.Literal("take"), count: int(0, 10) }),
    Schema.Struct({ does: Schema.Literal("release"), which: int(0, 50) }),
    Schema.Struct({ does: Schema.Literal("resize"), to: int(1, 20) }),
    Schema.Struct({ does: Schema.Literal("hold"), held: Schema.Boolean })
  ])

  it.effect.prop(
    "never give a number twice, nor more than there are, whatever is done",
    { size: int(1, 20), steps: Schema.Array(Step).check(Schema.isMaxLength(100)) },
    ({ size, steps }) =>
      Effect.sync(() => {
        const slots = new Slots(size)
        const busy: Array<number> = []
        let held = false
        let now = size
        for (const step of steps) {
          switch (step.does) {
            case "take":
              for (let count = 0; count < step.count && slots.free > 0; count++) {
                const slot = slots.take("default")
                assert.notInclude(busy, slot)
                busy.push(slot)
                assert.isAtMost(busy.length, now)
              }
              break
            case "release":
              if (busy.length > 0) slots.release(busy.splice(step.which % busy.length, 1)[0]!, "default")
              break
            case "resize":
              slots.resize(now = step.to)
              break
            case "hold":
              slots.hold(held = step.held)
          }
          assert.strictEqual(slots.free, held ? 0 : Math.max(0, now - busy.length))
        }
        for (const slot of busy) slots.release(slot, "default")
        slots.hold(false)
        const all = Array.from({ length: now }, (_, index) => index + 1)
        assert.deepStrictEqual(take(slots, now).toSorted((a, b) => a - b), all)
      })
  )
})
