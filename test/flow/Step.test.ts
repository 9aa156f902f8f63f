import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema } from "effect"
import * as StepRecords from "../../src/flow/StepRecords.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Step from "../../src/Step.ts"
import * as Task from "../../src/Task.ts"
import { Logs, pass, reaches, record, start, withEngine, withStore } from "../engine/TestEngine.ts"

const Receipt = Schema.Struct({ charge: Schema.String })
class Declined extends Schema.TaggedError<Declined>()("Declined", { card: Schema.String }) {}

describe("Step.run", () => {
  it.effect("runs a step once, whatever becomes of the attempts", () => {
    const ledger: Array<string> = []
    const Order = Task.make("order", { payload: { order: Schema.String }, success: Receipt, retry: { times: 5 } })
    const note = (what: string) => Effect.sync(() => ledger.push(what))
    const OrderLive = Order.toLayer(({ order }, { attempt, snooze }) =>
      Effect.gen(function*() {
        const receipt = yield* Step.run("charge", Effect.as(note("charge"), { charge: `of ${order}` }), {
          success: Receipt
        })
        if (attempt === 1) return yield* Effect.die("a defect")
        yield* Step.run("reserve", note("reserve"))
        if (attempt === 2) return yield* snooze("1 minute")
        yield* Step.run("ship", note("ship"))
        return receipt
      })
    )
    return withEngine(
      { handlers: OrderLive },
      Effect.gen(function*() {
        const handle = yield* Order.enqueue({ order: "A1" })
        yield* pass("5 minutes")
        yield* reaches(handle.id, "completed")
        assert.deepStrictEqual(yield* handle.result, { charge: "of A1" })
        assert.deepStrictEqual(ledger, ["charge", "reserve", "ship"])
      })
    )
  })

  it.effect("keeps what has ended through a shutdown, and another instance goes on", () => {
    const ledger: Array<string> = []
    const Order = Task.make("order")
    const OrderLive = Order.toLayer((_, { instance }) =>
      Effect.gen(function*() {
        yield* Step.run("charge", Effect.sync(() => ledger.push(`charge on ${instance}`)))
        yield* Step.run("wait", instance === "one" ? Effect.never : Effect.void)
      })
    )
    return withStore(
      {},
      Effect.gen(function*() {
        const one = yield* start({ handlers: OrderLive, instance: "one", shutdown: "1 second" })
        const { id } = yield* Effect.provide(Order.enqueue(), one.context)
        yield* reaches(id, "running")
        yield* pass("1 second")
        yield* Effect.all([one.close, pass("10 seconds")], { concurrency: "unbounded" })
        const two = yield* start({ handlers: OrderLive, instance: "two" })
        yield* pass("1 second")
        yield* reaches(id, "completed")
        assert.deepStrictEqual(ledger, ["charge on one"])
        yield* two.close
      })
    )
  })

  it.effect("fails the task with a kept error, of which the retries make no other", () => {
    let runs = 0
    const Order = Task.make("order", { error: Declined, retry: { times: 2 } })
    const OrderLive = Order.toLayer(() =>
      Step.run("charge", Effect.suspend(() => Effect.fail(new Declined({ card: String(++runs) }))), { error: Declined })
    )
    return withEngine(
      { handlers: OrderLive },
      Effect.gen(function*() {
        const handle = yield* Order.enqueue()
        yield* pass("5 minutes")
        yield* reaches(handle.id, "failed")
        const exit = yield* Effect.exit(handle.result)
        assert.deepStrictEqual(Exit.isFailure(exit) && Cause.squash(exit.cause), new Declined({ card: "1" }))
        assert.strictEqual((yield* record(handle.id)).failures, 3)
      })
    )
  })

  it.effect("fails the task at once, and says why, where a step cannot be kept or its name is taken", () => {
    const Order = Task.make("order", { payload: { how: Schema.String } })
    const OrderLive = Order.toLayer(({ how }) =>
      how === "unfit"
        ? Step.run("sum", Effect.succeed(NaN), { success: Schema.Int })
        : Effect.andThen(Step.run("sum", Effect.void), Step.run("sum", Effect.void))
    )
    return withEngine(
      { handlers: OrderLive },
      Effect.gen(function*() {
        for (const [how, tag] of [["unfit", "StepUnfit"], ["taken", "StepRefused"]] as const) {
          const { id } = yield* Order.enqueue({ how })
          const { failure } = yield* reaches(id, "failed")
          assert.deepInclude(failure, { kind: "invalid", tag })
          assert.include(failure!.message, `"sum" of task ${id}`)
        }
      })
    )
  })

  it.effect("a renamed step fails the task instead of being done once more, and a rerun with the old name goes on", () => {
    const ledger: Array<string> = []
    let name = "charge"
    const Order = Task.make("order", { retry: { times: 1 } })
    const OrderLive = Order.toLayer((_, { attempt }) =>
      Effect.andThen(
        Step.run(name, Effect.sync(() => ledger.push(name))),
        attempt === 1 ? Effect.die("a defect") : Effect.void
      )
    )
    return withEngine(
      { handlers: OrderLive },
      Effect.gen(function*() {
        const handle = yield* Order.enqueue()
        yield* reaches(handle.id, "scheduled")
        name = "pay"
        yield* pass("1 minute")
        const { failure } = yield* reaches(handle.id, "failed")
        assert.deepInclude(failure, { kind: "invalid", tag: "StepsChanged" })
        assert.include(failure!.message, `"pay" has not run yet, and "charge" ended in an earlier attempt`)
        name = "charge"
        yield* TaskQueue.use((queue) => queue.rerun(handle.id))
        yield* reaches(handle.id, "completed")
        assert.deepStrictEqual(ledger, ["charge"])
      })
    )
  })

  it.effect("warns in the task's log where nobody asks for a step that has ended", () => {
    const Order = Task.make("order", { retry: { times: 1 }, steps: { onChanged: "run" } })
    const OrderLive = Order.toLayer((_, { attempt }) =>
      attempt === 1
        ? Effect.andThen(Step.run("charge", Effect.void), Effect.die("a defect"))
        : Step.run("reserve", Effect.void)
    )
    return withEngine(
      { handlers: OrderLive },
      Effect.gen(function*() {
        const { id } = yield* Order.enqueue()
        yield* pass("1 minute")
        yield* reaches(id, "completed")
        assert.lengthOf(yield* Logs.matching(/did not ask for steps that ended in an earlier attempt: "charge"/), 1)
        assert.deepStrictEqual((yield* StepRecords.read(id))?.head.unasked, ["charge"])
      })
    )
  })

  it.effect("works for each task of a batch, and has a key for services that act once per key", () => {
    const keys: Array<string> = []
    const Order = Task.make("order", { payload: { order: Schema.Int }, success: Schema.Int, retry: { times: 3 } })
    const OrderLive = Order.toBatchLayer(
      (items) =>
        Effect.forEach(items, (item) =>
          item.run(Effect.gen(function*() {
            const twice = yield* Step.run(
              "charge",
              Effect.map(Step.idempotencyKey, (key) => (keys.push(key), 2 * item.payload.order)),
              { success: Schema.Int }
            )
            if (item.context.attempt === 1) return yield* Effect.die("a defect")
            return twice
          }))),
      { max: 10 }
    )
    return withEngine(
      { handlers: OrderLive },
      Effect.gen(function*() {
        const handles = yield* Order.enqueueAll([{ order: 1 }, { order: 2 }])
        yield* pass("1 minute")
        for (const { id } of handles) yield* reaches(id, "completed")
        assert.deepStrictEqual(yield* Effect.forEach(handles, ({ result }) => result), [2, 4])
        assert.deepStrictEqual(keys.toSorted(), handles.map(({ id }) => `${id}/charge`).toSorted())
      })
    )
  })
})
