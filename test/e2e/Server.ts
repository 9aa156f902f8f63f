/**
 * Real server processes, as `npm start` runs them. Each ends with the scope that started it, however the test ends.
 */
import { assert } from "@effect/vitest"
import { Data, Deferred, Effect, Schedule, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Bundle from "../../scripts/Bundle.mjs"

/** The program, built once for the sources as they are: it starts in a third of the time that they take. */
export const shipped = (): string => Bundle.file("server")

/** How a process ended: an exit code, or the signal that killed it. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A line of the log. */
export interface LogRecord {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** A process that may or may not become a server. */
export interface ServerProcess {
  readonly child: ChildProcess
  /** What it has logged so far. */
  readonly log: ReadonlyArray<LogRecord>
  readonly stderr: () => string
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Ends it and all that it has started in its process group. */
  readonly kill: () => void
  /** Waits for its end. */
  readonly ended: Effect.Effect<Ended>
  /** Waits for its end unless that has come. */
  readonly isEnded: () => boolean
}

/** A process that listens. */
export interface Server extends ServerProcess {
  readonly url: string
  /** Posts tasks, all or none, and answers their ids once they are accepted. */
  readonly post: (tasks: ReadonlyArray<NewTask>) => Effect.Effect<ReadonlyArray<string>, RequestFailed>
  readonly stats: Effect.Effect<Stats, RequestFailed>
}

/** A task as it is posted. */
export interface NewTask {
  readonly queue?: string
  readonly type: string
  readonly id?: string
  readonly payload?: unknown
  readonly max_retries?: number
  readonly after?: ReadonlyArray<string>
}

/** A part of `GET /api/v1/stats`. */
export interface Stats {
  readonly workers_active: number
  readonly by_status: Record<
    "scheduled" | "pending" | "running" | "completed" | "failed" | "cancelled" | "expired",
    number
  >
  readonly totals: Record<"created" | "completed" | "failed" | "cancelled" | "expired" | "retried" | "crashed", number>
}

/** No answer, or not the one that was hoped for. */
export class RequestFailed extends Data.TaggedError("RequestFailed")<{ readonly reason: string }> {}

/** The process ended before it listened. */
export class NotStarted extends Data.TaggedError("NotStarted")<{ readonly ended: Ended; readonly stderr: string }> {}

/** Settings of a server; by default it keeps its tasks in `tasks.db` and takes any free port. */
export type Environment = Record<string, string>

/** A folder that goes with the scope. */
export const directory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "taskforge-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** What runs: a file, or a command with its arguments, in a process group of its own. */
export type Runs = string | readonly [command: string, ...args: Array<string>]

/** Starts a process in a folder; it runs what is shipped unless something else is given. */
export const launch = (
  cwd: string,
  environment: Environment = {},
  runs: Runs = shipped()
): Effect.Effect<ServerProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => spawnServer(cwd, environment, runs)),
    (process) =>
      Effect.andThen(
        Effect.sync(process.kill),
        process.ended
      )
  )

/** Starts a server and waits until it listens. */
export const start = (
  cwd: string,
  environment: Environment = {},
  runs: Runs = shipped()
): Effect.Effect<Server, NotStarted, Scope.Scope> => Effect.flatMap(launch(cwd, environment, runs), listening)

/** Waits until a process listens. */
export const listening = (process: ServerProcess): Effect.Effect<Server, NotStarted> =>
  Effect.gen(function*() {
    yield* until("the server listens", Effect.sync(() => process.isEnded() || started(process) !== undefined))
    const record = started(process)
    if (record === undefined) return yield* new NotStarted({ ended: yield* process.ended, stderr: process.stderr() })
    const url = String(record["url"])
    return {
      ...process,
      url,
      post: (tasks) =>
        Effect.map(
          request<ReadonlyArray<{ readonly id: string }>>(`${url}/api/v1/tasks`, tasks),
          (created) => created.map(({ id }) => id)
        ),
      stats: request<Stats>(`${url}/api/v1/stats`)
    }
  })

/** Sends a signal and expects an orderly end. */
export const stop = (server: Server, signal: NodeJS.Signals = "SIGTERM"): Effect.Effect<void> =>
  Effect.andThen(server.signal(signal), endsInOrder(server))

/** Waits for an orderly end: exit code 0, and nothing on stderr. */
export const endsInOrder = (server: Server): Effect.Effect<void> =>
  Effect.map(server.ended, (ended) => {
    assert.deepStrictEqual({ ...ended, stderr: server.stderr() }, { code: 0, signal: null, stderr: "" })
  })

/** Waits until a condition holds, looking often; dies when it never does. */
export const until = <E, R>(
  what: string,
  condition: Effect.Effect<boolean, E, R>,
  withinSeconds = 120
): Effect.Effect<void, E, R> =>
  condition.pipe(
    Effect.repeat({ until: (holds: boolean) => holds, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: withinSeconds * 1000,
      orElse: () => Effect.die(new Error(`${withinSeconds} seconds have passed, and still not: ${what}`))
    }),
    Effect.asVoid
  )

const started = ({ log }: ServerProcess) => log.find((record) => "url" in record)

const spawnServer = (cwd: string, environment: Environment, runs: Runs): ServerProcess => {
  const isFile = typeof runs === "string"
  const [command, ...args] = isFile ? [process.execPath, runs] : runs
  const child = spawn(command, args, {
    cwd,
    detached: !isFile,
    env: {
      PATH: process.env["PATH"],
      NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"],
      STORE_URL: "sqlite:tasks.db",
      SERVER_PORT: "0",
      LOG_FORMAT: "json",
      ...environment
    },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const log: Array<LogRecord> = []
  let stderr = ""
  let rest = ""
  let isEnded = false
  const ended = Deferred.makeUnsafe<Ended>()
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) log.push(JSON.parse(line) as LogRecord)
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  const kill = () => {
    if (isFile) child.kill("SIGKILL")
    else if (!isEnded && child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
  }
  process.once("exit", kill)
  child.once("close", (code, signal) => {
    process.off("exit", kill)
    isEnded = true
    Deferred.doneUnsafe(ended, Effect.succeed({ code, signal }))
  })
  return {
    child,
    log,
    stderr: () => stderr,
    signal: (signal) => Effect.sync(() => void child.kill(signal)),
    kill,
    ended: Deferred.await(ended),
    isEnded: () => isEnded
  }
}

/** Sends a request, a POST if there is a body, and reads the answer, which has to come in time. */
export const request = <Answer>(
  url: string,
  body?: unknown,
  withinMs = 60_000
): Effect.Effect<Answer, RequestFailed> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(url, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
        ...(body === undefined
          ? {}
          : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 500)}`)
      return JSON.parse(text) as Answer
    },
    catch: (cause) => new RequestFailed({ reason: cause instanceof Error ? cause.message : String(cause) })
  })
