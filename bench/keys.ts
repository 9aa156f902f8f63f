/**
 * What limits per key cost: fills new stores with tasks that do nothing and processes them, in one process and in turns, without
 * limits and with one limit of concurrency per key, none of which is ever full.
 *
 *     TMPDIR=/dev/shm chrt -r 10 node --conditions=source --expose-gc bench/keys.ts memory 100 20000 8
 *
 * The arguments: store, concurrency, tasks and rounds. Prints the throughput with 10, 1,000 and 10,000 keys as a share of that without
 * limits, and the time with 10,000 keys divided by that with 10, round by round: the median and the quartiles.
 */
import { Console, Context, Effect, Layer, References, Schema } from "effect"
import * as Engine from "../src/engine/Engine.ts"
import { TaskStore } from "../src/store/TaskStore.ts"
import * as Task from "../src/Task.ts"
import { percentile } from "./statistics.ts"
import { newPlace } from "./stores.ts"

const [store = "memory", concurrency = "100", tasks = "20000", rounds = "8"] = process.argv.slice(2)
const count = Number(tasks)

const payload = { key: Schema.String, body: Schema.String }
const Plain = Task.make("plain", { payload })
const Keyed = Task.make("keyed", {
  payload,
  limits: ({ concurrency }) => [concurrency({ key: ({ key }) => key, max: 1_000_000 })]
})
const handlers = Layer.merge(Plain.toLayer(() => Effect.void), Keyed.toLayer(() => Effect.void))

/** Without limits, and numbers of keys. */
const sides = [undefined, 10, 1000, 10_000] as const

/** Milliseconds from the start of the workers until all tasks are settled. */
const round = (keys: number | undefined): Effect.Effect<number, unknown> =>
  Effect.gen(function*() {
    const place = yield* newPlace(store, count + 10_000)
    const stored = yield* Layer.build(place())
    const inner = Context.get(stored, TaskStore)
    const settled = { count: 0 }
    const counted = Context.add(stored, TaskStore, {
      ...inner,
      settle: (batch) => Effect.tap(inner.settle(batch), ({ length }) => Effect.sync(() => settled.count += length))
    })
    const producer = yield* Layer.build(Engine.layerProducer()).pipe(Effect.provideContext(counted))
    const definition = keys === undefined ? Plain : Keyed
    for (let first = 0; first < count; first += 1000) {
      const size = Math.min(1000, count - first)
      const payloads = Array.from({ length: size }, (_, index) => ({
        key: `tenant-${(first + index) % (keys ?? 1000)}`,
        body: "Thank you for your order. It is on its way and arrives within three days."
      }))
      yield* definition.enqueueAll(payloads).pipe(Effect.provideContext(producer))
    }
    yield* Effect.sleep("50 millis")
    globalThis.gc?.()
    const before = performance.now()
    yield* Layer.build(Engine.layer(handlers, { worker: { concurrency: Number(concurrency) } })).pipe(
      Effect.provideContext(counted)
    )
    while (settled.count < count) yield* Effect.sleep("1 millis")
    return performance.now() - before
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

const shown = (ratios: ReadonlyArray<number>): string => {
  const [low, median, high] = [0.25, 0.5, 0.75].map((share) => percentile(ratios, share).toFixed(3))
  return `${median} (${low} to ${high})`
}

const compare = Effect.gen(function*() {
  // The compiler needs a few
  for (let warm = 0; warm < 3; warm++) yield* Effect.forEach(sides, round)
  const answers: Array<ReadonlyArray<number>> = []
  for (let done = 0; done < Number(rounds); done++) {
    const answer: Array<number> = []
    for (const turn of sides.keys()) {
      const index = (turn + done) % sides.length
      answer[index] = yield* round(sides[index])
    }
    answers.push(answer)
  }
  yield* Console.log(`${store}, concurrency ${concurrency}, ${count} tasks, ${rounds} rounds`)
  for (const [index, keys] of sides.entries()) {
    const each = percentile(answers.map((answer) => answer[index]!), 0.5) * 1000 / count
    const share = shown(answers.map((answer) => answer[0]! / answer[index]!))
    yield* Console.log(`  ${keys === undefined ? "no limits" : `${keys} keys`}: ${share}, ${each.toFixed(1)} µs a task`)
  }
  yield* Console.log(`  10,000 keys to 10, in time: ${shown(answers.map((answer) => answer[3]! / answer[1]!))}`)
})

await Effect.runPromise(compare)
process.exit(0)
