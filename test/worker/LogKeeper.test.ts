import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Logger, Schema } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import * as TaskLogs from "../../src/logs/TaskLogs.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import * as Task from "../../src/Task.ts"
import { Gate } from "../engine/Gate.ts"
import {
  eventually,
  Logs,
  pass,
  reaches,
  start,
  withEngine,
  withStore,
  withUnhurriedEngine
} from "../engine/TestEngine.ts"

const Work = Task.make("work", { retry: { times: 2 } })
const Say = Task.make("say", { payload: Schema.String, retry: { times: 0 } })

const logsOf = (id: string) => TaskQueue.use((queue) => queue.logs(id))

const textsOf = (id: string) =>
  Effect.map(
    logsOf(id),
    (attempts) => attempts.map(({ attempt, lines }) => [attempt, ...lines.map(({ text }) => text)])
  )

const logRecords = Effect.map(RecordStore.use((store) => store.list(TaskLogs.kind)), ({ records }) => records)

/** A store of records that a test can break, and that counts what is written of logs. */
const breakable = Effect.gen(function*() {
  const store = yield* RecordStore
  const state = { puts: 0, fault: Effect.void as Effect.Effect<void, StoreError> }
  const service = RecordStore.of({
    ...store,
    put: (changes, nonce) =>
      changes.every(({ kind }) => kind !== TaskLogs.kind)
        ? store.put(changes, nonce)
        : Effect.suspend(() => {
          state.puts++
          return Effect.andThen(state.fault, store.put(changes, nonce))
        })
  })
  return { state, service }
})

/** Starts an engine on it. */
const startOn = (service: RecordStore["Service"], ...[options]: Parameters<typeof start>) =>
  Effect.provideService(start(options), RecordStore, service)

describe("what a handler logs", () => {
  it.effect("can be read while it runs and afterwards, attempt by attempt", () => {
    const gate = new Gate()
    const work = Effect.gen(function*() {
      yield* Effect.logInfo("begins", { at: 1 }).pipe(Effect.annotateLogs("tenant", "acme"))
      yield* Effect.logDebug("is below the level of the log")
      yield* Effect.flatMap(Effect.forkChild(Effect.logWarning("from a fiber of its own")), Fiber.join)
      yield* gate.run
      yield* Effect.logError("breaks")
      return yield* Effect.die(new Error("broken"))
    })
    return withEngine(
      { handlers: Work.toLayer(() => work) },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* eventually(Effect.sync(() => gate.count === 1))
        assert.deepStrictEqual(yield* logsOf(id), [])
        yield* pass("1 second")
        assert.deepStrictEqual(yield* textsOf(id), [[1, `begins {"at":1}`, "from a fiber of its own"]])
        const [attempt] = yield* logsOf(id)
        assert.deepInclude(attempt, { attempt: 1, logged: 2, leftOut: 0 })
        assert.deepInclude(attempt!.lines[0], {
          number: 1,
          level: "Info",
          annotations: { tenant: "acme" },
          cause: null
        })
        assert.strictEqual(attempt!.lines[1]!.level, "Warn")
        gate.open()
        yield* pass("1 minute")
        yield* reaches(id, "failed")
        const all = [`begins {"at":1}`, "from a fiber of its own", "breaks"]
        assert.deepStrictEqual(yield* textsOf(id), [[1, ...all], [2, ...all], [3, ...all]])
        // The log of the program has them too
        assert.lengthOf(yield* Logs.matching(/^breaks$/), 3)
      })
    )
  })

  it.effect("is removed with its task", () =>
    withEngine(
      { handlers: Say.toLayer((text) => Effect.log(text)) },
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const ids = yield* Effect.forEach(["a", "b", "c"], (text) => Effect.map(Say.enqueue(text), ({ id }) => id))
        yield* pass("1 second")
        assert.lengthOf(yield* logRecords, 3)
        yield* queue.remove(ids[0]!)
        yield* queue.remove([ids[1]!, "nobody"])
        assert.deepStrictEqual((yield* logRecords).map(({ id }) => id), [ids[2]])
        assert.strictEqual((yield* Effect.flip(queue.logs(ids[0]!)))._tag, "TaskNotFound")
        assert.strictEqual((yield* Effect.flip(queue.logs("\u0000")))._tag, "TaskNotFound")
      })
    ))

  it.effect("goes when retention has removed its task, and when its own time is over", () =>
    withUnhurriedEngine(
      "1 minute",
      { handlers: Say.toLayer((text) => Effect.log(text)), retention: { keepFinished: "1 hour", keepLogs: "2 hours" } },
      Effect.gen(function*() {
        yield* Say.enqueue("a")
        yield* pass("1 minute")
        assert.lengthOf(yield* logRecords, 1)
        yield* pass("3 hours")
        assert.lengthOf(yield* logRecords, 0)
      })
    ))

  it.effect("is not kept where it is kept for no time", () =>
    withEngine(
      { handlers: Say.toLayer((text) => Effect.log(text)), retention: { keepLogs: 0 } },
      Effect.gen(function*() {
        const { id } = yield* Say.enqueue("a")
        yield* pass("1 second")
        assert.deepStrictEqual(yield* logsOf(id), [])
        assert.lengthOf(yield* Logs.matching(/^a$/), 1)
      })
    ))

  it.effect("goes to the loggers of the handler's layer as well, and nowhere after the attempt has ended", () => {
    const texts: Array<unknown> = []
    const own = Logger.layer([Logger.make<unknown, void>(({ message }) => void texts.push(message))])
    const late = Latch.makeUnsafe(false)
    const work = Effect.fnUntraced(function*(text: string) {
      yield* Effect.log(text)
      yield* Effect.forkDetach(Effect.andThen(late.await, Effect.log("too late")))
    })
    return withEngine(
      { handlers: Say.toLayer(work).pipe(Layer.provide(own)) },
      Effect.gen(function*() {
        const { id } = yield* Say.enqueue("a")
        yield* pass("1 second")
        yield* late.open
        yield* pass("1 second")
        assert.deepStrictEqual(yield* textsOf(id), [[1, "a"]])
        assert.deepStrictEqual(texts, [["a"], ["too late"]])
      })
    )
  })

  it.effect("is written once per interval for all attempts; a pool that logs nothing writes nothing", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { service, state } = yield* breakable
        const handlers = Say.toLayer((text) =>
          text === "" ? Effect.void : Effect.repeat(Effect.log(text), { times: 49 })
        )
        const engine = yield* startOn(service, { handlers, worker: { concurrency: 50 } })
        yield* Effect.gen(function*() {
          yield* Effect.forEach(Array.from({ length: 40 }), () => Say.enqueue(""), { discard: true })
          yield* pass("10 seconds")
          assert.strictEqual(state.puts, 0)
          const ids = yield* Effect.forEach(
            Array.from({ length: 40 }),
            () => Effect.map(Say.enqueue("a"), ({ id }) => id)
          )
          yield* pass("10 seconds")
          assert.strictEqual(state.puts, 1)
          for (const id of ids) assert.deepInclude((yield* logsOf(id))[0], { logged: 50, leftOut: 0 })
        }).pipe(Effect.provide(engine.context))
        yield* engine.close
      })
    ))

  it.effect("has a bound, and says how many lines were left out", () =>
    withEngine(
      { handlers: Say.toLayer((text) => Effect.repeat(Effect.log(text), { times: 99_999 })), logLevel: "Error" },
      Effect.gen(function*() {
        const { id, result } = yield* Say.enqueue("a")
        yield* result
        yield* pass("1 second")
        // Below the level of the program's log
        assert.deepStrictEqual(yield* logsOf(id), [])
      })
    ).pipe(
      Effect.andThen(withEngine(
        { handlers: Say.toLayer((text) => Effect.repeat(Effect.log(text.repeat(1000)), { times: 9999 })) },
        Effect.gen(function*() {
          const { id, result } = yield* Say.enqueue("漢")
          yield* result
          yield* pass("1 second")
          const [attempt] = yield* logsOf(id)
          assert.strictEqual(attempt!.logged, 10_000)
          assert.strictEqual(attempt!.leftOut + attempt!.lines.length, 10_000)
          assert.strictEqual(attempt!.lines[0]!.number, 1)
          assert.strictEqual(attempt!.lines.at(-1)!.number, 10_000)
          assert.isAtMost(Buffer.byteLength((yield* logRecords)[0]!.document), 64 * 1024)
        })
      ))
    ))
})

describe("a store that does not take what handlers log", () => {
  const say = Say.toLayer((text) => Effect.log(text))

  it.effect("holds up no task, and gets it when it works again", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { service, state } = yield* breakable
        const engine = yield* startOn(service, { handlers: say })
        yield* Effect.gen(function*() {
          state.fault = Effect.fail(new StoreError({ operation: "put", reason: "It is down" }))
          const ids: Array<string> = []
          for (let count = 0; count < 20; count++) {
            const { id } = yield* Say.enqueue("a")
            ids.push(id)
            yield* reaches(id, "completed")
          }
          yield* pass("30 seconds")
          assert.isAbove(state.puts, 1)
          assert.deepStrictEqual(yield* logsOf(ids[0]!), [])
          state.fault = Effect.void
          yield* pass("10 seconds")
          for (const id of ids) assert.deepStrictEqual(yield* textsOf(id), [[1, "a"]])
        }).pipe(Effect.provide(engine.context))
        yield* engine.close
      })
    ))

  it.effect("loses only the lines that it refuses, and says so", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { service } = yield* breakable
        const refusing = RecordStore.of({
          ...service,
          put: (changes, nonce) =>
            changes.some(({ document }) => document?.includes("poison") === true)
              ? Effect.fail(new StoreError({ operation: "put", reason: "It is poison", refused: true }))
              : service.put(changes, nonce)
        })
        const engine = yield* startOn(refusing, { handlers: say })
        yield* Effect.gen(function*() {
          const good = yield* Say.enqueue("good")
          const bad = yield* Say.enqueue("poison")
          const other = yield* Say.enqueue("other")
          yield* pass("5 seconds")
          assert.deepStrictEqual(yield* textsOf(good.id), [[1, "good"]])
          assert.deepStrictEqual(yield* textsOf(other.id), [[1, "other"]])
          yield* reaches(bad.id, "completed")
          assert.deepStrictEqual(yield* logsOf(bad.id), [])
          assert.lengthOf(yield* Logs.matching(/the store keeps no log of task .*: .*It is poison/), 1)
        }).pipe(Effect.provide(engine.context))
        yield* engine.close
      })
    ))

  it.effect("cannot make a pool keep more and more, nor hold up its shutdown", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { service, state } = yield* breakable
        const engine = yield* startOn(service, {
          handlers: Say.toLayer((text) => Effect.repeat(Effect.log(text.repeat(3000)), { times: 20 })),
          shutdown: "10 seconds"
        })
        yield* Effect.gen(function*() {
          state.fault = Effect.never
          // 48 KiB each
          for (let count = 0; count < 900; count++) {
            const { id } = yield* Say.enqueue("x")
            if (count % 100 === 0) yield* reaches(id, "completed")
          }
          yield* pass("10 seconds")
        }).pipe(Effect.provide(engine.context))
        const closing = yield* Effect.forkChild(engine.close)
        yield* pass("10 seconds")
        yield* eventually(Effect.sync(() => closing.pollUnsafe() !== undefined), () => "The shutdown takes longer")
        assert.lengthOf(yield* Logs.matching(/could not be written before shutdown/), 1)
      })
    ))

  it.effect("gets what was logged last when the pool shuts down", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const engine = yield* start({ handlers: say })
        const { id } = yield* Effect.provide(Say.enqueue("last words"), engine.context)
        yield* reaches(id, "completed")
        yield* engine.close
        assert.lengthOf(yield* logRecords, 1)
        assert.include((yield* logRecords)[0]!.document, "last words")
      })
    ))
})
