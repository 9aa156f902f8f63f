import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Logger, type LogLevel, References, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Engine from "../../src/engine/Engine.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { onThread } from "../../src/threads/onThread.ts"
import type { Isolation } from "../../src/threads/ThreadPlatform.ts"
import { type Options, ThreadPool } from "../../src/threads/ThreadPool.ts"
import { patiently } from "../Patience.ts"
import { Probe, ProbeFailed } from "./Probe.ts"

const module = new URL("./Probe.thread.ts", import.meta.url)

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

const loud = (
  { level, logger }: { readonly level: LogLevel.LogLevel; readonly logger: Logger.Logger<unknown, void> }
) => Layer.merge(Layer.succeed(References.MinimumLogLevel, level), Logger.layer([logger]))

/** A real engine with real threads. */
const withThreads = (
  { lease, log, ...options }: Options & {
    readonly isolation?: Isolation
    readonly lease?: Duration.Input
    readonly log?: { readonly level: LogLevel.LogLevel; readonly logger: Logger.Logger<unknown, void> }
  } = {}
) =>
  Effect.provide(
    Engine.layer(
      Probe.toLayer(onThread(Probe, module, options)).pipe(Layer.provide(ThreadPool.layer({ size: 1, ...options }))),
      { shutdown: "2 seconds", worker: { lease } }
    ).pipe(Layer.provideMerge(MemoryStore.layer()), Layer.provideMerge(log === undefined ? quiet : loud(log))),
    { local: true }
  )

type Act = (typeof Probe)["payload"]["Type"]["act"]

const resultOf = (act: Act) => Effect.flatMap(Probe.enqueue({ act }), (handle) => handle.result)

/** An attempt that nobody claimed. */
const job = (act: Act) => ({
  module: module.href,
  payload: JSON.stringify({ act }),
  attempt: { id: "a", type: "probe", queue: "default", attempt: 1, claim: 1, instance: "here", slot: 1 },
  logLevel: "Info" as const
})

/** The processes that a process has started, from Linux's list. */
const childrenOf = (pid: number) =>
  Effect.sync(() =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter((id) => id !== "").map(Number)
  )

/** A process that has ended but was not waited for is dead too. */
const isAlive = (pid: number) =>
  Effect.sync(() => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
    } catch {
      return false
    }
  })

describe("a process in a thread's place", () => {
  it.live("does no other job once it has kept half of the memory that it may take", () =>
    Effect.gen(function*() {
      const { thread } = yield* resultOf("answer")
      assert.strictEqual((yield* resultOf("answer")).thread, thread)
      assert.strictEqual((yield* resultOf("keep")).thread, thread)
      assert.notStrictEqual((yield* resultOf("answer")).thread, thread)
      assert.isFalse(yield* isAlive(thread))
    }).pipe(withThreads({ isolation: "process" })))
})

/** A task whose thread has begun to spin. */
const spinning = Effect.fnUntraced(function*(timeout?: Duration.Input) {
  const handle = yield* Probe.enqueue({ act: "spin" }, { timeout })
  yield* handle.task.pipe(
    Effect.repeat({ until: ({ progress }) => progress === 0.5, schedule: patiently() })
  )
  return handle
})

describe.each(["thread", "process"] as const)("a handler in a %s of its own", (isolation) => {
  it.live("gives its result, through the schemas", () =>
    Effect.gen(function*() {
      const first = yield* resultOf("answer")
      assert.strictEqual(first.isMain, isolation === "process")
      assert.strictEqual(first.attempt, 1)
      assert.isTrue(Duration.isDuration(first.at))
      assert.strictEqual((yield* resultOf("answer")).thread, first.thread, "an idle thread is used again")
    }).pipe(withThreads({ isolation })))

  it.live("sees the environment that its pool was given, and not the server's", () =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.sync(() => process.env["TASKFORGE_PROBE"] = "secret"),
        () => Effect.sync(() => delete process.env["TASKFORGE_PROBE"])
      )
      const error = yield* Effect.flip(resultOf("environment"))
      assert.include(error.message, "TASKFORGE_PROBE is given")
    }).pipe(withThreads({ isolation, env: { TASKFORGE_PROBE: "given" } })))

  it.live("logs to the loggers of its process, from the level of its process on, and to its attempt", () => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
      const { part } = fiber.getRef(References.CurrentLogAnnotations)
      lines.push(`${logLevel} ${message} ${part}`)
    })
    return Effect.gen(function*() {
      const handle = yield* Probe.enqueue({ act: "log" })
      yield* handle.result
      const [attempt] = yield* Effect.repeat(TaskQueue.use((queue) => queue.logs(handle.id)), {
        until: ([attempt]) => attempt !== undefined,
        schedule: patiently()
      })
      assert.lengthOf(attempt!.lines, 1)
      assert.deepInclude(attempt!.lines[0], { level: "Warn", annotations: { part: "axle" } })
      assert.match(attempt!.lines[0]!.text, /^It creaks\n.*overload/s)
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /^Warn It creaks\n.*overload.* axle$/s)
    }).pipe(withThreads({ isolation, log: { level: "Warn", logger } }))
  })

  it.live("is stopped in the middle of a computation when its task is cancelled", () =>
    Effect.gen(function*() {
      const handle = yield* spinning()
      assert.strictEqual(yield* handle.cancel, "requested")
      assert.strictEqual((yield* Effect.flip(handle.result))._tag, "TaskCancelled")
      // The only place is free again, so the thread is gone
      assert.strictEqual((yield* resultOf("answer")).attempt, 1)
    }).pipe(withThreads({ isolation })))

  it.live("fails one attempt when it crashes, and is replaced", () =>
    Effect.gen(function*() {
      const waiting = yield* Effect.forkChild(resultOf("exit"))
      const behind = yield* Effect.forkChild(resultOf("answer"))
      const error = yield* Effect.flip(Fiber.join(waiting))
      assert.strictEqual(error._tag, "TaskDefect")
      assert.match(error.message, /The thread that ran the task ended: It exited with code 7/)
      assert.strictEqual((yield* Fiber.join(behind)).attempt, 1)
    }).pipe(withThreads({ isolation })))
})

describe("a handler on a thread", () => {
  it.live("is stopped when its time is up", () =>
    Effect.gen(function*() {
      const handle = yield* Probe.enqueue({ act: "spin" }, { timeout: "1 second" })
      assert.strictEqual((yield* Effect.flip(handle.result))._tag, "TaskTimedOut")
      assert.strictEqual((yield* resultOf("answer")).attempt, 1)
    }).pipe(withThreads()))

  it.live("that needs too much memory brings down itself alone", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(resultOf("exhaust"))
      assert.strictEqual(error._tag, "TaskDefect")
      assert.match(error.message, /memory limit/)
      assert.strictEqual((yield* resultOf("answer")).attempt, 1)
    }).pipe(withThreads({ memoryMiB: 64 })))

  it.live("fails with its declared error", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(resultOf("fail"))
      assert.instanceOf(error, ProbeFailed)
      assert.strictEqual(error.fact, 42)
    }).pipe(withThreads()))

  it.live("fails with what it throws, and where that was", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(resultOf("throw"))
      assert(error._tag === "TaskDefect")
      assert.strictEqual(error.failure.tag, "TypeError")
      assert.strictEqual(error.failure.message, "thrown in the thread")
      assert.match(error.failure.stack ?? "", /Probe\.thread\.ts/)
    }).pipe(withThreads()))

  it.live("fails when its result does not fit", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Effect.flip(resultOf("unfit")))._tag, "TaskDefect")
    }).pipe(withThreads()))

  it.live("may end its attempt and run again later", () =>
    Effect.gen(function*() {
      const handle = yield* Probe.enqueue({ act: "snooze" })
      yield* Effect.repeat(handle.task, { until: ({ claims }) => claims > 2, schedule: Schedule.spaced("20 millis") })
      assert.strictEqual((yield* handle.task).failures, 0)
      yield* handle.cancel
    }).pipe(withThreads()))

  it.live("waits for a thread when all are busy, and a shutdown stops the one that computes", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* spinning(), yield* Probe.enqueue({ act: "answer" })]
      yield* Effect.sleep("100 millis")
      assert.isNull((yield* other.task).progress)
      yield* one.cancel
      assert.strictEqual((yield* other.result).attempt, 1)
      yield* spinning()
    }).pipe(withThreads()))
})

describe("a thread", () => {
  it.live("ends when its task's lease is lost, in the middle of a computation", () =>
    Effect.gen(function*() {
      const handle = yield* spinning()
      const store = yield* TaskStore
      const { claim } = (yield* store.get(handle.id))!
      assert.deepStrictEqual(yield* store.settle([{ _tag: "Release", id: handle.id, claim }]), ["applied"])
      // There is only one thread: the next attempt has it once the first one's is gone
      yield* handle.task.pipe(
        Effect.repeat({
          until: ({ claims, progress }) => claims > 1 && progress === 0.5,
          schedule: patiently()
        })
      )
      yield* handle.cancel
    }).pipe(withThreads({ lease: "2 seconds" })))

  it.effect("that has nothing to do ends after a while", () =>
    Effect.gen(function*() {
      const { run } = yield* ThreadPool
      const processes = () => process.getActiveResourcesInfo().filter((kind) => kind === "ProcessWrap").length
      const before = processes()
      const ending = yield* run(job("answer"), {
        isolation: "process",
        report: () => Effect.void,
        log: () => Effect.void
      })
      assert.strictEqual(ending._tag, "Succeeded")
      assert.strictEqual(processes(), before + 1)
      yield* TestClock.adjust("31 seconds")
      yield* TestClock.withLive(
        Effect.repeat(Effect.sync(processes), {
          until: (now) => now === before,
          schedule: patiently()
        })
      )
    }).pipe(Effect.provide(ThreadPool.layer({ size: 1 }))))

  it.live.skipIf(process.platform !== "linux")(
    "that is a process does not outlive a parent that is killed",
    () =>
      Effect.gen(function*() {
        const parent = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(process.execPath, ["--conditions=source", fileURLToPath(new URL("./parent.ts", import.meta.url))], {
              stdio: ["ignore", "pipe", "inherit"]
            })
          ),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        yield* Effect.callback<void>((resume) => {
          parent.stdout.once("data", () => resume(Effect.void))
        })
        const [computing] = yield* childrenOf(parent.pid!)
        assert.isDefined(computing)
        parent.kill("SIGKILL")
        yield* Effect.repeat(isAlive(computing!), { until: (alive) => !alive, schedule: patiently() })
        assert.isFalse(yield* isAlive(computing!))
      }).pipe(Effect.scoped)
  )
})

describe("a handler that runs inline, as in tests", () => {
  it.live("does the same without threads", () =>
    Effect.gen(function*() {
      assert.isTrue((yield* resultOf("answer")).isMain)
      assert.instanceOf(yield* Effect.flip(resultOf("fail")), ProbeFailed)
    }).pipe(
      Effect.provide(
        Engine.layer(Probe.toLayer(onThread(Probe, module)).pipe(Layer.provide(ThreadPool.layerInline))).pipe(
          Layer.provideMerge(MemoryStore.layer()),
          Layer.provideMerge(quiet)
        )
      )
    ))
})
