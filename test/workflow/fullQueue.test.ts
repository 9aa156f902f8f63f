/** Executions that begin others where the queue has no room for these. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Activity, Workflow } from "effect/workflow"
import * as Engine from "../../src/engine/Engine.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"
import * as TaskForgeWorkflows from "../../src/workflow/TaskForgeWorkflows.ts"
import { until } from "./subjects.ts"

const options = { payload: { id: Schema.String }, idempotencyKey: ({ id }: { readonly id: string }) => id }

it.live("gives its slot to those that fill the queue, until there is room for its child", () => {
  const calls: Array<string> = []
  const noted = (name: string) => Activity.make({ name, execute: Effect.sync(() => calls.push(name)) })
  const Filler = Task.make("filler")
  const Child = Workflow.make("Child", options)
  const Parent = Workflow.make("Parent", options)
  const filled = (name: string) =>
    Activity.make({ name, execute: Effect.asVoid(Effect.orDie(Filler.enqueueAll([undefined, undefined]))) })
  const parent = Parent.toLayer(() =>
    Effect.gen(function*() {
      yield* filled("fill")
      yield* Child.execute({ id: "awaited" })
      yield* filled("fill again")
      yield* Child.execute({ id: "not awaited" }, { discard: true })
      yield* noted("end")
    })
  )
  const workflows = Layer.merge(parent, Child.toLayer(({ id }) => Effect.asVoid(noted(id))))
  const filler = Filler.toLayer(() => Effect.sync(() => void calls.push("filler")))
  // The parent and its two fillers; one slot
  const handlers = Layer.merge(Layer.provide(workflows, TaskForgeWorkflows.layer), filler)
  const engine = TaskForgeWorkflows.layerClient.pipe(
    Layer.provideMerge(Engine.layer(handlers, { worker: { concurrency: 1 } })),
    Layer.provideMerge(MemoryStore.layer({ capacity: 3 }))
  )
  return Effect.gen(function*() {
    yield* Parent.execute({ id: "parent" }, { discard: true })
    yield* until(Effect.sync(() => calls.length === 7))
    assert.sameMembers(calls, ["filler", "filler", "awaited", "filler", "filler", "not awaited", "end"])
    assert.strictEqual(calls[2], "awaited")
  }).pipe(Effect.provide(engine))
})
