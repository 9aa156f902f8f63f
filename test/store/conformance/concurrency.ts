import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type ClaimedTask, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  cancel,
  complete,
  counts,
  everything,
  fail,
  idsOf,
  rescue,
  running,
  second,
  settle,
  take,
  task,
  tasks
} from "./fixtures.ts"

export const concurrency = (driver: Driver) =>
  describe("concurrent callers", () => {
    scenario(driver, "never share a task", () =>
      Effect.gen(function*() {
        const ids = yield* add(...tasks(300))
        const claimer = Effect.fnUntraced(function*(instance: string) {
          const mine: Array<ClaimedTask> = []
          while (true) {
            const batch = yield* take({ instance, limit: 7 })
            if (batch.length === 0) return mine
            mine.push(...batch)
            yield* Effect.yieldNow
          }
        })
        const claimed = yield* Effect.forEach(Array.from({ length: 10 }, (_, i) => `instance-${i}`), claimer, {
          concurrency: "unbounded"
        })
        assert.strictEqual(claimed.flat().length, 300)
        assert.sameMembers([...idsOf(claimed.flat())], [...ids])
        assert.strictEqual(new Set(claimed.flat().map(({ claim }) => claim)).size, 300)
        for (const [i, mine] of claimed.entries()) {
          for (const { id } of mine) {
            const found = yield* TaskStore.use((store) => store.get(id))
            assert.strictEqual(found?.instance, `instance-${i}`)
          }
        }
      }))

    scenario(driver, "never share a rescued lease", () =>
      Effect.gen(function*() {
        yield* add(...tasks(50))
        yield* take({ leaseForMs: second })
        yield* driver.advance("10 seconds")
        const rescued = yield* Effect.all(Array.from({ length: 10 }, () => rescue(20)), { concurrency: "unbounded" })
        assert.strictEqual(rescued.flat().length, 50)
        assert.strictEqual(new Set(idsOf(rescued.flat())).size, 50)
        assert.isTrue((yield* everything).every(({ crashes }) => crashes === 1))
      }))

    scenario(driver, "create one task per id and per key", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const twin = task()
        const answers = yield* Effect.all(
          Array.from({ length: 20 }, (_, i) => store.enqueue([i % 2 === 0 ? [twin] : [task({ key: "k" })]])),
          { concurrency: "unbounded" }
        )
        const accepted = answers.flat().flatMap((answer) => answer._tag === "Accepted" ? answer.tasks : [])
        assert.strictEqual(accepted.length, 20)
        assert.strictEqual(accepted.filter(({ duplicate }) => !duplicate).length, 2)
        assert.strictEqual(new Set(idsOf(accepted)).size, 2)
        assert.strictEqual((yield* everything).length, 2)
      }))

    scenario(driver, "share the capacity exactly", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const answers = yield* Effect.all(Array.from({ length: 30 }, () => store.enqueue([tasks(2)])), {
          concurrency: "unbounded"
        })
        assert.strictEqual(answers.flat().filter(({ _tag }) => _tag === "Accepted").length, 12)
        assert.strictEqual(answers.flat().filter(({ _tag }) => _tag === "Full").length, 18)
        assert.strictEqual((yield* counts).pending, 24)
      }), { capacity: 25 })

    scenario(driver, "settle one attempt once", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        const answers = yield* Effect.all([
          settle(complete(claimed)),
          settle(fail(claimed)),
          settle(complete(claimed)),
          settle(fail(claimed))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(answers.toSorted(), ["already", "already", "already", "applied"])
        const { completed, failed, totals } = yield* counts
        assert.strictEqual(completed + failed, 1)
        assert.strictEqual(totals.completed + totals.failed, 1)
      }))

    scenario(driver, "either cancel a waiting task or claim it, and agree on which", () =>
      Effect.gen(function*() {
        const ids = yield* add(...tasks(40))
        const [claimed, answers] = yield* Effect.all([
          Effect.forEach(ids, () => take({ limit: 1 }), { concurrency: "unbounded" }),
          Effect.forEach(ids.toReversed(), cancel, { concurrency: "unbounded" })
        ], { concurrency: "unbounded" })
        const started = new Set(idsOf(claimed.flat()))
        for (const [i, id] of ids.toReversed().entries()) {
          const found = yield* TaskStore.use((store) => store.get(id))
          if (answers[i] === "cancelled") {
            assert.isFalse(started.has(id), "A task that was cancelled while it waited has started")
            assert.strictEqual(found?.state, "cancelled")
          } else {
            assert.strictEqual(answers[i], "requested")
            assert.isTrue(started.has(id))
            assert.deepInclude(found, { state: "running", cancelRequested: true })
          }
        }
      }))

    scenario(driver, "each get their own answer when everything happens at once", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add(...tasks(20))
        const held = yield* take({ limit: 10, instance: "ada" })
        const [extended, settled, claimed, enqueued, cancelled] = yield* Effect.all([
          Effect.forEach(held.slice(0, 5), ({ claim, id }) => store.extend([{ id, claim }], second), {
            concurrency: "unbounded"
          }),
          Effect.forEach(held.slice(5), (item) => settle(complete(item, `"${item.id}"`)), { concurrency: "unbounded" }),
          Effect.forEach([1, 2, 3, 4, 5], (n) => take({ limit: 2, instance: `w${n}` }), { concurrency: "unbounded" }),
          Effect.forEach(tasks(5), (one) => store.enqueue([[one]]), { concurrency: "unbounded" }),
          store.cancel(["unknown"])
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(extended.flat(), Array.from({ length: 5 }, () => "held"))
        assert.deepStrictEqual(settled, Array.from({ length: 5 }, () => "applied"))
        assert.strictEqual(new Set(idsOf(claimed.flat())).size, 10)
        assert.isTrue(enqueued.flat().every(({ _tag }) => _tag === "Accepted"))
        assert.deepStrictEqual(cancelled, ["unknown"])
        for (const { id } of held.slice(5)) {
          assert.deepInclude(yield* TaskStore.use((s) => s.get(id)), { state: "completed", result: `"${id}"` })
        }
      }))
  })
