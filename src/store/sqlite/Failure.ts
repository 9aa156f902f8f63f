/**
 * What SQLite's errors mean to a caller, what to do about them, and how long a locked file is waited for.
 */
import { Schedule } from "effect"
import { StoreError, type StoreIncompatible } from "../../domain/Errors.ts"
import type { Missing } from "./Disk.ts"

/** SQLite's primary result codes that are told apart. */
const codes = {
  busy: 5,
  readonly: 8,
  io: 10,
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

/** No room on the disk. SQLite tells a quota from other failures as little as the room for the log's index. */
export const isFull = (cause: unknown): boolean =>
  is(cause, "full") || is(cause, "io") || systemCodeOf(cause) === "ENOSPC" || systemCodeOf(cause) === "EDQUOT"

/** The code of an error of the operating system. */
const systemCodeOf = (cause: unknown): unknown =>
  typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined

/** What to do where no write succeeds until an operator acts. */
const adviceOn = (cause: unknown): string | undefined => {
  if (is(cause, "full") || /^(ENOSPC|EDQUOT)$/.test(String(systemCodeOf(cause)))) return advice.full
  if (is(cause, "io") || systemCodeOf(cause) === "EIO") return advice.io
  if (is(cause, "readonly") || is(cause, "cannotOpen")) return advice.readonly
  if (is(cause, "corrupt") || is(cause, "notADatabase")) return advice.corrupt
  return isTableMissing(cause) ? advice.gone : undefined
}

const advice = {
  full: "free some space on the disk of the database, or remove tasks; cancelling and removing tasks still works",
  io: "look in the system's log for errors of the disk of the database, and whether a quota is used up",
  readonly: "make the database and its folder writable for the user that the server runs as",
  corrupt: "stop the server and restore the database from a backup, or move it away to start with an empty one",
  gone: "restore the database from a backup, or stop the server, move the file away and start with an empty one"
} as const

/** The path leads to a folder, below a file, or where this user may not go. */
const isNoFile = (cause: unknown): boolean => /^(EISDIR|ENOTDIR|EEXIST|EACCES|EPERM)$/.test(String(systemCodeOf(cause)))

/** What the driver made was dropped. */
const isTableMissing = (cause: unknown): boolean =>
  cause instanceof Error && cause.message.startsWith("no such table: ")

/** The typed error for what takes room while there is none. */
export const full = (operation: string, path: string): StoreError =>
  new StoreError({
    operation,
    reason: `${path}: the disk is full, and its reserve is in use; nothing is stored until that is back`,
    advice: advice.full
  })

/** The typed error for writes to a file that no process can find any more. */
export const moved = (operation: string, { how, path }: Missing): StoreError =>
  new StoreError({
    operation,
    reason: `${path} was ${how} while it was open; what is written now would be lost, so writes are refused`,
    advice: "put the file back where it was, or stop all servers on it, restore it from a backup, and start them again"
  })

const hints: ReadonlyArray<readonly [Code, string]> = [
  [
    "busy",
    `another process held its lock for ${lockedForSeconds} seconds; stop that process or give each its own file`
  ],
  ["readonly", "it is read-only; make the file and its folder writable for this user"],
  ["corrupt", "it is damaged; restore it from a backup or move it away"],
  ["full", "the disk is full; free some space"],
  ["io", "the disk failed or is full"],
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
  const hint = hints.find(([code]) => is(cause, code) || (code === "cannotOpen" && isNoFile(cause)))?.[1] ??
    (isTableMissing(cause) ? "a table of the store is gone: it was removed" : undefined)
  const detail = cause instanceof Error ? cause.message : String(cause)
  const advice = adviceOn(cause)
  return new StoreError({
    operation,
    reason: hint === undefined ? `${path}: ${detail}` : `${path}: ${hint} (${detail})`,
    ...(isRefusal(cause) ? { refused: true } : {}),
    ...(advice === undefined ? {} : { advice }),
    cause
  })
}
