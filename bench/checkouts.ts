/**
 * Compares builds of the project: loads each checkout into this process, with the copy of effect that it has installed, and asks them in
 * turns to fill a new store with tasks that do nothing and to process them. What disturbs the machine disturbs all of
 * them alike, so differences of 2 % can be seen where processes next to each other differ by a factor of 2.
 *
 *     TMPDIR=/dev/shm chrt -r 10 node --conditions=source --expose-gc bench/checkouts.ts sqlite 10 10000 16 ../before .
 *
 * The arguments: store, concurrency, tasks, rounds, and the checkouts, each with its dependencies installed. Prints each
 * figure's ratio to the first checkout, round by round: the median, the quartiles, and the median itself in µs per task.
 * Above 1 is slower. With `--json` behind them, it prints all rounds instead, for `guard.ts`. `chrt`, as root, keeps other programs off the processor: `nice` does not where Linux groups by session.
 */
import { Console, Effect, type Scope } from "effect"
import type * as EffectModule from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type * as EngineModule from "../src/engine/Engine.ts"
import type * as StoreModule from "../src/store/TaskStore.ts"
import type * as TaskModule from "../src/Task.ts"
import { makePayloads } from "./Payload.ts"
import { percentile } from "./statistics.ts"

const isJson = process.argv.at(-1) === "--json"
const [store = "memory", concurrency = "10", tasks = "10000", rounds = "16", ...directories] = process.argv.slice(
  2,
  isJson ? -1 : undefined
)
const count = Number(tasks)

/** Milliseconds by the clock and of the processors. */
const figures = ["processMs", "processCpuMs", "fillMs", "fillCpuMs"] as const
type Figures = Readonly<Record<typeof figures[number], number>>

const begin = () => ({ at: performance.now(), cpu: process.cpuUsage() })

const since = ({ at, cpu }: ReturnType<typeof begin>) => {
  const { system, user } = process.cpuUsage(cpu)
  return { ms: performance.now() - at, cpuMs: (user + system) / 1000 }
}

/** A round of one checkout. */
const load = async (directory: string): Promise<Round> => {
  const from = (path: string) => import(pathToFileURL(join(directory, path)).href)
  const manifest = createRequire(join(directory, "package.json")).resolve("effect/package.json")
  const { Context, Effect, Layer, References, Schema } =
    (await import(pathToFileURL(join(manifest, "../dist/index.js")).href)) as typeof EffectModule
  const Engine: typeof EngineModule = await from("src/engine/Engine.ts")
  const Task: typeof TaskModule = await from("src/Task.ts")
  const { TaskStore }: typeof StoreModule = await from("src/store/TaskStore.ts")
  // A definition of the checkout's own copy of effect
  const Noop = Task.make("noop", {
    payload: Schema.Struct({ index: Schema.Int, to: Schema.String, subject: Schema.String, body: Schema.String }),
    success: Schema.Struct({ ok: Schema.Boolean })
  })
  const handler = Noop.toLayer(() => Effect.succeed({ ok: true }))

  const layer = async (place: string, url: string) => {
    const capacity = count + 10_000
    switch (store) {
      case "memory":
        return (await from("src/store/memory/MemoryStore.ts")).layer({ capacity })
      case "sqlite":
        return (await from("src/store/sqlite/SqliteStore.ts")).layer({ path: join(place, "tasks.db"), capacity })
      case "redis":
        return (await from("src/store/redis/RedisStore.ts")).layerUrl({ url, prefix: place, capacity })
      default:
        return (await from("src/store/postgres/PostgresStore.ts")).layerUrl({ url, schema: place, capacity })
    }
  }

  return async (place, url) => {
    const built = await layer(place, url)
    const settled = { count: 0 }
    const round = Effect.gen(function*() {
      const stored: any = yield* Layer.build(built as any)
      const tasks = Context.get(stored, TaskStore) as StoreModule.TaskStore["Service"]
      const counted: any = Context.add(stored, TaskStore, {
        ...tasks,
        settle: (batch) => Effect.tap(tasks.settle(batch), ({ length }) => Effect.sync(() => settled.count += length))
      })
      const producer: any = yield* Layer.build(Engine.layerProducer()).pipe(Effect.provideContext(counted))
      // What a store does once after it was opened does not belong to its tasks
      yield* Effect.sleep("150 millis")
      globalThis.gc?.()
      const filling = begin()
      for (let first = 0; first < count; first += 1000) {
        const payloads = makePayloads(first, Math.min(1000, count - first))
        yield* Noop.enqueueAll(payloads).pipe(Effect.provideContext(producer))
      }
      const fill = since(filling)
      yield* Effect.sleep("20 millis")
      globalThis.gc?.()
      const processing = begin()
      yield* Layer.build(Engine.layer(handler, { worker: { concurrency: Number(concurrency) } })).pipe(
        Effect.provideContext(counted)
      )
      while (settled.count < count) yield* Effect.sleep("1 millis")
      const done = since(processing)
      return { processMs: done.ms, processCpuMs: done.cpuMs, fillMs: fill.ms, fillCpuMs: fill.cpuMs }
    })
    return Effect.runPromise(
      round.pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error")) as any
    )
  }
}

/** Where a round keeps its tasks, gone after it, and the server where there is one. */
const place: Effect.Effect<{ readonly name: string; readonly url: string }, unknown, Scope.Scope> = Effect.gen(
  function*() {
    if (store === "postgres") {
      const { schema, url } = yield* Effect.promise(() => import("./postgres.ts"))
      return { name: yield* schema, url }
    }
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "checkouts-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    if (store !== "redis") return { name: folder, url: "" }
    const redis = yield* Effect.promise(() => import("./contenders/Redis.ts"))
    return yield* redis.place(folder)
  }
)

type Round = (place: string, url: string) => Promise<Figures>

const measure = (round: Round): Effect.Effect<Figures, unknown> =>
  Effect.scoped(Effect.flatMap(place, ({ name, url }) => Effect.promise(() => round(name, url))))

const compare = Effect.gen(function*() {
  const checkouts = yield* Effect.forEach(directories, (directory) => Effect.promise(() => load(resolve(directory))))
  // The compiler needs a few
  for (let warm = 0; warm < 6; warm++) yield* Effect.forEach(checkouts, measure)
  const answers: Array<ReadonlyArray<Figures>> = []
  for (let done = 0; done < Number(rounds); done++) {
    const answer: Array<Figures> = []
    // Another one begins each time
    for (const turn of checkouts.keys()) {
      const index = (turn + done) % checkouts.length
      answer[index] = yield* measure(checkouts[index]!)
    }
    answers.push(answer)
  }
  if (isJson) return yield* Console.log(JSON.stringify(answers))
  yield* Console.log(`${store}, concurrency ${concurrency}, ${count} tasks, ${rounds} rounds`)
  for (const [index, directory] of directories.entries()) {
    yield* Console.log(directory)
    for (const figure of figures) {
      const ratios = answers.map((answer) => answer[index]![figure] / answer[0]![figure])
      const [low, median, high] = [0.25, 0.5, 0.75].map((share) => percentile(ratios, share).toFixed(3))
      const each = percentile(answers.map((answer) => answer[index]![figure]), 0.5) * 1000 / count
      yield* Console.log(`  ${figure.padEnd(13)} ${median} (${low} to ${high})  ${each.toFixed(1)} µs`)
    }
  }
})

await Effect.runPromise(compare)
process.exit(0)
