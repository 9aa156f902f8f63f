/**
 * How long one tenant waits behind the flood of another one: a pool of ten slots works on tasks of one key, of which very many wait, when
 * one of another key is enqueued.
 *
 *     TMPDIR=/dev/shm node --conditions=source bench/flood.ts memory 1000000
 *
 * The arguments: store, and how many tasks wait. Prints how many tasks of the flood started before that of the other tenant, from when it was
 * accepted (the goal is one round of the pool: 10), in ten trials.
 */
import { Console, Effect, Layer, References, Schema, type Scope } from "effect"
import * as Engine from "../src/engine/Engine.ts"
import * as Task from "../src/Task.ts"
import { newPlace } from "./stores.ts"

const [store = "memory", tasks = "1000000"] = process.argv.slice(2)
const count = Number(tasks)
const trials = 10

const Fair = Task.make("fair", { payload: { tenant: Schema.String }, fairBy: ({ tenant }) => tenant })

const measure = Effect.gen(function*() {
  const place = yield* newPlace(store, count + 10_000)
  const stored = yield* Layer.build(place() as Layer.Layer<any, unknown, Scope.Scope>)
  const producer = yield* Layer.build(Engine.layerProducer()).pipe(Effect.provideContext(stored))
  const fill = (tenant: string, size: number) =>
    Fair.enqueueAll(Array.from({ length: size }, () => ({ tenant }))).pipe(Effect.provideContext(producer))
  const fillingSince = performance.now()
  for (let sent = 0; sent < count; sent += 5000) yield* fill("flood", Math.min(5000, count - sent))
  yield* Console.log(`${store}: ${count} tasks stored in ${((performance.now() - fillingSince) / 1000).toFixed(1)} s`)
  let started = 0
  const startedAt = new Map<string, number>()
  const handler = Fair.toLayer(({ tenant }) => {
    started++
    if (tenant !== "flood") startedAt.set(tenant, started)
    return Effect.sleep("5 millis")
  })
  yield* Layer.build(Engine.layer(handler, { worker: { concurrency: 10 } })).pipe(Effect.provideContext(stored))
  const before: Array<number> = []
  for (let trial = 0; trial < trials; trial++) {
    yield* Effect.sleep("300 millis")
    const tenant = `tenant-${trial}`
    yield* fill(tenant, 1)
    const accepted = started
    while (!startedAt.has(tenant)) yield* Effect.sleep("1 millis")
    before.push(startedAt.get(tenant)! - accepted - 1)
  }
  yield* Console.log(`  tasks of the flood that started before the other tenant's: ${before.join(", ")}`)
}).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

await Effect.runPromise(measure)
process.exit(0)
