/**
 * A handler as a thread runs it. It is exported as `handler` from a module of its own, because a thread shares no
 * memory with the process that started it: it loads the module by itself.
 *
 * @example
 * ```ts
 * // Mandelbrot.thread.ts
 * export const handler = ThreadHandler.make(Mandelbrot, ({ width }) => Effect.sync(() => render(width)))
 * ```
 */
import { Cause, Effect, Exit, Logger, References } from "effect"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import * as Thrown from "../domain/Thrown.ts"
import { without as withoutSteps } from "../flow/StepRunner.ts"
import * as LogLine from "../logs/LogLine.ts"
import { Snoozed } from "../worker/Attempt.ts"
import { type HandlerContext, TaskContext } from "../worker/TaskContext.ts"
import type { Ending, Job, Logged } from "./ThreadMessage.ts"

/** A definition with the code that runs it. */
export interface ThreadHandler {
  readonly definition: AnyTaskDefinition
  readonly run: (payload: unknown, context: TaskContext["Service"]) => Effect.Effect<unknown, unknown, TaskContext>
}

/**
 * Ties the code to its definition. It may compute for as long as it likes: nothing else runs in its thread. When the
 * attempt is cancelled, times out or loses its lease, the thread is ended on the spot, so finalizers do not run.
 */
export const make = <Definition extends AnyTaskDefinition>(
  definition: Definition,
  run: (
    payload: Definition["payload"]["Type"],
    context: TaskContext["Service"]
  ) => Effect.Effect<Definition["success"]["Type"], Definition["error"]["Type"], TaskContext>
): ThreadHandler => ({ definition, run })

/** Runs a job to its end. It never fails: whatever happens becomes an ending. */
export const perform = (
  { definition, run }: ThreadHandler,
  { attempt, logLevel, payload }: Job,
  { log, report }: {
    readonly report: (fraction: number) => Effect.Effect<void>
    readonly log: (line: Logged) => void
  }
): Effect.Effect<Ending> => {
  const { codec } = definition
  const context: HandlerContext<unknown> = {
    ...attempt,
    progress: report,
    snooze: Snoozed.now,
    charge: () => Effect.die(new Error("A thread has no store: a handler outside of it can charge a limit")),
    holdBack: () => Effect.die(new Error("A thread has no store: snooze instead of holding a key back")),
    protect: () => Effect.die(new Error("A thread has no store: protect the call of the thread instead")),
    earlier: Effect.die(new Error("A thread has no store: read the results of earlier tasks outside of it")),
    steps: withoutSteps("A thread has no store: make the call of the thread a step instead"),
    complete: () => Effect.die(new Error("A thread has no store: return the result instead of completing the task"))
  }
  return codec.decodePayload(payload).pipe(
    Effect.orDie,
    Effect.flatMap((payload) => run(payload, context)),
    Effect.flatMap((success) => Effect.orDie(codec.encodeSuccess(success))),
    Effect.provideService(TaskContext, context),
    Effect.provideService(Logger.CurrentLoggers, new Set([loggerOf(log)])),
    Effect.provideService(References.MinimumLogLevel, logLevel),
    Effect.exit,
    Effect.map((exit) => endingOf(definition, exit))
  )
}

/** Gives lines to the process that has the loggers. */
const loggerOf = (log: (line: Logged) => void) =>
  Logger.make<unknown, void>((line) => {
    const { annotations, cause, level, text }: LogLine.LogLine = JSON.parse(LogLine.encode(0, line))
    log({ level, text, ...annotations !== undefined && { annotations }, ...cause !== undefined && { cause } })
  })

const endingOf = ({ codec }: AnyTaskDefinition, exit: Exit.Exit<string, unknown>): Ending => {
  if (Exit.isSuccess(exit)) return { _tag: "Succeeded", result: exit.value }
  // The reasons, not what is in them: nothing at all can be thrown
  const defect = exit.cause.reasons.find(Cause.isDieReason)
  if (defect !== undefined) {
    return defect.defect instanceof Snoozed
      ? { _tag: "Snoozed", delayMs: defect.defect.delayMs }
      : died(defect.defect)
  }
  const declared = exit.cause.reasons.find(Cause.isFailReason)
  if (declared === undefined) return died(Cause.squash(exit.cause))
  const encoded = codec.encodeError(declared.error)
  return Exit.isSuccess(encoded) ? { _tag: "Failed", error: encoded.value } : died(declared.error)
}

/** Anything can be thrown; what crosses the threads is text. */
export const died = (thrown: unknown): Ending => {
  const { message, stack, tag } = Thrown.show(thrown)
  return { _tag: "Died", name: tag, message, stack }
}
