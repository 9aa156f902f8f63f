import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Schema } from "effect"
import { SignalConflict, SignalNotFound, SignalTimedOut } from "../../src/domain/StepErrors.ts"
import { Signals } from "../../src/flow/Signals.ts"
import { explanationFromJson, explanationJson } from "../../src/http/api/ExplanationJson.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Signal from "../../src/Signal.ts"
import * as Step from "../../src/Step.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import * as Task from "../../src/Task.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { pass, quiesce, reaches, record, withEngine, withUnhurriedEngine } from "../engine/TestEngine.ts"

const day = 24 * 60 * 60 * 1000

const failureOf = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit

describe("Step.sleep", () => {
  it.effect("ends the attempt, gives the slot back, and goes on a month later, to the millisecond", () => {
    const woken: Array<number> = []
    const Trial = Task.make("trial", { retry: { times: 0 } })
    const TrialLive = Trial.toLayer((_, { attempt }) =>
      Effect.gen(function*() {
        yield* Step.run("invite", Effect.sync(() => woken.push(-attempt)))
        yield* Step.sleep("trial", "30 days")
        yield* Step.run("ask", Effect.sync(() => woken.push(attempt)))
      })
    )
    return withUnhurriedEngine(
      "1 hour",
      { handlers: TrialLive },
      Effect.gen(function*() {
        const { id } = yield* Trial.enqueue()
        const asleep = yield* reaches(id, "scheduled")
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 0)
        assert.strictEqual(asleep.dueAt - asleep.createdAt, 30 * day)
        yield* pass(30 * day - 1)
        assert.strictEqual((yield* record(id)).state, "scheduled")
        yield* pass(1)
        const done = yield* reaches(id, "completed")
        assert.deepStrictEqual(woken, [-1, 2])
        assert.deepInclude(done, { failures: 0, claims: 2 })
      })
    )
  })

  it.effect("is no shorter for a task that is brought forward, and over for one that comes later", () => {
    const Trial = Task.make("trial")
    const TrialLive = Trial.toLayer(() => Step.sleep("trial", "1 day"))
    return withUnhurriedEngine(
      "10 minutes",
      { handlers: TrialLive },
      Effect.gen(function*() {
        const { createdAt, id } = yield* Effect.flatMap(Trial.enqueue(), ({ id }) => reaches(id, "scheduled"))
        yield* pass("1 hour")
        yield* TaskQueue.use((queue) => queue.reschedule(id, { delay: 0 }))
        yield* pass("1 second")
        const again = yield* reaches(id, "scheduled")
        assert.deepInclude(again, { dueAt: createdAt + day, claims: 2 })
        yield* TaskQueue.use((queue) => queue.reschedule(id, { delay: "2 days" }))
        yield* pass("3 days")
        assert.strictEqual((yield* reaches(id, "completed")).claims, 3)
      })
    )
  })

  it.effect("waits for steps that run at the same time, and the first of several goes on first", () => {
    const ledger: Array<string> = []
    const Trial = Task.make("trial")
    const branch = (name: string, time: "2 hours" | "5 hours") =>
      Effect.andThen(
        Step.sleep(`sleep ${name}`, time),
        Step.run(`after ${name}`, Effect.sync(() => ledger.push(`after ${name}`)))
      )
    const TrialLive = Trial.toLayer(() =>
      Effect.all([
        branch("long", "5 hours"),
        branch("short", "2 hours"),
        Step.run("slow", Effect.andThen(Effect.sleep("1 minute"), Effect.sync(() => ledger.push("slow"))))
      ], { concurrency: "unbounded", discard: true })
    )
    return withUnhurriedEngine(
      "10 minutes",
      { handlers: TrialLive },
      Effect.gen(function*() {
        const { id } = yield* Trial.enqueue()
        yield* pass("30 seconds")
        assert.strictEqual((yield* record(id)).state, "running")
        yield* pass("2 hours")
        assert.deepStrictEqual(ledger, ["slow", "after short"])
        yield* pass("3 hours")
        yield* reaches(id, "completed")
        assert.deepStrictEqual(ledger, ["slow", "after short", "after long"])
        assert.strictEqual((yield* record(id)).claims, 3)
      })
    )
  })

  it.effect("refuses durations that no store takes", () => {
    const Trial = Task.make("trial", { payload: { ms: Schema.Finite }, retry: { times: 0 } })
    const TrialLive = Trial.toLayer(({ ms }) => Step.sleep("trial", ms))
    return withEngine(
      { handlers: TrialLive },
      Effect.gen(function*() {
        for (const ms of [-1, 3651 * day]) {
          const { id } = yield* Trial.enqueue({ ms })
          const { failure } = yield* reaches(id, "failed")
          assert.match(failure!.message, /The option duration is .* expected a duration from 0 to 3650 days/)
        }
      })
    )
  })
})

class Refused extends Schema.TaggedError<Refused>()("Refused", { by: Schema.String }) {}

const Approval = Signal.make("approval", { success: Schema.Struct({ by: Schema.String }), error: Refused })
const Paid = Signal.make("paid", { success: Schema.Int })

describe("Step.waitFor", () => {
  const tokens: Array<string> = []
  const Purchase = Task.make("purchase", { success: Schema.String, error: Refused, retry: { times: 0 } })
  const PurchaseLive = Purchase.toLayer(() =>
    Effect.gen(function*() {
      tokens.push(yield* Approval.token)
      const { by } = yield* Step.waitFor(Approval)
      return by
    })
  )
  const engine = { handlers: PurchaseLive }

  it.effect("gives the slot back and goes on at once when the signal is completed, however long that takes", () =>
    withUnhurriedEngine(
      "1 hour",
      engine,
      Effect.gen(function*() {
        tokens.length = 0
        const handle = yield* Purchase.enqueue()
        yield* reaches(handle.id, "scheduled")
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 0)
        yield* pass("45 days")
        assert.strictEqual((yield* record(handle.id)).claims, 1)
        yield* Approval.complete(tokens[0]!, { by: "ada" })
        // Without any time
        yield* reaches(handle.id, "completed")
        assert.strictEqual(yield* handle.result, "ada")
        assert.deepStrictEqual(tokens, [tokens[0], tokens[0]])
        assert.match(tokens[0]!, /^approval\.[0-9a-f-]{36}$/)
        assert.lengthOf((yield* RecordStore.use((store) => store.list("signal-waiter"))).records, 0)
      })
    ))

  it.effect("the first completion counts: repeating it changes nothing, and another one is told what is kept", () =>
    withEngine(
      engine,
      Effect.gen(function*() {
        tokens.length = 0
        const handle = yield* Purchase.enqueue()
        yield* reaches(handle.id, "scheduled")
        const [token] = tokens
        yield* Approval.fail(token!, new Refused({ by: "bob" }))
        yield* Approval.fail(token!, new Refused({ by: "bob" }))
        const conflict = failureOf(yield* Effect.exit(Approval.complete(token!, { by: "ada" })))
        assert.instanceOf(conflict, SignalConflict)
        assert.deepNestedInclude(conflict, { "kept._tag": "Error", "kept.error.by": "bob" })
        yield* reaches(handle.id, "failed")
        assert.deepStrictEqual(failureOf(yield* Effect.exit(handle.result)), new Refused({ by: "bob" }))
        for (const unknown of ["approval.none", "a/b", "", "x".repeat(500), "\u0000"]) {
          assert.instanceOf(failureOf(yield* Effect.exit(Approval.complete(unknown, { by: "ada" }))), SignalNotFound)
        }
        const wrong = failureOf(yield* Effect.exit(Approval.complete(token!, { by: 7 } as never)))
        assert.match(String(wrong), /The option success is [^]* expected what signal approval declares/)
      })
    ))

  it.effect("a signal that was completed before anybody waits costs no sleep", () => {
    const Early = Task.make("early", { success: Schema.String, error: Refused })
    const EarlyLive = Early.toLayer(() =>
      Effect.gen(function*() {
        const token = yield* Approval.token
        yield* Effect.orDie(Approval.complete(token, { by: "itself" }))
        return (yield* Step.waitFor(Approval)).by
      })
    )
    return withEngine(
      { handlers: EarlyLive },
      Effect.gen(function*() {
        const handle = yield* Early.enqueue()
        yield* reaches(handle.id, "completed")
        assert.strictEqual((yield* record(handle.id)).claims, 1)
        assert.strictEqual(yield* handle.result, "itself")
      })
    )
  })

  it.effect("times out by the store's clock, closes the token, and stays timed out", () => {
    const held: Array<string> = []
    const Late = Task.make("late", { success: Schema.String, retry: { times: 3 } })
    const LateLive = Late.toLayer((_, { attempt }) =>
      Effect.gen(function*() {
        held.push(yield* Approval.token)
        const outcome = yield* Effect.result(Step.waitFor(Approval, { timeout: "3 days" }))
        if (attempt < 3) return yield* Effect.die("a defect")
        return outcome._tag === "Failure" ? outcome.failure._tag : outcome.success.by
      })
    )
    return withUnhurriedEngine(
      "1 hour",
      { handlers: LateLive },
      Effect.gen(function*() {
        const handle = yield* Late.enqueue()
        yield* reaches(handle.id, "scheduled")
        yield* pass("3 days")
        const late = failureOf(yield* Effect.exit(Approval.complete(held[0]!, { by: "ada" })))
        assert.instanceOf(late, SignalConflict)
        assert.match(String((late as Error).message), /came too late/)
        yield* pass("1 hour")
        yield* reaches(handle.id, "completed")
        assert.strictEqual(yield* handle.result, new SignalTimedOut({ token: "" })._tag)
      })
    )
  })

  it.effect("an event wakes all that wait for it, and those that come later are given it at once", () => {
    const Ship = Task.make("ship", { success: Schema.Int })
    const ShipLive = Ship.toLayer(() => Step.waitFor(Paid.event("invoice-42")))
    return withUnhurriedEngine(
      "1 hour",
      { handlers: ShipLive, worker: { concurrency: 50 } },
      Effect.gen(function*() {
        const handles = yield* Ship.enqueueAll(Array.from({ length: 450 }, () => undefined))
        for (const { id } of handles) yield* reaches(id, "scheduled")
        const waiters = RecordStore.use((store) => store.list("signal-waiter"))
        assert.isTrue((yield* waiters).more)
        yield* Paid.event("invoice-42").complete(7)
        assert.lengthOf((yield* waiters).records, 0)
        yield* pass("1 minute")
        for (const { id } of handles) assert.strictEqual((yield* record(id)).state, "completed")
        const later = yield* Ship.enqueue()
        assert.strictEqual((yield* reaches(later.id, "completed")).claims, 1)
        assert.strictEqual(yield* later.result, 7)
        // Events of other keys are others
        yield* Paid.event("invoice-43").complete(8)
        assert.deepInclude(yield* Signals.use((signals) => signals.get("paid:invoice-42")), {
          end: { _tag: "Value", value: 7 },
          task: null
        })
      })
    )
  })

  it.effect("is not missed where the one that completes it dies at once, or the task is about to sleep", () =>
    withEngine(
      engine,
      Effect.gen(function*() {
        tokens.length = 0
        const store = yield* RecordStore
        const handle = yield* Purchase.enqueue()
        yield* reaches(handle.id, "scheduled")
        const [token] = tokens
        const [record] = yield* store.get("signal", [token!])
        // Its process dies before it brings anything forward
        const end = { _tag: "Value", value: { by: "ada" } }
        const document = JSON.stringify({ ...JSON.parse(record!.document), end, completedAt: 0 })
        yield* store.put([{ kind: "signal", id: token!, expects: record!.version, document, dueInMs: 1000 }])
        yield* pass("10 seconds")
        yield* reaches(handle.id, "completed")
        assert.strictEqual(yield* handle.result, "ada")
      })
    ))

  it.effect("is explained: for which signal and since when, or until when a step sleeps, and no token is shown", () => {
    const Nap = Task.make("nap")
    const NapLive = Nap.toLayer(() => Step.sleep("nap", "2 hours"))
    const Timed = Task.make("timed")
    const TimedLive = Timed.toLayer(() => Effect.ignore(Step.waitFor(Paid.event("a"), { timeout: "1 hour" })))
    const explain = (id: string) => TaskQueue.use((queue) => queue.explain(id))
    return withEngine(
      { handlers: Layer.mergeAll(PurchaseLive, NapLive, TimedLive) },
      Effect.gen(function*() {
        const waiting = yield* Purchase.enqueue()
        yield* reaches(waiting.id, "scheduled")
        const one = yield* explain(waiting.id)
        assert.strictEqual(
          one.summary,
          "It waits for the signal \"approval\" since 1970-01-01T00:00:00.000Z, however long that takes."
        )
        assert.deepInclude(one.reasons[0], { code: "waits_for_signal", signal: "approval", until: null })
        assert.isTrue(Option.isNone(one.mayStartAt))
        assert.notInclude(JSON.stringify(one), tokens.at(-1)!)
        const asleep = yield* Nap.enqueue()
        yield* reaches(asleep.id, "scheduled")
        assert.strictEqual(
          (yield* explain(asleep.id)).summary,
          "It sleeps in step \"nap\" until 1970-01-01T02:00:00.000Z."
        )
        const timed = yield* Timed.enqueue()
        yield* reaches(timed.id, "scheduled")
        const three = yield* explain(timed.id)
        assert.include(
          three.summary,
          "the signal \"paid:a\" since 1970-01-01T00:00:00.000Z, until 1970-01-01T01:00:00.000Z"
        )
        assert.deepStrictEqual(explanationFromJson(explanationJson(three)), three)
        yield* Paid.event("a").complete(1)
        yield* reaches(timed.id, "completed")
      })
    )
  })

  it.effect("signals go with their tasks, events after a month", () =>
    withUnhurriedEngine(
      "1 hour",
      engine,
      Effect.gen(function*() {
        tokens.length = 0
        const kept = RecordStore.use((store) => store.list("signal"))
        const handle = yield* Purchase.enqueue()
        yield* reaches(handle.id, "scheduled")
        yield* Paid.event("a").complete(1)
        yield* pass("29 days")
        assert.lengthOf((yield* kept).records, 2)
        yield* TaskQueue.use((queue) => queue.cancel(handle.id))
        yield* TaskQueue.use((queue) => queue.remove(handle.id))
        yield* pass("2 days")
        yield* quiesce
        assert.lengthOf((yield* kept).records, 0)
        assert.lengthOf((yield* RecordStore.use((store) => store.list("signal-waiter"))).records, 0)
      })
    ))
})
