/** Where running handlers are: over HTTP and on the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { StackJson } from "../../src/http/api/StackJson.ts"
import * as Step from "../../src/Step.ts"
import * as Task from "../../src/Task.ts"
import { onServer, succeeding } from "../cli/CommandLine.ts"
import { until } from "../e2e/Server.ts"
import { decoded, get, layer, pathOf, posted, refused } from "./TestServer.ts"

const Deep = Task.make("deep", { payload: { levels: Schema.Int } })
const Wide = Task.make("wide", { payload: { fibers: Schema.Int } })
const Plain = Task.make("plain")

const markup = "<img src=x onerror=alert(1)>"

const inner = Effect.fn("inner")(function*() {
  return yield* Effect.never
})

const outer = Effect.fn("outer")(function*(secret: string) {
  return yield* Effect.withSpan(Effect.suspend(() => secret === "" ? Effect.void : inner()), markup)
})

const nested = (levels: number): Effect.Effect<void> =>
  levels === 0 ? Effect.never : Effect.withSpan(Effect.suspend(() => nested(levels - 1)), `level ${levels}`)

const handlers = Layer.mergeAll(
  Deep.toLayer(({ levels }) => levels === 0 ? Step.run("send", outer("s3cr3t")) : nested(levels)),
  Wide.toLayer(({ fibers }) =>
    Effect.withSpan(
      Effect.gen(function*() {
        for (let index = 0; index < fibers; index++) {
          yield* Effect.forkChild(Effect.withSpan(Effect.never, `part ${index}`))
        }
        return yield* Effect.all([Effect.never, Effect.withSpan(Effect.never, "unseen")], {
          concurrency: 2,
          discard: true
        })
      }),
      "all"
    )
  ),
  Plain.toLayer(() => Effect.never)
)

const server = layer({ definitions: [Deep, Wide, Plain], handlers })

const stackOf = (id: string) => decoded(StackJson, get(pathOf(id, "/stack")))

const running = Effect.fnUntraced(function*(body: unknown) {
  const { id } = yield* posted(body)
  yield* until("it runs", Effect.map(stackOf(id), ({ fibers }) => fibers.length > 0))
  return id
})

describe("the stack of a running task", () => {
  it.live("names the functions, spans and steps that it is in, with their places, and no values", () =>
    Effect.gen(function*() {
      const id = yield* running({ type: "deep", payload: { levels: 0 } })
      yield* until("it is in its step", Effect.map(stackOf(id), ({ fibers }) => fibers[0]?.step === "send"))
      const found = yield* stackOf(id)
      assert.deepInclude(found, {
        id,
        status: "running",
        instance: "w",
        answered: true,
        attempt: 1,
        more_fibers: false
      })
      const { frames } = found.fibers[0]!
      assert.deepStrictEqual(frames.map(({ name }) => name), ["inner", markup, "outer"])
      for (const { called_at: calledAt, since } of frames) {
        assert.match(calledAt!, /^(?:[^/]+\/){1,2}stack\.test\.ts:\d+:\d+$/)
        assert.isAtMost(Date.parse(since!), Date.now())
      }
      assert.match(frames[0]!.defined_at!, /stack\.test\.ts:\d+:\d+$/)
      assert.notInclude(JSON.stringify(found), "s3cr3t")
      const { stdout } = yield* succeeding(onServer(["stack", id]))
      assert.match(stdout, /Attempt 1 runs in slot \d of w for/)
      assert.match(stdout, /The handler, in step send\n {2}inner at .*stack\.test\.ts/)
    }).pipe(Effect.provide(server)))

  it.live("has the fibers that the handler has forked, and bounds what it shows", () =>
    Effect.gen(function*() {
      const few = yield* stackOf(yield* running({ type: "wide", payload: { fibers: 3 } }))
      assert.deepStrictEqual(
        few.fibers.map(({ frames, parent }) => [parent, ...frames.map(({ name }) => name)]),
        [[null, "all"], [0, "part 0"], [0, "part 1"], [0, "part 2"]]
      )
      const many = yield* stackOf(yield* running({ type: "wide", payload: { fibers: 1000 } }))
      assert.lengthOf(many.fibers, 20)
      assert.isTrue(many.more_fibers)
    }).pipe(Effect.provide(server)))

  it.live("is cut where it is deep", () =>
    Effect.gen(function*() {
      const { fibers: [fiber] } = yield* stackOf(yield* running({ type: "deep", payload: { levels: 100 } }))
      assert.deepInclude(fiber, { more_frames: 70, step: null })
      assert.strictEqual(fiber!.frames[0]!.name, "level 1")
    }).pipe(Effect.provide(server)))

  it.live("is empty where nothing has a name, and says what gives one", () =>
    Effect.gen(function*() {
      const id = yield* running({ type: "plain" })
      const { fibers } = yield* stackOf(id)
      assert.deepStrictEqual(fibers, [{ parent: null, step: null, frames: [], more_frames: 0 }])
      assert.include((yield* succeeding(onServer(["stack", id]))).stdout, "Effect.fn")
    }).pipe(Effect.provide(server)))

  it.live("is not known of a task that waits, has ended, runs elsewhere or does not exist", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "plain", delay: "1h" })
      assert.deepInclude(yield* stackOf(id), { status: "scheduled", answered: false, fibers: [] })
      assert.include((yield* succeeding(onServer(["stack", id]))).stdout, "does not run: it is scheduled")
      yield* refused(404, "task_not_found", get(pathOf("unknown", "/stack")))
    }).pipe(Effect.provide(server)))
})
