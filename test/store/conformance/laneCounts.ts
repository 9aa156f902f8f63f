import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type LaneCounts, type LaneRange, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  again,
  cancel,
  complete,
  counts,
  everything,
  fail,
  hour,
  minute,
  pause,
  release,
  rerun,
  rescue,
  retention,
  second,
  settled,
  snooze,
  stop,
  take,
  takeOne
} from "./fixtures.ts"

const everywhere = { queues: undefined, types: ["work", "other"] }

/** The lanes of a range in as many answers as it takes. */
const read = Effect.fnUntraced(function*({ limit = 10_000, ...range }: Partial<LaneRange> = {}) {
  const store = yield* TaskStore
  const all: Array<LaneCounts> = []
  let after = range.after
  while (true) {
    const { lanes, more } = yield* store.laneCounts({ ...range, limit: limit - all.length, after })
    all.push(...lanes)
    assert.isAtMost(all.length, limit)
    if (!more || all.length === limit) return all
    assert.isNotEmpty(lanes)
    after = lanes.at(-1)
  }
})

/** `queue/type scheduled pending running` for each. */
const shown = (lanes: ReadonlyArray<LaneCounts>) =>
  lanes.map(({ pending, queue, running, scheduled, type }) => `${queue}/${type} ${scheduled} ${pending} ${running}`)

const namesOf = (lanes: ReadonlyArray<LaneCounts>) => lanes.map(({ queue, type }) => `${queue}/${type}`)

/** All lanes, so many at a time. */
const paged = Effect.fnUntraced(function*(limit: number) {
  const store = yield* TaskStore
  const all: Array<LaneCounts> = []
  while (true) {
    const { lanes, more } = yield* store.laneCounts({ limit, after: all.at(-1) })
    assert.isAtMost(lanes.length, limit)
    all.push(...lanes)
    if (!more) return all
    assert.isNotEmpty(lanes)
  }
})

/** What a list of everything says, in the order of bytes. */
const counted = Effect.map(everything, (tasks) => {
  const lanes = new Map<string, { lane: readonly [string, string]; counts: Record<string, number> }>()
  for (const { queue, state, type } of tasks) {
    const key = JSON.stringify([queue, type])
    const found = lanes.get(key) ?? { lane: [queue, type] as const, counts: {} }
    lanes.set(key, found)
    found.counts[state] = (found.counts[state] ?? 0) + 1
  }
  return [...lanes.values()].sort(({ lane: a }, { lane: b }) =>
    Buffer.from(a[0]).compare(Buffer.from(b[0])) || Buffer.from(a[1]).compare(Buffer.from(b[1]))
  ).map(({ counts, lane: [queue, type] }) =>
    `${queue}/${type} ${counts["scheduled"] ?? 0} ${counts["pending"] ?? 0} ${counts["running"] ?? 0}`
  )
})

/** Counts by queue and type are what a list says, and add up to the counts of the store. */
const check = Effect.fnUntraced(function*(step: string) {
  const lanes = yield* read()
  assert.deepStrictEqual(shown(lanes), yield* counted, step)
  const { pending, running, scheduled } = yield* counts
  const sum = (state: "scheduled" | "pending" | "running") => lanes.reduce((total, lane) => total + lane[state], 0)
  assert.deepStrictEqual([sum("scheduled"), sum("pending"), sum("running")], [scheduled, pending, running], step)
})

/** Counts by queue and type, and the list of those that have tasks. */
export const laneCounts = (driver: Driver) =>
  describe("counts by queue and type", () => {
    scenario(driver, "are none in a new store", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* read(), [])
        yield* pause("empty", true)
        assert.deepStrictEqual(yield* read(), [])
      }))

    scenario(driver, "equal what a list says after every step of a busy day", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const ids = yield* add(
          { queue: "a" },
          { queue: "a", type: "other" },
          { queue: "b" },
          { queue: "a" },
          { queue: "b", type: "other" },
          { queue: "c" },
          { queue: "a", delayMs: minute },
          { queue: "d", delayMs: 2 * minute },
          { queue: "a" },
          { queue: "a" },
          { queue: "a" }
        )
        yield* check("enqueue")
        const [a, b, c, d, e] = yield* take({ ...everywhere, limit: 7, leaseForMs: 90 * second })
        yield* check("claim")
        yield* settled(complete(a!))
        yield* settled(fail(b!))
        yield* settled(again(c!, minute))
        yield* settled(snooze(d!, 0))
        yield* check("settle")
        yield* cancel(e!.id)
        yield* cancel(ids[9]!)
        yield* cancel(ids[7]!)
        yield* check("cancel")
        yield* driver.advance("100 seconds")
        yield* check("time")
        assert.isAbove((yield* rescue()).length, 0)
        yield* check("rescue")
        yield* take({ ...everywhere, limit: 1 })
        yield* check("promotion")
        yield* rerun(b!.id)
        yield* rerun(ids[7]!)
        yield* check("rerun")
        yield* settled(release(yield* takeOne(everywhere)))
        yield* check("release")
        yield* store.remove([ids[9]!])
        yield* check("remove")
        yield* store.prune(retention({ maxFinished: 0 }), 100)
        yield* check("prune")
        yield* pause("a", true)
        yield* check("pause")
      }))

    scenario(driver, "name those whose tasks have all finished, until the last of them goes", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [kept, ...gone] = yield* add({ queue: "a" }, { queue: "b0" }, { queue: "b1" }, { queue: "b2" })
        const [a, b, c, d] = yield* take(everywhere)
        for (const end of [complete(a!), complete(b!), fail(c!), stop(d!)]) {
          yield* settled(end)
        }
        const all = ["a/work 0 0 0", "b0/work 0 0 0", "b1/work 0 0 0", "b2/work 0 0 0"]
        assert.deepStrictEqual(shown(yield* read()), all)
        yield* store.prune(retention(), 100)
        assert.deepStrictEqual(shown(yield* read()), all)
        yield* store.remove(gone.slice(0, 1))
        assert.deepStrictEqual(shown(yield* read()), ["a/work 0 0 0", ...all.slice(2)])
        yield* rerun(gone[1])
        assert.deepStrictEqual(shown(yield* read()), ["a/work 0 0 0", "b1/work 0 1 0", "b2/work 0 0 0"])
        yield* driver.advance(hour)
        yield* store.prune(retention({ finishedForMs: minute }), 100)
        assert.deepStrictEqual(shown(yield* read()), ["b1/work 0 1 0"])
        yield* store.prune(retention(), 100)
        yield* cancel(gone[1])
        yield* store.remove([gone[1], kept])
        assert.deepStrictEqual(yield* read(), [])
        yield* add({ queue: "a" })
        yield* store.prune(retention(), 100)
        assert.deepStrictEqual(shown(yield* read()), ["a/work 0 1 0"])
      }))

    const names = [
      "",
      "\u0001",
      " ",
      "!",
      "\"",
      "\",\"",
      "%",
      "%2F",
      "'",
      "*",
      ",",
      "..",
      "/",
      "A",
      "[",
      "\\",
      "\\\"",
      "\\u0041",
      "__proto__",
      "a",
      "a\u0001",
      "a!",
      "a/b",
      "a\nb",
      "aa",
      "constructor",
      "toString",
      "\u007f",
      "ä",
      "ﬀ",
      "\ufffd",
      "\u{10000}",
      "\u{1F600}",
      "x".repeat(255)
    ]

    scenario(driver, "come in the order of the bytes of names, which may be written in any way", () =>
      Effect.gen(function*() {
        yield* add(
          ...names.toReversed().map((queue) => ({ queue })),
          ...names.map((type) => ({ queue: "a", type: `${type}.` })),
          ...names.map((queue) => ({ queue, type: "\u{1F600}", delayMs: hour }))
        )
        const all = yield* read()
        assert.deepStrictEqual(shown(all), yield* counted)
        assert.strictEqual(all.length, 3 * names.length)
        for (const limit of [1, 2, 50]) {
          assert.deepStrictEqual(yield* paged(limit), all, `${limit} at a time`)
        }
        for (const queue of names) {
          const own = all.filter((lane) =>
            lane.queue === queue
          )
          const later = all.slice(
            all.findLastIndex((lane) =>
              lane.queue === queue
            ) + 1
          )
          assert.deepStrictEqual(yield* read({ queue }), own, queue)
          assert.deepStrictEqual(yield* read({ queue, after: own[0] }), own.slice(1), queue)
          assert.deepStrictEqual(yield* read({ after: { queue } }), later, queue)
          assert.deepStrictEqual(yield* read({ after: own.at(-1) }), later, queue)
        }
      }))

    scenario(driver, "begin after a queue or a type that has no tasks", () =>
      Effect.gen(function*() {
        yield* add({ queue: "b" }, { queue: "b", type: "y" }, { queue: "d" })
        assert.deepStrictEqual(namesOf(yield* read({ after: { queue: "a" } })), ["b/work", "b/y", "d/work"])
        assert.deepStrictEqual(namesOf(yield* read({ after: { queue: "b", type: "x" } })), ["b/y", "d/work"])
        assert.deepStrictEqual(namesOf(yield* read({ after: { queue: "c", type: "zzz" } })), ["d/work"])
        assert.deepStrictEqual(yield* read({ after: { queue: "e" } }), [])
        assert.deepStrictEqual(yield* read({ queue: "c" }), [])
        assert.deepStrictEqual(namesOf(yield* read({ limit: 2 })), ["b/work", "b/y"])
      }))

    scenario(driver, "tell since when the first pending task in the order of work is due", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const dueAt = Effect.fnUntraced(function*(id: string) {
          return (yield* store.get(id))!.dueAt
        })
        const [first] = yield* add({ queue: "q" }, { queue: "q" }, { queue: "later", delayMs: hour })
        yield* driver.advance(minute)
        const before = yield* store.laneCounts({ limit: 10 })
        assert.deepStrictEqual(
          before.lanes.map(({ waitingSince }) =>
            waitingSince
          ),
          [null, yield* dueAt(first)]
        )
        assert.isAtLeast(before.now, (yield* dueAt(first)) + minute)
        const [urgent] = yield* add({ queue: "q", priority: 3 })
        assert.strictEqual((yield* read({ queue: "q" }))[0]!.waitingSince, yield* dueAt(urgent))
        yield* take({ queues: ["q"], limit: 3 })
        assert.strictEqual((yield* read({ queue: "q" }))[0]!.waitingSince, null)
      }), { headStart: hour })

    scenario(driver, "have what nothing can run, and nothing else that waits in vain", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ queue: "a" }, { queue: "a", type: "other" }, { queue: "b", delayMs: minute }, { queue: "c" })
        yield* takeOne({ queues: ["c"] })
        yield* driver.advance(hour)
        const stranded = yield* store.stranded([], 100)
        const waiting = (yield* read()).filter(({ pending }) =>
          pending > 0
        )
        assert.sameDeepMembers(
          [...stranded],
          waiting.map(({ queue, type, waitingSince }) => ({ queue, type, since: waitingSince! }))
        )
      }))

    const many = (count: number) => Array.from({ length: count }, (_, index) => index)

    scenario(driver, "are read in parts from 1,500 queues and from 1,500 types of one queue", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add(...many(1500).map((index) => ({ queue: `q${index}` })))
        yield* add(...many(1500).map((index) => ({ queue: "q7", type: `t${index}` })))
        yield* add(...many(300).map(() => ({ queue: "q7" })))
        const claimed = yield* take({ queues: ["q3", "q7"], limit: 100 })
        yield* store.settle(
          claimed.slice(0, 50).map((one) =>
            complete(one)
          )
        )
        const all = yield* paged(1000)
        assert.strictEqual(all.length, 3000)
        assert.deepStrictEqual(yield* paged(777), all)
        assert.strictEqual((yield* read({ queue: "q7" })).length, 1501)
        assert.strictEqual((yield* read({ queue: "q7", limit: 1500 })).length, 1500)
        assert.deepStrictEqual(shown(all), yield* counted)
      }), { capacity: 4000 })
  })
