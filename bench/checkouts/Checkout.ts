/**
 * One checkout in a process of its own: for each message it fills a new store with tasks that do nothing, processes them,
 * and answers how long both took. All modules come from the checkout that the first argument names, so that the same
 * program measures an older build.
 */
import { rmSync } from "node:fs"
import { mkdtemp } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { pathToFileURL } from "node:url"

export type StoreName = "memory" | "sqlite" | "redis" | "postgres"

export interface Round {
  readonly store: StoreName
  readonly count: number
  readonly concurrency: number
}

/** Milliseconds by the wall clock and of the processors, per phase. */
export interface Figures {
  readonly fillMs: number
  readonly fillCpuMs: number
  readonly processMs: number
  readonly processCpuMs: number
}

const directory = process.argv[2]!
const required = createRequire(join(directory, "package.json"))
// The first condition that matches is the one for import: the checkout's own copy of effect
const effectModule = pathToFileURL(required.resolve("effect/package.json").replace("package.json", "dist/index.js"))
const load = (path: string) => import(pathToFileURL(join(directory, path)).href)

const { Context, Effect, Layer, References, Schema } = await import(effectModule.href) as typeof import("effect")
const Engine = await load("src/engine/Engine.ts") as typeof import("../../src/engine/Engine.ts")
const Task = await load("src/Task.ts") as typeof import("../../src/Task.ts")
const { TaskStore } = await load("src/store/TaskStore.ts") as typeof import("../../src/store/TaskStore.ts")

const Noop = Task.make("noop", {
  payload: Schema.Struct({ to: Schema.String, subject: Schema.String, attempt: Schema.Int, urgent: Schema.Boolean }),
  success: Schema.Struct({ ok: Schema.Boolean })
})
const payload = (attempt: number) => ({
  to: "someone@example.com",
  subject: "Your invoice is ready",
  attempt,
  urgent: false
})

const layerOf = async ({ count, store }: Round, folder: string) => {
  const capacity = count + 10_000
  if (store === "memory") return (await load("src/store/memory/MemoryStore.ts")).layer({ capacity })
  if (store === "sqlite") {
    return (await load("src/store/sqlite/SqliteStore.ts")).layer({ path: join(folder, "tasks.db"), capacity })
  }
  const name = `pair_${Math.random().toString(36).slice(2)}`
  if (store === "redis") {
    const url = process.env["BENCH_REDIS_URL"] ?? "redis://127.0.0.1:6379/9"
    return (await load("src/store/redis/RedisStore.ts")).layerUrl({ url, prefix: name, capacity })
  }
  const url = process.env["BENCH_POSTGRES_URL"] ?? "postgres://postgres@127.0.0.1:5432/postgres"
  return (await load("src/store/postgres/PostgresStore.ts")).layerUrl({ url, schema: name, capacity })
}

const measure = async (round: Round): Promise<Figures> => {
  const folder = await mkdtemp(join(tmpdir(), "pairs-"))
  const store = await layerOf(round, folder)
  let settled = 0
  const started = Effect.gen(function*() {
    const stored = yield* Layer.build(store)
    const tasks = Context.get(stored as never, TaskStore)
    const counted = Context.add(stored as never, TaskStore, {
      ...tasks,
      settle: (settlements) =>
        Effect.tap(tasks.settle(settlements), (answers) => Effect.sync(() => settled += answers.length))
    })
    const producer = yield* Layer.build(Engine.layerProducer()).pipe(Effect.provideContext(counted as never))
    yield* Effect.sleep("50 millis")
    const beforeFill = look()
    for (let first = 0; first < round.count; first += 1000) {
      const size = Math.min(1000, round.count - first)
      yield* Noop.enqueueAll(Array.from({ length: size }, (_, index) => payload(first + index))).pipe(
        Effect.provideContext(producer as never)
      )
    }
    const fill = since(beforeFill)
    yield* Effect.sleep("100 millis")
    globalThis.gc?.()
    const beforeProcessing = look()
    const handler = Noop.toLayer(() => Effect.succeed({ ok: true }))
    yield* Layer.build(Engine.layer(handler as never, { worker: { concurrency: round.concurrency } })).pipe(
      Effect.provideContext(counted as never)
    )
    while (settled < round.count) yield* Effect.sleep("2 millis")
    const processed = since(beforeProcessing)
    return { fillMs: fill.ms, fillCpuMs: fill.cpuMs, processMs: processed.ms, processCpuMs: processed.cpuMs }
  })
  try {
    return await Effect.runPromise(
      started.pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Warn")) as never
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const look = () => ({ at: performance.now(), cpu: process.cpuUsage() })

const since = (before: ReturnType<typeof look>) => {
  const cpu = process.cpuUsage(before.cpu)
  return { ms: performance.now() - before.at, cpuMs: (cpu.user + cpu.system) / 1000 }
}

process.on("message", (round: Round) => {
  measure(round).then((figures) => process.send!(figures), (error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
