import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as RetryPolicy from "../../src/domain/RetryPolicy.ts"

interface Refused {
  readonly _tag: "Refused" | "Busy"
}

const refused: Refused = { _tag: "Refused" }

/** The delays after each of the first failures. */
const delays = (rule: RetryPolicy.RetryRule<Refused>, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, index) => index + 1),
    (failures) => RetryPolicy.delayMs(rule, failures, refused)
  )

/** What to do after a failure with the declared error. */
const after = (
  policy: RetryPolicy.RetryPolicy<Refused>,
  failures: number,
  maxRetries: number,
  error: Refused = refused
) => RetryPolicy.next(policy, { failures, maxRetries, tag: error._tag, declared: { error } })

/** What to do after a defect or a timeout. */
const afterDefect = (policy: RetryPolicy.RetryPolicy<Refused>, failures: number, maxRetries: number) =>
  RetryPolicy.next(policy, { failures, maxRetries, tag: "Refused" })

/** The waits that Effect's own `retry` makes with a schedule, measured on the test clock. */
const measured = (schedule: Schedule.Schedule<unknown, Refused>, count: number) =>
  Effect.gen(function*() {
    const starts: Array<number> = []
    const attempt = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      starts.push(now)
      return starts.length > count ? Effect.void : Effect.fail(refused)
    })
    const fiber = yield* Effect.forkChild(Effect.exit(Effect.retry(attempt, schedule)))
    yield* TestClock.adjust("10000 days")
    yield* Fiber.join(fiber)
    return starts.slice(1).map((start, index) => start - starts[index]!)
  })

describe("RetryPolicy", () => {
  it.effect("is a whole number of milliseconds within its bound, whatever a schedule gives", () =>
    Effect.gen(function*() {
      const day = Duration.toMillis("1 day")
      const rule = (wait: Duration.Input, maxDelay: Duration.Input = "1 day") => ({
        schedule: Schedule.spaced(wait),
        maxDelay
      })
      assert.deepStrictEqual(yield* delays(rule(Duration.infinity), 2), [day, day])
      assert.deepStrictEqual(yield* delays(rule(2 ** 60), 2), [day, day])
      assert.deepStrictEqual(yield* delays(rule("-1 hours"), 2), [0, 0])
      assert.deepStrictEqual(yield* delays(rule(1.5), 2), [2, 2])
      assert.deepStrictEqual(yield* delays(rule("1 hour", 0.5), 2), [1, 1])
    }))

  describe("delays", () => {
    it.effect("are constant with a spaced schedule", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* delays({ schedule: Schedule.spaced("3 seconds") }, 4), [3000, 3000, 3000, 3000])
      }))

    it.effect("double with an exponential schedule", () =>
      Effect.gen(function*() {
        const rule = { schedule: Schedule.exponential("1 second") }
        assert.deepStrictEqual(yield* delays(rule, 5), [1000, 2000, 4000, 8000, 16_000])
      }))

    it.effect.each(
      [
        ["spaced", Schedule.spaced("3 seconds")],
        ["exponential", Schedule.exponential("100 millis", 3)],
        ["fibonacci", Schedule.fibonacci("1 second")],
        ["a mix of two", Schedule.max([Schedule.exponential("1 second"), Schedule.spaced("5 seconds")])],
        ["the smaller of two", Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("5 seconds")])],
        [
          "one after another",
          Schedule.concat(Schedule.upTo(Schedule.spaced("1 second"), { times: 3 }), Schedule.spaced("1 minute"))
        ],
        ["one that ends", Schedule.upTo(Schedule.spaced("1 second"), { times: 3 })],
        ["one that ends after a time", Schedule.upTo(Schedule.spaced("10 seconds"), { duration: "35 seconds" })]
      ] as const
    )("are those that Effect.retry waits, replayed: %s", ([, schedule]) =>
      Effect.gen(function*() {
        const waited = yield* measured(schedule, 8)
        const replayed = yield* delays({ schedule }, 8)
        assert.deepStrictEqual(replayed, [...waited, ...Array.from({ length: 8 - waited.length }, () => undefined)])
      }))

    it.effect("depend on the count alone, whenever they are asked for", () =>
      Effect.gen(function*() {
        const rule = { schedule: Schedule.upTo(Schedule.exponential("1 second"), { duration: "1 minute" }) }
        const first = yield* delays(rule, 10)
        yield* TestClock.adjust("3 days")
        assert.deepStrictEqual(yield* delays(rule, 10), first)
      }))

    it.effect("are capped at an hour, or at what the rule says", () =>
      Effect.gen(function*() {
        const schedule = Schedule.exponential("1 second")
        assert.strictEqual(yield* RetryPolicy.delayMs({ schedule }, 12, refused), 2_048_000)
        assert.strictEqual(yield* RetryPolicy.delayMs({ schedule }, 13, refused), 3_600_000)
        assert.deepStrictEqual(yield* delays({ schedule, maxDelay: "5 seconds" }, 5), [1000, 2000, 4000, 5000, 5000])
        assert.strictEqual(yield* RetryPolicy.delayMs({ schedule, maxDelay: Infinity }, 13, refused), 4_096_000)
      }))

    it.effect("are whole milliseconds, rounded up", () =>
      Effect.gen(function*() {
        const rule = { schedule: Schedule.spaced(Duration.micros(1500n)) }
        assert.deepStrictEqual(yield* delays(rule, 2), [2, 2])
      }))

    it.effect("spread by a fifth either way unless told otherwise", () =>
      Effect.gen(function*() {
        const seen = new Set<number>()
        for (let i = 0; i < 200; i++) {
          for (const [index, delay] of (yield* delays({}, 3)).entries()) {
            const middle = 1000 * 2 ** index
            assert.isTrue(delay! >= middle * 0.8 && delay! <= Math.ceil(middle * 1.2), `${delay} around ${middle}`)
            assert.isTrue(Number.isInteger(delay))
            seen.add(delay!)
          }
        }
        assert.isTrue(seen.size > 50)
      }))

    it.effect("end with the schedule", () =>
      Effect.gen(function*() {
        const rule = { schedule: Schedule.upTo(Schedule.spaced("1 second"), { times: 2 }) }
        assert.deepStrictEqual(yield* delays(rule, 4), [1000, 1000, undefined, undefined])
      }))

    it.effect("see the error", () =>
      Effect.gen(function*() {
        const busyOnly = Schedule.while(
          Schedule.spaced("1 second"),
          ({ input }: { readonly input: Refused }) => Effect.succeed(input._tag === "Busy")
        )
        assert.strictEqual(yield* RetryPolicy.delayMs({ schedule: busyOnly }, 1, { _tag: "Busy" }), 1000)
        assert.strictEqual(yield* RetryPolicy.delayMs({ schedule: busyOnly }, 1, refused), undefined)
      }))

    it.effect("stay what they were after a thousand steps, whatever the count", () =>
      Effect.gen(function*() {
        let steps = 0
        const counting = Schedule.modifyDelay(Schedule.spaced("1 second"), ({ duration }) => {
          steps++
          return Effect.succeed(duration)
        })
        assert.strictEqual(yield* RetryPolicy.delayMs({ schedule: counting }, 1_000_000_000, refused), 1000)
        assert.strictEqual(steps, 1000)
        const exponential = { schedule: Schedule.exponential("1 second") }
        assert.strictEqual(yield* RetryPolicy.delayMs(exponential, 1_000_000, refused), 3_600_000)
      }))
  })

  describe("next", () => {
    const schedule = Schedule.spaced("1 second")

    it.effect("retries as often as the task allows: n retries are n + 1 executions", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* after({ schedule }, 3, 3), 1000)
        assert.strictEqual(yield* after({ schedule }, 4, 3), undefined)
        assert.strictEqual(yield* after({ schedule }, 1, 0), undefined)
      }))

    it.effect("retries for ever when the task's budget is −1", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* after({ schedule }, 1_000_000, -1), 1000)
        assert.strictEqual(yield* afterDefect({ schedule }, 1_000_000, -1), 1000)
      }))

    it.effect("leaves the budget to the task: the policy's own times are only its default", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* after({ times: 1, schedule }, 5, 9), 1000)
      }))

    it.effect("never retries a tag whose rule is false, nor what is not retryable", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* after({ schedule, byTag: { Refused: false } }, 1, 9), undefined)
        assert.strictEqual(yield* after({ schedule, byTag: { Refused: false } }, 1, 9, { _tag: "Busy" }), 1000)
        const retryable = (error: Refused) => error._tag === "Busy"
        assert.strictEqual(yield* after({ schedule, retryable }, 1, 9), undefined)
        assert.strictEqual(yield* after({ schedule, retryable }, 1, 9, { _tag: "Busy" }), 1000)
      }))

    it.effect("follows the rule of the error's tag, and the policy where the rule is silent", () =>
      Effect.gen(function*() {
        const policy: RetryPolicy.RetryPolicy<Refused> = {
          schedule,
          maxDelay: "10 seconds",
          byTag: { Refused: { schedule: Schedule.spaced("1 minute") }, Busy: { times: 2 } }
        }
        assert.strictEqual(yield* after(policy, 1, 9), 10_000)
        assert.strictEqual(yield* after(policy, 2, 9, { _tag: "Busy" }), 1000)
        assert.strictEqual(yield* after(policy, 3, 9, { _tag: "Busy" }), undefined)
      }))

    it.effect("takes an undefined field of a rule for a silent one", () =>
      Effect.gen(function*() {
        const byTag = { Refused: { schedule: undefined, maxDelay: undefined } }
        assert.strictEqual(yield* after({ schedule, maxDelay: "500 millis", byTag }, 1, 9), 500)
      }))

    it.effect("lets a rule narrow the task's budget and never widen it", () =>
      Effect.gen(function*() {
        const times = (count: number): RetryPolicy.RetryPolicy<Refused> => ({
          schedule,
          byTag: { Refused: { times: count } }
        })
        assert.strictEqual(yield* after(times(1), 2, 9), undefined)
        assert.strictEqual(yield* after(times(9), 2, 1), undefined)
        assert.strictEqual(yield* after(times(-1), 2, 1), undefined)
        assert.strictEqual(yield* after(times(-1), 2, 2), 1000)
        assert.strictEqual(yield* after(times(0), 1, -1), undefined)
      }))

    it.effect("asks neither the tags nor the predicate about defects and timeouts", () =>
      Effect.gen(function*() {
        const policy: RetryPolicy.RetryPolicy<Refused> = {
          schedule,
          byTag: { Refused: false },
          retryable: () => false
        }
        assert.strictEqual(yield* afterDefect(policy, 1, 9), 1000)
        assert.strictEqual(yield* afterDefect(policy, 2, 1), undefined)
      }))

    it.effect("fails for good when the schedule has ended, whatever the budget", () =>
      Effect.gen(function*() {
        const ending = Schedule.upTo(schedule, { times: 1 })
        assert.strictEqual(yield* after({ schedule: ending }, 1, -1), 1000)
        assert.strictEqual(yield* after({ schedule: ending }, 2, -1), undefined)
      }))

    it.effect("dies with the schedule rather than hiding its defect", () =>
      Effect.gen(function*() {
        const broken = Schedule.modifyDelay(schedule, () => Effect.die("broken schedule"))
        const exit = yield* Effect.exit(after({ schedule: broken }, 1, 9))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      }))
  })
})
