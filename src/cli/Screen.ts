/** Where a command writes: results on stdout, progress on stderr, and what each of them can show. */
import { Config, Context, Effect, Layer } from "effect"
import { TerminalCapabilities } from "effect/cli"

/** The terminal of a command, or what stands in for it. */
export class Screen extends Context.Service<Screen, {
  /** Whether stdout is a person's terminal rather than a file or a pipe. */
  readonly isTerminal: boolean
  /** Whether stderr can show something that moves. */
  readonly animates: boolean
  readonly colours: boolean
  /** Columns of the terminal; infinite where nothing has to fit. */
  readonly columns: Effect.Effect<number>
  readonly rows: Effect.Effect<number>
  /** Writes to stdout as it is. */
  readonly write: (text: string) => Effect.Effect<void>
  /** Writes to stderr as it is. */
  readonly writeError: (text: string) => Effect.Effect<void>
}>()("taskforge/cli/Screen") {
  /** The process's own. */
  static readonly layer: Layer.Layer<Screen> = Layer.effect(
    Screen,
    Effect.gen(function*() {
      const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
      const term = yield* Effect.orDie(Config.withDefault(Config.String("TERM"), ""))
      const isTerminal = process.stdout.isTTY === true
      return Screen.of({
        isTerminal,
        animates: process.stderr.isTTY === true && term !== "dumb",
        colours: canColor,
        columns: Effect.sync(() => isTerminal ? process.stdout.columns || 80 : Infinity),
        rows: Effect.sync(() => process.stdout.rows || 24),
        write: (text) => writeTo(process.stdout, text),
        writeError: (text) => writeTo(process.stderr, text)
      })
    })
  )
}

/** Waits for room in the stream, so that a slow reader slows the command down instead of filling its memory. */
const writeTo = (stream: NodeJS.WriteStream, text: string): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (stream.write(text)) resume(Effect.void)
    else stream.once("drain", () => resume(Effect.void))
  })

/** Writes a line to stdout. */
export const line = (text = ""): Effect.Effect<void, never, Screen> =>
  Effect.flatMap(Screen, ({ write }) => write(`${text}\n`))

/** Writes a line to stderr. */
export const lineError = (text = ""): Effect.Effect<void, never, Screen> =>
  Effect.flatMap(Screen, ({ writeError }) => writeError(`${text}\n`))

/** Writes a value as a line of JSON to stdout. */
export const json = (value: unknown): Effect.Effect<void, never, Screen> => line(JSON.stringify(value))
