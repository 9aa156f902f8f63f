/**
 * A transaction stays open while tasks go through PostgreSQL at a steady rate: vacuum can remove nothing, and every claim
 * steps over what is left. Prints tasks completed per second and the latency from enqueue to start, before and at
 * the end of the transaction. Too long for a measure: `node --conditions=source bench/held-transaction.ts [seconds] [rate]`.
 */
import { Context, Duration, Effect, Layer, Ref, Schedule, Schema } from "effect"
import { Engine, Task, TaskStore } from "../src/index.ts"
import { PostgresStore } from "../src/store/postgres/index.ts"
import { connect, schema as scratchSchema, url } from "./postgres.ts"
import { percentile } from "./statistics.ts"

const seconds = Number(process.argv[2] ?? 180)
const rate = Number(process.argv[3] ?? 500)
/** Tasks come in steps of so many milliseconds. */
const stepMs = 20
/** What is looked at: so many seconds before the transaction, and its last ones. */
const window = 15

const Tick = Task.make("tick", { payload: { at: Schema.Finite } })

const program = Effect.gen(function*() {
  const schema = yield* scratchSchema
  const holder = yield* connect
  let latencies: Array<number> = []
  const TickLive = Tick.toLayer(({ at }) => Effect.sync(() => void latencies.push(performance.now() - at)))
  const store = yield* Layer.build(PostgresStore.layerUrl({ url, schema, capacity: 1_000_000 }))
  const tasks = Context.get(store, TaskStore)
  const engine = yield* Layer.build(
    Engine.layer(TickLive, { worker: { concurrency: 100 } }).pipe(Layer.provide(Layer.succeedContext(store)))
  )
  const offered = yield* Ref.make(0)
  const tick = Effect.suspend(() => Tick.enqueue({ at: performance.now() })).pipe(
    Effect.provideContext(engine),
    Effect.andThen(Ref.update(offered, (count) => count + 1))
  )
  const step = Effect.forEach(Array.from({ length: Math.round(rate * stepMs / 1000) }), () => Effect.forkChild(tick))
  yield* Effect.forkScoped(Effect.repeat(step, Schedule.fixed(stepMs)))

  const observe = Effect.fnUntraced(function*(name: string) {
    const before = (yield* tasks.counts).totals.completed
    const offeredBefore = yield* Ref.get(offered)
    latencies = []
    yield* Effect.sleep(Duration.seconds(window))
    const perSecond = ((yield* tasks.counts).totals.completed - before) / window
    const offeredPerSecond = ((yield* Ref.get(offered)) - offeredBefore) / window
    console.log(
      `${name}: offered ${offeredPerSecond.toFixed(0)}/s, completed ${perSecond.toFixed(0)}/s, ` +
        `start after ${percentile(latencies, 0.5).toFixed(1)} ms (p50), ${
          percentile(latencies, 0.99).toFixed(1)
        } ms (p99)`
    )
    return perSecond
  })

  yield* Effect.sleep("5 seconds")
  const before = yield* observe("before the transaction")
  yield* Effect.promise(() => holder.query("BEGIN ISOLATION LEVEL REPEATABLE READ"))
  // takes a number and a snapshot: from here on nothing can be vacuumed
  yield* Effect.promise(() => holder.query("SELECT txid_current()"))
  yield* Effect.sleep(Duration.seconds(seconds - window))
  const held = yield* observe(`after ${seconds - window} s of it`)
  yield* Effect.promise(() => holder.query("COMMIT"))
  console.log(`loss of throughput: ${((1 - held / before) * 100).toFixed(1)} %`)
})

await Effect.runPromise(Effect.scoped(program))
process.exit(0)
