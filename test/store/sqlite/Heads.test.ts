import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { type ClaimedTask, RecordStore, TaskStore } from "taskforge/store"
import type { StoreServices } from "../../../src/store/Driver.ts"
import type { Place } from "../../../src/store/Order.ts"
import * as Database from "../../../src/store/sqlite/Database.ts"
import { Heads, Kept } from "../../../src/store/sqlite/Heads.ts"
import { Lanes } from "../../../src/store/sqlite/Lanes.ts"
import { SeededRandom } from "../../../src/testing/SeededRandom.ts"
import * as Fixtures from "../conformance/fixtures.ts"
import { elsewhere, file, refuseBad, using } from "./fixtures.ts"

const { hour, minute } = Fixtures

/** Where tasks wait. */
const places = [
  { place: "a lane", gated: {}, limit: null },
  { place: "a line", gated: Fixtures.through("limit=a"), limit: { tokens: 1e6, perMs: 1, burst: 1e6 } },
  { place: "all gates together", gated: Fixtures.through("limit=a"), limit: null }
] as const

/** How this process knows them. */
const ways = ["was told of them", "has read them"] as const

/** What a scenario starts with: a task that runs, and those that wait, in the order of work. */
interface Begun {
  readonly path: string
  readonly running: ClaimedTask
  readonly waiting: readonly [b: string, c: string, d: string, e: string]
  readonly gated: object
}

/** What happens then, and the tasks that the next claim has to give. */
interface Scenario {
  readonly name: string
  readonly run: (begun: Begun) => Effect.Effect<ReadonlyArray<string>, unknown, StoreServices>
}

const reschedule = (id: string, change: object) =>
  Effect.map(
    TaskStore.use((store) => store.reschedule([{ id, type: "work", queue: "default", ...change }])),
    (answer) => assert.deepStrictEqual(answer, [{ _tag: "rescheduled" }])
  )

const scenarios: ReadonlyArray<Scenario> = [
  { name: "nothing", run: ({ waiting }) => Effect.succeed(waiting) },
  {
    name: "the first is cancelled",
    run: ({ waiting: [b, ...others] }) => Effect.as(Fixtures.cancel(b), others)
  },
  {
    name: "one in between is cancelled",
    run: ({ waiting: [b, c, d, e] }) => Effect.as(Fixtures.cancel(d), [b, c, e])
  },
  {
    name: "the first is postponed",
    run: ({ waiting: [b, ...others] }) => Effect.as(reschedule(b, { delayMs: hour }), others)
  },
  {
    name: "the last is brought forward",
    run: ({ waiting: [b, c, d, e] }) => Effect.as(reschedule(e, { runAt: 1 }), [e, b, c, d])
  },
  {
    name: "the last becomes more urgent",
    run: ({ waiting: [b, c, d, e] }) => Effect.as(reschedule(e, { priority: 3 }), [e, b, c, d])
  },
  {
    name: "the first becomes less urgent",
    run: ({ waiting: [b, c, d, e] }) => Effect.as(reschedule(b, { priority: 0 }), [c, d, e, b])
  },
  {
    name: "one goes to another line",
    run: ({ waiting: [b, c, d, e] }) => Effect.as(reschedule(c, Fixtures.through("full=a")), [b, d, e])
  },
  {
    name: "one comes after all",
    run: ({ gated, waiting }) => Effect.map(Fixtures.addOne(gated), (id) => [...waiting, id])
  },
  {
    name: "one comes that is more urgent",
    run: ({ gated, waiting }) => Effect.map(Fixtures.addOne({ ...gated, priority: 3 }), (id) => [id, ...waiting])
  },
  {
    name: "many come, some of which are more urgent",
    run: ({ gated, waiting }) =>
      Effect.map(
        Fixtures.addAll(Array.from({ length: 400 }, (_, index) => ({ ...gated, priority: index % 4 }))),
        (ids) => {
          const of = (priority: number) => ids.filter((_, index) => index % 4 === priority)
          return [...of(3), ...of(2), ...waiting, ...of(1), ...of(0)]
        }
      )
  },
  {
    name: "one comes that was due long ago",
    run: ({ gated, waiting }) => Effect.map(Fixtures.addOne({ ...gated, runAt: 1 }), (id) => [id, ...waiting])
  },
  {
    name: "one becomes due that is more urgent",
    run: ({ gated, waiting }) =>
      Effect.gen(function*() {
        const id = yield* Fixtures.addOne({ ...gated, priority: 3, delayMs: minute })
        yield* TestClock.adjust(minute)
        return [id, ...waiting]
      })
  },
  {
    name: "the one that runs is given back",
    run: ({ running, waiting }) => Effect.as(Fixtures.settled(Fixtures.release(running)), [running.id, ...waiting])
  },
  {
    name: "the one that runs is tried again",
    run: ({ running, waiting }) => Effect.as(Fixtures.settled(Fixtures.again(running)), [...waiting, running.id])
  },
  {
    name: "the one that runs has failed, and runs again",
    run: ({ running, waiting }) =>
      Effect.gen(function*() {
        yield* Fixtures.settled(Fixtures.fail(running))
        yield* Fixtures.rerun(running.id)
        return [...waiting, running.id]
      })
  },
  {
    name: "the one that runs is taken from a process that died",
    run: ({ running, waiting }) =>
      Effect.gen(function*() {
        yield* TestClock.adjust(hour)
        yield* Fixtures.rescue()
        return [...waiting, running.id]
      })
  },
  {
    name: "one has expired",
    run: ({ gated, waiting }) =>
      Effect.gen(function*() {
        const id = yield* Fixtures.addOne({ ...gated, priority: 3, expiresInMs: 1000 })
        yield* TestClock.adjust(1000)
        assert.strictEqual(yield* Fixtures.stateOf(id), "pending")
        return waiting
      })
  },
  {
    name: "old tasks are removed",
    run: ({ running, waiting: [b, ...others] }) =>
      Effect.gen(function*() {
        yield* Fixtures.settled(Fixtures.complete(running))
        yield* Fixtures.cancel(b)
        const removed = yield* TaskStore.use((store) => store.prune(Fixtures.retention({ maxFinished: 0 }), 10))
        assert.strictEqual(removed, 2)
        return others
      })
  },
  {
    name: "tasks are stored with records",
    run: ({ gated, running, waiting }) =>
      Effect.gen(function*() {
        const records = yield* RecordStore
        const tasks = [Fixtures.task({ ...gated, priority: 3 }), Fixtures.task(gated)] as const
        yield* records.atomically("nonce", { tasks, settlements: [Fixtures.complete(running)] })
        return [tasks[0].id, ...waiting, tasks[1].id]
      })
  },
  {
    name: "another process cancels the first",
    run: ({ path, waiting: [b, ...others] }) => Effect.as(elsewhere(path, Fixtures.cancel(b)), others)
  },
  {
    name: "another process takes the first two",
    run: ({ path, waiting: [b, c, d, e] }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* elsewhere(path, Fixtures.takeIds({ limit: 2 })), [b, c])
        return [d, e]
      })
  },
  {
    name: "another process stores tasks",
    run: ({ gated, path, waiting }) =>
      Effect.gen(function*() {
        const [urgent, last] = yield* elsewhere(path, Fixtures.add({ ...gated, priority: 3 }, gated))
        return [urgent, ...waiting, last]
      })
  },
  {
    name: "tasks are stored in a transaction that fails",
    run: ({ gated, waiting }) =>
      Effect.gen(function*() {
        const group = [{ ...gated, priority: 3 }, gated, { ...gated, payload: "bad" }].map(Fixtures.task)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(TaskStore.use((store) => store.enqueue([group])))))
        return waiting
      })
  },
  {
    name: "tasks are taken in a transaction that fails",
    run: ({ waiting }) =>
      Effect.gen(function*() {
        const failed = yield* Effect.exit(Fixtures.take({ limit: 3, instance: "bad" }))
        assert.isTrue(Exit.isFailure(failed))
        return waiting
      })
  }
]

const begin = (path: string, gated: object, way: typeof ways[number]) =>
  Effect.gen(function*() {
    yield* Fixtures.setLimit("limit", { max: 1_000_000 })
    yield* Fixtures.setLimit("full", { max: 0 })
    yield* refuseBad(path)
    yield* TestClock.adjust(hour)
    const add = Fixtures.add(gated, gated, gated, gated, gated)
    if (way === "was told of them") {
      assert.deepStrictEqual(yield* Fixtures.takeIds(), [])
      return yield* add
    }
    return yield* elsewhere(path, add)
  })

for (const { gated, limit, place } of places) {
  for (const way of ways) {
    describe(`the first tasks of ${place}, when this process ${way}`, () => {
      for (const { name, run } of scenarios) {
        it.effect(`are those of the file after this: ${name}`, () =>
          Effect.gen(function*() {
            const path = yield* file
            yield* using(path, () =>
              Effect.gen(function*() {
                // a rate takes lines
                if (limit !== null) yield* Fixtures.setLimit("limit", limit)
                const [a, ...waiting] = yield* begin(path, gated, way)
                const running = yield* Fixtures.takeOne()
                assert.strictEqual(running.id, a)
                yield* TestClock.adjust(1)
                const expected = yield* run({ path, running, waiting, gated })
                const taken: Array<string> = []
                // Some at a time, so that it is claimed and not only read in this order
                for (let ids = yield* Fixtures.takeIds({ limit: 3 }); ids.length > 0;) {
                  taken.push(...ids)
                  ids = yield* Fixtures.takeIds({ limit: 3 })
                }
                assert.deepStrictEqual(taken, expected)
              }))
          }))
      }
    })
  }
}

describe("the first tasks of a line", () => {
  const claim = Effect.map(Fixtures.takeIds({ limit: 1 }), ([id]) => id)

  it.effect("do not come again where the one that holds their order has started in the place of the first", () =>
    Effect.gen(function*() {
      yield* using(yield* file, () =>
        Effect.gen(function*() {
          yield* Fixtures.setLimit("!order", { order: "continue" })
          assert.isUndefined(yield* claim)
          const gated = Fixtures.through("!order=a")
          const [held, last] = yield* Fixtures.add(gated, gated)
          const first = yield* Fixtures.takeOne()
          assert.strictEqual(first.id, held)
          const urgent = yield* Fixtures.addOne({ ...gated, priority: 3 })
          yield* Fixtures.settled(Fixtures.again(first))
          for (const id of [held, urgent, last]) {
            const next = yield* Fixtures.takeOne()
            assert.strictEqual(next.id, id)
            yield* Fixtures.settled(Fixtures.complete(next))
          }
          assert.isUndefined(yield* claim)
        }))
    }))

  it.effect("are there once where they were read before they were told", () =>
    Effect.gen(function*() {
      yield* using(yield* file, () =>
        Effect.gen(function*() {
          yield* Fixtures.setLimit("fair", { fair: 1 })
          assert.isUndefined(yield* claim)
          const gated = Fixtures.through("fair=a")
          const [a, b, c] = yield* Fixtures.add(gated, gated, gated)
          assert.strictEqual(yield* claim, a)
          yield* reschedule(c, { priority: 3 })
          assert.deepStrictEqual([yield* claim, yield* claim, yield* claim], [c, b, undefined])
        }))
    }))

  it.effect("are all found where the file has more than are kept", () =>
    Effect.gen(function*() {
      const [tasks, each] = [60_000, 1000]
      const database = yield* Database.open(Database.inMemory, 0)
      database.exec(`
        WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${tasks - 1})
        INSERT INTO task (id, type, queue, payload, priority, max_retries, state, created_at, due_at, rank, gate)
          SELECT n, 'work', 'default', '', 0, 0, 1, 0, 0, n, json_array('limit=' || (n % 20000)) FROM numbers
      `)
      const lanes = new Lanes(database, 0)
      const end = database.prepare("UPDATE task SET state = 3 WHERE seq IN (SELECT value FROM json_each(?))")
      for (let start = 0; start < tasks; start += each) {
        const taken = lanes.take({ types: ["work"] }, each, 1, 0).map(({ rank }) => rank)
        assert.deepStrictEqual(taken, Array.from({ length: each }, (_, index) => start + index))
        end.run(JSON.stringify(taken.map((rank) => rank + 1)))
      }
    }).pipe(Effect.scoped))
})

/** Lists over a file that a test keeps: which tasks are pending, and which of them a claim has taken without having written so. */
const listsOf = (count: number, isWhole: boolean) => {
  const kept = new Kept()
  const files = Array.from({ length: count }, (): Array<Place> => [])
  let reads = 0
  const lists = files.map((rows) =>
    new Heads<Place>(kept, isWhole, {
      firstAmount: () => 2,
      read: (_, amount, offset) => {
        reads++
        return rows.slice(offset, offset + amount)
      }
    }, "")
  )
  return { kept, files, lists, reads: () => reads }
}

const byPlace = (a: Place, b: Place): number => a.rank - b.rank || a.seq - b.seq

describe("lists of first tasks", () => {
  it("have what the file has, whatever happens to it", () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new SeededRandom(seed, "heads")
      const { files, kept, lists, reads } = listsOf(1, seed % 2 === 0)
      const [file, list] = [files[0]!, lists[0]!]
      const take = (wanted: number): void => {
        let taken = 0
        for (; taken < wanted; taken++) {
          const first = list.first()
          assert.deepStrictEqual(first, file[taken], `seed ${seed}`)
          if (first === undefined) break
          list.shift()
        }
        kept.end()
        file.splice(0, taken)
      }
      for (let seq = 1; seq <= 300; seq++) {
        const draw = random.between(0, 9)
        if (draw < 6) {
          const row = { rank: random.between(0, 99), seq }
          file.push(row)
          file.sort(byPlace)
          list.add(row)
        } else if (draw < 7 && file.length > 0) {
          file.splice(random.between(0, file.length - 1), 1)
          list.left()
        } else take(random.between(0, 6))
      }
      take(Infinity)
      assert.deepStrictEqual([file.length, kept.count], [0, 0])
      // it is not read each time
      assert.isBelow(reads(), 100)
    }
  })

  it("keep a bounded number of tasks, and the tasks of one list not in the room of the others", () => {
    const { files, kept, lists } = listsOf(2, true)
    const fill = (index: number, count: number) => {
      for (let seq = 1; seq <= count; seq++) {
        const row = { rank: 0, seq }
        files[index]!.push(row)
        lists[index]!.add(row)
      }
    }
    fill(0, 200_000)
    assert.isAtMost(kept.count, 25_000)
    fill(1, 10_000)
    assert.isAtLeast(kept.count, 34_000)
    for (const [index, file] of files.entries()) {
      for (const row of file) {
        assert.strictEqual(lists[index]!.first()?.seq, row.seq)
        lists[index]!.shift()
      }
    }
    assert.strictEqual(kept.count, 0)
  })

  it("of parked lines leave room for those of others", () => {
    const { files, kept, lists, reads } = listsOf(1001, true)
    const fill = (index: number, count: number) => {
      for (let seq = 1; seq <= count; seq++) {
        files[index]!.push({ rank: 0, seq })
        lists[index]!.add({ rank: 0, seq })
      }
    }
    for (let index = 1; index <= 1000; index++) fill(index, 100)
    for (const list of lists.slice(1)) list.parked()
    kept.end()
    assert.isAtMost(kept.count, 25_000)
    fill(0, 10_000)
    for (let taken = 0; taken < 10_000; taken++) {
      assert.strictEqual(lists[0]!.first()?.seq, files[0]![taken]!.seq)
      lists[0]!.shift()
    }
    kept.end()
    assert.strictEqual(reads(), 0)
    // and they have all of their tasks when they are looked at again
    for (let index = 1; index <= 1000; index += 99) {
      for (const { seq } of files[index]!) {
        assert.strictEqual(lists[index]!.first()?.seq, seq)
        lists[index]!.shift()
      }
      assert.isUndefined(lists[index]!.first())
    }
  })

  it("keep of what is read as much as there is room for", () => {
    const { files, kept, lists, reads } = listsOf(100_000, false)
    for (const file of files) file.push({ rank: 0, seq: 1 }, { rank: 0, seq: 2 })
    for (let start = 0; start < lists.length; start += 100) {
      for (const list of lists.slice(start, start + 100)) assert.strictEqual(list.first()?.seq, 1)
      kept.end()
      assert.isAtMost(kept.count, 50_000)
    }
    const before = reads()
    for (const list of lists) list.first()
    assert.isAtMost(reads() - before, 75_500)
  })

  it("are read once for many tasks", () => {
    const { files: [file], kept, lists: [list], reads } = listsOf(1, false)
    for (let seq = 1; seq <= 10_000; seq++) file!.push({ rank: 0, seq })
    while (list!.first() !== undefined) {
      list!.shift()
      kept.end()
      file!.shift()
    }
    assert.isAtMost(reads(), 20)
  })
})
