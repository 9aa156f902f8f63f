import { Context, Effect, Layer, Schema, type Scope } from "effect"
import * as Engine from "../../src/engine/Engine.ts"
import type { TaskQueue } from "../../src/queue/TaskQueue.ts"
import type { StoreServices } from "../../src/store/Driver.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import type { QueueSettings } from "../Contender.ts"
import { run } from "../drivers/run.ts"
import { Payload } from "../Payload.ts"

const Noop = Task.make("noop", { payload: Payload, success: Schema.Struct({ ok: Schema.Boolean }) })

const leaseForMs = 600_000

/** The engine as any program embeds it, on one of its stores. */
export const runOn = (
  store: (settings: QueueSettings) => Layer.Layer<StoreServices, unknown>
): void =>
  run(Effect.fnUntraced(function*(settings) {
    const stored = yield* Layer.build(store(settings))
    const tasks = Context.get(stored, TaskStore)
    /** Counts what the store has acknowledged. */
    const counted = Context.add(stored, TaskStore, {
      ...tasks,
      settle: (settlements) =>
        Effect.tap(tasks.settle(settlements), (answers) => Effect.sync(() => settings.onCompleted(answers.length)))
    })
    const producer = yield* Layer.build(Engine.layerProducer()).pipe(Effect.provideContext(counted))
    const handler = Noop.toLayer(() =>
      Effect.sync(() => {
        settings.onStarted()
        return { ok: true }
      })
    )
    const engine = Engine.layer(handler, { worker: { concurrency: settings.concurrency } })
    let nonce = 0
    return {
      services: producer,
      enqueue: (payload) => inServices(Noop.enqueue(payload)),
      enqueueMany: (payloads) => inServices(Noop.enqueueAll(payloads)),
      start: Layer.build(engine).pipe(Effect.provideContext(counted)) as Effect.Effect<unknown, unknown, Scope.Scope>,
      unfinished: Effect.map(tasks.counts, (counts) => counts.scheduled + counts.pending + counts.running),
      claim: (limit) =>
        Effect.map(
          tasks.claim({
            queues: ["default"],
            types: ["noop"],
            limit,
            instance: "bench",
            leaseForMs,
            nonce: ++nonce
          }),
          (answer) => answer.tasks.length
        )
    }
  }))

/** The drivers provide `services` around all calls. */
const inServices = <A, E>(effect: Effect.Effect<A, E, TaskQueue>) =>
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
  effect as Effect.Effect<A, E>
