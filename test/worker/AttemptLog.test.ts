import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Schema } from "effect"
import * as Signal from "../../src/Signal.ts"
import * as Step from "../../src/Step.ts"
import * as Task from "../../src/Task.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { type Line, Logs, pass, quiesce, reaches, withEngine } from "../engine/TestEngine.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { reason: Schema.String }) {
  override get message(): string {
    return `refused because ${this.reason}`
  }
}

const Work = Task.make("work", { error: Refused, retry: { times: 1, schedule: Schedule.spaced("1 second") } })
const aboutTasks = Logs.matching(/^task work/)

const one = (lines: ReadonlyArray<Line>): Line => {
  assert.lengthOf(lines, 1)
  return lines[0]!
}

describe("the log line of an attempt", () => {
  it.effect("names the worker, the task, the attempt and how long it took", () =>
    withEngine(
      {
        handlers: Work.toLayer(() => Effect.sleep("1500 millis")),
        worker: { logCompletions: "Info" },
        instance: "here"
      },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* pass("2 seconds")
        assert.deepStrictEqual(one(yield* aboutTasks), {
          level: "Info",
          message: "task work completed",
          annotations: { module: "attempts", worker_id: "here/1", job_id: id, attempt: 1, duration: 1500 }
        })
      })
    ))

  it.effect("is silent about completions unless asked, because a busy program would write nothing else", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void) },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* reaches(id, "completed")
        yield* quiesce
        assert.lengthOf(yield* aboutTasks, 0)
      })
    ))

  it.effect("shows completions at the level Debug", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void), logLevel: "Debug" },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* reaches(id, "completed")
        yield* quiesce
        assert.deepInclude(one(yield* aboutTasks), { level: "Debug", message: "task work completed" })
      })
    ))

  it.effect("warns of a retry and says when it comes, and is an error when there is none", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.fail(new Refused({ reason: "it is late" }))) },
      Effect.gen(function*() {
        yield* Work.enqueue()
        yield* pass("5 seconds")
        const lines = yield* aboutTasks
        assert.deepStrictEqual(lines.map(({ level, message }) => [level, message]), [
          ["Warn", "task work failed, retry in 1000 ms: Refused: refused because it is late"],
          ["Error", "task work failed for good: Refused: refused because it is late"]
        ])
        assert.deepStrictEqual(lines.map(({ annotations }) => annotations.attempt), [1, 2])
      })
    ))

  it.effect("says how long a task is away, and of one that waits for a signal that it waits", () =>
    withEngine(
      {
        handlers: Work.toLayer(() =>
          Effect.orDie(Effect.andThen(Step.sleep("nap", "1 minute"), Step.waitFor(Signal.make("go"))))
        )
      },
      Effect.gen(function*() {
        yield* Work.enqueue()
        yield* pass("2 minutes")
        const [asleep, waiting, ...more] = (yield* aboutTasks).map(({ message }) => message)
        assert.match(asleep!, /^task work snoozed for [56]\d{4} ms$/)
        assert.deepStrictEqual([waiting, ...more], ["task work waits until something wakes it"])
      })
    ))

  it.effect("shows the stack of a defect", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.die(new RangeError("too far"))) },
      Effect.gen(function*() {
        yield* Work.enqueue(undefined, { maxRetries: 0 })
        yield* quiesce
        const { level, message } = one(yield* aboutTasks)
        assert.strictEqual(level, "Error")
        assert.include(message, "RangeError: too far")
        assert.include(message, "AttemptLog.test.ts")
      })
    ))

  it.effect("of a task that its handler has completed says so, whatever the handler did afterwards", () => {
    const afterwards = [
      ["returned", Effect.void, ["Info", "task work completed"]],
      ["snoozed", TaskContext.use(({ snooze }) => snooze("1 second")), ["Info", "task work completed"]],
      [
        "failed",
        Effect.fail(new Refused({ reason: "it is late" })),
        [
          "Warn",
          "task work completed, then its handler failed, which changes nothing: Refused: refused because it is late"
        ]
      ]
    ] as const
    return Effect.forEach(afterwards, ([name, then, logged]) =>
      withEngine(
        {
          handlers: Work.toLayer(() => Effect.andThen(Effect.orDie(Work.complete()), then)),
          worker: { logCompletions: "Info" }
        },
        Effect.gen(function*() {
          const { id } = yield* Work.enqueue()
          yield* reaches(id, "completed")
          yield* pass("5 seconds")
          const { level, message } = one(yield* aboutTasks)
          assert.deepStrictEqual<ReadonlyArray<string>>([level, message], logged, name)
        })
      ), { discard: true })
  })

  it.effect("tells of cancels", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.never) },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        yield* handle.cancel
        yield* reaches(handle.id, "cancelled")
        yield* quiesce
        assert.deepInclude(one(yield* aboutTasks), { level: "Info", message: "task work cancelled" })
      })
    ))

  it.effect("is one per attempt, however many end together", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.sleep("1 second")), worker: { logCompletions: "Info", concurrency: 50 } },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll(Array.from({ length: 50 }, () => undefined))
        yield* pass("1 second")
        const logged = (yield* aboutTasks).map(({ annotations }) => annotations.job_id)
        assert.sameMembers(logged, handles.map(({ id }) => id))
      })
    ))
})
