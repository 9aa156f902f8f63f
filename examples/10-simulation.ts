/**
 * Finds a race by simulation: two transfers read a balance, let others go first or not, and write it back. Each seed is
 * one order of things; the one that loses money can be replayed as often as it takes to understand it.
 */
import { Console, Effect, Ref } from "effect"
import { Simulation } from "taskforge/testing"

const deposit = Effect.fnUntraced(function*(account: Ref.Ref<number>, name: string, amount: number) {
  yield* Simulation.log(`${name} reads`)
  const balance = yield* Ref.get(account)
  // The planted mistake: `Ref.update` would do both at once.
  yield* Ref.set(account, balance + amount)
  yield* Simulation.log(`${name} writes ${balance + amount}`)
})

const bank = Effect.gen(function*() {
  const account = yield* Ref.make(0)
  yield* Effect.all([deposit(account, "ada", 10), deposit(account, "bob", 5)], { concurrency: "unbounded" })
  const balance = yield* Ref.get(account)
  if (balance !== 15) return yield* Effect.fail(`15 were deposited, ${balance} are there`)
})

const search = Effect.gen(function*() {
  for (let seed = 0; seed < 1000; seed++) {
    const { digest, outcome, trace } = Simulation.run(bank, { seed })
    if (outcome._tag === "Succeeded") continue
    yield* Console.log(`seed ${seed} finds it: ${outcome._tag}`)
    for (const line of trace) yield* Console.log(`  ${line}`)
    const again = Simulation.run(bank, { seed })
    return yield* Console.log(`again, the same: ${again.digest === digest}`)
  }
  return yield* Effect.die(new Error("The race was not found"))
})

await Effect.runPromise(search)

// It prints:
// seed 78 finds it: Failed
//   0 ada reads
//   0 bob reads
//   0 bob writes 5
//   0 ada writes 10
// again, the same: true
