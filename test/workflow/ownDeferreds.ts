/** What must hold of an execution that completes by itself what it waits for. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Layer, Option } from "effect"
import { DurableDeferred, Workflow } from "effect/workflow"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import type { Driver } from "../store/conformance/driver.ts"
import { engineWith, until } from "./subjects.ts"

const Go = DurableDeferred.make("go")
const Completes = Workflow.make("Completes", { payload: {}, idempotencyKey: () => "1" })

/** The records of a store, of which the first answer to the question for a deferred is on its way until it is let through. */
const delayed = (records: RecordStore["Service"], isRead: Effect.Effect<unknown>, letThrough: Effect.Effect<void>) => {
  let isFirst = true
  const get: RecordStore["Service"]["get"] = (kind, ids) => {
    if (kind !== "workflow-deferred" || !isFirst) return records.get(kind, ids)
    isFirst = false
    return Effect.tap(records.get(kind, ids), () => Effect.andThen(isRead, letThrough))
  }
  return new Proxy(records, {
    get: (target, name) => name === "get" ? get : Reflect.get(target, name) as unknown
  })
}

export const completesByItself = (driver: Driver) => {
  describe("deferreds of its own", () => {
    it.live("one that is completed while the execution asks for it is not slept through", () =>
      Effect.gen(function*() {
        const isRead = yield* Deferred.make<void>()
        const isCompleted = yield* Deferred.make<void>()
        const complete = Effect.gen(function*() {
          yield* Deferred.await(isRead)
          const token = yield* DurableDeferred.token(Go)
          yield* DurableDeferred.done(Go, { token, exit: Exit.void })
          yield* Deferred.succeed(isCompleted, undefined)
        })
        const workflows = Completes.toLayer(() =>
          Effect.all([DurableDeferred.await(Go), complete], { concurrency: "unbounded", discard: true })
        )
        const stores = yield* Effect.context<RecordStore | TaskStore>()
        const records = delayed(
          Context.get(stores, RecordStore),
          Deferred.succeed(isRead, undefined),
          Deferred.await(isCompleted)
        )
        const program = Effect.gen(function*() {
          const id = yield* Completes.execute({}, { discard: true })
          const state = Effect.map(Completes.poll(id), Option.map(({ _tag }) => _tag))
          yield* until(Effect.map(state, Option.isSome))
          assert.deepStrictEqual(yield* state, Option.some("Complete"))
        })
        yield* Effect.provide(
          program,
          Layer.provide(
            engineWith(workflows),
            Layer.merge(Layer.succeed(RecordStore, records), Layer.succeed(TaskStore, Context.get(stores, TaskStore)))
          )
        )
      }).pipe(Effect.provide(driver.layer({}))) as Effect.Effect<void, unknown>)
  })
}
