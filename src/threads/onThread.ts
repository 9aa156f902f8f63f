/**
 * Puts a handler on worker threads: `Mandelbrot.toLayer(onThread(Mandelbrot, new URL("./Mandelbrot.thread.js",
 * import.meta.url)))`, where the module exports `handler`, made with `ThreadHandler.make`. The module is found whatever
 * ending it has: `.ts` from source, `.js` after a compiler, `.mjs` or `.cjs` in a bundle, where it is an entry of its own.
 */
import { Effect, References } from "effect"
import * as LogLevels from "../domain/LogLevels.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import { Snoozed } from "../worker/Attempt.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import type { Ending, Logged } from "./ThreadMessage.ts"
import * as ThreadModule from "./ThreadModule.ts"
import type { Isolation } from "./ThreadPlatform.ts"
import { ThreadPool } from "./ThreadPool.ts"

/** How the handler runs. */
export interface OnThreadOptions {
  /** Default `thread`. Take `process` for native code that keeps a thread from ending. */
  readonly isolation?: Isolation | undefined
}

/** A handler that runs the module's one in a thread of the {@link ThreadPool}. */
export const onThread = <Definition extends AnyTaskDefinition>(
  definition: Definition,
  module: URL,
  { isolation = "thread" }: OnThreadOptions = {}
) => {
  const { codec } = definition
  const { href } = ThreadModule.find(module)
  // What a thread does is not seen from outside of it
  const stack = () => `at ${href}`
  const frame = (parent: References.StackFrame | undefined) => ({
    name: `${definition.type} in a ${isolation}`,
    stack,
    parent
  })
  return Effect.fnUntraced(function*(
    payload: Definition["payload"]["Type"]
  ): Effect.fn.Return<Definition["success"]["Type"], Definition["error"]["Type"], ThreadPool | TaskContext> {
    const threads = yield* ThreadPool
    const { attempt, claim, id, instance, progress, queue, slot, type } = yield* TaskContext
    const job = {
      module: href,
      payload: yield* Effect.orDie(codec.encodePayload(payload)),
      attempt: { id, type, queue, attempt, claim, instance, slot },
      logLevel: yield* Effect.withFiber((fiber) => Effect.succeed(LogLevels.minimumOf(fiber)))
    }
    // A crash is the attempt's defect: the policy of the task type knows only declared errors
    const running = threads.run(job, { isolation, report: progress, log: yield* logger })
    const ending = yield* Effect.orDie(Effect.updateService(running, References.CurrentStackFrame, frame))
    switch (ending._tag) {
      case "Succeeded":
        return yield* Effect.orDie(codec.decodeSuccess(ending.result))
      case "Failed":
        return yield* Effect.flatMap(Effect.orDie(codec.decodeError(ending.error)), Effect.fail)
      case "Snoozed":
        return yield* Snoozed.now(ending.delayMs)
      case "Died":
        return yield* Effect.die(thrown(ending))
    }
  })
}

/** Logs what a thread has logged as if this fiber did, so that it goes where all that the handler logs goes. */
const logger = Effect.map(
  Effect.context<never>(),
  (context) => ({ annotations = {}, cause, level, text }: Logged) =>
    Effect.logWithLevel(level)(cause === undefined ? text : `${text}\n${cause}`).pipe(
      Effect.annotateLogs(annotations),
      Effect.provideContext(context)
    )
)

const thrown = ({ message, name, stack }: Extract<Ending, { readonly _tag: "Died" }>): Error =>
  Object.assign(new Error(message), { name, stack })
