import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addAll,
  addOne,
  again,
  cancel,
  complete,
  fail,
  idsOf,
  minute,
  passState,
  release,
  request,
  rescue,
  second,
  setLimit,
  settled,
  snooze,
  stop,
  take,
  takeIds,
  tasks,
  through
} from "./fixtures.ts"

/** The store's clock. */
const now = Effect.map(TaskStore.use((store) => store.claim(request({ types: ["none"] }))), (answer) => answer.now)

const nextDueAt = Effect.map(TaskStore.use((store) => store.claim(request())), (answer) => answer.nextDueAt)

/** Opens the breaker of a pass for so many milliseconds. Answers until when. */
const open = Effect.fnUntraced(function*(pass: string, forMs: number) {
  const notBefore = (yield* now) + forMs
  yield* setLimit(pass, { max: 1, notBefore })
  return notBefore
})

const ends = {
  complete,
  fail,
  stop,
  release,
  again: (ref: Parameters<typeof again>[0]) => again(ref, minute),
  snooze: (ref: Parameters<typeof snooze>[0]) => snooze(ref, minute)
}

export const breakers = (driver: Driver) =>
  describe("breakers", () => {
    scenario(driver, "that are open start nothing before their time, and hold up no others", () =>
      Effect.gen(function*() {
        const mails = yield* addAll(tasks(3, through("~smtp=")))
        const plain = yield* addOne()
        const until = yield* open("~smtp=", 30_000)
        assert.deepStrictEqual(yield* takeIds(), [plain])
        assert.strictEqual(yield* nextDueAt, until)
        yield* driver.advance("20 seconds")
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("11 seconds")
        assert.deepStrictEqual(yield* takeIds(), [mails[0]])
        assert.deepStrictEqual(yield* takeIds(), [])
      }))

    scenario(driver, "that may be tried let one task start at a time, of all queues and types", () =>
      Effect.gen(function*() {
        yield* open("~smtp=", 0)
        const [a, b, c] = yield* add(
          through("~smtp="),
          { type: "other", ...through("~smtp=") },
          { queue: "second", ...through("~smtp=") }
        )
        const everywhere = { queues: undefined, types: ["work", "other"] }
        for (const id of [a, b, c]) {
          const taken = yield* take(everywhere)
          assert.deepStrictEqual(idsOf(taken), [id])
          assert.deepStrictEqual(yield* takeIds(everywhere), [])
          assert.deepStrictEqual(yield* takeIds({ instance: "instance-2", ...everywhere }), [])
          yield* settled(complete(taken[0]!))
        }
      }))

    scenario(driver, "that may be tried wait for tasks that were started before they opened", () =>
      Effect.gen(function*() {
        const ids = yield* addAll(tasks(4, through("~smtp=")))
        const [first, next] = yield* take({ limit: 2 })
        yield* open("~smtp=", second)
        yield* driver.advance("2 seconds")
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(first!))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(next!))
        assert.deepStrictEqual(yield* takeIds(), [ids[2]])
      }))

    for (const [name, end] of Object.entries(ends)) {
      scenario(driver, `let the next task try after the end of one: ${name}`, () =>
        Effect.gen(function*() {
          yield* open("~smtp=", 0)
          const [id, next] = yield* add(through("~smtp="), through("~smtp="))
          const [tries] = yield* take()
          assert.strictEqual(tries!.id, id)
          assert.deepStrictEqual(yield* takeIds(), [])
          yield* settled(end(tries!))
          // what was released goes first again
          assert.deepStrictEqual(yield* takeIds(), [name === "release" ? id : next])
        }))
    }

    scenario(driver, "let the next task try when the process that tried has died, or its task was cancelled", () =>
      Effect.gen(function*() {
        yield* open("~smtp=", 0)
        const [id, next, last] = yield* add(through("~smtp="), through("~smtp="), through("~smtp="))
        assert.deepStrictEqual(yield* takeIds({ leaseForMs: second }), [id])
        yield* driver.advance("10 seconds")
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.strictEqual((yield* rescue()).length, 1)
        // a crashed task is due again behind what was due before
        const [tries] = yield* take()
        assert.strictEqual(tries!.id, next)
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.strictEqual(yield* cancel(next), "requested")
        yield* settled(stop(tries!))
        assert.deepStrictEqual(yield* takeIds(), [last])
      }))

    scenario(driver, "open again for longer, and close, while tasks wait", () =>
      Effect.gen(function*() {
        const ids = yield* addAll(tasks(300, through("~smtp=")))
        yield* open("~smtp=", second)
        yield* driver.advance("2 seconds")
        const [tries] = yield* take()
        assert.strictEqual(tries!.id, ids[0])
        yield* open("~smtp=", minute)
        yield* settled(again(tries!, 2 * minute))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("59 seconds")
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("2 seconds")
        const [another] = yield* take()
        assert.strictEqual(another!.id, ids[1])
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* setLimit("~smtp=", null)
        assert.deepStrictEqual(yield* takeIds(), ids.slice(2))
      }))

    scenario(driver, "open for a key and leave others alone", () =>
      Effect.gen(function*() {
        const [a, b, plain, both] = yield* add(
          through("~web=a"),
          through("~web=b"),
          through("tenant=x"),
          through("~web=a", "tenant=x")
        )
        yield* setLimit("tenant", { max: 1 })
        yield* open("~web=a", minute)
        const taken = yield* take()
        assert.deepStrictEqual(idsOf(taken), [b, plain])
        yield* setLimit("~web=a", null)
        const [first] = yield* take()
        assert.strictEqual(first!.id, a)
        yield* settled(complete(taken[1]!))
        assert.deepStrictEqual(yield* takeIds(), [both])
        assert.strictEqual((yield* passState("~web=a")).running, 2)
      }))

    scenario(driver, "hold together with limits and an order", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "block" })
        yield* setLimit("host", { tokens: 1, perMs: 2 * minute, burst: 2 })
        const gate = through("!order=a", "~web=x", "host=x")
        const [first, next, last] = yield* add(gate, gate, gate)
        yield* open("~web=x", 10_000)
        for (let times = 0; times < 3; times++) {
          assert.deepStrictEqual(yield* takeIds(), [])
        }
        yield* driver.advance("11 seconds")
        const [tries] = yield* take()
        assert.strictEqual(tries!.id, first)
        yield* open("~web=x", 10_000)
        yield* settled(again(tries!, 0))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("11 seconds")
        const [retried] = yield* take()
        assert.strictEqual(retried!.id, first)
        yield* setLimit("~web=x", null)
        yield* settled(complete(retried!))
        // the bucket is empty now
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("2 minutes")
        const [third] = yield* take()
        assert.strictEqual(third!.id, next)
        yield* settled(complete(third!))
        yield* driver.advance("2 minutes")
        assert.deepStrictEqual(yield* takeIds(), [last])
      }))

    scenario(driver, "that cannot be read are closed", () =>
      Effect.gen(function*() {
        for (const notBefore of ["soon", null, 1.5, {}]) {
          yield* setLimit("~smtp=", { max: 0, notBefore } as never)
          const id = yield* addOne(through("~smtp="))
          assert.deepStrictEqual(yield* takeIds(), [id])
        }
      }))
  })
