/** The events of a task are in the order of its life, whichever instance logs late. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Latch, Layer, type Scope } from "effect"
import * as RecordedStore from "../../src/events/RecordedStore.ts"
import { Supervisor } from "../../src/observability/Supervisor.ts"
import { EventLog } from "../../src/store/EventLog.ts"
import { type Notifier } from "../../src/store/Notifier.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { until } from "../e2e/Server.ts"
import { complete, release, request, stop, task } from "../store/conformance/fixtures.ts"

type Services = Context.Context<TaskStore | RecordStore | Notifier | EventLog>

/** An instance on a store, whose appends wait for a gate. */
export const instance = (services: Services, gate: Latch.Latch): Effect.Effect<
  Context.Service.Shape<typeof TaskStore>,
  never,
  Scope.Scope
> => {
  const log = Context.get(services, EventLog)
  const slow = EventLog.of({ ...log, append: (events, lost) => Effect.andThen(gate.await, log.append(events, lost)) })
  return RecordedStore.layer.pipe(
    Layer.provide(Layer.succeedContext(Context.add(services, EventLog, slow))),
    Layer.provide(Supervisor.layer),
    Layer.fresh,
    Layer.build,
    Effect.map((context) => Context.get(context, TaskStore))
  )
}

/** A clock that measures a second in ten: however slow the machine is, nothing is held for too long. */
const patient = Clock.clockWith((clock) =>
  Effect.sync((): Clock.Clock =>
    Object.assign(Object.create(clock) as Clock.Clock, {
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() / 10n
    })
  )
)

/** Proves it for a driver. `shared` makes a new store and answers how a process opens it. */
export const lifeOrder = (
  name: string,
  shared: Effect.Effect<Effect.Effect<Services, unknown, Scope.Scope>, unknown, Scope.Scope>
): void => {
  describe(`Two instances on ${name}`, () => {
    for (const late of ["first", "second"]) {
      it.live(`log the events of a task in the order of its life while the ${late} logs late`, () =>
        Effect.gen(function*() {
          const open = yield* shared
          const gate = Latch.makeUnsafe(true)
          const ready = Latch.makeUnsafe(true)
          const services = [yield* open, yield* open] as const
          const log = Context.get(services[0], EventLog)
          yield* log.attend(600_000)
          const clock = yield* patient
          const [first, second] = yield* Effect.provideService(
            Effect.all([
              instance(services[0], late === "first" ? gate : ready),
              instance(services[1], late === "second" ? gate : ready)
            ]),
            Clock.Clock,
            clock
          )
          const told = (id: string) =>
            Effect.map(
              log.read(0, 1000),
              ({ events }) => events.filter((one) => one.id === id).map(({ event }) => event)
            )
          const prompt = late === "first" ? second : first
          // While they do not know that events are read, they leave events out
          for (const one of [first, second]) {
            const probe = Effect.gen(function*() {
              const { id } = task()
              yield* one.enqueue([[task({ id, type: "other" })]])
              yield* Effect.sleep("100 millis")
              return (yield* told(id)).length > 0
            })
            yield* until("it knows", probe)
          }
          yield* gate.close
          const take = (store: typeof first, instance: string) =>
            Effect.map(store.claim(request({ instance })), ({ tasks }) => tasks[0] ?? assert.fail("nothing to claim"))

          yield* first.enqueue([[task({ id: "t" })]])
          yield* second.settle([release(yield* take(second, "second"))])
          const again = yield* take(first, "first")
          yield* second.cancel(["t"])
          yield* first.settle([stop(again)])
          yield* second.rerun(["t"])
          yield* first.settle([complete(yield* take(first, "first"))])
          yield* second.remove(["t"])
          // What the prompt one does not hold is in the log after this
          yield* prompt.enqueue([[task({ id: "mark", type: "other" })]])
          yield* until("the prompt one has logged", Effect.map(told("mark"), (names) => names.length > 0))
          yield* gate.open
          yield* until("all is told", Effect.map(told("t"), (names) => names.length === 10))
          assert.deepStrictEqual(yield* told("t"), [
            "created",
            "started",
            "released",
            "started",
            "cancelling",
            "cancelled",
            "rerun",
            "started",
            "completed",
            "removed"
          ])
        }).pipe(Effect.scoped))
    }
  })
}
