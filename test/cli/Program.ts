/** The bundled program, run in processes of its own. */
import { Deferred, Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as Bundle from "../../scripts/Bundle.mjs"

/** How a process ended, and what it wrote. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A process of the program. */
export interface Running {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Effect.Effect<Ended>
}

/** Starts the program with arguments. */
export type Program = (
  args: ReadonlyArray<string>,
  options?: { readonly environment?: Record<string, string>; readonly stdin?: string; readonly cwd?: string }
) => Effect.Effect<Running, never, Scope.Scope>

/** The program as it is released; its files go with the process of the tests. */
export const bundled = (): Program => {
  const directory = mkdtempSync(join(tmpdir(), "taskforge-cli-"))
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }))
  // The modules of threads come with the server, and the program finds them next to itself
  for (const name of ["server", "taskforge"] as const) {
    cpSync(dirname(Bundle.file(name)), directory, { recursive: true })
  }
  return (args, { cwd = directory, environment = {}, stdin } = {}) =>
    Effect.acquireRelease(
      Effect.sync(() => start(join(directory, "taskforge.cjs"), args, cwd, environment, stdin)),
      ({ child, ended }) => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), ended)
    )
}

const start = (
  path: string,
  args: ReadonlyArray<string>,
  cwd: string,
  environment: Record<string, string>,
  stdin: string | undefined
): Running => {
  const child = spawn(process.execPath, [path, ...args], {
    cwd,
    env: { PATH: process.env["PATH"], ...environment },
    stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"]
  })
  const ended = Deferred.makeUnsafe<Ended>()
  let stdout = ""
  let stderr = ""
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
  })
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  child.stdin?.on("error", () => {}).end(stdin)
  const killWithUs = () => child.kill("SIGKILL")
  process.once("exit", killWithUs)
  child.once("close", (code, signal) => {
    process.off("exit", killWithUs)
    Deferred.doneUnsafe(ended, Effect.succeed({ code, signal, stdout, stderr }))
  })
  return { child, stdout: () => stdout, stderr: () => stderr, ended: Deferred.await(ended) }
}
