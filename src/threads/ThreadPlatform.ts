/**
 * Threads for `effect/workers` that end at once. Node's own platform asks a thread to close and waits 5 s for it, but
 * one that computes never hears the question, and it would go on with work that is not wanted any more.
 */
import { Deferred, Effect, Layer, Scope } from "effect"
import * as Workers from "effect/workers/Worker"
import { WorkerError, WorkerReceiveError } from "effect/workers/WorkerError"
import type { ChildProcess } from "node:child_process"
import type { Worker as WorkerThread } from "node:worker_threads"
import { moduleBeside } from "./ThreadModule.ts"
import * as ThreadModule from "./ThreadModule.ts"

/**
 * `thread` shares the process; `process` is a process of its own, for native code that keeps a thread from ending,
 * such as a long query in SQLite.
 */
export type Isolation = "thread" | "process"

/** What is started, and how. */
export interface Options {
  readonly isolation: Isolation
  /** Heap of one at most, in MiB. */
  readonly memoryMiB: number
  /** The environment variables that it gets. */
  readonly env: Readonly<Record<string, string | undefined>> | undefined
}

/** Starts threads, or processes in their place. */
export const layer = (options: Options): Layer.Layer<Workers.WorkerPlatform | Workers.Spawner> =>
  Layer.merge(
    Workers.layerSpawner<WorkerThread | ChildProcess>(() => spawn(options)),
    Layer.sync(Workers.WorkerPlatform, () => makePlatform(options.memoryMiB))
  )

const main = ThreadModule.find(moduleBeside(import.meta.url, "ThreadMain"))

// Node's modules are loaded with the first thread: an idle server is 3 MB smaller without them
const spawn = ({ env, isolation, memoryMiB }: Options): WorkerThread | ChildProcess =>
  isolation === "thread"
    ? new (process.getBuiltinModule("node:worker_threads").Worker)(main, {
      name: "taskforge",
      ...(env === undefined ? {} : { env }),
      resourceLimits: { maxOldGenerationSizeMb: memoryMiB }
    })
    : process.getBuiltinModule("node:child_process").fork(main, [String(memoryMiB)], {
      ...(env === undefined ? {} : { env }),
      execArgv: [...process.execArgv, `--max-old-space-size=${memoryMiB}`]
    })

const makePlatform = (memoryMiB: number) =>
  Workers.makePlatform<WorkerThread | ChildProcess>()({
    setup: ({ scope, worker }) =>
      Effect.as(Scope.addFinalizer(scope, terminate(worker)), {
        worker,
        postMessage: (message: unknown) => {
          if (isThread(worker)) worker.postMessage(message)
          else worker.send(message as object)
        }
      }),
    listen: ({ deferred, emit, port: { worker } }) =>
      Effect.sync(() => {
        const fail = (message: string, cause?: unknown) =>
          Deferred.doneUnsafe(
            deferred,
            Effect.fail(new WorkerError({ reason: new WorkerReceiveError({ message, cause }) }))
          )
        worker.on("message", emit)
        worker.on("messageerror", (cause) => fail("It sent something that cannot be read", cause))
        worker.on("error", (cause) => fail(cause instanceof Error ? cause.message : String(cause), cause))
        worker.on("exit", (code, signal) =>
          fail(
            signal === "SIGKILL"
              ? `It was ended by SIGKILL, as it is when it needs more memory than ${memoryMiB} MiB and 100 MiB; ` +
                "TASKFORGE_THREAD_MEMORY, or memoryMiB of ThreadPool.layer, allows more"
              : `It exited with ${signal ?? `code ${code}`}`
          ))
      })
  })

const isThread = (worker: WorkerThread | ChildProcess): worker is WorkerThread => !("send" in worker)

const terminate = (worker: WorkerThread | ChildProcess): Effect.Effect<void> =>
  isThread(worker)
    ? Effect.promise(() => worker.terminate())
    : Effect.callback((resume) => {
      if (worker.exitCode !== null || worker.signalCode !== null) return resume(Effect.void)
      worker.once("exit", () => resume(Effect.void))
      worker.kill("SIGKILL")
    })
