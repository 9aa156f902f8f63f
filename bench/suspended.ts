/**
 * What executions of workflows cost that wait: the resident memory and the processor time of an idle instance on a store in which very many of
 * them are suspended, and on an empty one, each a process of its own, in turns.
 *
 *     TMPDIR=/dev/shm node --conditions=source --expose-gc bench/suspended.ts sqlite 100000 3
 *
 * The arguments: store (`sqlite` or `postgres`), executions and rounds. Prints the difference in memory (the goal is less than 20 MB) and both
 * processor times (the goal is no difference).
 */
import { Console, Context, Effect, Layer, References, Schema, type Scope } from "effect"
import { DurableDeferred, Workflow, WorkflowEngine } from "effect/workflow"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Engine from "../src/engine/Engine.ts"
import * as PostgresStore from "../src/store/postgres/PostgresStore.ts"
import * as SqliteStore from "../src/store/sqlite/SqliteStore.ts"
import { TaskStore } from "../src/store/TaskStore.ts"
import { TaskForgeWorkflows } from "../src/workflow/index.ts"
import { percentile } from "./statistics.ts"

const [store = "sqlite", executions = "100000", rounds = "3", idleOn] = process.argv.slice(2)
const count = Number(executions)

/** How long an idle instance is looked at, in seconds. */
const idleSeconds = 10

const Go = DurableDeferred.make("go")
const Waits = Workflow.make("Waits", { payload: { id: Schema.String }, idempotencyKey: ({ id }) => id })
const WaitsLive = Waits.toLayer(() => DurableDeferred.await(Go))

/** An instance on a store: a file, or a schema. */
const instanceOn = Effect.fnUntraced(function*(place: string, concurrency: number) {
  const capacity = count + 10_000
  const stored = store === "postgres"
    ? PostgresStore.layerUrl({
      url: (yield* Effect.promise(() => import("./postgres.ts"))).url,
      schema: place,
      capacity
    })
    : SqliteStore.layer({ path: place, capacity })
  return yield* Layer.build(
    TaskForgeWorkflows.layer.pipe(
      Layer.provideMerge(
        Engine.layer(Layer.provide(WaitsLive, TaskForgeWorkflows.layer), { worker: { concurrency } })
      ),
      Layer.provideMerge(stored as Layer.Layer<any, unknown, Scope.Scope>)
    )
  )
})

/** A new place, which is removed with the scope. */
const newPlace = Effect.gen(function*() {
  if (store === "postgres") return yield* (yield* Effect.promise(() => import("./postgres.ts"))).schema
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "bench-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  return join(folder, "tasks.db")
})

/** Suspends all of them. */
const suspendOn = (place: string) =>
  Effect.scoped(Effect.gen(function*() {
    const context = yield* instanceOn(place, 100)
    yield* Effect.forEach(
      Array.from({ length: count }, (_, index) => `${index}`),
      (id) => Waits.execute({ id }, { discard: true }),
      { concurrency: 100, discard: true }
    ).pipe(Effect.provideContext(Context.pick(WorkflowEngine.WorkflowEngine)(context)))
    const { counts } = Context.get(context, TaskStore)
    while ((yield* counts).scheduled < count) yield* Effect.sleep("100 millis")
  }))

/** In a process of its own: prints what the idle instance holds and does. */
const idle = (place: string) =>
  Effect.gen(function*() {
    yield* instanceOn(place, 10)
    yield* Effect.sleep("5 seconds")
    globalThis.gc?.()
    const before = process.cpuUsage()
    yield* Effect.sleep(`${idleSeconds} seconds`)
    const { system, user } = process.cpuUsage(before)
    yield* Console.log(JSON.stringify([process.memoryUsage.rss() / 1e6, (system + user) / 1000 / idleSeconds]))
  })

const lookAt = (place: string) =>
  Effect.sync(() =>
    JSON.parse(execFileSync(process.execPath, [...process.execArgv, process.argv[1]!, store, executions, "1", place], {
      encoding: "utf8"
    })) as readonly [megabytes: number, cpuMs: number]
  )

const compare = Effect.gen(function*() {
  const [full, empty] = [yield* newPlace, yield* newPlace]
  const begin = performance.now()
  yield* suspendOn(full)
  const tookSeconds = (performance.now() - begin) / 1000
  const answers: Array<readonly [full: readonly [number, number], empty: readonly [number, number]]> = []
  for (let round = 0; round < Number(rounds); round++) answers.push([yield* lookAt(full), yield* lookAt(empty)])
  const more = answers.map(([[full], [empty]]) => full - empty)
  const cpu = (side: 0 | 1) => percentile(answers.map((answer) => answer[side][1]), 0.5).toFixed(2)
  yield* Console.log(`${store}: ${count} executions were suspended in ${tookSeconds.toFixed(0)} s`)
  yield* Console.log(
    `  an idle instance has ${
      more.map((megabytes) => megabytes.toFixed(1)).join(", ")
    } MB more with them (goal: less than 20)`
  )
  yield* Console.log(`  and uses ${cpu(0)} ms of processor time a second; without them ${cpu(1)} ms`)
})

await Effect.runPromise(
  (idleOn === undefined ? compare : idle(idleOn)).pipe(
    Effect.scoped,
    Effect.provideService(References.MinimumLogLevel, "Error")
  )
)
process.exit(0)
