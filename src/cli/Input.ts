/** What commands read: flags of some kinds, and a file, or stdin under the name `-`. */
import { Effect, FileSystem, type PlatformError, type Schema, Stdio, Stream } from "effect"
import { Flag } from "effect/cli"
import { DurationText } from "../domain/DurationText.ts"
import { inexactIn } from "../domain/ExactJson.ts"
import { Failure } from "./Failure.ts"

/** A text that may be left out. */
export const textFlag = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

/** A duration that may be left out. */
export const durationFlag = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription(description),
    Flag.withSchema(DurationText),
    Flag.optional
  )

/** Something that is done only if it is asked for. */
export const toggleFlag = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

/** Asks for JSON instead of text: a value per line. */
export const jsonFlag = toggleFlag("json", "Prints JSON, a value per line")

/** The whole text. */
export const text = (path: string): Effect.Effect<string, Failure, FileSystem.FileSystem | Stdio.Stdio> =>
  Stream.mkString(Stream.decodeText(bytes(path)))

/** The lines, with their numbers; empty ones are left out. */
export const lines = (
  path: string
): Stream.Stream<{ readonly number: number; readonly text: string }, Failure, FileSystem.FileSystem | Stdio.Stdio> =>
  bytes(path).pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.map((text, index) => ({ number: index + 1, text })),
    Stream.filter(({ text }) => text.trim() !== "")
  )

/** Reads JSON whose numbers are kept as they are. `name` says where it came from. */
export const json = (text: string, name: string): Effect.Effect<Schema.Json, Failure> =>
  Effect.tap(parsed(text, name), () => {
    const inexact = inexactIn(text)
    return inexact === undefined ? Effect.void : Effect.fail(
      new Failure({
        exit: "input",
        code: "invalid_json",
        problem: `${shown(name)} has a number that is not kept exactly: ${inexact.number.slice(0, 80)}${
          inexact.path.length === 0 ? "" : ` at ${inexact.path.join(".")}`
        }`,
        advice: "Write it as a text, in quotes."
      })
    )
  })

const shown = (name: string): string => name === "-" ? "stdin" : name

const parsed = (text: string, name: string): Effect.Effect<Schema.Json, Failure> =>
  Effect.try({
    try: () => JSON.parse(text) as Schema.Json,
    catch: (error) =>
      new Failure({
        exit: "input",
        code: "invalid_json",
        problem: `${shown(name)} is no JSON: ${error instanceof Error ? error.message : String(error)}`,
        advice: `A text needs its own quotes: '"like this"'.`
      })
  })

const bytes = (path: string): Stream.Stream<Uint8Array, Failure, FileSystem.FileSystem | Stdio.Stdio> =>
  Stream.unwrap(Effect.gen(function*() {
    const { stdin } = yield* Stdio.Stdio
    const { stream } = yield* FileSystem.FileSystem
    return path === "-" ? stdin : stream(path)
  })).pipe(Stream.mapError((error) => unreadable(path, error)))

const unreadable = (path: string, error: PlatformError.PlatformError): Failure =>
  new Failure({
    exit: "unknown",
    code: "unreadable",
    problem: error.reason._tag === "NotFound" ? `There is no file ${path}` : `${path} cannot be read: ${error.message}`
  })
