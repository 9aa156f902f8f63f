/** What must hold of executions that wait, are interrupted, compensate, and wait for one another. */
import { assert, describe } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"
import { Activity, DurableClock, DurableDeferred, DurableQueue, Workflow } from "effect/workflow"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { TaskForgeWorkflows } from "../../src/workflow/index.ts"
import { both, only, type Subject, until } from "./subjects.ts"

class Failed extends Schema.TaggedError<Failed>()("Failed", { at: Schema.String }) {}

const payload = { id: Schema.String }
const idempotencyKey = ({ id }: { readonly id: string }) => id

const errorOf = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit
const isInterrupted = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)

const Go = DurableDeferred.make("go")
const go = (workflow: Workflow.Any, executionId: string) =>
  DurableDeferred.done(Go, {
    token: DurableDeferred.tokenFromExecutionId(Go, { workflow, executionId }),
    exit: Exit.void
  })

/** A sleep that ends the attempt, however short it is. */
const sleep = (name: string, duration: number) => DurableClock.sleep({ name, duration, inMemoryThreshold: 0 })

/** The state of an execution by poll. */
const polled = (
  workflow: { readonly poll: (id: string) => Effect.Effect<Option.Option<Workflow.Result<any, any>>, never, any> },
  id: string
) =>
  Effect.map(workflow.poll(id), (poll) => Option.isNone(poll) ? "none" : poll.value._tag) as Effect.Effect<
    string,
    never,
    any
  >

const isSuspended = (workflow: Parameters<typeof polled>[0], id: string) =>
  until(Effect.map(polled(workflow, id), (tag) => tag === "Suspended"))

const endOf = (workflow: Parameters<typeof polled>[0], id: string) =>
  Effect.gen(function*() {
    yield* until(Effect.map(polled(workflow, id), (tag) => tag === "Complete"))
    const poll = Option.getOrThrow(yield* workflow.poll(id))
    return poll._tag === "Complete" ? poll.exit as Exit.Exit<any, any> : assert.fail("It has not ended")
  })

const noted = (calls: Array<string>, name: string, ms = 0) =>
  Activity.make({ name, execute: Effect.andThen(Effect.sleep(ms), Effect.sync(() => calls.push(name))) })

export const waits = (subject: Subject) => {
  describe("sleeps", () => {
    only(subject, "12b: a sleep ends on time, and holds no slot", () => {
      const Sleeps = Workflow.make("Sleeps", { payload, idempotencyKey })
      const workflows = Sleeps.toLayer(() => sleep("nap", 700))
      const body = Effect.gen(function*() {
        const begin = yield* Clock.currentTimeMillis
        const id = yield* Sleeps.execute({ id: "1" }, { discard: true })
        yield* isSuspended(Sleeps, id)
        yield* until(Effect.map(WorkerPool.use((pool) => pool.active), (active) => active === 0))
        yield* Sleeps.execute({ id: "1" })
        const tookMs = (yield* Clock.currentTimeMillis) - begin
        assert.isAtLeast(tookMs, 699)
        assert.isBelow(tookMs, 2500)
      })
      return { workflows, body }
    })

    both(subject, "12: a second sleep of one name is over at once, in memory and durable", () => {
      const Naps = Workflow.make("Naps", { payload, idempotencyKey })
      const workflows = Naps.toLayer(() =>
        Effect.gen(function*() {
          yield* sleep("a", 50)
          yield* sleep("a", 3_000_000)
          yield* DurableClock.sleep({ name: "b", duration: 50 })
          yield* DurableClock.sleep({ name: "b", duration: 50_000 })
        })
      )
      const body = Naps.execute({ id: "1" })
      return { workflows, body }
    })

    both(subject, "12c: what ensures is run at every suspension, and a finalizer of the workflow once", () => {
      const calls: Array<string> = []
      const Ensures = Workflow.make("Ensures", { payload, idempotencyKey })
      const workflows = Ensures.toLayer(() =>
        Effect.gen(function*() {
          yield* Workflow.addFinalizer(() => Effect.sync(() => calls.push("finalizer")))
          yield* Effect.ensuring(sleep("a", 2000), Effect.sync(() => calls.push("ensuring")))
        })
      )
      const body = Effect.gen(function*() {
        yield* Ensures.execute({ id: "1" })
        assert.deepStrictEqual(calls.filter((call) => call === "ensuring"), ["ensuring", "ensuring"])
        assert.deepInclude(calls, "finalizer")
      })
      return { workflows, body }
    })

    both(
      subject,
      "12d: a run does not suspend over an activity, and a race with a sleep ends when the sleep does",
      () => {
        const calls: Array<string> = []
        const Races = Workflow.make("Races", { payload, idempotencyKey, success: Schema.String })
        const workflows = Races.toLayer(({ id }) =>
          id === "all"
            ? Effect.as(Effect.all([sleep("a", 20), noted(calls, "slow", 200)], { concurrency: "unbounded" }), "all")
            : DurableDeferred.raceAll({
              name: "race",
              success: Schema.String,
              error: Schema.Never,
              effects: [
                Effect.as(sleep("a", 100), "sleep"),
                Effect.as(Activity.make({ name: "endless", execute: Effect.sleep("5 seconds") }), "activity")
              ]
            })
        )
        const body = Effect.gen(function*() {
          assert.strictEqual(yield* Races.execute({ id: "all" }), "all")
          assert.isAtLeast(calls.length, 1)
          const begin = yield* Clock.currentTimeMillis
          assert.strictEqual(yield* Races.execute({ id: "race" }), "sleep")
          assert.isBelow((yield* Clock.currentTimeMillis) - begin, 4000)
        })
        return { workflows, body }
      }
    )
  })

  describe("interrupts", () => {
    both(
      subject,
      "7: an interrupt while an activity runs takes effect at the next one, and is lost to none but an end",
      () => {
        const calls: Array<string> = []
        const Two = Workflow.make("Two", { payload, idempotencyKey, success: Schema.String })
        const workflows = Two.toLayer(({ id }) =>
          Effect.gen(function*() {
            yield* noted(calls, `first ${id}`, 150)
            if (id === "two") yield* noted(calls, "second")
            return "done"
          })
        )
        const body = Effect.gen(function*() {
          for (const key of ["one", "two"]) {
            const id = yield* Two.execute({ id: key }, { discard: true })
            yield* Effect.sleep("50 millis")
            yield* Two.interrupt(id)
          }
          const [one, two] = [
            yield* endOf(Two, yield* Two.executionId({ id: "one" })),
            yield* endOf(Two, yield* Two.executionId({ id: "two" }))
          ]
          assert.deepStrictEqual(one, Exit.succeed("done"))
          assert.isTrue(isInterrupted(two))
          assert.sameMembers(calls, ["first one", "first two"])
        })
        return { workflows, body }
      }
    )

    only(subject, "7d: an interrupt that comes once the body has failed leaves its compensations alone", () => {
      const calls: Array<string> = []
      const Late = Workflow.make("Late", { payload, idempotencyKey, error: Schema.String })
      const workflows = Late.toLayer((_, id) =>
        Effect.gen(function*() {
          yield* noted(calls, "do").pipe(Late.withCompensation(() => Effect.asVoid(noted(calls, "undo"))))
          yield* Late.interrupt(id)
          return yield* Effect.fail("refused")
        })
      )
      const body = Effect.gen(function*() {
        const id = yield* Late.execute({ id: "late" }, { discard: true })
        assert.deepStrictEqual(yield* endOf(Late, id), Exit.fail("refused"))
        assert.deepStrictEqual(calls, ["do", "undo"])
      })
      return { workflows, body }
    })

    both(subject, "7b: an interrupt of a sleep or a wait takes effect at once, and is compensated", () => {
      const calls: Array<string> = []
      const Undoes = Workflow.make("Undoes", { payload, idempotencyKey })
      const workflows = Undoes.toLayer(({ id }) =>
        Effect.gen(function*() {
          yield* noted(calls, `do ${id}`).pipe(
            Undoes.withCompensation(() => Effect.sync(() => calls.push(`undo ${id}`)))
          )
          yield* id === "sleep" ? sleep("long", 3_000_000) : DurableDeferred.await(Go)
        })
      )
      const body = Effect.gen(function*() {
        for (const key of ["sleep", "wait"]) {
          const id = yield* Undoes.execute({ id: key }, { discard: true })
          yield* isSuspended(Undoes, id)
          yield* Undoes.interrupt(id)
          assert.isTrue(isInterrupted(yield* endOf(Undoes, id)))
        }
        assert.deepStrictEqual(calls, ["do sleep", "undo sleep", "do wait", "undo wait"])
      })
      return { workflows, body }
    })

    both(subject, "7c: an unsafe interrupt ends an activity at once, and what was done is undone", () => {
      const calls: Array<string> = []
      const Unsafe = Workflow.make("Unsafe", { payload, idempotencyKey })
      const workflows = Unsafe.toLayer(() =>
        Effect.gen(function*() {
          yield* noted(calls, "do").pipe(Unsafe.withCompensation(() => Effect.sync(() => calls.push("undo"))))
          yield* Activity.make({ name: "endless", execute: Effect.sleep("1 minute") })
        })
      )
      const body = Effect.gen(function*() {
        const { WorkflowEngine } = yield* Effect.promise(() => import("effect/workflow"))
        const id = yield* Unsafe.execute({ id: "1" }, { discard: true })
        yield* until(Effect.sync(() => calls.length > 0))
        yield* Effect.sleep("50 millis")
        yield* Effect.flatMap(WorkflowEngine.WorkflowEngine, (engine) => engine.interruptUnsafe(Unsafe, id))
        assert.isTrue(isInterrupted(yield* endOf(Unsafe, id)))
        assert.deepStrictEqual(calls, ["do", "undo"])
      })
      return { workflows, body }
    })
  })

  describe("compensations", () => {
    both(subject, "8: go in reverse after a failure and a defect, and not after a success or at a suspension", () => {
      const calls: Array<string> = []
      const Saga = Workflow.make("Saga", { payload, idempotencyKey, error: Failed })
      const step = (name: string) =>
        noted(calls, name).pipe(Saga.withCompensation(() => Effect.sync(() => calls.push(`undo ${name}`))))
      const workflows = Saga.toLayer(({ id }) =>
        Effect.gen(function*() {
          yield* step("a")
          yield* step("b")
          yield* sleep("nap", 30)
          if (id === "fails") return yield* new Failed({ at: "c" })
          if (id === "dies") return yield* Effect.die(new Error("boom"))
        })
      )
      const body = Effect.gen(function*() {
        for (const id of ["succeeds", "fails", "dies"]) {
          calls.length = 0
          const exit = yield* Effect.exit(Saga.execute({ id }))
          if (id === "succeeds") assert.isTrue(Exit.isSuccess(exit))
          if (id === "fails") assert.instanceOf(errorOf(exit), Failed)
          if (id === "dies") assert.match(String(errorOf(exit)), /boom/)
          assert.deepStrictEqual(calls, id === "succeeds" ? ["a", "b"] : ["a", "b", "undo b", "undo a"])
        }
      })
      return { workflows, body }
    })

    only(subject, "8c: one that waits is parked without a slot, and goes on once, before those that follow", () => {
      const calls: Array<string> = []
      let bodies = 0
      const Patient = Workflow.make("Patient", { payload, idempotencyKey, error: Failed })
      const workflows = Patient.toLayer(({ id }) =>
        Effect.gen(function*() {
          bodies++
          yield* noted(calls, "a").pipe(Patient.withCompensation(() => noted(calls, "undo a").pipe(Effect.orDie)))
          yield* noted(calls, "b").pipe(Patient.withCompensation(() =>
            Effect.gen(function*() {
              yield* noted(calls, "before")
              yield* id === "sleep" ? sleep("pause", 300) : DurableDeferred.await(Go)
              yield* noted(calls, "after")
            })
          ))
          return yield* new Failed({ at: "c" })
        })
      )
      const body = Effect.gen(function*() {
        for (const key of ["sleep", "deferred"]) {
          calls.length = 0
          bodies = 0
          const id = yield* Patient.execute({ id: key }, { discard: true })
          yield* isSuspended(Patient, id)
          yield* until(Effect.map(WorkerPool.use((pool) => pool.active), (active) => active === 0))
          assert.deepStrictEqual(calls, ["a", "b", "before"])
          yield* go(Patient, id)
          assert.instanceOf(errorOf(yield* endOf(Patient, id)), Failed)
          assert.deepStrictEqual(calls, ["a", "b", "before", "after", "undo a"])
          assert.isAtMost(bodies, 3)
        }
      })
      return { workflows, body }
    })

    only(
      subject,
      "8d: one that dies is final with the failure before it, and shown to operators; the others are done",
      () => {
        const calls: Array<string> = []
        let bodies = 0
        const Dies = Workflow.make("Dies", { payload, idempotencyKey, error: Failed })
        const workflows = Dies.toLayer(() =>
          Effect.gen(function*() {
            bodies++
            yield* noted(calls, "a").pipe(Dies.withCompensation(() => Effect.sync(() => calls.push("undo a"))))
            yield* noted(calls, "b").pipe(Dies.withCompensation(() => Effect.die(new Error("undo b has died"))))
            return yield* new Failed({ at: "c" })
          })
        )
        const body = Effect.gen(function*() {
          const id = yield* Dies.execute({ id: "1" }, { discard: true })
          const exit = yield* endOf(Dies, id)
          const reasons = Exit.isFailure(exit) ? exit.cause.reasons : []
          assert.deepStrictEqual(reasons.map(({ _tag }) => _tag), ["Fail", "Die"])
          assert.match(String(Exit.isFailure(exit) && Cause.pretty(exit.cause)), /undo b has died/)
          assert.deepStrictEqual(calls, ["a", "b", "undo a"])
          assert.strictEqual(bodies, 1)
          assert.strictEqual((yield* TaskQueue.use((queue) => queue.get(id))).state, "failed")
        })
        return { workflows, body }
      }
    )

    only(subject, "13d: a body that dies with defects that are not captured is final too", () => {
      let bodies = 0
      const Raw = Workflow.make("Raw", { payload, idempotencyKey }).annotate(Workflow.CaptureDefects, false)
      const workflows = Raw.toLayer(() => Effect.suspend(() => Effect.die(new Error(`boom ${++bodies}`))))
      const body = Effect.gen(function*() {
        assert.match(String(errorOf(yield* Effect.exit(Raw.execute({ id: "1" })))), /boom 1/)
        assert.match(String(errorOf(yield* endOf(Raw, yield* Raw.executionId({ id: "1" })))), /boom 1/)
        assert.strictEqual(bodies, 1)
      })
      return { workflows, body }
    })
  })

  describe("SuspendOnFailure", () => {
    both(subject, "9: a failure suspends, and only an explicit resume runs the failed activity again", () => {
      const calls: Array<string> = []
      let isBroken = true
      const Pauses = Workflow.make("Pauses", { payload, idempotencyKey, error: Failed })
        .annotate(Workflow.SuspendOnFailure, true)
      const workflows = Pauses.toLayer(() =>
        Effect.gen(function*() {
          yield* noted(calls, "before")
          yield* Activity.make({
            name: "fails",
            error: Failed,
            execute: Effect.suspend(() => {
              calls.push("fails")
              return isBroken ? Effect.fail(new Failed({ at: "fails" })) : Effect.void
            })
          })
        })
      )
      const body = Effect.gen(function*() {
        const id = yield* Pauses.execute({ id: "1" }, { discard: true })
        yield* isSuspended(Pauses, id)
        const poll = Option.getOrThrow(yield* Pauses.poll(id))
        assert.isTrue(poll._tag === "Suspended" && poll.failed === true)
        const cause = poll._tag === "Suspended" ? poll.cause : undefined
        assert.deepInclude(cause === undefined ? cause : Cause.squash(cause), { _tag: "Failed", at: "fails" })
        yield* go(Pauses, id)
        yield* Effect.sleep("100 millis")
        assert.deepStrictEqual(calls, ["before", "fails"])
        isBroken = false
        yield* Pauses.resume(id)
        assert.isTrue(Exit.isSuccess(yield* endOf(Pauses, id)))
        assert.deepStrictEqual(calls, ["before", "fails", "fails"])
      })
      return { workflows, body }
    })

    both(subject, "9: an interrupt of one that has failed runs its compensations", () => {
      const calls: Array<string> = []
      const Held = Workflow.make("Held", { payload, idempotencyKey, error: Failed })
        .annotate(Workflow.SuspendOnFailure, true)
      const workflows = Held.toLayer(() =>
        Effect.gen(function*() {
          yield* noted(calls, "a").pipe(Held.withCompensation(() => Effect.sync(() => calls.push("undo a"))))
          return yield* new Failed({ at: "body" })
        })
      )
      const body = Effect.gen(function*() {
        const id = yield* Held.execute({ id: "1" }, { discard: true })
        yield* isSuspended(Held, id)
        yield* Held.interrupt(id)
        assert.isTrue(Exit.isFailure(yield* endOf(Held, id)))
        assert.deepStrictEqual(calls, ["a", "undo a"])
      })
      return { workflows, body }
    })
  })

  describe("children", () => {
    only(subject, "10: a parent goes on at once when its child was cancelled while it waited", () => {
      const Child = Workflow.make("Child", { payload, idempotencyKey })
        .annotate(TaskForgeWorkflows.TaskOptions, { queue: "held" })
      const Parent = Workflow.make("Parent", { payload, idempotencyKey, success: Schema.String })
      const workflows = Layer.mergeAll(
        Child.toLayer(() => Effect.never),
        Parent.toLayer(({ id }) =>
          Child.execute({ id }).pipe(
            Effect.as("ended"),
            Effect.catchCause((cause) => Effect.succeed(Cause.hasInterrupts(cause) ? "cancelled" : Cause.pretty(cause)))
          )
        )
      )
      const body = Effect.gen(function*() {
        const queue = yield* TaskQueue
        yield* queue.pause("held")
        for (const id of ["1", "2"]) {
          const parent = yield* Effect.forkChild(Parent.execute({ id }))
          yield* isSuspended(Parent, yield* Parent.executionId({ id }))
          yield* queue.cancel(yield* Child.executionId({ id }))
          // by itself it looks after ten seconds
          const end = yield* Effect.timeoutOption(Fiber.join(parent), "6 seconds")
          assert.strictEqual(Option.getOrElse(end, () => "it still waits"), "cancelled")
        }
      })
      return { workflows, body }
    })

    both(subject, "10: a parent is suspended until its child has ended, and an interrupt goes down", () => {
      const calls: Array<string> = []
      const Child = Workflow.make("Child", { payload, idempotencyKey, success: Schema.String, error: Failed })
      const Parent = Workflow.make("Parent", { payload, idempotencyKey, success: Schema.String, error: Failed })
      const workflows = Layer.mergeAll(
        Child.toLayer(({ id }) =>
          Effect.gen(function*() {
            yield* noted(calls, `do ${id}`).pipe(
              Child.withCompensation(() => Effect.sync(() => calls.push(`undo ${id}`)))
            )
            if (id !== "quick") yield* DurableDeferred.await(Go)
            return `child ${id}`
          })
        ),
        Parent.toLayer(({ id }) => Child.execute({ id }))
      )
      const body = Effect.gen(function*() {
        assert.strictEqual(yield* Parent.execute({ id: "quick" }), "child quick")
        for (const key of ["woken", "interrupted"]) {
          const id = yield* Parent.execute({ id: key }, { discard: true })
          const child = yield* Child.executionId({ id: key })
          yield* isSuspended(Child, child)
          yield* isSuspended(Parent, id)
          if (key === "woken") {
            yield* go(Child, child)
            assert.deepStrictEqual(yield* endOf(Parent, id), Exit.succeed("child woken"))
          } else {
            yield* Parent.interrupt(id)
            assert.isTrue(isInterrupted(yield* endOf(Parent, id)))
            assert.isTrue(isInterrupted(yield* endOf(Child, child)))
            assert.include(calls, "undo interrupted")
          }
        }
      })
      return { workflows, body }
    })

    both(subject, "10b: a child that is discarded is interrupted with its parent, unless it is detached", () => {
      const Child = Workflow.make("Lone", { payload, idempotencyKey, success: Schema.Int })
      const Parent = Workflow.make("Starts", { payload, idempotencyKey })
      const workflows = Layer.mergeAll(
        Child.toLayer(() => Effect.as(DurableDeferred.await(Go), 1)),
        Parent.toLayer(({ id }) =>
          Effect.andThen(
            Child.execute({ id }, { discard: true, detached: id === "detached" }),
            DurableDeferred.await(Go)
          )
        )
      )
      const body = Effect.gen(function*() {
        for (const key of ["discarded", "detached"]) {
          const [id, child] = [
            yield* Parent.execute({ id: key }, { discard: true }),
            yield* Child.executionId({ id: key })
          ]
          yield* isSuspended(Parent, id)
          yield* isSuspended(Child, child)
          yield* Parent.interrupt(id)
          assert.isTrue(isInterrupted(yield* endOf(Parent, id)))
          if (key === "discarded") assert.isTrue(isInterrupted(yield* endOf(Child, child)))
          else {
            assert.strictEqual(yield* polled(Child, child), "Suspended")
            yield* go(Child, child)
            assert.deepStrictEqual(yield* endOf(Child, child), Exit.succeed(1))
          }
        }
      })
      return { workflows, body }
    })

    only(subject, "two parents of one child are both told of its end", () => {
      const Child = Workflow.make("Shared", { payload, idempotencyKey, success: Schema.Int })
      const Parent = Workflow.make("Each", { payload, idempotencyKey, success: Schema.Int })
      const workflows = Layer.mergeAll(
        Child.toLayer(() => Effect.as(DurableDeferred.await(Go), 5)),
        Parent.toLayer(() => Child.execute({ id: "shared" }))
      )
      const body = Effect.gen(function*() {
        const ids = [
          yield* Parent.execute({ id: "1" }, { discard: true }),
          yield* Parent.execute({ id: "2" }, { discard: true })
        ]
        for (const id of ids) yield* isSuspended(Parent, id)
        const begin = yield* Clock.currentTimeMillis
        yield* go(Child, yield* Child.executionId({ id: "shared" }))
        for (const id of ids) assert.deepStrictEqual(yield* endOf(Parent, id), Exit.succeed(5))
        assert.isBelow((yield* Clock.currentTimeMillis) - begin, 5000)
      })
      return { workflows, body }
    })
  })

  describe("DurableQueue", () => {
    both(
      subject,
      "16: what is processed comes back to the execution, a failure too, and a payload of one key is one job",
      () => {
        const jobs: Array<string> = []
        const Queue = DurableQueue.make({
          name: "jobs",
          payload: { key: Schema.String },
          idempotencyKey: ({ key }) => key,
          success: Schema.String,
          error: Failed
        })
        const Sends = Workflow.make("Sends", { payload, idempotencyKey, success: Schema.Array(Schema.String) })
        const workflows = Layer.mergeAll(
          Sends.toLayer(() =>
            Effect.gen(function*() {
              const first = yield* Effect.orDie(DurableQueue.process(Queue, { key: "a" }))
              const second = yield* Effect.orDie(DurableQueue.process(Queue, { key: "a" }))
              const third = yield* Effect.exit(DurableQueue.process(Queue, { key: "bad" }))
              return [first, second, String(errorOf(third))]
            })
          ),
          DurableQueue.worker(Queue, ({ key }) =>
            Effect.suspend(() => {
              jobs.push(key)
              return key === "bad" ? Effect.fail(new Failed({ at: key })) : Effect.succeed(`${key} done`)
            }))
        ).pipe(Layer.provide(PersistedQueue.layer), Layer.provide(PersistedQueue.layerStoreMemory))
        const body = Effect.gen(function*() {
          const [first, second, third] = yield* Sends.execute({ id: "1" })
          assert.deepStrictEqual([first, second], ["a done", "a done"])
          assert.match(third!, /Failed/)
          assert.deepStrictEqual(jobs, ["a", "bad"])
        })
        return { workflows: workflows as any, body }
      }
    )
  })
}
