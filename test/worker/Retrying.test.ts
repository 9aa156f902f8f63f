import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Schedule, Schema } from "effect"
import { defaultSchedule, type RetryPolicy } from "../../src/domain/RetryPolicy.ts"
import * as Task from "../../src/Task.ts"
import {
  pass,
  passing,
  reaches,
  record,
  start,
  withEngine,
  withStore,
  withUnhurriedEngine
} from "../engine/TestEngine.ts"

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { code: Schema.Int }) {}
const Failure = Schema.Union([Busy, Rejected])
type Failure = typeof Failure.Type

/** A task type that always fails with the given errors, the last one again and again; it notes when it runs. */
const failing = (retry: RetryPolicy<Failure> | undefined, ...errors: ReadonlyArray<Failure>) => {
  const runs: Array<number> = []
  const Failing = Task.make("failing", { error: Failure, retry })
  const handlers = Failing.toLayer(() =>
    Effect.gen(function*() {
      runs.push(yield* Clock.currentTimeMillis)
      return yield* errors[Math.min(runs.length, errors.length) - 1] ?? new Busy()
    })
  )
  return { Failing, handlers, runs, gaps: () => runs.slice(1).map((at, index) => at - runs[index]!) }
}

describe("a task that fails", () => {
  it.effect("is retried three times by default, exponentially from one second, with 20 % jitter", () => {
    const { Failing, gaps, handlers } = failing(undefined)
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handle = yield* Failing.enqueue()
        yield* pass("10 seconds")
        assert.strictEqual((yield* reaches(handle.id, "failed")).failures, 4)
        assert.strictEqual(gaps().length, 3)
        for (const [index, gap] of gaps().entries()) {
          const exact = 1000 * 2 ** index
          assert.isTrue(gap >= exact * 0.8 && gap <= exact * 1.2 + 1, `Gap ${index} was ${gap}`)
        }
      })
    )
  })

  it.effect("waits exactly as long as its schedule says", () => {
    const { Failing, gaps, handlers } = failing({ times: 4, schedule: Schedule.exponential("3 seconds", 3) })
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handle = yield* Failing.enqueue()
        yield* pass("3 minutes")
        yield* reaches(handle.id, "failed")
        assert.deepStrictEqual(gaps(), [3000, 9000, 27_000, 81_000])
      })
    )
  })

  it.effect("never waits longer than an hour, or its own limit", () => {
    const schedule = Schedule.spaced("5 days")
    const hourly = failing({ times: 1, schedule })
    const daily = failing({ times: 1, schedule, maxDelay: "1 day" })
    const runs = ({ Failing, gaps, handlers }: typeof hourly) =>
      withUnhurriedEngine(
        "1 day",
        { handlers },
        Effect.gen(function*() {
          yield* Failing.enqueue()
          yield* pass("3 days")
          return gaps()
        })
      )
    return Effect.gen(function*() {
      assert.deepStrictEqual(yield* runs(hourly), [Duration.toMillis("1 hour")])
      assert.deepStrictEqual(yield* runs(daily), [Duration.toMillis("1 day")])
    })
  })

  it.effect("can back off for a week while the test takes milliseconds", () => {
    const { Failing, handlers, runs } = failing({ times: -1, schedule: defaultSchedule, maxDelay: "8 hours" })
    return withUnhurriedEngine(
      "1 day",
      { handlers, retention: { keepFailed: "1000 days" } },
      Effect.gen(function*() {
        const handle = yield* Failing.enqueue()
        yield* pass("7 days")
        assert.isAtLeast(runs.at(-1)! - runs[0]!, Duration.toMillis("6 days"))
        assert.deepInclude(yield* record(handle.id), { state: "scheduled", failures: runs.length, claims: runs.length })
      })
    )
  })

  it.effect("is retried for ever with -1", () => {
    const { Failing, handlers, runs } = failing({ times: -1, schedule: Schedule.spaced("100 millis") })
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handle = yield* Failing.enqueue()
        yield* pass("20 seconds")
        assert.strictEqual(runs.length, 201)
        assert.notStrictEqual((yield* record(handle.id)).state, "failed")
      })
    )
  })

  it.effect("is retried as often as its enqueue says, whatever its type says", () => {
    const { Failing, handlers } = failing({ schedule: Schedule.spaced("1 second") })
    return withEngine(
      { handlers, queue: { maxRetries: 1 } },
      Effect.gen(function*() {
        const none = yield* Failing.enqueue(undefined, { maxRetries: 0 })
        const two = yield* Failing.enqueue(undefined, { maxRetries: 2 })
        const engines = yield* Failing.enqueue()
        yield* pass("10 seconds")
        const failures = yield* Effect.forEach([none, two, engines], ({ id }) => reaches(id, "failed"))
        assert.deepStrictEqual(failures.map((task) => task.failures), [1, 3, 2])
      })
    )
  })

  it.effect("stops when its schedule ends", () => {
    const { Failing, handlers } = failing({
      times: -1,
      schedule: Schedule.upTo(Schedule.spaced("1 second"), { duration: "4500 millis" })
    })
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handle = yield* Failing.enqueue()
        yield* pass("20 seconds")
        assert.isBelow((yield* reaches(handle.id, "failed")).failures, 8)
      })
    )
  })

  it.effect("follows a policy of its own for each error tag", () => {
    const { Failing, gaps, handlers } = failing(
      { times: 5, schedule: Schedule.spaced("1 second"), byTag: { Busy: { schedule: Schedule.spaced("20 seconds") } } },
      new Rejected({ code: 1 }),
      new Busy(),
      new Rejected({ code: 1 }),
      new Busy()
    )
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        yield* Failing.enqueue()
        yield* pass("50 seconds")
        assert.deepStrictEqual(gaps(), [1000, 20_000, 1000, 20_000])
      })
    )
  })

  it.effect("is not retried after an error that its policy excludes, by tag or by a look at it", () => {
    const schedule = Schedule.spaced("1 second")
    const byTag = failing({ schedule, byTag: { Rejected: false } }, new Busy(), new Rejected({ code: 1 }))
    const byLook = failing(
      {
        schedule,
        retryable: (error) => error._tag === "Busy" || error.code < 500
      },
      new Rejected({ code: 400 }),
      new Rejected({ code: 500 })
    )
    const failures = ({ Failing, handlers }: typeof byTag) =>
      withEngine(
        { handlers },
        Effect.gen(function*() {
          const handle = yield* Failing.enqueue()
          yield* pass("10 seconds")
          return (yield* reaches(handle.id, "failed")).failures
        })
      )
    return Effect.gen(function*() {
      assert.strictEqual(yield* failures(byTag), 2)
      assert.strictEqual(yield* failures(byLook), 2)
    })
  })

  it.effect("keeps what went wrong in each attempt", () => {
    const { Failing, handlers } = failing(
      { times: 2, schedule: Schedule.spaced("1 second") },
      new Busy(),
      new Rejected({ code: 5 }),
      new Busy()
    )
    return withEngine(
      { handlers, instance: "here" },
      Effect.gen(function*() {
        const handle = yield* Failing.enqueue()
        yield* pass("5 seconds")
        const task = yield* reaches(handle.id, "failed")
        const attempts = task.history.map(({ claim, failure, outcome, startedAt, instance }) => ({
          claim,
          instance,
          startedAt,
          outcome,
          tag: failure?.tag
        }))
        assert.deepStrictEqual(attempts, [
          { claim: 1, instance: "here", startedAt: 0, outcome: "failed", tag: "Busy" },
          { claim: 2, instance: "here", startedAt: 1000, outcome: "failed", tag: "Rejected" }
        ])
        assert.deepInclude(task, { claims: 3, startedAt: 2000, completedAt: 2000 })
      })
    )
  })

  it.effect("succeeds in the end, and its result arrives", () => {
    let runs = 0
    const Flaky = Task.make("flaky", { success: Schema.Int, retry: { schedule: Schedule.spaced("2 seconds") } })
    return withEngine(
      {
        handlers: Flaky.toLayer(() => Effect.suspend(() => ++runs < 3 ? Effect.die("not yet") : Effect.succeed(runs)))
      },
      Effect.gen(function*() {
        const handle = yield* Flaky.enqueue()
        const { tookMs, value } = yield* passing("10 seconds", handle.result)
        assert.deepStrictEqual([value, tookMs], [3, 4000])
        assert.deepInclude(yield* record(handle.id), { failures: 2, failure: null })
      })
    )
  })

  it.effect("goes on with its backoff after the engine was restarted", () => {
    const { Failing, gaps, handlers } = failing({ times: 3, schedule: Schedule.exponential("10 seconds") })
    return withStore(
      {},
      Effect.gen(function*() {
        const first = yield* start({ handlers })
        const { id } = yield* Effect.provide(Failing.enqueue(), first.context)
        yield* pass("15 seconds")
        yield* first.close
        yield* pass("5 seconds")
        const second = yield* start({ handlers })
        yield* pass("2 minutes")
        assert.strictEqual((yield* reaches(id, "failed")).failures, 4)
        assert.deepStrictEqual(gaps(), [10_000, 20_000, 40_000])
        yield* second.close
      })
    )
  })
})
