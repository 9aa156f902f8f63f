import { assert, describe, it } from "@effect/vitest"
import * as Breaker from "../../src/domain/Breaker.ts"
import * as Gate from "../../src/domain/Gate.ts"

const { settings } = Breaker.ruleOf("web", {
  failures: 3,
  within: "1 minute",
  openFor: "10 seconds",
  maxOpenFor: "35 seconds"
})

const last = (at: number) => Breaker.lastOf("t", { tag: "Down", message: "no answer" }, at)

/** A breaker after so many failures at each time. */
const after = (...failures: ReadonlyArray<readonly [at: number, count: number]>): Breaker.State =>
  failures.reduce<Breaker.State>(
    (state, [at, count]) => Breaker.failed(state, settings, count, last(at), at) ?? state,
    Breaker.closed
  )

describe("a breaker", () => {
  it("opens when as many failures are within the time, and not before", () => {
    assert.isNull(after([0, 1], [1000, 1]).until)
    assert.strictEqual(after([0, 1], [1000, 1], [59_000, 1]).until, 69_000)
    assert.strictEqual(after([0, 3]).until, 10_000)
    assert.isNull(after([0, 2], [60_000, 2]).until)
    assert.strictEqual(Breaker.countOf(after([0, 2], [60_000, 2]).failures), 2)
  })

  it("keeps few times however many failures there are", () => {
    const many = { ...settings, failures: 1000 }
    let state = Breaker.closed
    for (let at = 0; at < 59_000; at += 100) state = Breaker.failed(state, many, 1, last(at), at)!
    assert.strictEqual(Breaker.countOf(state.failures), 590)
    assert.isAtMost(state.failures.length, 60)
  })

  it("is open until its time, and then half open, and opens for longer each time a task has tried in vain", () => {
    let state = after([0, 3])
    assert.deepStrictEqual([Breaker.phaseOf(state, 9999), Breaker.phaseOf(state, 10_000)], ["open", "half_open"])
    // what ends while it is open was started before
    assert.isUndefined(Breaker.failed(state, settings, 5, last(9999), 9999))
    assert.isFalse(Breaker.isClosedBySuccess(state, 9999))
    assert.isTrue(Breaker.isClosedBySuccess(state, 10_000))
    const waits: Array<number> = []
    for (let tries = 0; tries < 60; tries++) {
      const at = state.until!
      state = Breaker.failed(state, settings, 1, last(at), at)!
      waits.push(state.until! - at)
    }
    assert.deepStrictEqual(waits.slice(0, 4), [20_000, 35_000, 35_000, 35_000])
    assert.strictEqual(waits.at(-1), 35_000)
    assert.deepInclude(state, { since: 0, openings: 61, failures: [] })
  })

  it("that is opened by hand is so for its time, and says who did it until a failure opens it again", () => {
    const open = Breaker.openedByHand(Breaker.closed, 500, { by: "ada", reason: "It moves" }, 100)
    assert.deepInclude(open, { until: 600, since: 100, openings: 1, by: "ada", reason: "It moves" })
    const again = Breaker.failed(open, settings, 1, last(700), 700)!
    assert.deepInclude(again, { until: 20_700, since: 100, openings: 2, by: null, reason: null })
    assert.deepStrictEqual(Breaker.limitOf(open), { max: 1, notBefore: 600 })
    assert.isNull(Breaker.limitOf(Breaker.closed))
  })

  it("forgets failures of a clock that has been set back", () => {
    const hour = 3_600_000
    const state = after([hour, 2], [0, 1])
    assert.strictEqual(Breaker.countOf(state.failures), 1)
  })

  it("keeps a message short, and without secrets", () => {
    const { message } = Breaker.lastOf("t", { tag: "E", message: `smtp://a:b@mail/?token=c ${"x".repeat(1000)}` }, 0)
    assert.isAtMost(message.length, 300)
    assert.notInclude(message, "a:b")
    assert.notInclude(message, "token=c")
  })

  it("has passes that no limit has, and finds them in a gate", () => {
    const pass = Breaker.passOf("web", "a=\"b\"")
    const { gate } = Gate.gated([["!o=x", 1], [pass, 1], ["~limit", 1], ["l=~x", 1]])
    assert.deepStrictEqual(Breaker.passesOf(gate), [pass, "~limit"])
    assert.deepStrictEqual([Breaker.nameOf(pass), Gate.keyOf(pass)], ["web", "a=\"b\""])
    assert.deepStrictEqual(Breaker.passesOf(Gate.gated([["l=~x", 1]]).gate), [])
    assert.deepStrictEqual(Breaker.passesOf(null), [])
  })
})

describe("the claim's rule of a breaker", () => {
  const refusal = (running: number, now: number) =>
    Gate.refusal("t", ["~b="], [1], {
      isPaused: () => false,
      limitOf: () => ({ max: 1, notBefore: 100 }),
      running: () => running,
      bucketOf: () => undefined,
      holderOf: () => undefined
    }, now)

  it("refuses until the time, and then while a task runs", () => {
    assert.deepStrictEqual(refusal(0, 99), { code: "breaker_open", pass: "~b=", until: 100 })
    assert.deepStrictEqual(refusal(1, 99), { code: "breaker_open", pass: "~b=", until: 100 })
    assert.isUndefined(refusal(0, 100))
    assert.deepStrictEqual(refusal(1, 100), { code: "breaker_open", pass: "~b=", until: null })
    assert.strictEqual(Gate.opensAt(refusal(0, 99)!), 100)
    assert.isUndefined(Gate.opensAt(refusal(1, 100)!))
  })
})
