/**
 * A server program of this machine, started for tests: on a free port, with a folder of its own, as a user that may
 * run it. It can be killed and started again; it ends with the scope that started it, however the test ends.
 */
import { Data, type Duration, Effect, Exit, Fiber, Option, Schedule, type Scope } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { accessSync, chownSync, constants, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

/** No such server answers, and none can be started. It says what to do about it. */
export class ServerMissing extends Data.TaggedError("ServerMissing")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}

/** A user and group to run as; `undefined` is this process's own. */
export interface User {
  readonly uid: number
  readonly gid: number
}

/** A program that runs, and can be ended and started again in the same folder and on the same port. */
export interface Program {
  readonly port: number
  readonly folder: string
  /** Ends the process with a signal and waits until it has gone. */
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Sends a signal and waits for nothing. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Starts it again after it ended, and waits until it is ready. */
  readonly start: Effect.Effect<void, ServerMissing>
}

/**
 * Whether a server answers, however busy the machine is. One that takes connections and says nothing is no server for
 * tests, also where the client's own attempt cannot be interrupted: it is left behind.
 */
export const answers = <A, E>(
  ask: Effect.Effect<A, E>,
  within: Duration.Input = "20 seconds"
): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkDetach(ask)
    const exit = yield* Effect.timeoutOption(Fiber.await(fiber), within)
    if (Option.isNone(exit)) yield* Effect.forkDetach(Fiber.interrupt(fiber))
    return Option.isSome(exit) && Exit.isSuccess(exit.value)
  })

/** The first file of these names, in folders that are looked through in order. */
export const findBinary = (
  names: ReadonlyArray<string>,
  folders: ReadonlyArray<string> = []
): string | undefined => {
  const path = (process.env["PATH"] ?? "").split(delimiter)
  const places = [...folders, ...path, "/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin"]
  return places.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable)
}

/** The folders below another one, newest version first. */
export const versionsIn = (folder: string, inner: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
      .toSorted((left, right) => right.localeCompare(left, "en", { numeric: true }))
      .map((version) => join(folder, version, inner))
  } catch {
    return []
  }
}

/** Somebody who is not root: servers refuse to run as root. */
export const unprivileged = (names: ReadonlyArray<string>): User | undefined => {
  if (process.getuid?.() !== 0) return undefined
  for (const name of names) {
    try {
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }))
      return { uid: id("-u"), gid: id("-g") }
    } catch {
      // no such user here
    }
  }
  return undefined
}

/** A folder that goes with the scope. */
export const folderFor = (user: User | undefined, name: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), `taskforge-${name}-`))
      if (user !== undefined) chownSync(folder, user.uid, user.gid)
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

/** Listens for a moment on a port; answers whether nothing else does. */
const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })

/**
 * A port that nothing listens on now, nor so far above it, ten thousand at most. Systems give none of these ports to a
 * connection that goes out, which could have it when the server starts again.
 */
export const freePort = (above = 0): Effect.Effect<number> =>
  Effect.suspend(() => {
    const port = randomInt(10_000, 22_000)
    return Effect.flatMap(
      Effect.all([isFree(port), isFree(port + above)]),
      (free) => free.every(Boolean) ? Effect.succeed(port) : freePort(above)
    )
  })

/** Starts a program and waits until it is ready. */
export const run = Effect.fnUntraced(function*(options: {
  readonly binary: string
  readonly args: (port: number, folder: string) => ReadonlyArray<string>
  /** The program listens on another port too, so far above its own. */
  readonly listensAbove?: number | undefined
  readonly folder: string
  readonly user: User | undefined
  /** Ends it as soon as its scope closes. */
  readonly stopSignal: NodeJS.Signals
  readonly isReady: (port: number) => Effect.Effect<unknown, unknown>
}): Effect.fn.Return<Program, ServerMissing, Scope.Scope> {
  const { binary, folder, user } = options
  const port = yield* freePort(options.listensAbove)
  let child: ChildProcess | undefined
  let output = ""

  const launch = Effect.sync(() => {
    output = ""
    const started = spawn(binary, options.args(port, folder), {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      ...user
    })
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(-4000)
      })
    }
    const endWithUs = () => started.kill(options.stopSignal)
    process.once("exit", endWithUs)
    started.once("exit", () => process.off("exit", endWithUs))
    started.once("error", (cause) => {
      output += String(cause)
    })
    child = started
  })

  const start = Effect.andThen(
    launch,
    Effect.suspend(() => answers(options.isReady(port))).pipe(
      Effect.filterOrFail((isReady) => isReady, () => "it does not answer"),
      Effect.retry({ schedule: Schedule.spaced("50 millis"), while: () => isAlive(child) }),
      Effect.timeout("2 minutes"),
      Effect.mapError((cause) => new ServerMissing({ reason: `${binary} did not start: ${output || String(cause)}` })),
      Effect.asVoid
    )
  )

  const kill = (signal: NodeJS.Signals): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const ending = child
      if (ending === undefined || !isAlive(ending)) return resume(Effect.void)
      ending.once("exit", () => resume(Effect.void))
      ending.kill(signal)
    })

  yield* Effect.addFinalizer(() =>
    kill(options.stopSignal).pipe(
      Effect.timeoutOrElse({ duration: "1 minute", orElse: () => kill("SIGKILL") })
    )
  )
  yield* start
  return { port, folder, kill, signal: (signal) => Effect.sync(() => void child?.kill(signal)), start }
})

const isAlive = (child: ChildProcess | undefined): boolean =>
  child?.pid !== undefined && child.exitCode === null && child.signalCode === null

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
