import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Random, Ref } from "effect"
import { SecureRandom } from "effect/crypto"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Simulation from "../../src/testing/Simulation.ts"
import { run as runCluster } from "../simulation/Run.ts"
import { fromSeed } from "../simulation/Scenario.ts"

/** Two fibers that read, let others go first or not, and write. */
const race = Effect.gen(function*() {
  const counter = yield* Ref.make(0)
  const increment = Effect.flatMap(Ref.get(counter), (n) => Ref.set(counter, n + 1))
  yield* Effect.all([increment, increment], { concurrency: "unbounded" })
  return yield* Ref.get(counter)
})

const seeds = (count: number) => Array.from({ length: count }, (_, seed) => seed)

/** Uses every source of chance. */
const busy = Effect.gen(function*() {
  const random = yield* SecureRandom.SecureRandom
  yield* Effect.forEach([1, 2, 3], (name) =>
    Effect.gen(function*() {
      yield* Effect.sleep(yield* Random.nextIntBetween(1, 5))
      yield* Simulation.log(`${name} ${yield* random.uuidV7()} ${yield* Clock.currentTimeMillis}`)
    }), { concurrency: "unbounded" })
})

describe("a simulation", () => {
  it("gives the same run for the same seed", () => {
    for (const seed of seeds(50)) {
      const first = Simulation.run(busy, { seed })
      const second = Simulation.run(busy, { seed })
      assert.deepStrictEqual(second, first)
    }
  })

  it("gives another run for another seed", () => {
    const digests = new Set(seeds(50).map((seed) => Simulation.run(busy, { seed }).digest))
    assert.strictEqual(digests.size, 50)
  })

  it("gives the same run in another process", () => {
    const program = fileURLToPath(new URL("digest.ts", import.meta.url))
    const there = execFileSync(process.execPath, ["--conditions=source", program, "4711"], { encoding: "utf8" })
    assert.strictEqual(there.trim(), runCluster(fromSeed(4711)).digest)
  })

  it("finds a race that needs a preemption, and both its outcomes", () => {
    const values = seeds(200).map((seed) => {
      const { outcome } = Simulation.run(race, { seed })
      return outcome._tag === "Succeeded" ? outcome.value : outcome._tag
    })
    assert.include(values, 1)
    assert.include(values, 2)
    assert.deepStrictEqual([...new Set(values)].sort(), [1, 2])
  })

  it("lets time pass only when nothing else can happen, and then at once", () => {
    const { outcome, simulatedMs } = Simulation.run(
      Effect.gen(function*() {
        const begin = yield* Clock.currentTimeMillis
        yield* Effect.sleep("3 hours")
        return (yield* Clock.currentTimeMillis) - begin
      }),
      { seed: 1 }
    )
    assert.deepStrictEqual(outcome, { _tag: "Succeeded", value: 10_800_000 })
    assert.strictEqual(simulatedMs, 10_800_000)
  })

  it("calls it a deadlock when nothing is left that could happen", () => {
    const waits = Effect.flatMap(Deferred.make<void>(), Deferred.await)
    assert.strictEqual(Simulation.run(waits, { seed: 1 }).outcome._tag, "Deadlock")
    assert.strictEqual(Simulation.run(Effect.promise(() => Promise.resolve()), { seed: 1 }).outcome._tag, "Deadlock")
  })

  it("calls it a livelock when it does not end", () => {
    const polls = Effect.forever(Effect.sleep("1 second"))
    assert.deepStrictEqual(Simulation.run(polls, { seed: 1, maxDuration: "1 hour" }).outcome, {
      _tag: "Livelock",
      exceeded: "maxDuration"
    })
    assert.deepStrictEqual(Simulation.run(Effect.forever(Effect.yieldNow), { seed: 1, maxSteps: 1000 }).outcome, {
      _tag: "Livelock",
      exceeded: "maxSteps"
    })
  })

  it("says how a program failed, and what it left behind", () => {
    const failed = Simulation.run(Effect.fail("boom"), { seed: 1 })
    assert.strictEqual(failed.outcome._tag, "Failed")
    assert.strictEqual(failed.fibersLeft, 0)
    const left = Simulation.run(Effect.forkDetach(Effect.sleep("1 day")), { seed: 1 })
    assert.strictEqual(left.outcome._tag, "Succeeded")
    assert.strictEqual(left.fibersLeft, 1)
    assert.strictEqual(left.timersLeft, 1)
  })
})

describe("a simulated machine", () => {
  const ticks = (onTick: () => void) => Effect.forever(Effect.andThen(Effect.sleep(100), Effect.sync(onTick)))

  const simulate = <A>(program: Effect.Effect<A, never, Simulation.Services>, seed = 1): A => {
    const { outcome } = Simulation.run(program, { seed })
    if (outcome._tag !== "Succeeded") return assert.fail(outcome._tag)
    return outcome.value
  }

  it("does nothing any more once it is killed, not even its finalizers", () => {
    const seen = simulate(Effect.gen(function*() {
      const { world } = yield* Simulation.Simulation
      const machine = world.machine("a")
      const seen = { ticks: 0, finalized: false }
      machine.run(
        Effect.onExit(ticks(() => seen.ticks++), () =>
          Effect.sync(() => {
            seen.finalized = true
          })),
        yield* Effect.context<never>()
      )
      yield* Effect.sleep(1050)
      machine.kill()
      yield* Effect.sleep(1000)
      return seen
    }))
    assert.deepStrictEqual(seen, { ticks: 10, finalized: false })
  })

  it("stands still while it is frozen, and then goes on late", () => {
    const times = simulate(Effect.gen(function*() {
      const { world } = yield* Simulation.Simulation
      const machine = world.machine("a")
      const times: Array<number> = []
      machine.run(ticks(() => times.push(world.now)), yield* Effect.context<never>())
      yield* Effect.sleep(250)
      machine.freeze()
      yield* Effect.sleep(5000)
      machine.thaw()
      yield* Effect.sleep(150)
      return times
    }))
    assert.deepStrictEqual(times, [100, 200, 5250, 5350])
  })

  it("does not notice the time for which it is suspended, neither by its timers nor by its monotonic clock", () => {
    const seen = simulate(Effect.gen(function*() {
      const { world } = yield* Simulation.Simulation
      const machine = world.machine("a")
      const times: Array<number> = []
      machine.run(ticks(() => times.push(world.now)), yield* Effect.context<never>())
      yield* Effect.sleep(250)
      machine.suspend()
      yield* Effect.sleep(5000)
      machine.thaw()
      yield* Effect.sleep(250)
      return { times, awakeMs: machine.monotonicMs, wallMs: machine.wallMs - world.startsAt }
    }))
    assert.deepStrictEqual(seen, { times: [100, 200, 5300, 5400, 5500], awakeMs: 500, wallMs: 5500 })
  })

  it("has a clock of its own, which may be wrong, too fast, and moved", () => {
    const { clock, start, woken } = simulate(Effect.gen(function*() {
      const { world } = yield* Simulation.Simulation
      const machine = world.machine("a", { offsetMs: 60_000, drift: 2 })
      const fiber = machine.run(
        Effect.gen(function*() {
          const start = yield* Clock.currentTimeMillis
          yield* Effect.sleep("1 second")
          const woken = world.now
          machine.stepClock(-500)
          return { start, woken, clock: yield* Clock.currentTimeMillis }
        }),
        yield* Effect.context<never>()
      )
      const seen = yield* Fiber.join(fiber)
      return { ...seen, start: seen.start - world.startsAt, clock: seen.clock - world.startsAt }
    }))
    assert.strictEqual(start, 60_000)
    assert.strictEqual(woken, 500)
    assert.strictEqual(clock, 60_500)
  })

  it("can be interrupted in the middle of its work", () => {
    const middles = seeds(100).map((seed) =>
      simulate(
        Effect.gen(function*() {
          const { world } = yield* Simulation.Simulation
          const machine = world.machine("a")
          let begun = 0
          let ended = 0
          const work = Effect.gen(function*() {
            begun++
            yield* Effect.yieldNow
            ended++
          })
          machine.interject(world.random("when").between(1, 20), () => machine.kill())
          machine.run(Effect.forever(work), yield* Effect.context<never>())
          yield* Effect.sleep(1)
          return begun - ended
        }),
        seed
      )
    )
    assert.include(middles, 1)
  })
})
