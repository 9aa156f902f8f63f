/**
 * What it costs that another task waits: settles the members of one fan-in and as many plain tasks, in turns, each in a new store.
 *
 *     TMPDIR=/dev/shm chrt -r 10 node --conditions=source --expose-gc bench/fan-in.ts sqlite 100000 6
 *
 * The arguments: store, members and rounds. All are claimed and settled a hundred at a time, and what is measured are the settlements alone, until
 * the parent may run. Prints, round by round, how long they take with a parent as a multiple of without (the goal is at most 1.2), and the same for
 * a member of all of them against a member of a tenth of as many (linear is 1).
 */
import { Console, Context, Effect, Layer, References } from "effect"
import * as Engine from "../src/engine/Engine.ts"
import { TaskStore } from "../src/store/TaskStore.ts"
import * as Task from "../src/Task.ts"
import { percentile } from "./statistics.ts"
import { newPlace } from "./stores.ts"

const [store = "sqlite", members = "100000", rounds = "6"] = process.argv.slice(2)
const many = Number(members)
const perClaim = 100

const Member = Task.make("member")
const Parent = Task.make("parent")

/** Microseconds that settling one of so many takes. */
const round = (count: number, hasParent: boolean): Effect.Effect<number, unknown> =>
  Effect.gen(function*() {
    const place = yield* newPlace(store, count + 10_000)
    const stored = yield* Layer.build(place())
    const tasks = Context.get(stored, TaskStore)
    const producer = yield* Layer.build(Engine.layerProducer()).pipe(Effect.provideContext(stored))
    yield* Effect.gen(function*() {
      const handles = []
      for (let first = 0; first < count; first += 1000) {
        handles.push(...yield* Member.enqueueAll(Array.from({ length: 1000 }, () => undefined)))
      }
      if (hasParent) yield* Parent.enqueue(undefined, { after: handles })
    }).pipe(Effect.provideContext(producer))
    yield* place.vacuum ?? Effect.void
    globalThis.gc?.()
    let spent = 0
    for (let settled = 0, nonce = 1; settled < count; nonce++) {
      const { tasks: claimed } = yield* tasks.claim({
        types: ["member"],
        limit: perClaim,
        instance: "bench",
        leaseForMs: 3_600_000,
        nonce
      })
      const ends = claimed.map(({ claim, id }) => ({ _tag: "Complete", id, claim, result: "null" }) as const)
      const before = performance.now()
      yield* tasks.settle(ends)
      spent += performance.now() - before
      settled += claimed.length
    }
    if (!hasParent) return spent * 1000 / count
    const before = performance.now()
    for (let nonce = 1_000_000;; nonce++) {
      const { tasks: claimed } = yield* tasks.claim({
        types: ["parent"],
        limit: 1,
        instance: "bench",
        leaseForMs: 3_600_000,
        nonce
      })
      if (claimed.length === 1) return (spent + performance.now() - before) * 1000 / count
    }
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

const shown = (values: ReadonlyArray<number>): string =>
  [0.25, 0.5, 0.75].map((share) => percentile(values, share).toFixed(3)).join(" · ")

const compare = Effect.gen(function*() {
  for (let warm = 0; warm < 2; warm++) {
    yield* round(5000, true)
    yield* round(5000, false)
  }
  const cost: Array<number> = []
  const growth: Array<number> = []
  const each: Array<number> = []
  for (let done = 0; done < Number(rounds); done++) {
    const sides = [() => round(many, true), () => round(many, false), () => round(many / 10, true)] as const
    const answers: Array<number> = []
    for (const turn of sides.keys()) {
      const index = (turn + done) % sides.length
      answers[index] = yield* sides[index]!()
    }
    const [member, plain, ofFew] = answers as [number, number, number]
    cost.push(member / plain)
    growth.push(member / ofFew)
    each.push(plain)
  }
  yield* Console.log(`${store}, ${many} members, ${rounds} rounds: quartiles`)
  yield* Console.log(
    `  a member to a plain task: ${shown(cost)} (${percentile(each, 0.5).toFixed(2)} µs for a plain one)`
  )
  yield* Console.log(`  of ${many} to of ${many / 10}: ${shown(growth)}`)
})

await Effect.runPromise(compare)
process.exit(0)
