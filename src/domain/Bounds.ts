/**
 * What is accepted of everything that callers may say about a task, a queue or an engine. Programs, HTTP, the command
 * line and handlers are checked by these same bounds, so what one of them takes, all of them and every store take.
 *
 * - Texts are indexed by stores: PostgreSQL holds 2,704 bytes in an entry, and two names of 255 characters are at most
 *   1,530 bytes of UTF-8.
 * - Times and durations are whole milliseconds that a double and a 64-bit integer hold exactly, also after a priority's
 *   head start is subtracted from them.
 */
import { DateTime, Duration, Effect, Formatter } from "effect"
import { InvalidOption } from "./Errors.ts"
import { shortened } from "./Quoting.ts"

/** Characters of an id. */
export const maxIdLength = 255

/** Tasks that are asked about, or that something is done to, at a time. */
export const maxIds = 1000

/** Characters of an idempotency key. */
export const maxKeyLength = 255

/** Characters of the name of a type, a queue or an instance. */
export const maxNameLength = 255

/** Characters of the reason for a pause. */
export const maxReasonLength = 1000

/** Characters of a text that is looked for in messages. */
export const maxSearchLength = 200

/** The most urgent priority; 0 is the least. */
export const maxPriority = 9

/** Retries after the first execution, unless they are unlimited: failures are counted in 32 bits. */
export const maxRetryCount = 2 ** 31 - 1

/** The number of retries that stands for no limit. */
export const unlimitedRetries = -1

/** Wait before a task is due, also of a snooze and between retries. */
export const maxDelay: Duration.Duration = Duration.days(3650)

/** Time limit of one attempt. */
export const maxTimeout: Duration.Duration = Duration.days(3650)

/** The first and the last millisecond that RFC 3339 can write: years have four digits. */
export const minRunAt: number = -62_167_219_200_000
/** See {@link minRunAt}. */
export const maxRunAt = 253_402_300_799_999

/** Bytes of UTF-8 in the JSON text of a payload. */
export const maxPayloadBytes: number = 4 * 1024 * 1024

/** Bytes of UTF-8 in the JSON text of a result. */
export const maxResultBytes: number = 4 * 1024 * 1024

/**
 * Bytes of stored texts (payloads, results, failures, histories) in an answer about several tasks. What does not fit is
 * asked for again; one task always fits.
 */
export const maxAnswerBytes: number = 8 * 1024 * 1024

/** What is accepted of an option: in words, and as a test. */
export interface Bound<in A> {
  /** Completes the sentence "expected …". */
  readonly expected: string
  readonly accepts: (value: A) => boolean
}

/**
 * Whether every store keeps a text as it is. PostgreSQL has no U+0000, and lone surrogates all become the same
 * replacement character in UTF-8, so that two texts would become one.
 */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes("\u0000")

const isName = (text: unknown, maxLength: number): boolean =>
  typeof text === "string" && text.length > 0 && text.length <= maxLength && isStorable(text)

const characters = (maxLength: number) => `1 to ${maxLength} characters, without U+0000 and lone surrogates`

/** A text of so many characters. */
const text = (maxLength: number): Bound<string> => ({
  expected: characters(maxLength),
  accepts: (text) => isName(text, maxLength)
})

/** The name of a type, a queue or an instance. */
export const name: Bound<string> = text(maxNameLength)

/** The reason for a pause. */
export const reason: Bound<string> = text(maxReasonLength)

/** Why something is done: not only spaces. */
export const why: Bound<string> = {
  expected: `${characters(maxReasonLength)} and not only spaces`,
  accepts: (text) => isName(text, maxReasonLength) && text.trim() !== ""
}

/** A text that is looked for in messages. */
export const searchText: Bound<string> = text(maxSearchLength)

/** An idempotency key. */
export const key: Bound<string> = text(maxKeyLength)

/** The id of a task. HTTP reaches it by a path, and no path ends with a dot segment. */
export const id: Bound<string> = {
  expected: `${characters(maxIdLength)}, and neither "." nor ".."`,
  accepts: (text) => isName(text, maxIdLength) && text !== "." && text !== ".."
}

/** Retries after the first execution. */
export const retries: Bound<number> = {
  expected: `an integer from 0 to ${maxRetryCount}, or ${unlimitedRetries} for no limit`,
  accepts: (count) => Number.isInteger(count) && count >= unlimitedRetries && count <= maxRetryCount
}

/** The milliseconds of a duration, or not a number where it is none. `Duration` takes that for nothing. */
const millisOf = (input: Duration.Input): number => {
  if (typeof input === "number") return input
  try {
    return hasNaN(input) ? NaN : Duration.toMillis(input)
  } catch {
    return NaN
  }
}

const hasNaN = (input: Duration.Input): boolean =>
  typeof input === "object" && !Duration.isDuration(input) && Object.values(input).some(Number.isNaN)

const isWithin = (input: Duration.Input, maxMs: number): boolean => {
  const millis = millisOf(input)
  return millis >= 0 && millis <= maxMs
}

const maxDelayMs = Duration.toMillis(maxDelay)
const maxTimeoutMs = Duration.toMillis(maxTimeout)

/** A wait before a task is due. */
export const delay: Bound<Duration.Input> = {
  expected: `a duration from 0 to ${Duration.toDays(maxDelay)} days`,
  accepts: (input) => isWithin(input, maxDelayMs)
}

/** A time limit. */
export const timeout: Bound<Duration.Input> = {
  expected: `a duration of more than 0 and at most ${Duration.toDays(maxTimeout)} days`,
  accepts: (input) => isWithin(input, maxTimeoutMs) && millisOf(input) > 0
}

/** How long a task is of use, or within what time it should start. */
export const span: Bound<Duration.Input> = {
  expected: `a duration of more than 0 and at most ${Duration.toDays(maxDelay)} days`,
  accepts: (input) => isWithin(input, maxDelayMs) && millisOf(input) > 0
}

/** The time limit of an attempt whose task has none: an engine may do without. */
export const timeoutOrNone: Bound<Duration.Input> = {
  expected: `${timeout.expected}, or infinity`,
  accepts: (input) => timeout.accepts(input) || isInfinite(input)
}

/** How long something is kept. */
export const retention: Bound<Duration.Input> = {
  expected: `${delay.expected}, or infinity`,
  accepts: (input) => delay.accepts(input) || isInfinite(input)
}

const isInfinite = (input: Duration.Input): boolean => millisOf(input) === Infinity

/** A whole number, at most the largest that a double and a 64-bit integer both hold. */
export const whole = (minimum: number, maximum: number = Number.MAX_SAFE_INTEGER): Bound<number> => ({
  expected: `an integer from ${minimum} to ${maximum}`,
  accepts: (value) => Number.isInteger(value) && value >= minimum && value <= maximum
})

/** Tasks that a batch handler gets at a time: a pool has no more slots. */
export const batch: Bound<number> = whole(1, 10_000)

const maxBatchWait = Duration.hours(1)

/** How long a batch may wait for more tasks: they occupy slots. */
export const batchWait: Bound<Duration.Input> = {
  expected: `a duration from 0 to ${Duration.toHours(maxBatchWait)} hour`,
  accepts: (input) => isWithin(input, Duration.toMillis(maxBatchWait))
}

/** The instant at which a task is due. */
export const runAt: Bound<DateTime.DateTime> = {
  expected: "a date and time in the years 0000 to 9999",
  // Not a number is in no range, and what is no DateTime has no such field
  accepts: (instant) => instant?.epochMilliseconds >= minRunAt && instant.epochMilliseconds <= maxRunAt
}

/** Characters of a value that an error shows. */
const maxFoundLength = 80

/** Why an option is refused, if it is; one that is not given never is. `index` is a position in a batch. */
export const refuse = <A>(
  option: string,
  bound: Bound<A>,
  value: A | undefined,
  index: number = 0
): InvalidOption | undefined =>
  value === undefined || bound.accepts(value)
    ? undefined
    : new InvalidOption({ option, found: foundOf(value), expected: bound.expected, index })

/**
 * Why the beginning of a range is refused, if it is: it is after the end, so that nothing would be in the range. Both are named
 * `since` and `before`.
 */
export const refuseRange = <Since extends string, Before extends string>(
  options: { readonly [Name in Since | Before]?: DateTime.DateTime | undefined },
  since: Since,
  before: Before
): InvalidOption | undefined => {
  const [from, to] = [options[since], options[before]]
  return from === undefined || to === undefined || from.epochMilliseconds <= to.epochMilliseconds
    ? undefined
    : new InvalidOption({
      option: since,
      found: foundOf(from),
      expected: `no later time than ${before}, which is ${foundOf(to)}`,
      index: 0
    })
}

/** Throws where an option is refused: for what a program says once, where it is put together. */
export const demand = <A>(option: string, bound: Bound<A>, value: A | undefined): void => {
  const invalid = refuse(option, bound, value)
  if (invalid !== undefined) throw invalid
}

/** The names that options may have. */
export type Names<Options> = { readonly [Name in keyof Options]-?: unknown }

/**
 * Why a name among options is refused, if one is: a program without types would lose a misspelt option without a word.
 * `prefix` is what stands before the names where the options are part of others: `worker.`. What is no object is refused too, and
 * `undefined` is not: options that must be given are handed over as `options ?? null`.
 */
export const refuseUnknown = (
  options: object | null | undefined,
  known: object,
  prefix: string = "",
  index: number = 0
): InvalidOption | undefined => {
  if (options === null || (options !== undefined && typeof options !== "object")) {
    const option = prefix === "" ? "options" : prefix.slice(0, -1)
    const expected = `an object with ${Object.keys(known).join(", ")}, or some of them`
    return new InvalidOption({ option, found: foundOf(options), expected, index })
  }
  for (const name in options) {
    if (Object.hasOwn(known, name) || options[name as keyof typeof options] === undefined) continue
    const expected = `one of ${Object.keys(known).map((one) => prefix + one).join(", ")}`
    return new InvalidOption({ option: prefix + shortened(name, maxFoundLength), found: "unknown", expected, index })
  }
  return undefined
}

/** Throws where a name among options is refused: see {@link refuseUnknown}. */
export const demandKnown = (options: object | null | undefined, known: object, prefix?: string): void => {
  const invalid = refuseUnknown(options, known, prefix)
  if (invalid !== undefined) throw invalid
}

/** Fails where an option is refused. */
export const check = <A>(option: string, bound: Bound<A>, value: A | undefined): Effect.Effect<void, InvalidOption> => {
  const invalid = refuse(option, bound, value)
  return invalid === undefined ? Effect.void : Effect.fail(invalid)
}

/** A value as errors show it: cut, and what cannot be seen is escaped. */
export const foundOf = (value: unknown): string => {
  const shown = typeof value === "string" ? value.slice(0, maxFoundLength) : value
  const text = DateTime.isDateTime(shown) ? DateTime.formatIso(shown) : Formatter.format(shown)
  return shortened(text, maxFoundLength)
}

/** Bytes of UTF-8 in the details of an earlier attempt's error: the latest failure alone keeps larger ones. */
export const maxHistoryDetailBytes: number = 4 * 1024

/** Characters of payloads that a pool asks for in one claim, as far as it can tell from the claims before. */
export const maxClaimSize: number = 16 * 1024 * 1024

/** Bytes of UTF-8 in the JSON text of a declared error's details: longer texts in them are cut. */
export const maxDetailBytes: number = 256 * 1024

/** A name of signals: it is part of tokens, which stand in URLs. */
export const signalName: Bound<string> = {
  expected: "1 to 64 letters, digits, - and _",
  accepts: (text) => typeof text === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(text)
}

/** The key of an event among those of a name of signals. */
export const signalKey: Bound<string> = {
  expected: "1 to 128 letters, digits and . _ ~ : -",
  accepts: (text) => typeof text === "string" && /^[A-Za-z0-9_.~:-]{1,128}$/.test(text)
}
