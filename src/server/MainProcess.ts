/**
 * A program as the main thing of its process: what signals, failures and lost readers do to it.
 *
 * SIGINT and SIGTERM interrupt it, so that it stops in order. Another signal, a second later or more, ends the process at
 * once, by that signal. Before that a signal is the first one heard again: `npm start` passes on what the terminal has
 * sent to the whole process group already. A failure is one line on stderr for what an operator can mend, a stack for
 * what only a programmer can; its exit code is the error's own, else 1.
 */
import { Cause, Clock, Console, Context, Effect, Exit, Option, Runtime } from "effect"
import { HttpServerError } from "effect/http"
import { constants } from "node:os"
import * as Ending from "./Ending.ts"

/**
 * Runs a program that lasts until a signal: being interrupted is its orderly end, exit code 0. A program that ends by
 * itself may answer another code.
 */
export const run = <A, E>(program: Effect.Effect<A, E>): void => {
  // The reader of the log has gone (EPIPE): the tasks matter more
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
  start(program, { interruptedBy: () => 0, exit: Ending.withCode })
}

/**
 * Runs a program that does something and ends; it answers its exit code. Interrupted, it exits as the signal would
 * have ended it. It ends when its output has no reader any more, as in `taskforge list | head`.
 */
export const runCommand = <E>(program: Effect.Effect<number, E>): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => process.exit(0))
  start(program, { interruptedBy: (signal) => 128 + constants.signals[signal], exit: (code) => process.exit(code) })
}

/** Signals that come sooner after the first one are that one again. */
const sameSignalForNanos = 1_000_000_000n

interface Ends {
  /** The exit code of an interrupted program. */
  readonly interruptedBy: (signal: Ending.Signal) => number
  readonly exit: (code: number) => void
}

const start = <A, E>(program: Effect.Effect<A, E>, { exit, interruptedBy }: Ends): void => {
  // Files and folders that the process makes are for its own user: payloads and results may be secret
  process.umask(0o077)
  let received: { readonly signal: Ending.Signal; readonly at: bigint } | undefined
  const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
    const clock = Context.get(fiber.context, Clock.Clock)
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => {
        const at = clock.monotonicTimeNanosUnsafe()
        if (received === undefined) {
          received = { signal, at }
          fiber.interruptUnsafe(fiber.id)
        } else if (at - received.at >= sameSignalForNanos) Ending.bySignal(signal)
      })
    }
    fiber.addObserver((ended) => teardown(ended, exit))
  })
  runMain(Effect.tapCause(program, report), {
    disableErrorReporting: true,
    teardown: (ended, onExit) =>
      Exit.isSuccess(ended)
        ? onExit(typeof ended.value === "number" ? ended.value : 0)
        : Cause.hasInterruptsOnly(ended.cause)
        ? onExit(received === undefined ? 0 : interruptedBy(received.signal))
        : Runtime.defaultTeardown(ended, onExit)
  })
}

const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  return Cause.hasInterruptsOnly(cause)
    ? Effect.void
    : Console.error(`taskforge: ${error === undefined ? Cause.pretty(cause) : describe(error)}`)
}

const describe = (error: unknown): string =>
  error instanceof HttpServerError.ServeError
    ? `the server cannot listen: ${describe(error.cause)}; choose another SERVER_PORT or SERVER_HOST`
    : error instanceof Error
    ? error.message
    : String(error)
