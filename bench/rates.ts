/**
 * Whether a rate is kept and used: three instances start tasks of two keys, of which there are always more than a rate of 1,000 a second
 * for each key lets start.
 *
 *     TMPDIR=/dev/shm node --conditions=source bench/rates.ts memory 60
 *
 * The arguments: store and seconds. Times are those of the store's clock at each claim. Prints for each key how many tasks started, the share
 * of what the rate allows (the goal is at least 0.98), and by how many tasks it was exceeded at most, over all spans of time (the goal is 0).
 */
import { Console, Context, Effect, Layer, References, Schema, type Scope } from "effect"
import * as Engine from "../src/engine/Engine.ts"
import { TaskStore } from "../src/store/TaskStore.ts"
import * as Task from "../src/Task.ts"
import { newPlace } from "./stores.ts"

const [store = "memory", forSeconds = "60"] = process.argv.slice(2)
const seconds = Number(forSeconds)
const perSecond = 1000
const burst = 100
const keys = ["a", "b"] as const

const Limited = Task.make("limited", {
  payload: { key: Schema.String },
  limits: ({ rate }) => [rate({ key: ({ key }) => key, max: perSecond, per: "1 second", burst })]
})

/** When tasks of a key started, by the store's clock: a claim and how many it gave. */
type Starts = Array<{ readonly at: number; readonly count: number }>

/** How many tasks more started than a bucket of tokens had, at most. */
const excessOf = (starts: Starts): number => {
  let level = burst
  let at = starts[0]?.at ?? 0
  let excess = 0
  for (const start of [...starts].sort((a, b) => a.at - b.at)) {
    level = Math.min(burst, level + (start.at - at) * perSecond / 1000) - start.count
    at = start.at
    excess = Math.max(excess, -level)
  }
  return Math.round(excess * 1000) / 1000
}

const measure = Effect.gen(function*() {
  const total = keys.length * (perSecond * seconds * 1.2 + burst + 5000)
  const place = yield* newPlace(store, total + 10_000)
  const starts = new Map<string, Starts>(keys.map((key) => [key, []]))
  let began: number | undefined
  const watched = (stored: Context.Context<any>) => {
    const inner = Context.get(stored as Context.Context<TaskStore>, TaskStore)
    return Context.add(stored, TaskStore, {
      ...inner,
      claim: (request) =>
        Effect.tap(inner.claim(request), ({ now, tasks }) =>
          Effect.sync(() => {
            if (tasks.length > 0) began ??= now
            for (const key of keys) {
              const count = tasks.filter(({ payload }) => payload === JSON.stringify({ key })).length
              if (count > 0) starts.get(key)!.push({ at: now, count })
            }
          }))
    })
  }
  const first = yield* Layer.build(place() as Layer.Layer<any, unknown, Scope.Scope>)
  const producer = yield* Layer.build(Engine.layerProducer()).pipe(Effect.provideContext(first))
  for (let sent = 0; sent < total; sent += 2000) {
    const payloads = Array.from({ length: 2000 }, (_, index) => ({ key: keys[index % keys.length]! }))
    yield* Limited.enqueueAll(payloads).pipe(Effect.provideContext(producer))
  }
  for (let instance = 0; instance < 3; instance++) {
    const stored = instance === 0 || store === "memory"
      ? first
      : yield* Layer.build(place() as Layer.Layer<any, unknown, Scope.Scope>)
    yield* Layer.build(Engine.layer(Limited.toLayer(() => Effect.void), { worker: { concurrency: 50 } })).pipe(
      Effect.provideContext(watched(stored))
    )
  }
  yield* Effect.sleep(seconds * 1000 + 500)
  yield* Console.log(`${store}, 3 instances, ${seconds} s`)
  for (const [key, all] of starts) {
    const within = all.filter(({ at }) => at <= began! + seconds * 1000)
    const count = within.reduce((sum, one) => sum + one.count, 0)
    const share = count / (perSecond * seconds + burst)
    yield* Console.log(
      `  key ${key}: ${count} started, ${share.toFixed(4)} of what the rate allows, ${excessOf(within)} too many`
    )
  }
}).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

await Effect.runPromise(measure)
process.exit(0)
