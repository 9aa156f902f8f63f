/**
 * Runs a program for one task: its payload on standard input, its result on standard output, its log on standard error, its progress on
 * file descriptor 3. The program has a process group of its own, so that whatever it starts ends with it.
 */
import { type Duration, Effect, Fiber, type PlatformError, type Scope, Stream } from "effect"
import { ChildProcess } from "effect/process"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { inexactIn } from "../domain/ExactJson.ts"

/** Bytes that a program may write to standard output: a request of the server takes a little more. */
export const maxOutputBytes: number = 900 * 1024

/** Characters of a line on standard error that are kept. */
const maxLineLength = 4000

/** How long output may come after the program has ended: something that it has started may hold it open. */
const lastOutputWithin = "2 seconds"

/** What is run for each task. */
export interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** How long it has to end once it was sent a TERM, before it gets a KILL. */
  readonly killAfter: Duration.Input
}

/** The task, as the program sees it. */
export interface Given {
  /** JSON. */
  readonly payload: string
  readonly environment: Readonly<Record<string, string>>
  readonly onLine: (line: string) => void
  readonly onProgress: (progress: number) => void
}

/** How a program ended by itself. */
export interface Ended {
  readonly code: number
  /** What it has written to standard output; `undefined` where that was too much. */
  readonly output: string | undefined
  /** Its last line on standard error. */
  readonly lastLine: string
}

/** Runs the program until it ends; interrupting this ends the program and all that it has started. */
export const run = (
  { args, command, killAfter }: Program,
  given: Given
): Effect.Effect<Ended, PlatformError.PlatformError, ChildProcessSpawner | Scope.Scope> =>
  Effect.gen(function*() {
    const handle = yield* ChildProcess.make(command, args, {
      env: given.environment,
      extendEnv: true,
      stdin: { stream: Stream.make(new TextEncoder().encode(given.payload)) },
      additionalFds: { fd3: { type: "output" } },
      killSignal: "SIGTERM",
      forceKillAfter: killAfter
    })
    let lastLine = ""
    const output = yield* Effect.forkChild(outputOf(handle.stdout))
    const lines = yield* Effect.forkChild(Stream.runForEach(linesOf(handle.stderr), (line) =>
      Effect.sync(() => {
        if (line.trim() !== "") lastLine = line
        given.onLine(line)
      })))
    const progress = yield* Effect.forkChild(Stream.runForEach(linesOf(handle.getOutputFd(3)), (line) =>
      Effect.sync(() => {
        const reported = progressOf(line)
        if (reported !== undefined) given.onProgress(reported)
      })))
    // One that cannot be read any more says nothing
    const code = yield* Effect.orElseSucceed(handle.exitCode, () =>
      -1)
    const rest = Effect.all([Fiber.await(output), Fiber.await(lines), Fiber.await(progress)], {
      concurrency: "unbounded"
    })
    yield* Effect.timeoutOption(rest, lastOutputWithin)
    const written = output.pollUnsafe()
    return { code, output: written?._tag === "Success" ? written.value : undefined, lastLine }
  })

/** All that comes, as far as it has room; nothing where it has not. The rest is read all the same, so that the program can end. */
const outputOf = (stdout: Stream.Stream<Uint8Array, PlatformError.PlatformError>) =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let bytes = 0
    return Effect.map(
      Stream.runForEach(stdout, (chunk) =>
        Effect.sync(() => {
          bytes += chunk.length
          if (bytes <= maxOutputBytes) chunks.push(chunk)
        })),
      () => bytes > maxOutputBytes ? undefined : Buffer.concat(chunks).toString("utf8")
    )
  })

/** Lines of bounded length: what has no end is not collected. */
const linesOf = (
  bytes: Stream.Stream<Uint8Array, PlatformError.PlatformError>
): Stream.Stream<string, PlatformError.PlatformError> =>
  bytes.pipe(
    Stream.decodeText,
    Stream.mapAccum(() => "", (rest: string, text: string) => {
      const lines = (rest + text).split(/\r?\n/)
      const last = lines.pop() ?? ""
      if (last.length <= maxLineLength) return [last, lines] as const
      return ["", [...lines, last]] as const
    }, { onHalt: (rest: string) => rest === "" ? [] : [rest] }),
    Stream.map((line) => line.slice(0, maxLineLength))
  )

/** `0.5`, or `50%`. */
const progressOf = (line: string): number | undefined => {
  const [, number, percent] = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*$/.exec(line) ?? []
  if (number === undefined) return undefined
  return Math.min(1, Number(number) / (percent === "%" ? 100 : 1))
}

/** The result that an output is: JSON if it is that, else the text without its last line break; nothing is `null`. */
export const resultOf = (output: string): unknown => {
  const text = output.toWellFormed().replace(/\r?\n$/, "")
  if (text.trim() === "") return null
  try {
    const json: unknown = JSON.parse(text)
    // A number that JavaScript does not have stays what was written
    return inexactIn(text) === undefined ? json : text
  } catch {
    return text
  }
}
