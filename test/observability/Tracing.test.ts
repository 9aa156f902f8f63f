import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule, Tracer } from "effect"
import * as Engine from "../../src/engine/Engine.ts"
import type { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Step from "../../src/Step.ts"
import type { EventLog } from "../../src/store/EventLog.ts"
import type { InstanceStore } from "../../src/store/InstanceStore.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import type { Notifier } from "../../src/store/Notifier.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import type { TaskContext } from "../../src/worker/TaskContext.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { linksOf, parentOf, Spans } from "./Spans.ts"

const Work = Task.make("work", { retry: { times: 1, schedule: Schedule.spaced("10 millis") } })
const Other = Task.make("other")

type StoreServices = TaskStore | RecordStore | Notifier | InstanceStore | EventLog

/** How a test waits for what a running engine does. */
const until = (isSo: () => boolean) =>
  Effect.suspend(() => isSo() ? Effect.void : Effect.fail("not yet")).pipe(
    Effect.retry({ schedule: Schedule.spaced("10 millis"), times: 500 }),
    Effect.orDie
  )

const traces = (name: string, layer: () => Layer.Layer<StoreServices, unknown>) =>
  describe(`Traces on ${name}`, () => {
    /** An engine that is started inside of a span, as a program's layers may be. */
    const engine = (
      spans: Spans,
      handler: (attempt: number) => Effect.Effect<unknown, never, TaskContext | TaskQueue>
    ) =>
      Engine.layer(
        Layer.merge(
          Work.toLayer((_, { attempt }) => Effect.asVoid(handler(attempt))),
          Other.toLayer(() => Effect.void)
        ),
        { worker: { pollInterval: "20 millis" }, statistics: true }
      ).pipe(
        Layer.provideMerge(layer()),
        Layer.provide(Layer.succeed(Tracer.Tracer, spans.tracer)),
        Layer.provide(
          Layer.succeed(Tracer.ParentSpan, Tracer.externalSpan({ traceId: "f".repeat(32), spanId: "f".repeat(16) }))
        )
      )

    it.live("are made of nothing while an engine has nothing to do", () => {
      const spans = new Spans()
      return Effect.gen(function*() {
        const started = spans.all.length
        yield* Effect.sleep("1500 millis")
        assert.deepStrictEqual(spans.names.slice(started), [])
      }).pipe(Effect.provide(engine(spans, () => Effect.void)))
    })

    it.live("lead from the enqueue to the first attempt, and are linked by later ones", () => {
      const spans = new Spans()
      return Effect.gen(function*() {
        const { id, result } = yield* Work.enqueue().pipe(
          Effect.withSpan("request"),
          Effect.provideService(Tracer.Tracer, spans.tracer)
        )
        yield* result
        yield* until(() => spans.named("task work").length === 2)
        const request = spans.one("request")
        const enqueue = spans.one("enqueue work")
        assert.deepStrictEqual([enqueue.kind, parentOf(enqueue)], ["producer", request.spanId])
        const [first, second] = spans.named("task work")
        assert.deepStrictEqual([first!.kind, first!.traceId, parentOf(first!)], [
          "consumer",
          request.traceId,
          enqueue.spanId
        ])
        assert.deepInclude(Object.fromEntries(first!.attributes), {
          "taskforge.task.id": id,
          "taskforge.attempt": 1,
          "taskforge.outcome": "retry"
        })
        assert.isTrue(first!.status._tag === "Ended" && Exit.isFailure(first!.status.exit))
        assert.deepStrictEqual([parentOf(second!), linksOf(second!)], [undefined, [enqueue.spanId]])
        assert.notStrictEqual(second!.traceId, request.traceId)
        assert.isTrue(second!.status._tag === "Ended" && Exit.isSuccess(second!.status.exit))
        for (const name of ["wait", "claim", "run", "settle"]) {
          assert.deepStrictEqual(spans.named(name).map(parentOf), [first!.spanId, second!.spanId], name)
        }
        const [mine] = spans.named("mine")
        assert.deepStrictEqual([mine!.traceId, parentOf(mine!)], [request.traceId, spans.named("run")[0]!.spanId])
        assert.deepStrictEqual(parentOf(spans.one("step one")), spans.named("run")[1]!.spanId)
        const task = yield* TaskStore.use((store) => store.get(id))
        assert.include(task?.trace, request.traceId)
      }).pipe(Effect.provide(engine(
        spans,
        (attempt) =>
          attempt === 1
            ? Effect.die("again").pipe(Effect.withSpan("mine"))
            : Effect.asVoid(Step.run("one", Effect.void))
      )))
    })

    it.live("begin anew for each task of many, with a link", () => {
      const spans = new Spans()
      return Effect.gen(function*() {
        const handles = yield* Effect.provideService(
          Other.enqueueAll([undefined, undefined]),
          Tracer.Tracer,
          spans.tracer
        )
        for (const { result } of handles) yield* result
        yield* until(() => spans.named("task other").length === 2)
        const enqueue = spans.one("enqueue other")
        const tasks = spans.named("task other")
        assert.deepStrictEqual(tasks.map(linksOf), [[enqueue.spanId], [enqueue.spanId]])
        assert.deepStrictEqual(tasks.map(parentOf), [undefined, undefined])
        assert.strictEqual(new Set([enqueue, ...tasks].map(({ traceId }) => traceId)).size, 3)
      }).pipe(Effect.provide(engine(spans, () => Effect.void)))
    })

    it.live("link the one run of a batch handler to those of all its tasks, and each of these to it", () => {
      const spans = new Spans()
      const batching = Engine.layer(
        Other.toBatchLayer(
          (items) => Effect.as(Effect.withSpan(Effect.void, "together"), items.map(() => Exit.void)),
          { max: 3, within: "2 seconds" }
        ),
        { worker: { pollInterval: "20 millis" } }
      ).pipe(Layer.provideMerge(layer()), Layer.provide(Layer.succeed(Tracer.Tracer, spans.tracer)))
      return Effect.gen(function*() {
        const handles = yield* Other.enqueueAll([undefined, undefined, undefined])
        for (const { result } of handles) yield* result
        yield* until(() => spans.named("run").length === 3)
        const ran = spans.named("run").find(({ spanId }) => spanId === parentOf(spans.one("together")))!
        const others = spans.named("run").filter((run) => run !== ran)
        assert.sameMembers([...linksOf(ran)], others.map(({ spanId }) => spanId))
        assert.deepStrictEqual(others.map(linksOf), [[ran.spanId], [ran.spanId]])
      }).pipe(Effect.provide(batching))
    })

    it.live("lead from a task to those that it enqueues", () => {
      const spans = new Spans()
      return Effect.gen(function*() {
        const { result } = yield* Work.enqueue()
        yield* result
        yield* until(() => spans.named("task other").length === 1)
        const [task] = spans.named("task work")
        assert.deepStrictEqual(
          [parentOf(spans.one("enqueue other")), parentOf(spans.one("task other")), spans.one("task other").traceId],
          [
            spans.named("run").find((run) => parentOf(run) === task!.spanId)!.spanId,
            spans.one("enqueue other").spanId,
            task!.traceId
          ]
        )
      }).pipe(Effect.provide(engine(spans, () => Effect.orDie(Other.enqueue()))))
    })
  })

traces("memory", () => MemoryStore.layer())
traces("SQLite", () => SqliteStore.layer({ path: ":memory:" }))

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  const { layer } = new Schemas(server)
  traces("PostgreSQL", layer)
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { layer } = await connect(server)
  traces("Redis", layer)
})
