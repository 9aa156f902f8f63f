/** A store that refuses what it is given, or dies of it: the others are settled, and the culprit fails with the reason. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import type { Settlement } from "../../src/domain/Settlement.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { Gate } from "../engine/Gate.ts"
import { pass, reaches } from "../engine/TestEngine.ts"

const Work = Task.make("work", { payload: { n: Schema.Int }, success: Schema.Int })

const refusal = Effect.fail(new StoreError({ operation: "settle", reason: "seven is unlucky", refused: true }))
const death = Effect.die(new TypeError("seven is unlucky"))

/** What a store makes of a batch. */
type Settle = (
  settlements: ReadonlyArray<Settlement>,
  store: TaskStore["Service"]
) => ReturnType<TaskStore["Service"]["settle"]>

/** A store that has something against the result 7. */
const against = (end: Effect.Effect<never, StoreError>): Settle => (settlements, store) =>
  settlements.some((settlement) => settlement._tag === "Complete" && settlement.result === "7")
    ? end
    : store.settle(settlements)

const storeThat = (settle: Settle, get: (store: TaskStore["Service"]) => TaskStore["Service"]["get"]) =>
  Layer.effectContext(Effect.map(Layer.build(MemoryStore.layer()), (context) => {
    const store = Context.get(context, TaskStore)
    return Context.add(context, TaskStore, {
      ...store,
      get: get(store),
      settle: (settlements) => settle(settlements, store)
    })
  }))

/** Runs a body with an engine on such a store. */
const withStoreThat = <A, E>(
  settle: Settle,
  body: (gate: Gate) => Effect.Effect<A, E, TaskQueue | TaskStore>,
  get: (store: TaskStore["Service"]) => TaskStore["Service"]["get"] = (store) => store.get
) => {
  const gate = new Gate()
  const handlers = Work.toLayer(({ n }) => Effect.as(gate.run, n))
  const engine = Engine.layer(handlers, { worker: { concurrency: 100 } })
  return Effect.provide(body(gate), Layer.provideMerge(engine, storeThat(settle, get)))
}

describe("an ending that the store refuses", () => {
  it.effect.each([
    { how: "says that it refuses it", end: refusal },
    { how: "dies of it", end: death }
  ])("fails alone when the store $how: the batch is taken apart", ({ end }) => {
    let calls = 0
    const settle = against(end)
    return withStoreThat(
      (settlements, store) => {
        calls++
        return settle(settlements, store)
      },
      (gate) =>
        Effect.gen(function*() {
          const handles = yield* Work.enqueueAll(Array.from({ length: 64 }, (_, n) => ({ n })))
          yield* reaches(handles[63]!.id, "running")
          gate.open()
          yield* pass("1 second")
          for (const [n, { id }] of handles.entries()) {
            if (n !== 7) assert.deepInclude(yield* reaches(id, "completed"), { result: String(n), claims: 1 })
          }
          const { failure } = yield* reaches(handles[7]!.id, "failed")
          assert.deepInclude(failure, { kind: "invalid", tag: "InvalidEnd" })
          assert.include(failure?.message, "seven is unlucky")
          // In halves, not one by one
          assert.isAtMost(calls, 20)
          const later = yield* Work.enqueue({ n: 8 })
          yield* pass("1 second")
          yield* reaches(later.id, "completed")
        })
    )
  })

  it.effect("is left to its lease when the store does not even keep its failure, and the others are settled", () =>
    withStoreThat(
      (settlements, store) => settlements.some(({ id }) => id === "unlucky") ? refusal : store.settle(settlements),
      (gate) =>
        Effect.gen(function*() {
          gate.open()
          yield* Work.enqueue({ n: 1 }, { id: "unlucky" })
          const other = yield* Work.enqueue({ n: 2 })
          yield* pass("1 second")
          yield* reaches(other.id, "completed")
          yield* pass("40 seconds")
          assert.isAbove((yield* reaches("unlucky", "running")).crashes, 0)
        })
    ))

  it.effect("is no culprit when a broken connection only looked like it: it is settled once the store is back", () => {
    let isBroken = true
    const broken = Effect.fail(new StoreError({ operation: "get", reason: "the connection broke" }))
    return withStoreThat(
      (settlements, store) => Effect.suspend(() => isBroken ? death : store.settle(settlements)),
      (gate) =>
        Effect.gen(function*() {
          gate.open()
          const handles = yield* Work.enqueueAll([{ n: 7 }, { n: 8 }])
          yield* pass("20 seconds")
          isBroken = false
          yield* pass("10 seconds")
          for (const { id } of handles) assert.deepInclude(yield* reaches(id, "completed"), { claims: 1, crashes: 0 })
        }),
      (store) => (id) => Effect.suspend(() => isBroken ? broken : store.get(id))
    )
  })
})

describe("endings of tasks that were claimed together", () => {
  it.effect("are settled together when they come at once", () => {
    const batches: Array<number> = []
    return withStoreThat(
      noting(batches),
      (gate) =>
        Effect.gen(function*() {
          gate.open()
          yield* Work.enqueueAll(Array.from({ length: 300 }, (_, n) => ({ n })))
          yield* pass("1 second")
          // The first claim knows nothing about the tasks' size yet
          assert.deepStrictEqual(batches, [64, 100, 100, 36])
        })
    )
  })

  it.effect("are settled together when they come in one turn of the scheduler", () => {
    const batches: Array<number> = []
    return withStoreThat(
      noting(batches),
      (gate) =>
        Effect.gen(function*() {
          const handles = yield* Work.enqueueAll(Array.from({ length: 64 }, (_, n) => ({ n })))
          yield* reaches(handles[63]!.id, "running")
          gate.open()
          yield* pass("1 second")
          assert.deepStrictEqual(batches, [64])
        })
    )
  })
})

/** Settles, and notes the sizes of the batches. */
const noting = (batches: Array<number>): Settle => (settlements, store) => {
  batches.push(settlements.length)
  return store.settle(settlements)
}
