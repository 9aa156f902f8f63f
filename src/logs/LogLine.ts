/**
 * One line that a handler has logged, as a store keeps it. Whatever is logged becomes a text that every store takes and that has
 * a bound: control characters and halves of surrogate pairs are replaced, terminal colours and secrets are left out, and what
 * is too long is cut.
 */
import { Cause, type Logger, type LogLevel, References, Schema } from "effect"
import { stripVTControlCharacters } from "node:util"
import * as Redaction from "../domain/Redaction.ts"
import * as Thrown from "../domain/Thrown.ts"

/** The levels of lines, the most important last. */
export const levels = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"] as const

/** The level of a line. */
export type Level = typeof levels[number]

/** What an annotation may be once it is kept. */
const Annotation = Schema.Union([Schema.String, Schema.Finite, Schema.Boolean])

/** A line as it is kept. */
export const LogLine = Schema.Struct({
  /** Its number among the lines of its attempt, from 1. */
  n: Schema.Int,
  /** Milliseconds since the epoch, by the clock of the instance that ran the attempt. */
  at: Schema.Int,
  level: Schema.Literals(levels),
  text: Schema.String,
  annotations: Schema.optionalKey(Schema.Record(Schema.String, Annotation)),
  /** Open log spans, in milliseconds. */
  spans: Schema.optionalKey(Schema.Record(Schema.String, Schema.Finite)),
  cause: Schema.optionalKey(Schema.String),
  /** Some of it was too long, or too much. */
  cut: Schema.optionalKey(Schema.Literal(true))
})

export type LogLine = typeof LogLine.Type

/** Characters of a line's text at most. */
export const maxText = 4000

/** Characters of a line's cause at most. */
export const maxCause: number = Thrown.maxStackLength

/** Bytes of UTF-8 in the JSON of a line at most. */
export const maxLineBytes: number = 16 * 1024

const maxAnnotations = 20
const maxNameLength = 100
const maxValueLength = 500
/** Characters of text and of cause where a line would be larger than {@link maxLineBytes}. */
const maxOfLarge = 1000
/** Characters that are looked at: what is logged may be megabytes long. */
const maxRead = 64 * 1024

/** The line as JSON, without the annotations that are known from elsewhere. It never throws, whatever was logged. */
export const encode = (
  n: number,
  options: Logger.Options<unknown>,
  known: Readonly<Record<string, unknown>> = {}
): string => {
  try {
    return encodeLine(n, options, known)
  } catch {
    return JSON.stringify({
      n,
      at: millisOf(options.date),
      level: "Info",
      text: "This line cannot be shown",
      cut: true
    })
  }
}

/** The same of a line that came as text, from a program elsewhere. */
export const encodeText = (n: number, at: number, level: Level, given: string): string => {
  const text = clean(given, maxText)
  const line: LogLine = { n, at, level, text: text.kept, ...text.isCut && { cut: true } }
  const json = JSON.stringify(line)
  return Buffer.byteLength(json) <= maxLineBytes
    ? json
    : JSON.stringify({ ...line, text: Thrown.cut(text.kept, maxOfLarge), cut: true } satisfies LogLine)
}

const encodeLine = (
  n: number,
  { cause, date, fiber, logLevel, message }: Logger.Options<unknown>,
  known: Readonly<Record<string, unknown>>
): string => {
  const at = millisOf(date)
  const level = levelOf(logLevel)
  const text = clean(textOf(message), maxText)
  const annotations = cleanAnnotations(fiber.getRef(References.CurrentLogAnnotations), known)
  const spans = fiber.getRef(References.CurrentLogSpans)
  const why = cause.reasons.length === 0 ? undefined : clean(Cause.pretty(cause), maxCause)
  const isCut = text.isCut || annotations.isCut || why?.isCut === true || spans.length > maxAnnotations
  const json = JSON.stringify(
    {
      n,
      at,
      level,
      text: text.kept,
      ...annotations.kept !== undefined && { annotations: annotations.kept },
      ...spans.length > 0 && { spans: spansOf(spans, at) },
      ...why !== undefined && { cause: why.kept },
      ...isCut && { cut: true }
    } satisfies LogLine
  )
  if (json.length * 3 <= maxLineBytes || Buffer.byteLength(json) <= maxLineBytes) return json
  return JSON.stringify(
    {
      n,
      at,
      level,
      text: Thrown.cut(text.kept, maxOfLarge),
      ...why !== undefined && { cause: Thrown.cut(why.kept, maxOfLarge) },
      cut: true
    } satisfies LogLine
  )
}

const millisOf = (date: Date): number => Math.trunc(date.getTime()) || 0

const levelOf = (level: LogLevel.LogLevel): Level => levels.find((known) => known === level) ?? "Info"

/** The parts of a message, as a person reads them. */
const textOf = (message: unknown): string => Array.isArray(message) ? message.map(partOf).join(" ") : partOf(message)

const partOf = (part: unknown): string => {
  if (typeof part === "string") return part
  if (part instanceof Error) return `${Thrown.show(part).tag}: ${Thrown.show(part).message}`
  const json = jsonOf(part)
  return json === undefined ? Thrown.show(part).message : JSON.stringify(json)
}

/** An object as its JSON, without the values of fields that are named as secrets. */
const jsonOf = (value: unknown): Schema.Json | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  try {
    const json = JSON.stringify(value)
    return json === undefined || json.length > maxRead ? undefined : Redaction.json(JSON.parse(json))
  } catch {
    return undefined
  }
}

interface Cleaned {
  readonly kept: string
  readonly isCut: boolean
}

/** Control characters but tabs and line breaks. */
const controls = /[^\P{Control}\t\n]/gu

/** A text that is safe to keep. Secrets are left out before it is cut: half of a URL does not show its password as one. */
const clean = (text: string, maxLength: number): Cleaned => {
  const read = text.length > maxRead ? text.slice(0, lastSpaceOf(text)) : text
  const lines = stripVTControlCharacters(read.toWellFormed()).replace(/\r\n?/g, "\n").replace(controls, "\ufffd")
  const shown = Redaction.text(lines)
  return { kept: Thrown.cut(shown, maxLength), isCut: read !== text || shown.length > maxLength }
}

/** Where the last word begins in the part that is looked at: it may be the beginning of a URL. */
const lastSpaceOf = (text: string): number => {
  let end = maxRead
  while (end > maxRead / 2 && !/\s/.test(text[end]!)) end--
  return end
}

const cleanAnnotations = (
  given: Readonly<Record<string, unknown>>,
  known: Readonly<Record<string, unknown>>
) => {
  const entries = Object.entries(given).filter(([name, value]) => known[name] !== value)
  if (entries.length === 0) return { kept: undefined, isCut: false }
  let isCut = entries.length > maxAnnotations
  const kept = entries.slice(0, maxAnnotations).map(([name, value]): [string, string | number | boolean] => {
    if (typeof value === "boolean" || typeof value === "number" && Number.isFinite(value)) return [nameOf(name), value]
    const text = clean(partOf(value), maxValueLength)
    isCut ||= text.isCut
    return [nameOf(name), text.kept]
  })
  return { kept: Redaction.headers(Object.fromEntries(kept)), isCut }
}

const nameOf = (name: string): string => clean(name, maxNameLength).kept

const spansOf = (spans: ReadonlyArray<readonly [label: string, startedAt: number]>, now: number) =>
  Object.fromEntries(spans.slice(0, maxAnnotations).map(([label, startedAt]) => [nameOf(label), now - startedAt]))
