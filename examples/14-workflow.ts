/**
 * A workflow of Effect on TaskForge: what has been booked is undone when a later activity fails, a person decides through a deferred, and
 * nothing is held while that takes its time.
 */
import { Console, Effect, Exit, Layer, Logger, Option, Schema } from "effect"
import { Activity, DurableDeferred, Workflow } from "effect/workflow"
import { Engine, MemoryStore } from "taskforge"
import { TaskForgeWorkflows } from "taskforge/workflow"

class Refused extends Schema.TaggedError<Refused>()("Refused", { by: Schema.String }) {}

const Approval = DurableDeferred.make("approval", { success: Schema.String, error: Refused })

const Trip = Workflow.make("Trip", {
  payload: { to: Schema.String },
  idempotencyKey: ({ to }) => to,
  success: Schema.String,
  error: Refused
})

const TripLive = Trip.toLayer(({ to }) =>
  Effect.gen(function*() {
    const flight = yield* Activity.make({
      name: "book a flight",
      success: Schema.String,
      execute: Effect.as(Console.log(`a flight to ${to}`), `flight to ${to}`)
    }).pipe(Trip.withCompensation((flight) => Console.log(`cancelled the ${flight}`)))
    const by = yield* DurableDeferred.await(Approval)
    yield* Activity.make({ name: "pay", execute: Console.log(`paid, approved by ${by}`) })
    return flight
  })
)

/** Lets a person decide once the workflow waits. */
const decide = Effect.fnUntraced(function*(to: string, exit: Exit.Exit<string, Refused>) {
  const executionId = yield* Trip.execute({ to }, { discard: true })
  while (Option.isNone(yield* Trip.poll(executionId))) yield* Effect.sleep("10 millis")
  const token = DurableDeferred.tokenFromExecutionId(Approval, { workflow: Trip, executionId })
  yield* DurableDeferred.done(Approval, { token, exit })
})

const program = Effect.gen(function*() {
  yield* decide("Rome", Exit.succeed("ada"))
  yield* Console.log(yield* Trip.execute({ to: "Rome" }))
  yield* decide("Mars", Exit.fail(new Refused({ by: "grace" })))
  const refused = yield* Effect.flip(Trip.execute({ to: "Mars" }))
  yield* Console.log(`refused by ${refused.by}`)
})

const Live = TaskForgeWorkflows.layer.pipe(
  Layer.provideMerge(Engine.layer(Layer.provide(TripLive, TaskForgeWorkflows.layer))),
  // The log, which has a line for each suspension, is left out here
  Layer.provide([MemoryStore.layer(), Logger.layer([])])
)

await Effect.runPromise(Effect.provide(program, Live))

// It prints:
// a flight to Rome
// paid, approved by ada
// flight to Rome
// a flight to Mars
// cancelled the flight to Mars
// refused by grace
