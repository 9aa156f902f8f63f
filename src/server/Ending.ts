/**
 * The end of a process, without waiting. `process.exit` waits for everything that runs on Node's thread pool, such as an
 * image that is being encoded or a password that is being hashed, and nothing can stop that: seconds, or minutes, in
 * which the process has missed its deadline although all that matters is stored.
 */
import { existsSync } from "node:fs"
import { constants } from "node:os"

/** The signals that ask a process to end. */
export type Signal = "SIGINT" | "SIGTERM"

/** This program, also when its file was replaced since the start. */
const self = process.platform === "linux" ? "/proc/self/exe" : process.execPath

/**
 * Ends the process with an exit code. Where the system can, the process becomes another program, which is how the
 * threads of the pool end at once, and that program does nothing but exit with the code. Elsewhere (Windows, Bun, Deno)
 * this is `process.exit`.
 */
export const withCode = (code: number): void => {
  try {
    // A program that is not there would abort the process
    if (process.execve !== undefined && existsSync(self)) {
      process.execve(self, [process.execPath, "--eval", `process.exitCode = ${code}`], {})
    }
  } catch {
    // Not permitted here
  }
  process.exit(code)
}

/** Ends the process as the signal does that no program listens to. The first process of a container has no such end. */
export const bySignal = (signal: Signal): void => {
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
  withCode(128 + constants.signals[signal])
}
