/**
 * One flow: a parent that waits for many children, all of which do nothing. On TaskForge and on a peer that has flows, on the same server,
 * in one process and in turns: BullMQ's `FlowProducer` on Redis, pg-boss's `flow` on PostgreSQL.
 *
 *     TMPDIR=/dev/shm chrt -r 10 node --conditions=source --expose-gc bench/flows.ts redis 1000 20
 *
 * The arguments: store (`redis` or `postgres`), children and rounds. A round takes from the call that stores the flow until the end of the
 * parent is stored. Prints how long the peer takes as a multiple of ours, round by round (the goal is at least 2). Peers are at their best
 * settings: a hundred jobs at a time, and pg-boss looks for work as soon as it has none, 5 ms later.
 */
import { FlowProducer, Worker } from "bullmq"
import { Console, Context, Effect, Layer, References, Schema, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { PgBoss } from "pg-boss"
import * as Engine from "../src/engine/Engine.ts"
import { TaskQueue } from "../src/queue/TaskQueue.ts"
import * as Task from "../src/Task.ts"
import { place as redisPlace } from "./contenders/Redis.ts"
import * as Postgres from "./postgres.ts"
import { percentile } from "./statistics.ts"
import { newPlace } from "./stores.ts"

const [store = "redis", children = "1000", rounds = "20"] = process.argv.slice(2)
const count = Number(children)
const warmUps = 3
const concurrency = 100

/** Stores one flow and waits for the end of its parent. */
type Round = Effect.Effect<unknown, unknown>

const Child = Task.make("child", { payload: { index: Schema.Int } })
const Parent = Task.make("parent")

const ours = Effect.gen(function*() {
  const place = yield* newPlace(store, (Number(rounds) + warmUps) * (count + 1) + 10_000)
  const handlers = Layer.merge(Child.toLayer(() => Effect.void), Parent.toLayer(() => Effect.void))
  const engine = yield* Layer.build(
    Engine.layer(handlers, { worker: { concurrency } }).pipe(Layer.provide(place()))
  )
  const payloads = Array.from({ length: count }, (_, index) => ({ index }))
  return Effect.gen(function*() {
    const handles = yield* Child.enqueueAll(payloads)
    const parent = yield* Parent.enqueue(undefined, { after: handles })
    yield* parent.result
  }).pipe(Effect.provideContext(Context.pick(TaskQueue)(engine))) as Round
})

const bullmq = Effect.gen(function*() {
  const { db, host, name, port } = yield* redisPlace(`/${randomBytes(6).toString("hex")}`)
  const connection = { host, port, db, maxRetriesPerRequest: null }
  const flows = yield* Effect.acquireRelease(
    Effect.sync(() => new FlowProducer({ connection })),
    (flows) => Effect.promise(() => flows.close())
  )
  let ended: () => void = () => {}
  const worker = (queue: string, onCompleted: () => void) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const worker = new Worker(queue, async () => ({ ok: true }), { connection, concurrency })
        worker.on("completed", onCompleted)
        worker.on("error", console.error)
        return worker
      }),
      (worker) => Effect.promise(() => worker.close())
    )
  yield* worker(`${name}-child`, () => {})
  yield* worker(`${name}-parent`, () => ended())
  const options = { removeOnComplete: true }
  return Effect.promise(async () => {
    const end = new Promise<void>((resolve) => ended = resolve)
    await flows.add({
      name: "parent",
      queueName: `${name}-parent`,
      data: {},
      opts: options,
      children: Array.from({ length: count }, (_, index) => ({
        name: "child",
        queueName: `${name}-child`,
        data: { index },
        opts: options
      }))
    })
    await end
  }) as Round
})

const pgBoss = Effect.gen(function*() {
  const schema = yield* Postgres.schema
  const boss = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const boss = new PgBoss({ connectionString: Postgres.url, schema, max: 10 })
      boss.on("error", console.error)
      await boss.start()
      for (const queue of ["child", "parent"]) await boss.createQueue(queue)
      return boss
    }),
    (boss) => Effect.promise(() => boss.stop({ graceful: false, close: true }))
  )
  let ended: () => void = () => {}
  const stop = new AbortController()
  const loop = async (queue: string, onCompleted: () => void) => {
    while (!stop.signal.aborted) {
      const jobs = await boss.fetch(queue, { batchSize: concurrency })
      if (jobs.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        continue
      }
      await boss.complete(queue, jobs.map(({ id }) => id))
      onCompleted()
    }
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => [
      ...Array.from({ length: 3 }, () => loop("child", () => {})),
      loop("parent", () => ended())
    ]),
    (running) =>
      Effect.promise(() => {
        stop.abort()
        return Promise.all(running)
      })
  )
  return Effect.promise(async () => {
    const end = new Promise<void>((resolve) => ended = resolve)
    const refs = Array.from({ length: count }, (_, index) => `child-${index}`)
    await boss.flow([
      ...refs.map((ref, index) => ({ ref, name: "child", data: { index } })),
      { ref: "parent", name: "parent", data: {}, dependsOn: refs }
    ])
    await end
  }) as Round
})

const timed = (round: Round) =>
  Effect.gen(function*() {
    globalThis.gc?.()
    const begin = performance.now()
    yield* round
    return performance.now() - begin
  })

const compare = Effect.gen(function*() {
  const theirs: Effect.Effect<Round, unknown, Scope.Scope> = store === "redis" ? bullmq : pgBoss
  const sides = [yield* ours, yield* theirs] as const
  const took: [Array<number>, Array<number>] = [[], []]
  for (let round = 1 - warmUps; round <= Number(rounds); round++) {
    for (const place of [0, 1]) {
      const index = (place + round) & 1 ? 1 : 0
      const ms = yield* timed(sides[index])
      if (round > 0) took[index].push(ms)
    }
  }
  const ratios = took[1].map((theirs, index) => theirs / took[0][index]!)
  const [low, median, high] = [0.25, 0.5, 0.75].map((share) => percentile(ratios, share).toFixed(2))
  yield* Console.log(`${store}, a parent and ${count} children, ${rounds} rounds`)
  yield* Console.log(`  ${store === "redis" ? "BullMQ" : "pg-boss"} takes ${median} times as long (${low} to ${high})`)
  yield* Console.log(
    `  ours ${percentile(took[0], 0.5).toFixed(0)} ms, theirs ${percentile(took[1], 0.5).toFixed(0)} ms (medians)`
  )
}).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

await Effect.runPromise(compare)
process.exit(0)
