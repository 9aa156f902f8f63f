import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import type { AnyTaskDraft } from "../../src/queue/TaskDraft.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { passing, withEngine } from "../engine/TestEngine.ts"

const Load = Task.make("load", { payload: { url: Schema.String }, success: Schema.String })
const Resize = Task.make("resize", { payload: { width: Schema.Int }, success: Schema.Int })
const Mail = Task.make("mail", { success: Schema.Array(Schema.Int) })

const handlers = Layer.mergeAll(
  Load.toLayer(({ url }) => Effect.succeed(`loaded ${url}`)),
  Resize.toLayer(({ width }) => Effect.succeed(width)),
  Mail.toLayer(() =>
    Effect.orDie(Effect.flatMap(Resize.results, (widths) => Effect.forEach(widths, ({ exit }) => exit)))
  )
)

const graph = () => {
  const load = Load.draft({ url: "cat" })
  const small = Resize.draft({ width: 200 }, { after: [load] })
  const large = Resize.draft({ width: 800 }, { after: [load], id: "large" })
  return { load, small, large, mail: Mail.draft(undefined, { after: [small, large], priority: "high" }) }
}

const refusal = <A, E>(effect: Effect.Effect<A, E, TaskQueue>) => withEngine({}, Effect.flip(effect))

describe("drafts of several types", () => {
  it.effect("are stored in one write, in any order, and give the handles of their types", () =>
    withEngine(
      { handlers },
      Effect.gen(function*() {
        const { large, load, mail, small } = graph()
        const handles = yield* Task.enqueueAll([mail, small, load, large])
        assert.strictEqual(handles[3].id, "large")
        const { value } = yield* passing(
          "1 minute",
          Effect.all([handles[0].result, handles[1].result, handles[2].result])
        )
        assert.deepStrictEqual(value, [[200, 800], 200, "loaded cat"])
        assert.strictEqual((yield* handles[0].task).priority, 2)
      })
    ))

  it.effect("wait for those that they name", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const { large, load, mail, small } = graph()
        yield* Task.enqueueAll([load, small, large, mail])
        const { tasks } = yield* queue.list()
        const waits = Object.fromEntries(tasks.map(({ id, type, waitsFor }) => [id === "large" ? id : type, waitsFor]))
        assert.deepStrictEqual(waits, { load: 0, resize: 1, large: 1, mail: 2 })
      })
    ))

  it.effect("may be enqueued again: they have no ids of their own", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const first = Load.draft({ url: "cat" })
        const next = Resize.draft({ width: 1 }, { after: [first] })
        const handles = [...yield* Task.enqueueAll([first, next]), ...yield* Task.enqueueAll([first, next])]
        assert.strictEqual(new Set(handles.map(({ id }) => id)).size, 4)
      })
    ))

  it.effect("are refused together: nothing is stored where one of them is wrong", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const { large, load, mail, small } = graph()
        const failures: ReadonlyArray<readonly [Effect.Effect<unknown, Task.EnqueueError, TaskQueue>, string]> = [
          [Task.enqueueAll([load, Resize.draft({ width: 0.5 })]), "InvalidPayload"],
          [Task.enqueueAll([load, Resize.draft({ width: 1 }, { after: ["unknown"] })]), "UnknownDependency"],
          [Task.enqueueAll([load, Resize.draft({ width: 1 }, { id: "own", after: ["own"] })]), "DependencyCycle"],
          [Task.enqueueAll([load, Load.draft({ url: "" }, { delay: -1 })]), "InvalidOption"]
        ]
        for (const [failing, tag] of failures) {
          const failure = yield* Effect.flip(failing)
          assert.strictEqual(failure._tag, tag)
          assert.propertyVal(failure, "index", 1)
        }
        assert.deepInclude(yield* Effect.flip(Task.enqueueAll([small, large, mail])), {
          _tag: "InvalidOption",
          option: "after",
          found: "a draft that is not among them",
          index: 0
        })
        assert.lengthOf((yield* TaskQueue.use((queue) => queue.list())).tasks, 0)
      })
    ))

  it.effect("come once, and are drafts", () =>
    Effect.gen(function*() {
      const draft = Load.draft({ url: "cat" })
      assert.deepInclude(yield* refusal(Task.enqueueAll([draft, draft])), { option: "drafts", index: 1 })
      const none = { payload: {} } as unknown as AnyTaskDraft
      assert.deepInclude(yield* refusal(Task.enqueueAll([draft, none])), { option: "drafts", index: 1 })
      assert.deepInclude(yield* refusal(Task.enqueueAll([draft], { when: "wait" } as object)), { option: "when" })
      assert.deepInclude(yield* refusal(Load.enqueue({ url: "cat" }, { after: [draft as never] })), { option: "after" })
    }))
})
