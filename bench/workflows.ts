/**
 * Workflows of three activities that do nothing, on TaskForge and on Effect's workflow engine for clusters, on the same kind of database, in
 * one process and in turns.
 *
 *     TMPDIR=/dev/shm chrt -r 10 node --conditions=source --expose-gc bench/workflows.ts sqlite 100 500 10
 *
 * The arguments: store (`sqlite` or `postgres`), callers that each wait for the end of an execution before they start another, executions of one
 * side in a round, and rounds. Prints the executions per second of ours divided by those of theirs, each round (the goal is at least 5),
 * and how long one takes when nothing else is done (the goal is a median below 15 ms).
 */
import { Console, Context, Effect, Layer, References, Schema, type Scope } from "effect"
import { Activity, Workflow, WorkflowEngine } from "effect/workflow"
import * as Engine from "../src/engine/Engine.ts"
import { TaskForgeWorkflows } from "../src/workflow/index.ts"
import { newEngine } from "./EffectCluster.ts"
import { percentile } from "./statistics.ts"
import { newPlace } from "./stores.ts"

const [store = "sqlite", callers = "100", executions = "500", rounds = "10"] = process.argv.slice(2)
const concurrency = Number(callers)
const count = Number(executions)

/** Rounds before those that count, and executions of a side whose time is measured alone. */
const warmUps = 2
const alone = 50

const Order = Workflow.make("Order", {
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id,
  success: Schema.Int
})

const step = (name: string) => Activity.make({ name, success: Schema.Int, execute: Effect.succeed(name.length) })

const OrderLive = Order.toLayer(() =>
  Effect.gen(function*() {
    return (yield* step("reserve")) + (yield* step("charge")) + (yield* step("ship"))
  })
)

const ours = Effect.gen(function*() {
  const place = yield* newPlace(store, (Number(rounds) + warmUps) * (count + alone) + 10_000)
  return TaskForgeWorkflows.layer.pipe(
    Layer.provideMerge(
      Engine.layer(Layer.provide(OrderLive, TaskForgeWorkflows.layer), { worker: { concurrency } })
    ),
    Layer.provide(place())
  )
})

const theirs = Effect.map(newEngine(store), (engine) => Layer.provideMerge(OrderLive, engine))

let orders = 0
const order = Effect.suspend(() => Order.execute({ id: `${orders++}` })).pipe(
  Effect.flatMap((sum) => sum === 17 ? Effect.void : Effect.die(new Error(`${sum} is a wrong result`)))
)

/** An engine, and a round of it. */
const side = Effect.fnUntraced(function*(layer: Layer.Layer<WorkflowEngine.WorkflowEngine, unknown, Scope.Scope>) {
  const context = yield* Layer.build(layer)
  const engine = Context.pick(WorkflowEngine.WorkflowEngine)(context)
  return Effect.gen(function*() {
    globalThis.gc?.()
    const begin = performance.now()
    yield* Effect.forEach(Array.from({ length: count }), () => order, { concurrency, discard: true })
    const perSecond = count / (performance.now() - begin) * 1000
    const took: Array<number> = []
    for (let sample = 0; sample < alone; sample++) {
      const begin = performance.now()
      yield* order
      took.push(performance.now() - begin)
    }
    return { perSecond, took }
  }).pipe(Effect.provideContext(engine))
})

const compare = Effect.gen(function*() {
  const sides = [yield* Effect.flatMap(ours, side), yield* Effect.flatMap(theirs, side)] as const
  const answers: Array<ReadonlyArray<number>> = []
  const took: [Array<number>, Array<number>] = [[], []]
  for (let round = 1 - warmUps; round <= Number(rounds); round++) {
    const answer: Array<number> = []
    for (const place of [0, 1]) {
      const index = (place + round) & 1 ? 1 : 0
      const one = yield* sides[index]
      answer[index] = one.perSecond
      if (round > 0) took[index].push(...one.took)
    }
    if (round > 0) answers.push(answer)
  }
  const ratios = answers.map(([ours, theirs]) => ours! / theirs!)
  const [low, median, high] = [0.25, 0.5, 0.75].map((share) => percentile(ratios, share).toFixed(2))
  const each = (index: 0 | 1) => percentile(answers.map((answer) => answer[index]!), 0.5).toFixed(0)
  const ms = (index: 0 | 1) => [0.5, 0.99].map((share) => percentile(took[index], share).toFixed(1)).join(" / ")
  yield* Console.log(`${store}: workflows of 3 activities, ${callers} callers, ${executions} executions a round`)
  yield* Console.log(`  ours to theirs, per second: ${ratios.map((ratio) => ratio.toFixed(2)).join(", ")}`)
  yield* Console.log(`  ${median} (${low} to ${high}), ${each(0)} and ${each(1)} a second (goal: at least 5)`)
  yield* Console.log(`  one alone, p50 / p99: ${ms(0)} ms, and ${ms(1)} ms (goal: p50 below 15)`)
}).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

await Effect.runPromise(compare)
process.exit(0)
