/** One thread: it does a job at a time, and ends when its scope closes, whatever it is doing. */
import { Cause, Deferred, Effect, Exit, Fiber, Schema, type Scope } from "effect"
import * as Workers from "effect/workers/Worker"
import type { WorkerError } from "effect/workers/WorkerError"
import type { Done, Job, Logged, Reply } from "./ThreadMessage.ts"

/** A thread ended before its job did: out of memory, `process.exit`, an error in native code. */
export class ThreadCrashed extends Schema.TaggedError<ThreadCrashed>()("ThreadCrashed", {
  reason: Schema.String
}) {
  override get message(): string {
    return `The thread that ran the task ended: ${this.reason}`
  }
}

/** Takes what a job says while it runs. */
export interface Listener {
  /** How far it is, from 0 to 1. */
  readonly report: (fraction: number) => Effect.Effect<void>
  /** What it logs. */
  readonly log: (line: Logged) => Effect.Effect<void>
}

/** A running thread. */
export interface Thread {
  /** Does a job. Interrupting this leaves the thread busy: terminate it then. */
  readonly run: (job: Job, listener: Listener) => Effect.Effect<Done, ThreadCrashed>
  /** Ends the thread at once. */
  readonly terminate: Effect.Effect<void>
}

/** Starts a thread. */
export const start: Effect.Effect<
  Thread,
  WorkerError,
  Scope.Scope | Workers.WorkerPlatform | Workers.Spawner
> = Effect.gen(function*() {
  const platform = yield* Workers.WorkerPlatform
  const worker = yield* platform.spawn<Reply, Job>(0)
  let onReply = (_: Reply): Effect.Effect<unknown> => Effect.void
  const listening = yield* Effect.forkScoped(worker.run((reply: Reply) => onReply(reply)))
  const crash = Effect.flatMap(Fiber.await(listening), (exit) => Effect.fail(crashOf(exit)))
  return {
    run: (job, listener) =>
      Effect.suspend(() => {
        const ending = Deferred.makeUnsafe<Done>()
        onReply = (reply) => {
          if (reply._tag === "Progress") return listener.report(reply.fraction)
          return reply._tag === "Logged" ? listener.log(reply.line) : Deferred.succeed(ending, reply)
        }
        return Effect.andThen(Effect.orDie(worker.send(job)), Effect.raceFirst(Deferred.await(ending), crash))
      }),
    terminate: Fiber.interrupt(listening)
  }
})

const crashOf = (exit: Exit.Exit<never, WorkerError>): ThreadCrashed =>
  new ThreadCrashed({
    reason: Exit.isFailure(exit)
      ? Cause.prettyErrors(exit.cause).map(({ message }) => message).join("; ")
      : "it was closed"
  })
