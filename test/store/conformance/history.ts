import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type ClaimedTask, maxHistory, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  again,
  cancel,
  complete,
  fail,
  failure,
  record,
  release,
  request,
  rerun,
  rescue,
  running,
  second,
  settled,
  snooze,
  stop,
  takeOne
} from "./fixtures.ts"

export const history = (driver: Driver) =>
  describe("history", () => {
    scenario(driver, "is empty for a task that succeeds at once", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* settled(complete(claimed))
        assert.deepStrictEqual((yield* record(claimed.id)).history, [])
      }))

    scenario(driver, "tells of each attempt that did not finish its task: who, when, how", () =>
      Effect.gen(function*() {
        const ada = yield* running({}, { instance: "ada" })
        yield* settled(again(ada))
        const grace = yield* takeOne({ instance: "grace" })
        yield* settled(snooze(grace))
        const joan = yield* takeOne({ instance: "joan" })
        yield* settled(release(joan))
        const mary = yield* takeOne({ instance: "mary", leaseForMs: second })
        yield* driver.advance("10 seconds")
        yield* rescue()
        const found = yield* record(mary.id)
        assert.deepStrictEqual(found.history.map(({ endedAt: _e, startedAt: _s, ...rest }) => rest), [
          { claim: ada.claim, attempt: 1, instance: "ada", outcome: "failed", failure },
          { claim: grace.claim, attempt: 2, instance: "grace", outcome: "snoozed" },
          { claim: joan.claim, attempt: 3, instance: "joan", outcome: "released" },
          { claim: mary.claim, attempt: 4, instance: "mary", outcome: "crashed" }
        ])
        for (const { endedAt, startedAt } of found.history) assert.isTrue(startedAt <= endedAt)
        const last = found.history[3]!
        assert.isTrue(last.endedAt - last.startedAt >= 10 * second)
      }))

    scenario(driver, "numbers attempts from 1, however they end, also after a rerun and in a repeated claim", () =>
      Effect.gen(function*() {
        yield* add({})
        const ends = [snooze, release, again, fail]
        for (const [index, end] of ends.entries()) {
          const claimed = yield* takeOne()
          assert.strictEqual(claimed.attempt, index + 1)
          yield* settled(end(claimed))
          if (end === fail) {
            yield* rerun(claimed.id)
          }
        }
        const asked = request({ limit: 1, leaseForMs: second })
        const claim = Effect.map(
          TaskStore.use((store) =>
            store.claim(asked)
          ),
          ({ tasks }) => tasks[0]!
        )
        const fifth = yield* claim
        assert.strictEqual(fifth.attempt, 5)
        assert.deepStrictEqual(yield* claim, fifth)
        yield* driver.advance("10 seconds")
        yield* rescue()
        const sixth = yield* takeOne()
        assert.strictEqual(sixth.attempt, 6)
        const { claims, history } = yield* record(sixth.id)
        assert.strictEqual(claims, 6)
        assert.deepStrictEqual(history.map(({ attempt, outcome }) => [attempt, outcome]), [
          [1, "snoozed"],
          [2, "released"],
          [3, "failed"],
          [4, "failed"],
          [5, "crashed"]
        ])
      }))

    scenario(driver, "keeps the last attempts only", () =>
      Effect.gen(function*() {
        yield* add({ maxRetries: -1 })
        const attempts: Array<ClaimedTask> = []
        for (let i = 0; i < maxHistory + 5; i++) {
          const claimed = yield* takeOne()
          attempts.push(claimed)
          yield* settled(again(claimed))
        }
        const found = yield* record(attempts[0]!.id)
        assert.strictEqual(found.history.length, maxHistory)
        assert.deepStrictEqual(
          found.history.map(({ attempt, claim }) => ({ attempt, claim })),
          attempts.slice(5).map(({ attempt, claim }) => ({ attempt, claim }))
        )
        assert.strictEqual(found.failures, maxHistory + 5)
      }))

    scenario(driver, "takes in the last attempt of a dead letter when it is rerun", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { instance: "ada" })
        yield* settled(fail(claimed))
        const { completedAt, startedAt } = yield* record(claimed.id)
        yield* driver.advance("1 hour")
        yield* rerun(claimed.id)
        assert.deepStrictEqual((yield* record(claimed.id)).history, [
          {
            claim: claimed.claim,
            attempt: 1,
            instance: "ada",
            startedAt: startedAt!,
            endedAt: completedAt!,
            outcome: "failed",
            failure
          }
        ])
      }))

    scenario(driver, "takes in the attempt that was stopped by a rerun", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { instance: "ada" })
        yield* settled(stop(claimed))
        const { completedAt, startedAt } = yield* record(claimed.id)
        yield* rerun(claimed.id)
        assert.deepStrictEqual((yield* record(claimed.id)).history, [
          {
            claim: claimed.claim,
            attempt: 1,
            instance: "ada",
            startedAt: startedAt!,
            endedAt: completedAt!,
            outcome: "cancelled"
          }
        ])
      }))

    scenario(driver, "has no attempt of a task that was cancelled before it ever ran", () =>
      Effect.gen(function*() {
        const [id] = yield* add({})
        yield* cancel(id!)
        yield* rerun(id!)
        assert.deepStrictEqual((yield* record(id!)).history, [])
      }))

    scenario(driver, "has each attempt once, also when the task was cancelled while it waited for a retry", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* settled(again(claimed))
        yield* cancel(claimed.id)
        yield* rerun(claimed.id)
        const found = yield* record(claimed.id)
        assert.deepStrictEqual(found.history.map(({ claim, outcome }) => [claim, outcome]), [[claimed.claim, "failed"]])
      }))

    scenario(driver, "does not blame an attempt that was stopped for the failure of the one before", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* settled(again(claimed))
        const stopped = yield* takeOne()
        yield* settled(stop(stopped))
        yield* rerun(claimed.id)
        const found = yield* record(claimed.id)
        assert.deepStrictEqual(found.history.map(({ claim, failure: cause, outcome }) => [claim, outcome, cause]), [
          [claimed.claim, "failed", failure],
          [stopped.claim, "cancelled", undefined]
        ])
      }))

    scenario(driver, "stays through a rerun and a completion", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* running()
        yield* settled(again(claimed))
        const failed = yield* takeOne()
        yield* settled(fail(failed))
        yield* store.rerun([claimed.id])
        yield* settled(complete(yield* takeOne()))
        const found = yield* record(claimed.id)
        assert.deepStrictEqual(found.history.map(({ claim, outcome }) => [claim, outcome]), [
          [claimed.claim, "failed"],
          [failed.claim, "failed"]
        ])
      }))
  })
