import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type Runnable, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  again,
  cancel,
  complete,
  hour,
  idsOf,
  minute,
  pause,
  release,
  rerun,
  rescue,
  second,
  settled,
  take,
  takeIds,
  takeOne,
  task,
  tasks
} from "./fixtures.ts"

/** Queues and types: claims from all of them, many of them, and those that nobody can run. */
export const lanes = (driver: Driver) =>
  describe("queues and types", () => {
    const everywhere = { queues: undefined }

    const stranded = (runnable: ReadonlyArray<Runnable>, limit = 1000) =>
      Effect.map(
        TaskStore.use((store) => store.stranded(runnable, limit)),
        (found) => found.map(({ queue, type }) => `${queue}/${type}`).toSorted()
      )

    scenario(driver, "are all claimed from when no queue is named, by rank", () =>
      Effect.gen(function*() {
        const ids = yield* add({ queue: "a" }, { queue: "never heard of" }, { queue: "a" }, { queue: "", priority: 2 })
        assert.deepStrictEqual(yield* takeIds({ ...everywhere, limit: 3 }), [ids[3], ids[0], ids[1]])
        assert.deepStrictEqual(yield* takeIds(everywhere), [ids[2]])
      }))

    scenario(driver, "are not claimed from while they are paused, nor for other types", () =>
      Effect.gen(function*() {
        const [, b, other] = yield* add({ queue: "a" }, { queue: "b" }, { queue: "b", type: "other" }, { queue: "a" })
        yield* pause("a", true)
        assert.deepStrictEqual(yield* takeIds(everywhere), [b])
        assert.deepStrictEqual(yield* takeIds({ ...everywhere, types: ["other"] }), [other])
        yield* pause("a", false)
        assert.strictEqual((yield* take(everywhere)).length, 2)
      }))

    scenario(driver, "may be written in any way", () =>
      Effect.gen(function*() {
        const names = [
          "\"",
          "\\",
          "\\\"",
          "\",\"",
          "a\",\"b",
          "[",
          "]",
          ",",
          "a\nb",
          "ä",
          "\u{1F600}",
          "*",
          "%",
          "'",
          " "
        ]
        for (const type of names) {
          const ids = yield* add(...names.map((queue) => ({ queue, type })), { type: `${type}"`, queue: "q" })
          assert.deepStrictEqual(yield* takeIds({ ...everywhere, types: [type] }), ids.slice(0, -1))
          const [some] = yield* add({ queue: type }, { queue: `${type}"` }, { queue: `"${type}` })
          assert.deepStrictEqual(yield* takeIds({ queues: [type] }), [some])
          assert.deepStrictEqual(
            yield* takeIds({ queues: [`${type}"`, `"${type}`] }).pipe(Effect.map((ids) => ids.length)),
            2
          )
          assert.strictEqual((yield* take({ ...everywhere, types: [`${type}"`] })).length, 1)
        }
        assert.deepStrictEqual(yield* stranded([]), [])
      }))

    const many = (count: number) => Array.from({ length: count }, (_, index) => index)

    scenario(driver, "may be 1,000 each, claimed in one order", () =>
      Effect.gen(function*() {
        const ids = yield* add(
          ...many(3000).map((index) => ({ queue: `q${index % 1000}`, type: `t${(index * 7) % 1000}` }))
        )
        const types = many(1000).map((index) => `t${index}`)
        const queues = many(1000).map((index) => `q${index}`)
        assert.deepStrictEqual(yield* takeIds({ ...everywhere, types, limit: 700 }), ids.slice(0, 700))
        assert.deepStrictEqual(yield* takeIds({ queues, types, limit: 1300 }), ids.slice(700, 2000))
        assert.deepStrictEqual(yield* takeIds({ ...everywhere, types, limit: 5000 }), ids.slice(2000))
        assert.deepStrictEqual(yield* takeIds({ ...everywhere, types }), [])
        assert.deepStrictEqual(yield* stranded([]), [])
      }), { capacity: 3000 })

    scenario(driver, "with much work each share a claim, in one order", () =>
      Effect.gen(function*() {
        const ids = yield* add(...many(400).map((index) => ({ queue: `q${index % 4}` })))
        assert.deepStrictEqual(yield* takeIds({ ...everywhere, limit: 150 }), ids.slice(0, 150))
        assert.deepStrictEqual(yield* takeIds({ queues: ["q0", "q1", "q2", "q3"], limit: 150 }), ids.slice(150, 300))
        assert.deepStrictEqual(yield* takeIds({ ...everywhere, limit: 150 }), ids.slice(300))
      }), { capacity: 1000 })

    scenario(driver, "that nobody can run, however many, hold up none of the others", () =>
      Effect.gen(function*() {
        yield* add(...many(1500).map((index) => ({ queue: `q${index}`, type: "unknown" })))
        yield* add(...tasks(500, { type: "unknown" }))
        yield* add(...tasks(500, { queue: "paused" }))
        yield* pause("paused", true)
        const ids = yield* add({ queue: "q7" }, { queue: "q5", priority: 2 }, { queue: "q9" }, { queue: "q7" })
        assert.deepStrictEqual(yield* takeIds({ ...everywhere, limit: 2 }), [ids[1], ids[0]])
        assert.deepStrictEqual(yield* takeIds({ queues: ["q9", "q7", "absent"] }), [ids[2], ids[3]])
        assert.deepStrictEqual(yield* takeIds(everywhere), [])
      }), { capacity: 3000 })

    scenario(driver, "are named when they have pending tasks that nobody can run", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ queue: "a" }, { queue: "b" }, { queue: "b", type: "other" }, { queue: "c", delayMs: hour })
        yield* add(...tasks(3, { queue: "a" }))
        assert.deepStrictEqual(yield* stranded([]), ["a/work", "b/other", "b/work"])
        assert.deepStrictEqual(yield* stranded([{ types: ["work"] }]), ["b/other"])
        assert.deepStrictEqual(yield* stranded([{ types: ["work", "other"], queues: ["a"] }]), ["b/other", "b/work"])
        assert.deepStrictEqual(
          yield* stranded([{ types: ["work"], queues: ["a"] }, { types: ["other"] }, {
            types: ["work"],
            queues: ["x"]
          }]),
          ["b/work"]
        )
        assert.deepStrictEqual(yield* stranded([{ types: ["work", "other"] }, { types: ["work"], queues: ["a"] }]), [])
        assert.strictEqual((yield* stranded([], 2)).length, 2)
        const { dueAt } = (yield* store.list({ limit: 1, queues: ["b"], types: ["other"] })).tasks[0]!
        assert.deepStrictEqual(yield* store.stranded([{ types: ["work"] }], 10), [
          { queue: "b", type: "other", since: dueAt }
        ])
      }))

    scenario(driver, "are named when their tasks have become due and nothing has claimed since", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ queue: "q", delayMs: minute }, { queue: "later", delayMs: 2 * hour })
        const { dueAt } = (yield* store.list({ limit: 1, queues: ["q"] })).tasks[0]!
        assert.deepStrictEqual(yield* stranded([]), [])
        yield* driver.advance(hour)
        assert.deepStrictEqual(yield* store.stranded([{ types: ["other"] }], 10), [
          { queue: "q", type: "work", since: dueAt }
        ])
        assert.deepStrictEqual(yield* stranded([{ types: ["work"] }]), [])
        assert.strictEqual((yield* take(everywhere)).length, 1)
      }))

    scenario(driver, "are found among 1,500 that somebody can run", () =>
      Effect.gen(function*() {
        yield* add(...many(1500).map((index) => ({ queue: `q${index}`, type: index % 2 === 0 ? "work" : "other" })))
        const queues = many(1500).filter((index) =>
          index !== 1234
        ).map((index) =>
          `q${index}`
        )
        assert.deepStrictEqual(yield* stranded([{ types: ["other"] }, { types: ["work"], queues }]), ["q1234/work"])
      }), { capacity: 2000 })

    scenario(driver, "are forgotten with their last pending task, and known again with the next", () =>
      Effect.gen(function*() {
        const [id] = yield* add({ queue: "q", maxRetries: 9 })
        assert.deepStrictEqual(yield* stranded([]), ["q/work"])
        yield* settled(release(yield* takeOne(everywhere)))
        assert.deepStrictEqual(yield* stranded([]), ["q/work"])
        const retried = yield* takeOne(everywhere)
        assert.deepStrictEqual(yield* stranded([]), [])
        yield* settled(again(retried, second))
        assert.deepStrictEqual(yield* stranded([]), [])
        yield* driver.advance(minute)
        yield* takeIds({ limit: 0 })
        assert.deepStrictEqual(yield* stranded([]), ["q/work"])
        yield* cancel(id!)
        assert.deepStrictEqual(yield* stranded([]), [])
        yield* rerun(id!)
        assert.deepStrictEqual(yield* stranded([]), ["q/work"])
        yield* takeOne({ ...everywhere, leaseForMs: second })
        yield* driver.advance(minute)
        yield* rescue()
        assert.deepStrictEqual(yield* stranded([]), ["q/work"])
        yield* settled(complete(yield* takeOne(everywhere)))
        assert.deepStrictEqual(yield* stranded([]), [])
      }))

    scenario(driver, "keep their order when tasks leave, return and overtake", () =>
      Effect.gen(function*() {
        const ids = yield* add(...many(60).map((index) => ({ queue: `q${index % 20}` })))
        for (const index of [0, 20, 1, 59]) {
          yield* cancel(ids[index]!)
        }
        const [urgent] = yield* add({ queue: "q3", priority: 3 })
        const claimed = yield* take({ ...everywhere, limit: 3 })
        assert.deepStrictEqual(idsOf(claimed), [urgent!, ids[2]!, ids[3]!])
        yield* settled(release(claimed[1]!))
        yield* driver.advance(second)
        yield* rerun(ids[1]!)
        const left = ids.filter((_, index) =>
          ![0, 1, 3, 20, 59].includes(index)
        )
        assert.deepStrictEqual(yield* takeIds(everywhere), [...left, ids[1]!])
        assert.deepStrictEqual(yield* stranded([]), [])
      }))

    scenario(driver, "of groups that were refused are not known", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ key: "k", payload: "1" })
        yield* store.enqueue([
          [task({ queue: "refused" }), task({ key: "k", payload: "2" })],
          tasks(20, { queue: "too many" })
        ])
        assert.deepStrictEqual(yield* stranded([]), ["default/work"])
      }), { capacity: 10 })
  })
