import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import { InvalidOption } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { demandShares, type Options, Shares } from "../../src/worker/Shares.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { pass, withEngine } from "../engine/TestEngine.ts"

/** Deals out free slots among queues that have so many tasks, and answers which queue's tasks started, in their order. */
const deal = (shares: Shares, free: number, waiting: Record<string, number>, now = 0): ReadonlyArray<string> => {
  const started: Array<string> = []
  for (let left = free;;) {
    const ask = shares.next(left, now)
    if (ask === undefined) return started
    const from = Object.keys(waiting).filter((queue) =>
      ask.queues === undefined ? ask.except?.includes(queue) !== true : ask.queues.includes(queue)
    )
    const given: Array<string> = []
    for (const queue of from) {
      while (waiting[queue]! > 0 && given.length < ask.limit) {
        waiting[queue]!--
        given.push(queue)
      }
    }
    shares.answered(given.length, ask.limit, now + 1000)
    for (const queue of given) shares.started(queue)
    started.push(...given)
    left -= given.length
  }
}

const sharesOf = (options: Options, queues: ReadonlyArray<string> = []) => new Shares(options, queues, () => {})

const countOf = (queues: ReadonlyArray<string>) => {
  const counts: Record<string, number> = {}
  for (const queue of queues) counts[queue] = (counts[queue] ?? 0) + 1
  return counts
}

describe("shares", () => {
  it("keep slots free for a queue, and give it no more than its maximum", () => {
    const shares = sharesOf({ mail: { reserved: 2 }, reports: { max: 3 } })
    assert.deepStrictEqual(countOf(deal(shares, 10, { reports: 100, other: 100 })), { reports: 3, other: 5 })
    assert.deepStrictEqual(shares.next(2, 5000), { queues: ["mail"], limit: 2 })
  })

  it("give queues turns by their weights, whatever waits in each", () => {
    const shares = sharesOf({ gold: { weight: 3 }, "*": { weight: 2 } })
    const waiting = { gold: 10_000, silver: 10_000, bronze: 10_000 }
    const counts = countOf(deal(shares, 500, waiting))
    assert.strictEqual(counts["gold"], 300)
  })

  it("give turns one by one too, as slots get free", () => {
    const shares = sharesOf({ gold: { weight: 3 } })
    const waiting = { gold: 1000, other: 1000 }
    const order: Array<string> = []
    for (let step = 0; step < 40; step++) {
      const [queue] = deal(shares, 1, waiting)
      order.push(queue!)
      shares.ended(queue!)
    }
    for (let start = 0; start < 40; start += 4) {
      assert.strictEqual(order.slice(start, start + 4).filter((queue) => queue === "gold").length, 3)
    }
  })

  it("give all slots to the only queue with tasks, and no turns back to one that had none", () => {
    const shares = sharesOf({ a: {}, b: {} })
    for (let round = 0; round < 100; round++) {
      for (const queue of deal(shares, 4, { a: 4, b: 0 }, round * 2000)) shares.ended(queue)
    }
    shares.renew()
    assert.deepStrictEqual(countOf(deal(shares, 10, { a: 100, b: 100 }, 1e6)), { a: 5, b: 5 })
  })

  it("ask for a queue that had nothing again when its time has come or work is announced", () => {
    const shares = sharesOf({ a: {} })
    assert.deepStrictEqual(deal(shares, 2, { a: 0, other: 0 }), [])
    assert.strictEqual(shares.next(2, 999), undefined)
    assert.strictEqual(shares.nextLookAt(999), 1000)
    assert.notStrictEqual(shares.next(2, 1000), undefined)
    assert.deepStrictEqual(deal(shares, 2, { a: 0, other: 0 }, 1000), [])
    shares.renew()
    assert.notStrictEqual(shares.next(2, 1001), undefined)
  })

  it("ask again for a queue where work was announced while its answer was on the way", () => {
    const shares = sharesOf({ a: {} }, ["a"])
    assert.deepStrictEqual(shares.next(2, 0), { queues: ["a"], limit: 2 })
    shares.renew()
    shares.answered(0, 2, 1000)
    assert.deepStrictEqual(shares.next(2, 1), { queues: ["a"], limit: 2 })
    shares.answered(0, 2, 1000)
    assert.strictEqual(shares.next(2, 2), undefined)
  })

  it("work on the named queues alone", () => {
    const shares = sharesOf({ a: { max: 1 } }, ["a", "b"])
    const asks = [shares.next(5, 0)]
    shares.answered(0, 5, 10)
    asks.push(shares.next(5, 0))
    assert.deepStrictEqual(asks, [{ queues: ["a"], limit: 1 }, { queues: ["b"], limit: 5 }])
  })

  const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
  const Share = Schema.Struct({ reserved: int(0, 2), max: int(2, 6), weight: int(1, 4) })
  const queues = ["a", "b", "c"] as const

  it.effect.prop(
    "never give a queue more than its maximum, nor the slots of another one, and leave no slot free that one could have",
    {
      options: Schema.Struct({ a: Share, b: Share }),
      steps: Schema.Array(Schema.Struct({ queue: Schema.Literals(queues), more: int(0, 4) })).check(
        Schema.isMaxLength(30)
      )
    },
    ({ options, steps }) =>
      Effect.sync(() => {
        const size = 8
        const shares = sharesOf(options)
        const limits = { a: options.a, b: options.b, c: { reserved: 0, max: Infinity } }
        const waiting = { a: 0, b: 0, c: 0 }
        const running = { a: 0, b: 0, c: 0 }
        const keptFrom = (queue: string) =>
          queues.reduce(
            (sum, one) => sum + (one === queue ? 0 : Math.max(0, limits[one].reserved - running[one])),
            0
          )
        for (const { more, queue } of steps) {
          if (running[queue] > 0) {
            running[queue]--
            shares.ended(queue)
          }
          waiting[queue] += more
          shares.renew()
          const free = size - running.a - running.b - running.c
          for (const one of deal(shares, free, waiting)) running[one as "a" | "b" | "c"]++
          const left = size - running.a - running.b - running.c
          for (const one of queues) {
            assert.isAtMost(running[one], limits[one].max)
            assert.isAtMost(running[one] + keptFrom(one), size)
            if (waiting[one] > 0 && running[one] < limits[one].max) assert.isAtMost(left, keptFrom(one))
          }
        }
      })
  )

  const refused: ReadonlyArray<readonly [Options, RegExp]> = [
    [{ a: { reserved: 6 }, b: { reserved: 5 } }, /worker\.shares/],
    [{ a: { reserved: 11 } }, /worker\.shares\.a\.reserved/],
    [{ a: { max: 0 } }, /worker\.shares\.a\.max/],
    [{ a: { reserved: 3, max: 2 } }, /worker\.shares\.a\.max/],
    [{ a: { weight: 0 } }, /worker\.shares\.a\.weight/],
    [{ a: { wieght: 2 } as never }, /worker\.shares\.a\.wieght/],
    [{ a: null as never }, /worker\.shares\.a is null/],
    [{ a: 3 as never }, /worker\.shares\.a is 3/],
    [{ "": {} }, /worker\.shares/],
    [{ c: {} }, /worker\.shares\.c/],
    [Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`q${n}`, {}])), /worker\.shares/]
  ]
  for (const [options, option] of refused) {
    it(`refuse ${JSON.stringify(options).slice(0, 60)}`, () => {
      assert.throws(() => demandShares(options, ["a", "b"], 10), InvalidOption as never)
      assert.throws(() => demandShares(options, ["a", "b"], 10), option)
    })
  }
})

describe("a pool with shares", () => {
  const Work = Task.make("work", { payload: Schema.String })

  it.effect("keeps a slot for urgent work while another queue is flooded, and lets that one go on as its tasks end", () =>
    Effect.gen(function*() {
      const release = yield* Deferred.make<void>()
      const started: Array<string> = []
      yield* withEngine(
        {
          handlers: Work.toLayer((name) =>
            Effect.andThen(
              Effect.sync(() => started.push(name)),
              name.startsWith("bulk") ? Deferred.await(release) : Effect.void
            )
          ),
          worker: { concurrency: 4, shares: { urgent: { reserved: 1 }, bulk: { max: 2 } } }
        },
        Effect.gen(function*() {
          for (let n = 1; n <= 9; n++) yield* Work.enqueue(`bulk ${n}`, { queue: "bulk" })
          yield* pass("1 second")
          assert.deepStrictEqual(started, ["bulk 1", "bulk 2"])
          yield* Work.enqueue("urgent", { queue: "urgent" })
          yield* Work.enqueue("other", { queue: "other" })
          yield* pass("10 millis")
          assert.deepStrictEqual(started.slice(2).sort(), ["other", "urgent"])
          yield* Deferred.succeed(release, undefined)
          // not by the poll: a slot that is free again is given at once
          yield* pass("10 millis")
          assert.strictEqual(started.length, 11)
          assert.strictEqual(yield* Effect.flatMap(WorkerPool, ({ active }) => active), 0)
          const { completed } = yield* TaskQueue.use((queue) => queue.counts)
          assert.strictEqual(completed, 11)
        })
      )
    }))

  it.effect("starts a task that becomes due in a queue that had none", () =>
    Effect.gen(function*() {
      const started: Array<string> = []
      yield* withEngine(
        {
          handlers: Work.toLayer((name) => Effect.sync(() => started.push(name))),
          worker: { concurrency: 2, pollInterval: "1 hour", shares: { late: {}, "*": { weight: 5 } } }
        },
        Effect.gen(function*() {
          yield* Work.enqueue("now")
          yield* Work.enqueue("later", { queue: "late", delay: "20 minutes" })
          yield* pass("1 second")
          assert.deepStrictEqual(started, ["now"])
          yield* pass("20 minutes")
          assert.deepStrictEqual(started, ["now", "later"])
        })
      )
    }))
})
