import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import type { TaskFailure } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  again,
  complete,
  counts,
  fail,
  failure,
  minute,
  record,
  refOf,
  release,
  running,
  second,
  settled,
  snooze,
  stop,
  takeOne
} from "./fixtures.ts"

export const settling = (driver: Driver) =>
  describe("settle", () => {
    scenario(driver, "completes with a result", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        const before = yield* record(claimed.id)
        yield* driver.advance("1 second")
        const result = JSON.stringify({ text: "漢字 '\" \\ \u0000", big: "x".repeat(50_000) })
        yield* settled(complete(claimed, result))
        const { completedAt, ...after } = yield* record(claimed.id)
        assert.deepStrictEqual({ ...after, completedAt: null }, {
          ...before,
          state: "completed",
          settledClaim: claimed.claim,
          leaseUntil: null,
          result
        })
        assert.isTrue(completedAt! >= before.startedAt! + second)
      }))

    scenario(driver, "forgets the failure of an earlier attempt on completion, and keeps its history", () =>
      Effect.gen(function*() {
        yield* settled(again(yield* running()))
        const second = yield* takeOne()
        assert.deepStrictEqual((yield* record(second.id)).failure, failure)
        yield* settled(complete(second))
        const found = yield* record(second.id)
        assert.deepInclude(found, { state: "completed", failure: null, failures: 1 })
        assert.strictEqual(found.history.length, 1)
      }))

    scenario(driver, "fails for good with the whole failure", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        const whole: TaskFailure = {
          kind: "error",
          tag: "SmtpRejected",
          message: "550 \"no such user\"\n漢字",
          stack: "SmtpRejected: 550\n  at send",
          error: { code: 550, nested: [1, null, { a: "b" }] }
        }
        yield* settled({ _tag: "Fail", ...refOf(claimed), failure: whole })
        const found = yield* record(claimed.id)
        assert.deepStrictEqual(found.failure, whole)
        assert.deepInclude(found, { state: "failed", failures: 1, crashes: 0, result: null })
        assert.strictEqual(found.settledClaim, claimed.claim)
        assert.notStrictEqual(found.completedAt, null)
        assert.deepStrictEqual(found.history, [])
      }))

    scenario(driver, "retries after the delay and counts the failure", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* driver.advance("10 seconds")
        yield* settled(again(claimed, minute))
        const found = yield* record(claimed.id)
        assert.deepInclude(found, {
          state: "scheduled",
          failures: 1,
          crashes: 0,
          claims: 1,
          settledClaim: claimed.claim,
          completedAt: null,
          leaseUntil: null,
          failure
        })
        assert.strictEqual(found.dueAt, found.history[0]!.endedAt + minute)
      }))

    scenario(driver, "makes a retry without a delay pending at once", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* settled(again(claimed, 0))
        assert.deepInclude(yield* record(claimed.id), { state: "pending", failures: 1 })
      }))

    scenario(driver, "snoozes until later and spends nothing", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* settled(snooze(claimed, minute))
        const found = yield* record(claimed.id)
        assert.deepInclude(found, { state: "scheduled", failures: 0, crashes: 0, failure: null })
        assert.strictEqual(found.settledClaim, claimed.claim)
        assert.strictEqual(found.dueAt, found.history[0]!.endedAt + minute)
        yield* driver.advance("2 minutes")
        yield* settled(snooze(yield* takeOne(), 0))
        assert.deepInclude(yield* record(claimed.id), { state: "pending", failures: 0, crashes: 0 })
      }))

    scenario(driver, "releases to the old due time and spends nothing", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        const { dueAt } = yield* record(claimed.id)
        yield* driver.advance("1 hour")
        yield* settled(release(claimed))
        assert.deepInclude(yield* record(claimed.id), {
          state: "pending",
          dueAt,
          failures: 0,
          crashes: 0,
          claims: 1,
          settledClaim: claimed.claim,
          failure: null,
          leaseUntil: null,
          completedAt: null
        })
      }))

    scenario(driver, "cancels an attempt that was stopped and spends nothing", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* settled(stop(claimed))
        const found = yield* record(claimed.id)
        assert.deepInclude(found, { state: "cancelled", failures: 0, crashes: 0, result: null, failure: null })
        assert.notStrictEqual(found.completedAt, null)
      }))

    scenario(driver, "shows no failure of an earlier attempt beside one that was stopped", () =>
      Effect.gen(function*() {
        yield* settled(again(yield* running()))
        const second = yield* takeOne()
        yield* settled(stop(second))
        assert.deepInclude(yield* record(second.id), { state: "cancelled", failure: null, failures: 1 })
      }))

    scenario(driver, "counts only what happened in the totals", () =>
      Effect.gen(function*() {
        const spent = { created: 0, completed: 0, failed: 0, cancelled: 0, retried: 0, crashed: 0, expired: 0 }
        const totals = Effect.map(counts, (found) =>
          found.totals)
        assert.deepStrictEqual(yield* totals, spent)
        const first = yield* running()
        assert.deepStrictEqual(yield* totals, { ...spent, created: 1 })
        yield* settled(again(first))
        assert.deepStrictEqual(yield* totals, { ...spent, created: 1, retried: 1 })
        yield* settled(snooze(yield* takeOne()))
        yield* settled(release(yield* takeOne()))
        assert.deepStrictEqual(yield* totals, { ...spent, created: 1, retried: 1 })
        yield* settled(complete(yield* takeOne()))
        yield* settled(fail(yield* running()))
        yield* settled(stop(yield* running()))
        assert.deepStrictEqual(yield* totals, {
          ...spent,
          created: 3,
          retried: 1,
          completed: 1,
          failed: 1,
          cancelled: 1
        })
      }))
  })
