/**
 * Worker threads for what computes. JavaScript runs one thing at a time, so a handler that computes for seconds on
 * end would stop everything else in its process: other tasks, HTTP, and the heartbeat that keeps its own lease.
 *
 * ```text
 * handler ─ job ─► a thread of its own for as long as it takes ─ progress, ending ─► handler
 * ```
 *
 * Threads start when they are needed and end within half a minute without work. One that crashes fails the attempt
 * that it ran, and the next job gets a new one. Threads never touch the store: progress passes through the process,
 * which fences it.
 */
import { Clock, Context, type Duration, Effect, Exit, Layer, Pool, Schema, type Scope } from "effect"
import { availableParallelism } from "node:os"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import * as Thread from "./Thread.ts"
import { perform, type ThreadHandler } from "./ThreadHandler.ts"
import type { Ending, Job } from "./ThreadMessage.ts"
import * as ThreadModule from "./ThreadModule.ts"
import * as ThreadPlatform from "./ThreadPlatform.ts"

/** How a pool works. Every field has a default. */
export interface Options {
  /** Threads at the same time; jobs beyond that wait for one. Default: as many as there are processors. */
  readonly size?: number | undefined
  /** Heap of one at most, in MiB: a job that needs more crashes its thread alone. Default 512. */
  readonly memoryMiB?: number | undefined
  /** The environment variables that threads get. Default: all that this process has. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/** Modules that handlers name are not there, so their tasks could never run. */
export class ThreadModulesMissing extends Schema.TaggedError<ThreadModulesMissing>()("ThreadModulesMissing", {
  modules: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `There is no ${this.modules.join(", no ")} for threads to load. ` +
      "Make each thread module an entry of the bundle, next to the file that names it; " +
      "leave taskforge out of the bundle, or make taskforge/ThreadMain an entry too"
  }
}

/** How long a thread stays without work; it is looked for that often, so it may be twice as long. */
const idleFor: Duration.Input = "15 seconds"

/** The threads of a process. */
export class ThreadPool extends Context.Service<ThreadPool, {
  /** Does a job in a thread, which ends at once when this is interrupted. */
  readonly run: (
    job: Job,
    options: Thread.Listener & { readonly isolation: ThreadPlatform.Isolation }
  ) => Effect.Effect<Ending, Thread.ThreadCrashed>
}>()("taskforge/threads/ThreadPool") {
  /** Real threads. A module of a handler that is not there is a defect of this layer: {@link ThreadModulesMissing}. */
  static readonly layer = (
    { env, memoryMiB = 512, size = availableParallelism() }: Options = {}
  ): Layer.Layer<ThreadPool> =>
    Layer.effect(
      ThreadPool,
      Effect.gen(function*() {
        const modules = ThreadModule.missing()
        if (modules.length > 0) return yield* Effect.die(new ThreadModulesMissing({ modules }))
        const pools = {
          thread: yield* make({ isolation: "thread", memoryMiB, env }, size),
          process: yield* make({ isolation: "process", memoryMiB, env }, size)
        }
        return ThreadPool.of({
          run: (job, { isolation, ...listener }) => runIn(pools[isolation], job, listener)
        })
      })
    )

  /** No threads: jobs run where they are asked for. For tests under a simulated clock. */
  static readonly layerInline: Layer.Layer<ThreadPool> = Layer.succeed(ThreadPool, {
    run: Effect.fnUntraced(function*(job, { log, report }) {
      const { handler } = yield* Effect.promise((): Promise<{ readonly handler: ThreadHandler }> => import(job.module))
      const run = Effect.runSyncWith(yield* Effect.context<never>())
      return yield* perform(handler, job, { report, log: (line) => run(log(line)) })
    })
  })
}

type Threads = Pool.Pool<Thread.Thread, Thread.ThreadCrashed>

const make = (options: ThreadPlatform.Options, size: number): Effect.Effect<Threads, never, Scope.Scope> =>
  Pool.makeWithTTL({
    acquire: Thread.start.pipe(
      Effect.mapError(({ message }) => new Thread.ThreadCrashed({ reason: message })),
      Effect.provide(ThreadPlatform.layer(options))
    ),
    min: 0,
    max: size,
    timeToLive: idleFor,
    timeToLiveStrategy: "usage"
  }).pipe(Effect.updateService(Clock.Clock, MonotonicClock.steady))

const runIn = (pool: Threads, job: Job, listener: Thread.Listener) =>
  Effect.scoped(Effect.flatMap(Pool.get(pool), (thread) =>
    Effect.onExit(
      thread.run(job, listener),
      (exit) =>
        Exit.isSuccess(exit) && exit.value.isWorn !== true
          ? Effect.void
          : Effect.andThen(thread.terminate, Pool.invalidate(pool, thread))
    )))
