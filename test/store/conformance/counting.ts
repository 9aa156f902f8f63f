import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskState, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  again,
  cancel,
  complete,
  counts,
  everything,
  fail,
  minute,
  rerun,
  rescue,
  retention,
  second,
  settled,
  snooze,
  take
} from "./fixtures.ts"

/** What a list of everything says about the numbers. */
const counted = Effect.map(
  everything,
  (tasks) =>
    Object.fromEntries(TaskState.all.map((state) => [state, tasks.filter((task) => task.state === state).length]))
)

export const counting = (driver: Driver) =>
  describe("counts", () => {
    scenario(driver, "are zero in a new store", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* counts, {
          scheduled: 0,
          pending: 0,
          running: 0,
          completed: 0,
          failed: 0,
          cancelled: 0,
          expired: 0,
          capacity: 7,
          totals: { created: 0, completed: 0, failed: 0, cancelled: 0, retried: 0, crashed: 0, expired: 0 }
        })
      }), { capacity: 7 })

    scenario(driver, "equal what a list says after every step of a busy day, and totals never go down", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        let totals = (yield* counts).totals
        const check = Effect.fnUntraced(function*(step: string) {
          const { capacity: _capacity, totals: now, ...states } = yield* counts
          assert.deepStrictEqual(states, (yield* counted) as typeof states, step)
          for (const [name, value] of Object.entries(now)) {
            assert.isTrue(value >= totals[name as keyof typeof totals], `${step} lowers ${name}`)
          }
          totals = now
        })
        const ids = yield* add({}, {}, {}, {}, {}, {}, {}, {}, { delayMs: minute }, { delayMs: 2 * minute })
        yield* check("enqueue")
        const [a, b, c, d, e] = yield* take({ limit: 6, leaseForMs: 90 * second })
        yield* check("claim")
        yield* settled(complete(a!))
        yield* settled(fail(b!))
        yield* settled(again(c!, minute))
        yield* settled(snooze(d!, 0))
        yield* check("settle")
        yield* cancel(e!.id)
        yield* cancel(ids[6]!)
        yield* cancel(ids[9]!)
        yield* check("cancel")
        yield* driver.advance("100 seconds")
        assert.strictEqual((yield* rescue()).length, 2)
        yield* check("rescue")
        yield* take({ limit: 1 })
        yield* check("promotion")
        yield* rerun(b!.id)
        yield* rerun(e!.id)
        yield* check("rerun")
        yield* store.remove([ids[6]!])
        yield* check("remove")
        yield* store.prune(retention({ maxFinished: 0 }), 1)
        yield* check("prune")
        yield* settled(complete((yield* take({ limit: 1 }))[0]!))
        yield* check("completion")
        assert.strictEqual(totals.created, 10)
      }))
  })
