/**
 * What tasks cost that may not start: claims in a store in which very many tasks wait whose keys are full, all ahead of those that the
 * claims take, and in one without them, in turns.
 *
 *     TMPDIR=/dev/shm node --conditions=source --expose-gc bench/full-keys.ts memory 100000 1000 20
 *
 * The arguments: store, how many tasks of full keys wait, how many keys these have, and rounds. Prints the time of the claims with those
 * tasks divided by that of the claims without them, each the median of a round, their median and quartiles (the goal is at most 1.3), and how long the
 * first claim took that came across them.
 */
import { Console, Context, Effect, Layer, References, Schema } from "effect"
import * as Engine from "../src/engine/Engine.ts"
import { TaskStore } from "../src/store/TaskStore.ts"
import * as Task from "../src/Task.ts"
import { percentile } from "./statistics.ts"
import { newPlace } from "./stores.ts"

const [store = "memory", tasks = "100000", numberOfKeys = "1000", rounds = "20"] = process.argv.slice(2)
const count = Number(tasks)
const keys = Number(numberOfKeys)

/** Claims of one side in a round, and tasks that each of them takes. */
const claims = 40
const size = 10
const warmUps = 5
const free = (Number(rounds) + warmUps) * claims * size

const Keyed = Task.make("keyed", {
  payload: { key: Schema.String },
  limits: ({ concurrency }) => [concurrency({ key: ({ key }) => key, max: 1 })]
})

let nonce = 0

/** A new store in which one task of each key runs, others of these keys may wait, and behind them tasks that may start. */
const side = Effect.fnUntraced(function*(waiting: number) {
  const place = yield* newPlace(store, count + keys + free + 10_000)
  const stored = yield* Layer.build(place())
  // Instances write down what limits a type has. Their lease is that of the claims: a lease that ends much later would look like one
  // from before the clock was set back, and its task be taken back.
  const engine = yield* Layer.build(
    Engine.layer(Keyed.toLayer(() => Effect.never), { worker: { concurrency: 1, queues: ["none"], lease: "1 hour" } })
  ).pipe(Effect.provideContext(stored))
  const { claim, settle } = Context.get(stored, TaskStore)
  const fill = Effect.fnUntraced(function*(number: number, keyOf: (index: number) => string) {
    for (let sent = 0; sent < number; sent += 1000) {
      const payloads = Array.from({ length: Math.min(1000, number - sent) }, (_, at) => ({ key: keyOf(sent + at) }))
      yield* Keyed.enqueueAll(payloads).pipe(Effect.provideContext(engine))
    }
  })
  /** A claim that has more to look at than it may asks to be repeated. */
  const take = Effect.fnUntraced(function*(limit: number) {
    for (;;) {
      const request = { types: ["keyed"], queues: ["default"], limit, instance: "bench", leaseForMs: 3_600_000 }
      const { nextDueAt, now, tasks } = yield* claim({ ...request, nonce: ++nonce })
      if (tasks.length > 0 || nextDueAt === null || nextDueAt > now) return tasks
    }
  })
  yield* fill(keys + waiting, (index) => `full-${index % keys}`)
  let running = 0
  for (let given = 1; given > 0; running += given) given = (yield* take(500)).length
  if (running !== keys) return yield* Effect.die(`${running} tasks run, and ${keys} keys should be full`)
  yield* fill(free, (index) => `free-${index}`)
  yield* place.vacuum ?? Effect.void
  /** Claims some of those that may start, and answers how many milliseconds that took. */
  const measure = Effect.gen(function*() {
    const before = performance.now()
    const tasks = yield* take(size)
    const took = performance.now() - before
    if (tasks.length !== size) return yield* Effect.die(`${tasks.length} tasks were claimed, not ${size}`)
    yield* settle(tasks.map(({ claim, id }) => ({ _tag: "Complete" as const, id, claim, result: "null" })))
    return took
  })
  return measure
})

const compare = Effect.gen(function*() {
  const sides = [yield* side(count), yield* side(0)] as const
  globalThis.gc?.()
  const first = yield* sides[0]
  const firstWithout = yield* sides[1]
  const answers: Array<readonly [number, number]> = []
  for (let round = 1 - warmUps; round <= Number(rounds); round++) {
    const took: [Array<number>, Array<number>] = [[], []]
    for (let turn = round === 1 - warmUps ? 1 : 0; turn < claims; turn++) {
      for (const place of [0, 1]) {
        const index = (place + turn + round) & 1
        took[index]!.push(yield* sides[index]!)
      }
    }
    if (round > 0) answers.push([percentile(took[0], 0.5), percentile(took[1], 0.5)])
  }
  const ratios = answers.map(([behind, alone]) => behind / alone)
  const [low, median, high] = [0.25, 0.5, 0.75].map((share) => percentile(ratios, share).toFixed(3))
  const each = (index: 0 | 1) => (percentile(answers.map((took) => took[index]), 0.5) * 1000).toFixed(0)
  yield* Console.log(`${store}: ${count} tasks of ${keys} full keys ahead of those that may start, claims of ${size}`)
  yield* Console.log(`  with them to without, in time: ${ratios.map((ratio) => ratio.toFixed(2)).join(", ")}`)
  yield* Console.log(`  ${median} (${low} to ${high}), ${each(0)} µs a claim and ${each(1)} µs`)
  yield* Console.log(`  the first claim behind them: ${first.toFixed(1)} ms, and ${firstWithout.toFixed(1)} ms`)
}).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

await Effect.runPromise(compare)
process.exit(0)
