/**
 * What SQLite's errors mean to a caller, and how long a locked file is waited for.
 */
import { Schedule } from "effect"
import { StoreError, type StoreIncompatible } from "../../domain/Errors.ts"

/** SQLite's primary result codes that are told apart. */
const codes = {
  busy: 5,
  readonly: 8,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  tooBig: 18,
  constraint: 19,
  mismatch: 20,
  range: 25,
  notADatabase: 26
} as const

type Code = keyof typeof codes

/** Whether a thrown value is an SQLite error of this kind. */
export const is = (cause: unknown, code: Code): boolean =>
  typeof cause === "object" && cause !== null && "errcode" in cause && typeof cause.errcode === "number" &&
  (cause.errcode & 0xff) === codes[code]

/** How long a lock of another process is waited for, in seconds. */
const lockedForSeconds = 30

/**
 * Retries while another process writes. A transaction takes a few milliseconds and SQLite's locks are not fair, so
 * asking often is what gives each process its turn; one try costs microseconds.
 */
export const whileLocked = {
  schedule: Schedule.upTo(Schedule.spaced("1 millis"), { duration: `${lockedForSeconds} seconds` }),
  while: (error: StoreError | StoreIncompatible): boolean => error._tag === "StoreError" && is(error.cause, "busy")
}

const hints: ReadonlyArray<readonly [Code, string]> = [
  [
    "busy",
    `another process held its lock for ${lockedForSeconds} seconds; stop that process or give each its own file`
  ],
  ["readonly", "it is read-only; make the file and its folder writable for this user"],
  ["corrupt", "it is damaged; restore it from a backup or move it away"],
  ["full", "the disk is full; free some space"],
  ["cannotOpen", "it cannot be opened; check that the path is a file in a folder that this user may write to"],
  ["notADatabase", "it is not an SQLite database; choose another path"]
]

/**
 * Whether it is what was given that cannot be stored: too large, against a constraint, or no value of SQLite at all,
 * which is found out before it is asked.
 */
const isRefusal = (cause: unknown): boolean =>
  is(cause, "tooBig") || is(cause, "constraint") || is(cause, "mismatch") || is(cause, "range") ||
  cause instanceof TypeError || cause instanceof RangeError

/** The typed error for whatever an operation threw, with what to do about it where that is known. */
export const storeError = (operation: string, path: string, cause: unknown): StoreError => {
  const hint = hints.find(([code]) => is(cause, code))?.[1]
  const detail = cause instanceof Error ? cause.message : String(cause)
  return new StoreError({
    operation,
    reason: hint === undefined ? `${path}: ${detail}` : `${path}: ${hint} (${detail})`,
    ...(isRefusal(cause) ? { refused: true } : {}),
    cause
  })
}
