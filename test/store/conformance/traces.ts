import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type NewTask, RecordStore, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addAll,
  again,
  hour,
  minute,
  record,
  request,
  rerun,
  running,
  second,
  settled,
  stateOf,
  stop,
  take,
  task,
  tasks,
  through
} from "./fixtures.ts"

/** The text of a span, by a number. */
const span = (number: number): string => `00-${"a".repeat(31)}${number % 10}-${"b".repeat(15)}${number % 10}-01`

export const traces = (driver: Driver) =>
  describe("traces", () => {
    scenario(driver, "are kept with a task, whatever else it has", () =>
      Effect.gen(function*() {
        const fields: ReadonlyArray<Partial<NewTask>> = [
          {},
          { timeoutMs: 5 * second },
          { key: "key", payload: `{"a":"1,2;3"}` },
          { key: "unique", unique: { window: "waiting", onConflict: "replace", byMs: 0, maxMs: 0 } as const },
          through("tenant:1"),
          { ...through(["rate:1", 2]), timeoutMs: minute },
          { delayMs: second, expiresInMs: hour },
          { startWithinMs: minute }
        ]
        for (const [index, field] of fields.entries()) {
          const [id] = yield* add({ ...field, trace: span(index) })
          const [other] = yield* add({ ...field, ...(field.key ? { key: `${field.key}-other` } : {}) })
          assert.deepInclude(yield* record(id), { trace: span(index), timeoutMs: field.timeoutMs ?? null })
          assert.deepInclude(yield* record(other), { trace: null, timeoutMs: field.timeoutMs ?? null })
        }
        const [first, later] = yield* add({ trace: span(1) }, {})
        yield* addAll([{ id: "after", after: [first, later], trace: span(2) }, { id: "last", after: [first] }])
        assert.strictEqual((yield* record("after")).trace, span(2))
        assert.strictEqual((yield* record("last")).trace, null)
      }))

    scenario(driver, "are those of each task of a group", () =>
      Effect.gen(function*() {
        const group = Array.from(
          { length: 20 },
          (_, index) => task({ id: `one-${index}`, ...(index % 3 === 0 && { trace: span(index) }) })
        )
        const alike = tasks(20, { trace: span(7) })
        yield* addAll(group)
        yield* addAll(alike)
        const given = new Map((yield* take({ limit: 100 })).map(({ id, trace }) => [id, trace]))
        assert.strictEqual(given.size, 40)
        for (const { id, trace = null } of [...group, ...alike]) {
          assert.strictEqual(given.get(id), trace)
          assert.strictEqual((yield* record(id)).trace, trace)
        }
      }))

    scenario(driver, "go with every claim of a task", () =>
      Effect.gen(function*() {
        const [id] = yield* add({ trace: span(1), timeoutMs: second })
        const asked = request()
        const [first] = (yield* TaskStore.use((store) => store.claim(asked))).tasks
        assert.deepInclude(first, { id, trace: span(1), timeoutMs: second })
        const [repeated] = (yield* TaskStore.use((store) => store.claim(asked))).tasks
        assert.deepStrictEqual(repeated, first)
        yield* settled(again(first!))
        const [later] = yield* take()
        assert.deepInclude(later, { id, trace: span(1), attempt: 2, timeoutMs: second })
        yield* settled(stop(later!))
        assert.deepStrictEqual(yield* rerun(id), { _tag: "rerun" })
        const [third] = yield* take()
        assert.deepInclude(third, { id, trace: span(1), attempt: 3 })
        assert.strictEqual(yield* stateOf(id), "running")
      }))

    scenario(driver, "stay what they were when a task is revised", () =>
      Effect.gen(function*() {
        const unique = { window: "waiting", onConflict: "replace", byMs: 0, maxMs: 0 } as const
        const [id] = yield* add({ key: "k", unique, payload: "1", trace: span(1), timeoutMs: second })
        yield* TaskStore.use((store) => store.enqueue([[task({ key: "k", unique, payload: "2", trace: span(2) })]]))
        assert.deepInclude(yield* record(id), { payload: "2", trace: span(1), timeoutMs: second })
        yield* TaskStore.use((store) =>
          store.reschedule([{ id, type: "work", queue: "default", payload: "3", ...through(["rate:1", 3]) }])
        )
        assert.deepInclude(yield* record(id), { payload: "3", trace: span(1), timeoutMs: second })
        const [claimed] = yield* take()
        assert.deepInclude(claimed, { id, trace: span(1), timeoutMs: second })
      }))

    scenario(driver, "are kept of tasks that are written with records and ends", () =>
      Effect.gen(function*() {
        const { id: ended, claim } = yield* running()
        yield* RecordStore.use((store) =>
          store.atomically("traces", {
            tasks: [task({ id: "with", trace: span(3) }), task({ id: "without" })],
            settlements: [{ _tag: "Complete", id: ended, claim, result: "1" }]
          })
        )
        assert.strictEqual((yield* record("with")).trace, span(3))
        assert.strictEqual((yield* record("without")).trace, null)
      }))
  })
