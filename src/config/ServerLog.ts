/**
 * How the server writes its log, one record per line: JSON for machines, or coloured text for people.
 *
 * A JSON record has `time` (ISO 8601), `level` (lower case) and `msg`, then the `module` that it comes from and what the record is annotated with:
 * `worker_id`, `job_id` and `attempt` for what handlers log and for the end of an attempt, which has a `duration` (milliseconds) too; and
 * `trace_id` and `span_id` in a span. A defect's stack is in `stack`, a cause in `cause`.
 */
import {
  Array as List,
  Cause,
  Console,
  Effect,
  Formatter,
  Latch,
  Layer,
  Logger,
  LogLevel,
  References,
  type Scope
} from "effect"
import * as LogModule from "../domain/LogModule.ts"
import * as Redaction from "../domain/Redaction.ts"

/** What is written, and how. */
export interface Options {
  readonly format: "pretty" | "json"
  readonly colours: boolean
  /** The least important level that is written. */
  readonly level: LogLevel.LogLevel
}

/** Writes the log to stdout. */
export const layer = ({ colours, format, level }: Options): Layer.Layer<never> =>
  Layer.merge(
    Logger.layer([gathering(format === "json" ? formatJson : formatPretty(colours))]),
    Layer.succeed(References.MinimumLogLevel, level)
  )

/** How long lines wait for others: too short for a reader to notice. */
const gatherFor = "20 millis"

/**
 * Writes lines together: a busy server has thousands a second, and to write each by itself, or those of every turn of its
 * event loop, costs a quarter of all that a request takes. Unlike with `Logger.batched`, warnings and errors wait for
 * nothing (what is before them goes with them), nothing runs while nothing is logged, and the last lines are written too.
 */
const gathering = Effect.fnUntraced(function*(
  format: Logger.Logger<unknown, string>
): Effect.fn.Return<Logger.Logger<unknown, void>, never, Scope.Scope> {
  const console = yield* Console.Console
  const some = Latch.makeUnsafe(false)
  let lines: Array<string> = []
  let closed = false
  const write = (): void => {
    some.closeUnsafe()
    if (lines.length === 0) return
    const text = lines.join("\n")
    lines = []
    console.log(text)
  }
  yield* some.await.pipe(
    Effect.andThen(Effect.sleep(gatherFor)),
    Effect.andThen(Effect.sync(write)),
    Effect.forever,
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
      write()
    })
  )
  return Logger.make((options) => {
    lines.push(format.log(options))
    if (closed || LogLevel.isGreaterThanOrEqualTo(options.logLevel, "Warn")) write()
    else some.openUnsafe()
  })
})

/** A record as one line of JSON. */
const formatJson: Logger.Logger<unknown, string> = Logger.make((options) => {
  const { annotations, cause, msg, rest } = partsOf(options)
  const stacks = rest.filter(isStack)
  const details = rest.filter((part) => !isStack(part))
  // Without what objects inherit, so that an annotation may have any name
  const record: Record<string, unknown> = Object.assign(Object.create(null), {
    time: options.date.toISOString(),
    level: options.logLevel.toLowerCase(),
    msg,
    module: withoutSecrets(options.fiber.getRef(LogModule.Current))
  })
  for (const [name, value] of annotations) if (!(name in record)) record[name] = value
  if (details.length > 0) record["details"] = details
  if (stacks.length > 0) record["stack"] = stacks.join("\n")
  if (cause !== undefined) record["cause"] = cause
  // Plain values need no look for cycles and secrets
  return Object.values(record).every(isPlain) ? JSON.stringify(record) : Redaction.text(Formatter.formatJson(record))
})

/** A record as a line of text, with stacks and causes on lines of their own. */
const formatPretty = (colours: boolean): Logger.Logger<unknown, string> => {
  const paint = (code: number, text: string): string => colours ? `\u001b[${code}m${text}\u001b[0m` : text
  return Logger.make((options) => {
    const { annotations, cause, msg, rest } = partsOf(options)
    const level = paint(colourOf[options.logLevel] ?? 0, options.logLevel.toUpperCase().padEnd(5))
    const fields = annotations.filter(isForPeople).map(([name, value]) =>
      ` ${paint(dim, `${name}=`)}${harmless(plain(value))}`
    ).join("")
    const head = `${paint(dim, timeOfDay(options.date))} ${level} ${harmless(msg)}${fields}`
    const below = [...rest.map(plain), ...(cause === undefined ? [] : [cause])].map(harmless)
    return [head, ...below].join("\n").replaceAll("\n", "\n  ")
  })
}

/** What the program itself says is told from the rest by having no module. */
const isForPeople = ([name, value]: readonly [string, unknown]): boolean =>
  name !== LogModule.annotation || value !== LogModule.unknown

const dim = 2
const colourOf: Partial<Record<LogLevel.LogLevel, number>> = { Debug: 34, Info: 32, Warn: 33, Error: 31, Fatal: 35 }

const partsOf = ({ cause, fiber, message }: Logger.Options<unknown>) => {
  const [first, ...rest] = List.ensure(message)
  const { span } = fiber.cache
  const given = fiber.getRef(References.CurrentLogAnnotations)
  return {
    msg: plain(first ?? ""),
    rest: rest.map(withoutSecrets),
    cause: cause.reasons.length > 0 ? Redaction.text(Cause.pretty(cause)) : undefined,
    annotations: Object.entries(
      span === undefined ? given : { ...given, trace_id: span.traceId, span_id: span.spanId }
    ).map(([name, value]) => [name, withoutSecrets(value)] as const)
  }
}

const isStack = (part: unknown): part is string => typeof part === "string" && /\n\s+at /.test(part)

const isPlain = (value: unknown): boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean" || value === null

const plain = (value: unknown): string =>
  Redaction.text(typeof value === "string" ? value : Formatter.formatJson(value))

const withoutSecrets = (value: unknown): unknown => typeof value === "string" ? Redaction.text(value) : value

/**
 * Texts from elsewhere may hold escape sequences, which would rule the terminal; their line breaks are kept, and indented
 * by the caller.
 */
const harmless = (text: string): string =>
  text.replace(
    /[\p{Control}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu,
    (character) => character === "\n" ? character : `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`
  )

/** `12:34:56.789`, local time. */
const timeOfDay = (date: Date): string =>
  [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":") +
  `.${String(date.getMilliseconds()).padStart(3, "0")}`
