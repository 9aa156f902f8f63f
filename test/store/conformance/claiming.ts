import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addOne,
  again,
  failure,
  hour,
  idsOf,
  minute,
  nearly,
  pause,
  record,
  refOf,
  request,
  running,
  second,
  settled,
  take,
  takeIds,
  takeOne,
  through
} from "./fixtures.ts"

export const claiming = (driver: Driver) =>
  describe("claim", () => {
    scenario(driver, "leases the task to the instance and numbers the attempt", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ payload: "[1]", priority: 2, timeoutMs: 700 })
        const { attempt, ...claimed } = yield* takeOne({ instance: "ada", leaseForMs: minute })
        assert.strictEqual(attempt, 1)
        assert.strictEqual(claimed.id, id)
        assert.isTrue(Number.isInteger(claimed.claim) && claimed.claim > 0)
        const found = yield* record(id)
        assert.deepInclude(found, {
          ...claimed,
          state: "running",
          instance: "ada",
          claims: 1,
          settledClaim: 0,
          progress: null,
          completedAt: null
        })
        assert.strictEqual(found.leaseUntil, found.startedAt! + minute)
      }))

    scenario(driver, "hands over exactly what an instance needs", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ payload: "[1]", priority: 2, timeoutMs: 700, maxRetries: 9, key: "k" })
        const { dueAt } = yield* record(id)
        const claimed = yield* takeOne()
        assert.deepStrictEqual(claimed, {
          id,
          type: "work",
          queue: "default",
          payload: "[1]",
          priority: 2,
          maxRetries: 9,
          timeoutMs: 700,
          gate: null,
          costs: null,
          dueAt,
          startBy: null,
          trace: null,
          failures: 0,
          crashes: 0,
          attempt: 1,
          claim: (yield* record(id)).claim
        })
      }))

    scenario(driver, "hands over names, keys and texts as they are, whatever they are made of", () =>
      Effect.gen(function*() {
        for (const text of ["a\u2028b\u2029", "\r\n", "\\", "\"", "\",\"", ";", "],[", "\u0085é\u0301", "\u{1f600}"]) {
          const name = { type: text, queue: text }
          const id = yield* addOne({ ...name, key: text, payload: JSON.stringify(text) })
          const asked = { types: [text], queues: [text], instance: text }
          assert.deepInclude(yield* takeOne(asked), { ...name, id, payload: JSON.stringify(text), attempt: 1 })
          const told = { ...failure, message: text, error: { [text]: text } }
          const { claim } = yield* record(id)
          yield* settled({ _tag: "Retry", id, claim, delayMs: 0, failure: told })
          assert.deepInclude(yield* takeOne(asked), { ...name, id, attempt: 2, failures: 1 })
          const found = yield* record(id)
          assert.deepInclude(found, { ...name, key: text, instance: text, failure: told })
          assert.deepInclude(found.history[0], { instance: text, failure: told })
        }
      }))

    scenario(
      driver,
      "gives every attempt a claim number of its own and hands over the counts and the last failure's cost",
      () =>
        Effect.gen(function*() {
          const first = yield* running()
          yield* settled(again(first, minute))
          yield* driver.advance("2 minutes")
          const second = yield* takeOne({ instance: "grace" })
          assert.isAbove(second.claim, first.claim)
          assert.deepInclude(second, { id: first.id, failures: 1, crashes: 0, attempt: 2 })
          const found = yield* record(first.id)
          assert.deepInclude(found, {
            claims: 2,
            claim: second.claim,
            settledClaim: first.claim,
            instance: "grace",
            failure
          })
          assert.strictEqual(second.dueAt, found.dueAt)
          assert.isTrue(found.startedAt! > found.history[0]!.endedAt)
        })
    )

    scenario(driver, "numbers the claims of all tasks in one sequence, by rank within a call", () =>
      Effect.gen(function*() {
        const ids = yield* add({}, { priority: 3 }, { priority: 0 }, { priority: 2 })
        const claimed = [...yield* take({ limit: 3 }), ...yield* take({ instance: "other" })]
        assert.deepStrictEqual(idsOf(claimed), [ids[1], ids[3], ids[0], ids[2]])
        for (const [index, { claim }] of claimed.entries()) {
          if (index > 0) {
            assert.isAbove(claim, claimed[index - 1]!.claim)
          }
        }
        for (const { claim, id } of claimed) {
          assert.deepInclude(yield* record(id), { claims: 1, claim })
        }
      }))

    scenario(driver, "forgets the progress of the attempt before", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const first = yield* running()
        yield* store.report([{ ...refOf(first), progress: 0.5 }])
        assert.strictEqual((yield* record(first.id)).progress, 0.5)
        yield* settled(again(first))
        yield* takeOne()
        assert.strictEqual((yield* record(first.id)).progress, null)
      }))

    scenario(driver, "gives no more than the limit, and nothing for a limit of zero", () =>
      Effect.gen(function*() {
        const ids = yield* add({}, {}, {}, {}, {})
        assert.deepStrictEqual(yield* takeIds({ limit: 0 }), [])
        assert.deepStrictEqual(yield* takeIds({ limit: 2 }), ids.slice(0, 2))
        assert.deepStrictEqual(yield* takeIds({ limit: 10 }), ids.slice(2))
        assert.deepStrictEqual(yield* takeIds({ limit: 10 }), [])
      }))

    scenario(driver, "gives only the types asked for, exactly", () =>
      Effect.gen(function*() {
        const [mail] = yield* add({ type: "mail" }, { type: "Mail" }, { type: "mail2" }, { type: "mai_" }, {
          type: "%"
        })
        assert.deepStrictEqual(yield* takeIds({ types: ["mail"] }), [mail])
        assert.deepStrictEqual(yield* takeIds({ types: ["mail", "absent"] }), [])
        assert.deepStrictEqual(yield* takeIds({ types: [] }), [])
      }))

    scenario(driver, "gives only the queues asked for, exactly", () =>
      Effect.gen(function*() {
        const [bulk] = yield* add({ queue: "bulk" }, { queue: "Bulk" }, { queue: "bulk2" }, { queue: "bul_" }, {
          queue: "%"
        })
        assert.deepStrictEqual(yield* takeIds({ queues: ["bulk"] }), [bulk])
        assert.deepStrictEqual(yield* takeIds({ queues: ["bulk", "absent"] }), [])
        assert.deepStrictEqual(yield* takeIds({ queues: [] }), [])
      }))

    scenario(driver, "gives nothing of the queues that a claim leaves out, with and without a gate", () =>
      Effect.gen(function*() {
        const [, a, , b] = yield* add(
          { queue: "full" },
          { queue: "Full" },
          { queue: "full", ...through("tenant=a") },
          { queue: "other", ...through("tenant=a") },
          { queue: "spent" }
        )
        yield* pause("other", true)
        assert.deepStrictEqual(yield* takeIds({ queues: undefined, except: ["full", "spent", "absent"] }), [a])
        yield* pause("other", false)
        assert.deepStrictEqual(yield* takeIds({ queues: undefined, except: ["full", "spent"] }), [b])
        assert.deepStrictEqual((yield* takeIds({ queues: undefined, except: [] })).length, 3)
      }))

    scenario(driver, "leaves other types and queues untouched for those who can run them", () =>
      Effect.gen(function*() {
        const [a, b, c, d] = yield* add(
          { type: "a", queue: "x" },
          { type: "b", queue: "x" },
          { type: "a", queue: "y" },
          { type: "b", queue: "y" }
        )
        assert.deepStrictEqual(yield* takeIds({ types: ["b"], queues: ["y"] }), [d])
        assert.deepStrictEqual(yield* takeIds({ types: ["a", "b"], queues: ["x"] }), [a, b])
        assert.deepStrictEqual(yield* takeIds({ types: ["a", "b"], queues: ["x", "y"] }), [c])
      }))

    scenario(driver, "finds the types that have work among many, however they are written and ordered", () =>
      Effect.gen(function*() {
        // in UTF-8 the last two sort the other way round than in UTF-16
        const types = ["zebra", "Zebra", "ä", "10", "9", "a b", "a", "\u{1F600}", "\uFFFD"]
        const ids = yield* add(...types.flatMap((type) => [{ type }, { type: `${type}!` }]))
        assert.sameMembers(
          [...yield* takeIds({ types: [...types, "absent"], limit: 100 })],
          ids.filter((_, i) =>
            i % 2 === 0
          )
        )
        assert.deepStrictEqual(yield* takeIds({ types, limit: 100 }), [])
      }))

    scenario(driver, "gives a task once when a queue or a type is named twice", () =>
      Effect.gen(function*() {
        const ids = yield* add({}, {})
        assert.deepStrictEqual(yield* takeIds({ queues: ["default", "default"], types: ["work", "work"] }), ids)
      }))

    scenario(driver, "answers with the store's clock", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const before = yield* store.claim(request())
        yield* driver.advance("1 hour")
        const after = yield* store.claim(request())
        nearly(after.now - before.now, hour)
        assert.isTrue(Number.isInteger(after.now))
        const { createdAt } = yield* record(yield* addOne())
        nearly(createdAt, after.now)
      }))

    scenario(driver, "claims many at once", () =>
      Effect.gen(function*() {
        const ids = yield* add(...Array.from({ length: 1500 }, () => ({})))
        assert.deepStrictEqual(idsOf(yield* take({ limit: 1500, leaseForMs: second })), ids)
      }), { capacity: 2000 })
  })
