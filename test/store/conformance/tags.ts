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
  rerun,
  running,
  second,
  settled,
  stop,
  take,
  task,
  tasks,
  through
} from "./fixtures.ts"

/** Texts of tags with all that a store may use to hold its own parts together. */
const texts: ReadonlyArray<string> = [
  `["invoice","eu"]`,
  `["a,b;c","d\\te|f","g\\nh","\\u0000"]`,
  `["ä","a\u0308","日本","👩‍💻","%2C%"]`,
  `["'; DROP TABLE task; --","<b>","\\"\\\\"]`,
  JSON.stringify(Array.from({ length: 10 }, (_, index) => `${index}${"x".repeat(63)}`))
]

const text = (number: number): string => texts[number % texts.length]!

const span = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`

export const tags = (driver: Driver) =>
  describe("tags", () => {
    scenario(driver, "are kept with a task, whatever else it has", () =>
      Effect.gen(function*() {
        const fields: ReadonlyArray<Partial<NewTask>> = [
          {},
          { timeoutMs: 5 * second },
          { trace: span },
          { trace: span, timeoutMs: minute, ...through(["rate:1", 2]) },
          { key: "key", payload: `{"a":"1,2;3"}` },
          { key: "unique", unique: { window: "waiting", onConflict: "replace", byMs: 0, maxMs: 0 } as const },
          through("tenant:1"),
          { delayMs: second, expiresInMs: hour },
          { startWithinMs: minute }
        ]
        for (const [index, field] of fields.entries()) {
          const [id] = yield* add({ ...field, tags: text(index) })
          const [other] = yield* add({ ...field, ...(field.key ? { key: `${field.key}-other` } : {}) })
          const alike = { timeoutMs: field.timeoutMs ?? null, trace: field.trace ?? null, costs: field.costs ?? null }
          assert.deepInclude(yield* record(id), { tags: text(index), ...alike })
          assert.deepInclude(yield* record(other), { tags: null, ...alike })
        }
        const [first, later] = yield* add({ tags: text(1) }, {})
        yield* addAll([{ id: "after", after: [first, later], tags: text(2) }, { id: "last", after: [first] }])
        assert.strictEqual((yield* record("after")).tags, text(2))
        assert.strictEqual((yield* record("last")).tags, null)
      }))

    scenario(driver, "are those of each task of a group, and of each task in a list", () =>
      Effect.gen(function*() {
        const group = Array.from(
          { length: 20 },
          (_, index) =>
            task({
              id: `one-${index}`,
              ...(index % 3 === 0 && { tags: text(index) }),
              ...(index % 2 === 0 && { trace: span })
            })
        )
        const alike = tasks(20, { tags: text(3) })
        yield* addAll(group)
        yield* addAll(alike)
        const listed = new Map(
          (yield* TaskStore.use((store) => store.list({ limit: 100 }))).tasks.map(({ id, tags }) => [id, tags])
        )
        for (const { id, tags = null, trace = null } of [...group, ...alike]) {
          assert.deepInclude(yield* record(id), { tags, trace })
          assert.strictEqual(listed.get(id), tags)
        }
      }))

    scenario(driver, "stay those of the task through all of its attempts", () =>
      Effect.gen(function*() {
        const [id] = yield* add({ tags: text(1), trace: span, timeoutMs: second })
        const [first] = yield* take()
        assert.deepInclude(first, { id, trace: span, timeoutMs: second })
        yield* settled(again(first!))
        const [later] = yield* take()
        assert.deepInclude(later, { id, trace: span, timeoutMs: second })
        yield* settled(stop(later!))
        assert.deepInclude(yield* record(id), { state: "cancelled", tags: text(1) })
        assert.deepStrictEqual(yield* rerun(id), { _tag: "rerun" })
        assert.deepInclude(yield* record(id), { state: "pending", tags: text(1) })
      }))

    scenario(driver, "stay what they were when a task is revised", () =>
      Effect.gen(function*() {
        const unique = { window: "waiting", onConflict: "replace", byMs: 0, maxMs: 0 } as const
        const [id] = yield* add({ key: "k", unique, payload: "1", tags: text(1), timeoutMs: second })
        yield* TaskStore.use((store) => store.enqueue([[task({ key: "k", unique, payload: "2", tags: text(2) })]]))
        assert.deepInclude(yield* record(id), { payload: "2", tags: text(1), timeoutMs: second })
        yield* TaskStore.use((store) =>
          store.reschedule([{ id, type: "work", queue: "default", payload: "3", ...through(["rate:1", 3]) }])
        )
        assert.deepInclude(yield* record(id), { payload: "3", tags: text(1), timeoutMs: second, costs: "[3]" })
      }))

    scenario(driver, "are kept of tasks that are written with records and ends", () =>
      Effect.gen(function*() {
        const { id: ended, claim } = yield* running()
        yield* RecordStore.use((store) =>
          store.atomically("tags", {
            tasks: [task({ id: "with", tags: text(3) }), task({ id: "without" })],
            settlements: [{ _tag: "Complete", id: ended, claim, result: "1" }]
          })
        )
        assert.strictEqual((yield* record("with")).tags, text(3))
        assert.strictEqual((yield* record("without")).tags, null)
      }))
  })
