import { assert, describe, it } from "@effect/vitest"
import { Clock, type Duration, Effect, Fiber, Schedule } from "effect"
import * as Task from "../../src/Task.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { Logs, pass, quiesce, reaches, record, withEngine } from "../engine/TestEngine.ts"

const Slow = Task.make("slow", { retry: { times: 0 } })

/** Notes how long each attempt ran before it was interrupted. */
const noting = (ended: Array<number>) =>
  Slow.toLayer(() =>
    Effect.gen(function*() {
      const begin = yield* Clock.currentTimeMillis
      const note = Effect.map(Clock.currentTimeMillis, (now) => ended.push(now - begin))
      return yield* Effect.onInterrupt(Effect.never, () => note)
    })
  )

describe("a timeout", () => {
  it.effect("stops the attempt at its deadline, neither before nor after", () => {
    const ended: Array<number> = []
    return withEngine(
      { handlers: noting(ended) },
      Effect.gen(function*() {
        const handle = yield* Slow.enqueue(undefined, { timeout: "1234 millis" })
        yield* quiesce
        yield* pass("1233 millis")
        assert.deepStrictEqual(ended, [])
        yield* pass("1 millis")
        assert.deepStrictEqual(ended, [1234])
        const task = yield* reaches(handle.id, "failed")
        assert.deepInclude(task.failure, { kind: "timeout", tag: "Timeout" })
        assert.deepInclude(task, { failures: 1, crashes: 0, completedAt: 1234 })
      })
    )
  })

  it.effect("comes from the enqueue, else the definition, else the pool", () => {
    const ended: Array<number> = []
    const Quick = Task.make("quick", { timeout: "2 seconds", retry: { times: 0 } })
    const handlers = Quick.toLayer(() => Effect.never)
    return withEngine(
      { handlers, worker: { timeout: "7 seconds" } },
      Effect.gen(function*() {
        const own = yield* Quick.enqueue(undefined, { timeout: "1 second" })
        const defined = yield* Quick.enqueue()
        yield* pass("5 seconds")
        const times = yield* Effect.forEach([own, defined], ({ id }) => reaches(id, "failed"))
        assert.deepStrictEqual(times.map(({ completedAt }) => completedAt), [1000, 2000])
      })
    ).pipe(Effect.andThen(withEngine(
      { handlers: noting(ended), worker: { timeout: "7 seconds" } },
      Effect.gen(function*() {
        yield* Slow.enqueue()
        yield* pass("10 seconds")
        assert.deepStrictEqual(ended, [7000])
      })
    )))
  })

  it.effect("holds for each of many attempts that run together, whatever the order of their deadlines", () => {
    const ended: Array<number> = []
    return withEngine(
      { handlers: noting(ended), worker: { concurrency: 20 } },
      Effect.gen(function*() {
        const timeouts = [500, 5000, 40, 3000, 3000, 1, 2999, 777]
        yield* Effect.forEach(timeouts, (millis) => Slow.enqueue(undefined, { timeout: millis }))
        yield* pass("10 seconds")
        assert.deepStrictEqual(ended, timeouts.toSorted((a, b) => a - b))
      })
    )
  })

  it.effect("counts from the start of the attempt, not from the enqueue, and anew for a retry", () => {
    const ended: Array<number> = []
    return withEngine(
      { handlers: noting(ended), worker: { concurrency: 1 } },
      Effect.gen(function*() {
        const Patient = Task.make("slow", { retry: { times: 1, schedule: Schedule.spaced("10 seconds") } })
        yield* Patient.enqueue(undefined, { timeout: "2 seconds", maxRetries: 1 })
        yield* Patient.enqueue(undefined, { timeout: "3 seconds", maxRetries: 0 })
        yield* pass("30 seconds")
        assert.deepStrictEqual(ended, [2000, 3000, 2000])
      })
    )
  })

  it.effect("lets the handler's finalizers run before the task is settled", () => {
    const handlers = Slow.toLayer(() =>
      Effect.never.pipe(
        Effect.ensuring(Effect.sleep("2 seconds")),
        Effect.ensuring(Effect.map(Clock.currentTimeMillis, (now) => finalized.push(now)))
      )
    )
    const finalized: Array<number> = []
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handle = yield* Slow.enqueue(undefined, { timeout: "1 second" })
        yield* pass("2 seconds")
        assert.strictEqual((yield* record(handle.id)).state, "running")
        yield* pass("1 second")
        assert.deepStrictEqual(finalized, [3000])
        assert.strictEqual((yield* reaches(handle.id, "failed")).failure?.kind, "timeout")
      })
    )
  })

  it.effect("does not touch an attempt that ended in time", () => {
    const Done = Task.make("done", { timeout: "1 second" })
    return withEngine(
      { handlers: Done.toLayer(() => Effect.sleep("999 millis")) },
      Effect.gen(function*() {
        const handle = yield* Done.enqueue()
        yield* pass("999 millis")
        assert.deepInclude(yield* reaches(handle.id, "completed"), { failures: 0, completedAt: 999 })
        yield* pass("10 seconds")
        assert.strictEqual((yield* record(handle.id)).claims, 1)
      })
    )
  })

  it.effect("needs no timer per task: a thousand attempts share one", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let sleeps = 0
      const counting: Clock.Clock = Object.create(clock, {
        sleep: { value: (duration: Duration.Duration) => Effect.suspend(() => (sleeps++, clock.sleep(duration))) }
      })
      const attempts = withEngine(
        { handlers: Slow.toLayer(() => Effect.never), worker: { concurrency: 1000 } },
        Effect.gen(function*() {
          yield* quiesce
          sleeps = 0
          yield* Slow.enqueueAll(Array.from({ length: 1000 }, () => undefined))
          yield* quiesce
          assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 1000)
          assert.isBelow(sleeps, 10)
        })
      )
      yield* Effect.provideService(attempts, Clock.Clock, counting)
    }))
})

describe("an attempt that resists its interruption", () => {
  /** Goes on for that long, whatever happens. */
  const stubborn = (seconds: number, ended: Array<string>) =>
    Slow.toLayer(() =>
      Effect.sleep(seconds * 1000).pipe(
        Effect.andThen(Effect.sync(() => ended.push("it went on"))),
        Effect.uninterruptible
      )
    )

  it.effect("is given up five seconds later: its worker is free, its task is settled", () => {
    const ended: Array<string> = []
    return withEngine(
      { handlers: stubborn(60, ended), worker: { concurrency: 1 } },
      Effect.gen(function*() {
        const pool = yield* WorkerPool
        const handle = yield* Slow.enqueue(undefined, { timeout: "1 second" })
        yield* pass("5999 millis")
        assert.strictEqual(yield* pool.active, 1)
        assert.strictEqual((yield* record(handle.id)).state, "running")
        yield* pass("1 millis")
        assert.strictEqual(yield* pool.active, 0)
        assert.strictEqual((yield* reaches(handle.id, "failed")).failure?.kind, "timeout")
        assert.strictEqual((yield* Logs.matching(/goes on after it was interrupted \(timeout\)/)).length, 1)
        const next = yield* Slow.enqueue()
        yield* reaches(next.id, "running")
        yield* pass("60 seconds")
        assert.strictEqual(ended.length, 2)
      })
    )
  })

  it.effect("changes nothing when it succeeds after all", () => {
    const ended: Array<string> = []
    return withEngine(
      { handlers: stubborn(20, ended) },
      Effect.gen(function*() {
        const handle = yield* Slow.enqueue(undefined, { timeout: "1 second" })
        const result = yield* Effect.forkChild(Effect.flip(handle.result))
        yield* pass("10 seconds")
        assert.strictEqual((yield* Fiber.join(result))._tag, "TaskTimedOut")
        const before = yield* record(handle.id)
        yield* pass("20 seconds")
        assert.deepStrictEqual(ended, ["it went on"])
        assert.deepStrictEqual(yield* record(handle.id), before)
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 0)
      })
    )
  })

  it.effect("is settled by its end when that comes within the five seconds", () => {
    const ended: Array<string> = []
    return withEngine(
      { handlers: stubborn(4, ended) },
      Effect.gen(function*() {
        const handle = yield* Slow.enqueue(undefined, { timeout: "1 second" })
        yield* pass("4 seconds")
        assert.deepStrictEqual(ended, ["it went on"])
        const task = yield* reaches(handle.id, "failed")
        assert.deepInclude(task.failure, { kind: "timeout" })
        yield* pass("10 seconds")
        assert.lengthOf(yield* Logs.matching(/goes on/), 0)
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 0)
      })
    )
  })
})
