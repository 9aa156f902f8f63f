import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type ListedTasks, type TaskListRequest, TaskState, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  again,
  cancel,
  complete,
  everything,
  fail,
  failure,
  hour,
  idsOf,
  inState,
  minute,
  record,
  running,
  settled,
  take,
  tasks
} from "./fixtures.ts"

const isLast = ({ next }: ListedTasks): boolean => next === undefined

export const reading = (driver: Driver) =>
  describe("reads", () => {
    const list = (fields: Partial<TaskListRequest>) =>
      Effect.map(TaskStore.use((store) => store.list({ limit: 100, ...fields })), ({ tasks }) => idsOf(tasks))

    scenario(driver, "get answers undefined for an unknown id", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        assert.strictEqual(yield* store.get("unknown"), undefined)
      }))

    scenario(driver, "get and list show the same record", () =>
      Effect.gen(function*() {
        for (
          const state of ["completed", "failed", "cancelled", "expired", "running", "scheduled", "pending"] as const
        ) {
          yield* inState(state, { key: state, timeoutMs: 5 })
        }
        const listed = yield* everything
        assert.strictEqual(listed.length, 7)
        for (const found of listed) assert.deepStrictEqual(yield* record(found.id), found)
      }))

    scenario(driver, "a record that was read does not change afterwards", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        const before = yield* record(claimed.id)
        const copy = structuredClone(before)
        yield* settled(again(claimed, minute))
        yield* cancel(claimed.id)
        assert.deepStrictEqual(before, copy)
      }))

    scenario(driver, "results tells finished, unfinished and unknown apart, in order", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* running()
        yield* settled(complete(claimed, `{"ok":true}`))
        const failed = yield* inState("failed")
        const cancelled = yield* inState("cancelled")
        const others = [yield* inState("running"), yield* inState("scheduled"), yield* inState("pending")]
        const asked = [...others, failed, "unknown", claimed.id, cancelled, claimed.id]
        const answers = yield* store.results(asked)
        const completed = { id: claimed.id, state: "completed", result: `{"ok":true}`, failure: null } as const
        assert.deepStrictEqual(answers, [
          undefined,
          undefined,
          undefined,
          { id: failed, state: "failed", result: null, failure },
          null,
          completed,
          { id: cancelled, state: "cancelled", result: null, failure: null },
          completed
        ])
        assert.deepStrictEqual(yield* store.results([]), [])
        assert.deepStrictEqual(yield* store.awaitResults(asked), answers)
        assert.deepStrictEqual(yield* store.awaitResults([]), [])
      }))

    scenario(driver, "results takes many ids", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const group = tasks(1500)
        yield* add(...group)
        const answers = yield* store.results([...idsOf(group), "unknown"])
        assert.strictEqual(answers.length, 1501)
        assert.strictEqual(answers[1500], null)
        assert.isTrue(answers.slice(0, 1500).every((answer) => answer === undefined))
      }), { capacity: 2000 })

    scenario(driver, "list shows the newest first and no more than its limit", () =>
      Effect.gen(function*() {
        const ids = yield* add({}, {}, {}, {})
        assert.deepStrictEqual(yield* list({}), ids.toReversed())
        assert.deepStrictEqual(yield* list({ limit: 3 }), ids.toReversed().slice(0, 3))
        assert.deepStrictEqual(yield* list({ limit: 0 }), [])
      }))

    scenario(driver, "list pages through everything once, also while tasks are added and removed", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const finished = yield* inState("cancelled")
        const ids = [finished, ...yield* add(...tasks(8))]
        const first = yield* store.list({ limit: 4 })
        yield* add({}, {})
        yield* store.remove([finished])
        const second = yield* store.list({ limit: 4, before: first.next })
        const third = yield* store.list({ limit: 4, before: second.tasks.at(-1)!.seq })
        const pages = [first, second, third]
        assert.deepStrictEqual(
          idsOf(pages.flatMap(({ tasks }) =>
            tasks
          )),
          ids.slice(1).toReversed()
        )
        assert.deepStrictEqual(pages.map(isLast), [false, true, true])
      }))

    scenario(
      driver,
      "list shows what fits into its bytes, the first task in any case, and says whether there are more",
      () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          const payload = JSON.stringify("x".repeat(998))
          const ids = (yield* add(...Array.from({ length: 6 }, () => ({ payload })))).toReversed()
          for (const filter of [{}, { states: ["pending"] as const }, { types: ["work"] }, { queues: ["default"] }]) {
            const page = (maxBytes: number, limit = 100) =>
              store.list({ limit, maxBytes, ...filter })
            const all = yield* page(1_000_000)
            assert.deepStrictEqual([idsOf(all.tasks), isLast(all)], [ids, true])
            const three = yield* page(3500)
            assert.deepStrictEqual([idsOf(three.tasks), isLast(three)], [ids.slice(0, 3), false])
            const rest = yield* store.list({ limit: 100, maxBytes: 3500, before: three.next, ...filter })
            assert.deepStrictEqual([idsOf(rest.tasks), isLast(rest)], [ids.slice(3), true])
            const one = yield* page(1)
            assert.deepStrictEqual([idsOf(one.tasks), isLast(one)], [ids.slice(0, 1), false])
            const last = yield* store.list({ limit: 100, maxBytes: 1, before: rest.tasks[1]!.seq, ...filter })
            assert.deepStrictEqual([idsOf(last.tasks), isLast(last)], [ids.slice(5), true])
            assert.isTrue(isLast(yield* page(1_000_000, 6)))
            assert.isFalse(isLast(yield* page(1_000_000, 5)))
          }
        })
    )

    scenario(driver, "results ends with what fits into its bytes, and answers the first in any case", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* Effect.forEach([1, 2, 3, 4], () =>
          running())
        const result = JSON.stringify("x".repeat(998))
        for (const task of claimed) {
          yield* settled(complete(task, result))
        }
        const waiting = yield* inState("pending")
        const [a, b, c, d] = idsOf(claimed)
        const outcome = (id: string) => ({ id, state: "completed", result, failure: null } as const)
        const asked = [waiting, a!, "unknown", b!, c!, d!, waiting]
        assert.deepStrictEqual(yield* store.results(asked, 2500), [
          undefined,
          outcome(a!),
          null,
          outcome(b!)
        ])
        assert.deepStrictEqual(yield* store.results([c!, d!, waiting], 1), [outcome(c!)])
        assert.lengthOf(yield* store.results(asked, 1_000_000), asked.length)
        assert.deepStrictEqual(yield* store.awaitResults(asked, 2500), yield* store.results(asked, 2500))
      }))

    scenario(driver, "list pages through tasks of many queues, newest first", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const ids: Array<string> = []
        for (let round = 0; round < 3; round++) {
          ids.push(...yield* add(...Array.from({ length: 300 }, (_, n) => ({ queue: `q${n % (120 + round)}` }))))
          yield* add(...Array.from({ length: 20 }, (_, n) => ({ queue: `later${n}`, delayMs: hour })))
        }
        yield* TaskStore.use((store) =>
          store.cancel(ids.filter((_, index) =>
            index % 7 === 0
          ))
        )
        const pages = Effect.fnUntraced(function*(request: TaskListRequest) {
          const found: Array<string> = []
          let before: number | undefined
          for (;;) {
            const { next, tasks } = yield* store.list({ ...request, before })
            found.push(...idsOf(tasks))
            if (next === undefined) return found
            before = next
          }
        })
        const isCancelled = (_: string, index: number) => index % 7 === 0
        for (const limit of [13, 250, 1000]) {
          assert.deepStrictEqual(
            yield* pages({ limit, states: ["pending", "cancelled"] }),
            ids.toReversed()
          )
          assert.deepStrictEqual(yield* pages({ limit, states: ["cancelled"] }), ids.filter(isCancelled).toReversed())
        }
        assert.lengthOf(yield* pages({ limit: 100 }), 960)
      }), { capacity: 2000 })

    scenario(driver, "list finds what is rare among many tasks of many queues, by pages that have an end", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const oldest = yield* add(
          { type: "rare", queue: "q1" },
          { type: "rare" },
          { type: "rare", queue: "", delayMs: hour }
        )
        const ids = yield* add(...Array.from({ length: 2600 }, (_, n) => ({ queue: `q${n % 700}` })))
        const newest = yield* add({ type: "rare", queue: "q2" })
        const claimed = yield* take({ queues: undefined, limit: 2000 })
        yield* store.settle(claimed.map((one, index) =>
          index % 100 === 0 ? fail(one) : complete(one)
        ))
        const gone = new Set(ids.slice(300, 1500).filter((_, index) => index % 100 !== 0))
        yield* store.remove([...gone])
        const all = Effect.fnUntraced(function*(request: Partial<TaskListRequest>) {
          const found: Array<string> = []
          let before: number | undefined
          for (let page = 0; page < 200; page++) {
            const { next, tasks } = yield* store.list({ limit: 7, ...request, before })
            found.push(...idsOf(tasks))
            if (next === undefined) return found.toReversed()
            if (before !== undefined) assert.isBelow(next, before)
            before = next
          }
          return assert.fail("The pages have no end")
        })
        const kept = ids.filter((id) => !gone.has(id))
        const claimedIds = idsOf(claimed)
        const failed = claimedIds.filter((id, index) => index % 100 === 0 && !gone.has(id))
        assert.deepStrictEqual(yield* all({ types: ["rare"] }), [...oldest, ...newest])
        assert.deepStrictEqual(yield* all({ types: ["rare"], queues: ["q1", "q2"] }), [oldest[0], ...newest])
        assert.deepStrictEqual(yield* all({ types: ["rare"], states: ["scheduled"] }), oldest.slice(2))
        assert.deepStrictEqual(yield* all({ types: ["never"] }), [])
        assert.deepStrictEqual(yield* all({ queues: ["never"] }), [])
        assert.deepStrictEqual(yield* all({ states: ["cancelled"] }), [])
        assert.deepStrictEqual(yield* all({ states: ["failed"] }), ids.filter((id) => failed.includes(id)))
        assert.deepStrictEqual(yield* all({ queues: ["q7"] }), kept.filter((id) => (ids.indexOf(id) % 700) === 7))
        assert.deepStrictEqual(yield* all({ limit: 300 }), [...oldest, ...kept, ...newest])
      }), { capacity: 3000 })

    scenario(driver, "list filters by state", () =>
      Effect.gen(function*() {
        const byState = new Map<TaskState.TaskState, string>()
        for (
          const state of ["completed", "failed", "cancelled", "expired", "running", "scheduled", "pending"] as const
        ) {
          byState.set(state, yield* inState(state))
        }
        for (const state of TaskState.all) {
          assert.deepStrictEqual(yield* list({ states: [state] }), [byState.get(state)!])
        }
        assert.deepStrictEqual(
          yield* list({ states: ["scheduled", "completed"] }),
          [byState.get("scheduled")!, byState.get("completed")!]
        )
        assert.strictEqual((yield* list({ states: undefined })).length, 7)
      }))

    scenario(driver, "list filters by type and queue, exactly and together, within the limit", () =>
      Effect.gen(function*() {
        const [ax, ay, bx, by, ax2] = yield* add(
          { type: "a", queue: "x" },
          { type: "a", queue: "y" },
          { type: "b", queue: "x" },
          { type: "b", queue: "y" },
          { type: "a", queue: "x" }
        )
        assert.deepStrictEqual(yield* list({ types: ["a"] }), [ax2, ay, ax])
        assert.deepStrictEqual(yield* list({ queues: ["y"] }), [by, ay])
        assert.deepStrictEqual(yield* list({ types: ["a"], queues: ["x"] }), [ax2, ax])
        assert.deepStrictEqual(yield* list({ types: ["a", "b"], queues: ["x"], states: ["pending"] }), [ax2, bx, ax])
        assert.deepStrictEqual(yield* list({ types: ["A", "a%", "_"] }), [])
        assert.deepStrictEqual(yield* list({ types: ["a"], limit: 2 }), [ax2, ay])
        const { seq } = yield* record(ax2!)
        assert.deepStrictEqual(yield* list({ types: ["a"], queues: ["x"], before: seq }), [ax])
      }))
  })
