/** What must hold when a process that runs executions is gone, and others go on. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Latch, Layer, Option, Schema, Scope } from "effect"
import { Activity, DurableClock, DurableDeferred, Workflow, type WorkflowEngine } from "effect/workflow"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import type { Driver } from "../store/conformance/driver.ts"
import { engineWith, until, type Workflows } from "./subjects.ts"

class Failed extends Schema.TaggedError<Failed>()("Failed", {}) {}

const payload = { id: Schema.String }
const idempotencyKey = ({ id }: { readonly id: string }) => id
const Go = DurableDeferred.make("go")

/** How long a lease holds. A takeover takes that and a little more. */
const leaseMs = 1000

/** An engine on the store of the test, which can be killed: from then on it does nothing more, and says nothing. */
const process = Effect.fnUntraced(function*(workflows: Workflows) {
  const stores = yield* Effect.context<TaskStore | RecordStore>()
  let isDead = false
  const deadly = <S extends object>(service: S): S =>
    new Proxy(service, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown
        if (typeof value === "function") {
          // not an effect: what has come of the writes before
          if (name === "consequences") return () => value.call(target)
          return (...args: Array<unknown>) =>
            Effect.suspend(() => isDead ? Effect.never : value.apply(target, args) as Effect.Effect<unknown>)
        }
        return Effect.isEffect(value) ? Effect.suspend(() => isDead ? Effect.never : value) : value
      }
    })
  const layer = engineWith(workflows, {
    worker: { lease: leaseMs, pollInterval: 200 },
    rescuer: { interval: 100 },
    shutdown: 400
  }).pipe(
    Layer.provide(Layer.mergeAll(
      Layer.succeed(TaskStore, deadly(Context.get(stores, TaskStore))),
      Layer.succeed(RecordStore, deadly(Context.get(stores, RecordStore)))
    ))
  )
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const context = yield* Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), scope)
  return {
    run: <A, E>(effect: Effect.Effect<A, E, WorkflowEngine.WorkflowEngine>) =>
      Effect.provideContext(effect, context as Context.Context<any>) as Effect.Effect<A, E>,
    stop: Scope.close(scope, Exit.void),
    kill: Effect.sync(() => {
      isDead = true
    })
  }
})

export const takesOver = (driver: Driver) => {
  const claim = (name: string, body: () => Effect.Effect<void, unknown, any>) =>
    it.live(name, () => Effect.scoped(Effect.provide(body(), driver.layer({}))) as Effect.Effect<void, unknown>, 60_000)

  describe("several processes", () => {
    claim(
      "14d: another one takes over within a lease; a finished activity is not run again, a half-done one is",
      () => {
        const calls: Array<string> = []
        const Long = Workflow.make("Long", { payload, idempotencyKey, success: Schema.String })
        const layerOf = (process: string, hangs: boolean) =>
          Long.toLayer(() =>
            Effect.gen(function*() {
              yield* Activity.make({ name: "first", execute: Effect.sync(() => calls.push(`first in ${process}`)) })
              yield* Activity.make({
                name: "half",
                execute: Effect.andThen(
                  Effect.sync(() => calls.push(`half in ${process}`)),
                  hangs ? Effect.never : Effect.void
                )
              })
              return process
            })
          )
        return Effect.gen(function*() {
          const one = yield* process(layerOf("one", true))
          const id = yield* one.run(Long.execute({ id: "1" }, { discard: true }))
          yield* until(Effect.sync(() => calls.length === 2))
          yield* one.kill
          const begin = performance.now()
          const two = yield* process(layerOf("two", false))
          assert.strictEqual(yield* two.run(Long.execute({ id: "1" })), "two")
          assert.isBelow(performance.now() - begin, 8 * leaseMs)
          assert.deepStrictEqual(calls, ["first in one", "half in one", "half in two"])
          assert.isTrue(Option.isSome(yield* two.run(Long.poll(id))))
        })
      }
    )

    claim(
      "14g: what an attempt keeps that has lost its task, until another one has taken over, is not done again",
      () => {
        const calls: Array<string> = []
        const Late = Workflow.make("Late", { payload, idempotencyKey, success: Schema.String })
        const layerOf = (process: string) =>
          Late.toLayer(() =>
            Activity.make({
              name: "first",
              success: Schema.String,
              execute: Effect.sync(() => {
                calls.push(`first in ${process}`)
                return process
              })
            })
          )
        const isStep = (changes: Parameters<RecordStore["Service"]["put"]>[0]) =>
          changes.some(({ kind }) => kind === "step")
        return Effect.gen(function*() {
          const records = yield* RecordStore
          const takesOver = Latch.makeUnsafe(false)
          const kept = Latch.makeUnsafe(false)
          // The end of its first step comes late
          const late = RecordStore.of({
            ...records,
            put: (changes) =>
              isStep(changes)
                ? takesOver.await.pipe(Effect.andThen(records.put(changes)), Effect.ensuring(kept.open))
                : records.put(changes)
          })
          const early = RecordStore.of({
            ...records,
            put: (changes) =>
              isStep(changes)
                ? takesOver.open.pipe(Effect.andThen(kept.await), Effect.andThen(records.put(changes)))
                : records.put(changes)
          })
          const one = yield* Effect.provideService(process(layerOf("one")), RecordStore, late)
          yield* one.run(Late.execute({ id: "1" }, { discard: true }))
          yield* until(Effect.sync(() => calls.length === 1))
          yield* one.kill
          const two = yield* Effect.provideService(process(layerOf("two")), RecordStore, early)
          assert.strictEqual(yield* two.run(Late.execute({ id: "1" })), "one")
          assert.deepStrictEqual(calls, ["first in one"])
        })
      }
    )

    claim(
      "7e: an interrupt that has taken effect holds, though what it came upon has come before all is undone",
      () => {
        const calls: Array<string> = []
        const Undoes = Workflow.make("Undoes", { payload, idempotencyKey })
        const layerOf = (process: string, hangs: boolean) =>
          Undoes.toLayer(() =>
            Effect.gen(function*() {
              yield* Activity.make({ name: "do", execute: Effect.sync(() => calls.push("do")) }).pipe(
                Undoes.withCompensation(() =>
                  Effect.andThen(
                    Effect.sync(() => calls.push(`undo in ${process}`)),
                    hangs ? Effect.never : Effect.void
                  )
                )
              )
              yield* DurableDeferred.await(Go)
            })
          )
        return Effect.gen(function*() {
          const one = yield* process(layerOf("one", true))
          const id = yield* one.run(Undoes.execute({ id: "1" }, { discard: true }))
          yield* until(
            Effect.map(one.run(Undoes.poll(id)), (poll) => Option.isSome(poll) && poll.value._tag === "Suspended")
          )
          yield* one.run(Undoes.interrupt(id))
          yield* until(Effect.sync(() => calls.length === 2))
          yield* one.kill
          const two = yield* process(layerOf("two", false))
          const token = DurableDeferred.tokenFromExecutionId(Go, { workflow: Undoes, executionId: id })
          yield* two.run(DurableDeferred.done(Go, { token, exit: Exit.void }))
          const ended = Effect.map(
            two.run(Undoes.poll(id)),
            (poll) => Option.isSome(poll) && poll.value._tag === "Complete" ? poll.value.exit : undefined
          )
          yield* until(Effect.map(ended, (exit) => exit !== undefined))
          const exit = (yield* ended)!
          assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
          assert.deepStrictEqual(calls, ["do", "undo in one", "undo in two"])
        })
      }
    )

    claim(
      "14c: after a kill, an instance that starts goes on by itself: the half-done activity is the same attempt",
      () => {
        const calls: Array<string> = []
        const Asked = Workflow.make("Asked", { payload, idempotencyKey, success: Schema.Int })
        const layerOf = (process: string, hangs: boolean) =>
          Asked.toLayer(() =>
            Effect.gen(function*() {
              yield* Activity.make({ name: "first", execute: Effect.sync(() => calls.push(`first in ${process}`)) })
              const half = Activity.make({
                name: "half",
                success: Schema.Int,
                execute: Effect.flatMap(Activity.CurrentAttempt, (attempt) => {
                  calls.push(`half ${attempt} in ${process}`)
                  return hangs ? Effect.never : Effect.succeed(attempt)
                })
              })
              return yield* half
            })
          )
        return Effect.gen(function*() {
          const one = yield* process(layerOf("one", true))
          const id = yield* one.run(Asked.execute({ id: "1" }, { discard: true }))
          yield* until(Effect.sync(() => calls.length === 2))
          yield* one.kill
          const two = yield* process(layerOf("two", false))
          // Only looked at: no caller asks for it
          yield* until(
            Effect.map(two.run(Asked.poll(id)), (poll) => Option.isSome(poll) && poll.value._tag === "Complete")
          )
          assert.deepStrictEqual(calls, ["first in one", "half 1 in one", "half 1 in two"])
        })
      }
    )

    claim("12: after a kill a sleep up to the threshold begins again, one above it ends when it would have", () => {
      const begins: Array<number> = []
      const Naps = Workflow.make("Naps", { payload, idempotencyKey, success: Schema.Finite })
      const napMs = 3000
      const workflows = () =>
        Naps.toLayer(({ id }) =>
          Effect.gen(function*() {
            begins.push(performance.now())
            yield* DurableClock.sleep({
              name: "nap",
              duration: napMs,
              inMemoryThreshold: id === "short" ? "60 seconds" : 0
            })
            return performance.now()
          })
        )
      return Effect.gen(function*() {
        for (const key of ["short", "long"]) {
          begins.length = 0
          const one = yield* process(workflows())
          const id = yield* one.run(Naps.execute({ id: key }, { discard: true }))
          yield* until(Effect.sync(() => begins.length === 1))
          if (key === "long") yield* until(Effect.map(one.run(Naps.poll(id)), Option.isSome))
          yield* Effect.sleep(500)
          yield* one.kill
          const two = yield* process(workflows())
          const end = yield* two.run(Naps.execute({ id: key }))
          const [first, second] = begins as [number, number]
          assert.lengthOf(begins, 2)
          if (key === "short") assert.isAtLeast(end - second, napMs - 5)
          else assert.isBelow(end - second, napMs - 500)
          assert.isAtLeast(end - first, napMs - 5)
        }
      })
    })

    claim("14e: executions are shared, and no activity is run twice", () => {
      const calls: Array<string> = []
      const Shared = Workflow.make("Shared", { payload, idempotencyKey, success: Schema.Int })
      const workflows = () =>
        Shared.toLayer(({ id }) =>
          Effect.gen(function*() {
            for (const name of ["a", "b"]) {
              yield* Activity.make({
                name,
                execute: Effect.andThen(Effect.sleep(5), Effect.sync(() => calls.push(`${id} ${name}`)))
              })
              yield* DurableClock.sleep({ name, duration: 30, inMemoryThreshold: 0 })
            }
            return 1
          })
        )
      return Effect.gen(function*() {
        const [one, two] = [yield* process(workflows()), yield* process(workflows())]
        const ids = Array.from({ length: 20 }, (_, index) => `${index}`)
        yield* Effect.forEach(ids, (id, index) => (index % 2 === 0 ? one : two).run(Shared.execute({ id })), {
          concurrency: "unbounded"
        })
        assert.strictEqual(new Set(calls).size, 40)
        assert.lengthOf(calls, 40)
      })
    })

    claim("a deferred that another process completes wakes the execution at once", () => {
      const Waits = Workflow.make("Waits", { payload, idempotencyKey, success: Schema.Int })
      const workflows = () => Waits.toLayer(() => Effect.as(DurableDeferred.await(Go), 3))
      return Effect.gen(function*() {
        const one = yield* process(workflows())
        const id = yield* one.run(Waits.execute({ id: "1" }, { discard: true }))
        yield* until(Effect.map(one.run(Waits.poll(id)), Option.isSome))
        const two = yield* process(Layer.empty)
        const token = DurableDeferred.tokenFromExecutionId(Go, { workflow: Waits, executionId: id })
        yield* two.run(DurableDeferred.done(Go, { token, exit: Exit.void }))
        assert.strictEqual(yield* two.run(Waits.execute({ id: "1" })), 3)
      })
    })

    claim(
      "8b: after a crash in a compensation all of them run again, and an activity in them that ended does not",
      () => {
        const calls: Array<string> = []
        const Saga = Workflow.make("Saga", { payload, idempotencyKey, error: Failed })
        const layerOf = (process: string, hangs: boolean) =>
          Saga.toLayer(() =>
            Effect.gen(function*() {
              yield* Saga.withCompensation(Effect.void, () =>
                Effect.andThen(
                  Activity.make({ name: "undo", execute: Effect.sync(() => calls.push(`undo in ${process}`)) }),
                  Effect.andThen(
                    Effect.sync(() => calls.push(`plain in ${process}`)),
                    hangs ? Effect.never : Effect.void
                  )
                ))
              return yield* new Failed()
            })
          )
        return Effect.gen(function*() {
          const one = yield* process(layerOf("one", true))
          yield* one.run(Saga.execute({ id: "1" }, { discard: true }))
          yield* until(Effect.sync(() => calls.length === 2))
          yield* one.kill
          const two = yield* process(layerOf("two", false))
          const exit = yield* Effect.exit(two.run(Saga.execute({ id: "1" })))
          assert.instanceOf(Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit, Failed)
          assert.deepStrictEqual(calls, ["undo in one", "plain in one", "plain in two"])
        })
      }
    )

    claim(
      "14f: a process that stops lets an activity end within its deadline, and compensates nothing of the others",
      () => {
        const calls: Array<string> = []
        const Drains = Workflow.make("Drains", { payload, idempotencyKey })
        const workflows = (ms: number) =>
          Drains.toLayer(({ id }) =>
            Effect.gen(function*() {
              yield* Drains.withCompensation(Effect.void, () => Effect.sync(() => calls.push(`undo ${id}`)))
              yield* Workflow.addFinalizer(() => Effect.sync(() => calls.push(`final ${id}`)))
              yield* Activity.make({
                name: "work",
                execute: Effect.andThen(
                  Effect.sync(() => calls.push(`begin ${id}`)),
                  Effect.andThen(Effect.sleep(id === "long" ? ms : 10), Effect.sync(() => calls.push(`end ${id}`)))
                )
              })
            })
          )
        return Effect.gen(function*() {
          const one = yield* process(workflows(60_000))
          for (const id of ["short", "long"]) yield* one.run(Drains.execute({ id }, { discard: true }))
          yield* until(Effect.sync(() => calls.filter((call) => call.startsWith("begin")).length === 2))
          yield* one.stop
          assert.sameMembers(calls, ["begin short", "end short", "final short", "begin long"])
          const two = yield* process(workflows(10))
          yield* two.run(Drains.execute({ id: "long" }))
          assert.sameMembers(calls.slice(4), ["begin long", "end long", "final long"])
        })
      }
    )

    claim(
      "14, 14b: a renamed activity runs as new, a stored result of an older schema is a defect that names activity and execution",
      () => {
        const calls: Array<string> = []
        const Changes = Workflow.make("Changes", { payload, idempotencyKey, success: Schema.Int })
        const layerOf = (name: string, schema: Schema.Codec<any, any>, value: unknown) =>
          Changes.toLayer(() =>
            Effect.gen(function*() {
              yield* Activity.make({ name, execute: Effect.sync(() => calls.push(name)) })
              yield* Activity.make({
                name: "kept",
                success: schema,
                execute: Effect.sync(() => (calls.push("kept"), value))
              })
              yield* DurableDeferred.await(Go)
              return 1
            })
          )
        return Effect.gen(function*() {
          const one = yield* process(layerOf("old", Schema.String, "text"))
          const id = yield* one.run(Changes.execute({ id: "1" }, { discard: true }))
          yield* until(Effect.map(one.run(Changes.poll(id)), Option.isSome))
          yield* one.stop
          const two = yield* process(layerOf("new", Schema.Int, 1))
          yield* two.run(Changes.resume(id))
          const exit = yield* Effect.exit(two.run(Changes.execute({ id: "1" })))
          assert.match(
            String(Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit),
            new RegExp(`stored result of step "kept/1" of task ${id}`)
          )
          assert.deepStrictEqual(calls, ["old", "kept", "new"])
        })
      }
    )

    claim("15b: an execution of a workflow that instances have run waits while none does, a child too", () => {
      const Child = Workflow.make("Child", { payload, idempotencyKey, success: Schema.Int })
      const Parent = Workflow.make("Parent", { payload, idempotencyKey, success: Schema.Int })
      const child = Child.toLayer(() => Effect.succeed(7))
      const parent = Parent.toLayer(({ id }) => Child.execute({ id }))
      return Effect.gen(function*() {
        const client = yield* process(Layer.empty)
        const before = yield* Effect.exit(client.run(Child.execute({ id: "1" })))
        assert.match(
          String(Exit.isFailure(before) ? Cause.squash(before.cause) : before),
          /No instance knows the workflow "Child"/
        )
        const one = yield* process(child)
        yield* one.stop
        const two = yield* process(parent)
        const waiting = yield* Effect.forkChild(client.run(Child.execute({ id: "1" })))
        const id = yield* two.run(Parent.execute({ id: "2" }, { discard: true }))
        yield* until(Effect.map(two.run(Parent.poll(id)), Option.isSome))
        assert.strictEqual(waiting.pollUnsafe(), undefined)
        const three = yield* process(child)
        assert.strictEqual(yield* Fiber.join(waiting), 7)
        assert.strictEqual(yield* three.run(Parent.execute({ id: "2" })), 7)
      })
    })

    claim("a stored payload that does not fit any more ends the execution at once, and its parent is told", () => {
      const Child = Workflow.make("Child", { payload: { ...payload, cents: Schema.Int }, idempotencyKey })
      const Later = Workflow.make("Child", { payload: { ...payload, euros: Schema.Int }, idempotencyKey })
      const Parent = Workflow.make("Parent", { payload, idempotencyKey, success: Schema.String })
      const parentOf = (child: (id: string) => Effect.Effect<void, never, WorkflowEngine.WorkflowEngine>) =>
        Parent.toLayer(({ id }) =>
          child(id).pipe(Effect.as("done"), Effect.catchDefect((defect) => Effect.succeed(String(defect))))
        )
      const parent = parentOf((id) => Child.execute({ id, cents: 1 }))
      const parentLater = parentOf((id) => Later.execute({ id, euros: 1 }))
      return Effect.gen(function*() {
        const tasks = yield* TaskStore
        const one = yield* process(Layer.merge(parent, Child.toLayer(() => DurableDeferred.await(Go))))
        const id = yield* one.run(Parent.execute({ id: "1" }, { discard: true }))
        const childId = yield* Child.executionId({ id: "1", cents: 1 })
        yield* until(Effect.map(one.run(Child.poll(childId)), Option.isSome))
        yield* until(Effect.map(one.run(Parent.poll(id)), Option.isSome))
        yield* one.stop
        const two = yield* process(Layer.merge(parentLater, Later.toLayer(() => Effect.void)))
        yield* two.run(Later.resume(childId))
        assert.match(
          yield* Effect.timeout(two.run(Parent.execute({ id: "1" })), "8 seconds"),
          /stored payload of execution \w+ does not fit the schema of workflow "Child"/
        )
        const failed = yield* tasks.get(childId)
        assert.strictEqual(failed?.state, "failed")
        assert.strictEqual(failed?.failures, 1)
        yield* two.stop
        // Code that reads it goes on from what is kept
        const three = yield* process(Child.toLayer(() => Effect.void))
        yield* tasks.rerun([childId])
        yield* until(Effect.map(tasks.get(childId), (task) => task?.state === "completed"))
        yield* three.stop
      })
    })
  })
}
