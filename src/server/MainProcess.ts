/**
 * A program as the main thing of its process: what signals, failures and lost readers do to it.
 *
 * SIGINT and SIGTERM interrupt it, so that it stops in order. A second signal ends the process at once, with 130 or
 * 143. A failure is one line on stderr for what an operator can mend, a stack for what only a programmer can; its exit
 * code is the error's own, else 1.
 */
import { Cause, Console, Effect, Exit, Option, Runtime } from "effect"
import { HttpServerError } from "effect/http"
import { constants } from "node:os"

/**
 * Runs a program that lasts until a signal: being interrupted is its orderly end, exit code 0. A program that ends by
 * itself may answer another code.
 */
export const run = <A, E>(program: Effect.Effect<A, E>): void => {
  // Whoever read the log has gone (EPIPE): the tasks matter more
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
  start(program, () => 0)
}

/**
 * Runs a program that does something and ends; it answers its exit code. Interrupted, it exits as the signal would
 * have ended it. It ends when nobody reads its output any more, as in `taskforge list | head`.
 */
export const runCommand = <E>(program: Effect.Effect<number, E>): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => process.exit(0))
  start(program, (signal) => 128 + constants.signals[signal])
}

type Signal = "SIGINT" | "SIGTERM"

const start = <A, E>(program: Effect.Effect<A, E>, interruptedBy: (signal: Signal) => number): void => {
  let received: Signal | undefined
  const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => {
        if (received !== undefined) process.exit(128 + constants.signals[signal])
        received = signal
        fiber.interruptUnsafe(fiber.id)
      })
    }
    fiber.addObserver((exit) => teardown(exit, process.exit))
  })
  runMain(Effect.tapCause(program, report), {
    disableErrorReporting: true,
    teardown: (exit, onExit) =>
      Exit.isSuccess(exit)
        ? onExit(typeof exit.value === "number" ? exit.value : 0)
        : Cause.hasInterruptsOnly(exit.cause)
        ? onExit(received === undefined ? 0 : interruptedBy(received))
        : Runtime.defaultTeardown(exit, onExit)
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
