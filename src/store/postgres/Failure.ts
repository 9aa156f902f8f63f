/**
 * What PostgreSQL's errors mean to a caller.
 */
import { Cause } from "effect"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { StoreError } from "../../domain/Errors.ts"

const tablesGone =
  "restore the store's schema from a backup; or, if its tasks may be lost, drop what is left of the schema and run " +
  "taskforge migrate or restart a server to make an empty one"

/** Tables or sequences that the store had when it was opened are not there any more. */
export const incomplete = (missing: ReadonlyArray<string>): StoreError =>
  new StoreError({
    operation: "write",
    reason: `parts of the store's schema are gone: ${missing.join(", ")}`,
    advice: tablesGone
  })

/**
 * What an error means, by its SQLSTATE or the first part of it, and what to do about it where no write will succeed until
 * an operator acts.
 */
const hints: ReadonlyArray<readonly [code: string, hint: string, advice?: string]> = [
  [
    "25006",
    "the server only answers reads; connect to the primary",
    "let the address of the store lead to the primary PostgreSQL"
  ],
  ["3F000", "the schema of the store is gone", tablesGone],
  ["42P01", "a table of the store is gone, or its whole schema", tablesGone],
  ["42883", "a function of the store is gone, or its whole schema", tablesGone],
  ["53100", "the server's disk is full; free some space", "free some space on the disk of PostgreSQL"],
  ["58030", "the server's disk failed", "see PostgreSQL's log for errors of its disk"],
  ["53300", "the server has no connection left; raise max_connections or make the pools smaller"],
  ["53", "the server is out of resources"],
  ["55P03", "another session holds a lock for longer than lock_timeout; look for a transaction that is left open"],
  ["57014", "it took longer than statement_timeout"],
  ["57P", "the server is shutting down or starting"],
  ["42501", "the database user lacks a privilege"],
  ["28", "the server refuses this user"],
  ["22021", "PostgreSQL cannot store the character U+0000 in a text"]
]

/** The client takes it from the address alone, while `psql` asks PGUSER and the operating system. */
const noUser = "the address of the store names no user; write it as postgres://USER@HOST/DATABASE"

/** The SQLSTATE of a database error, if the server answered at all; a socket's own code, such as ECONNRESET, is none. */
const codeOf = ({ reason: { cause } }: SqlError): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string" &&
    /^[0-9A-Z]{5}$/.test(cause.code)
    ? cause.code
    : undefined

/** The typed error of an operation, with what to do about it where that is known. */
export const storeError = (operation: string, error: SqlError): StoreError => {
  const code = codeOf(error)
  const detail = detailOf(error)
  const known = code === undefined ? undefined : hints.find(([prefix]) => code.startsWith(prefix))
  const [, hint, advice] = known ?? (detail.includes("No username configured") ? [undefined, noUser] : [])
  return new StoreError({
    operation,
    reason: hint === undefined ? detail : `${hint} (${detail})`,
    ...(isRefusal(error, code) ? { refused: true } : {}),
    ...(advice === undefined ? {} : { advice }),
    cause: error
  })
}

/** What the server says when data does not fit, breaks a constraint, or is more than it can take. */
const refusals = /^(22|23|54)/

/** Whether it is what was given that cannot be stored. Others may be storing the same key: then it can be tried again. */
const isRefusal = ({ reason }: SqlError, code: string | undefined): boolean =>
  code !== undefined && refusals.test(code) && reason._tag !== "UniqueViolation"

/**
 * The typed error of whatever failed because the database did, wherever in the cause that stands: the client answers a
 * session that ends in a transaction with defects, for the rollback fails too. Nothing for other causes.
 */
export const ofCause = (operation: string, cause: Cause.Cause<unknown>): StoreError | undefined => {
  if (Cause.hasInterrupts(cause)) return undefined
  const errors = cause.reasons.map((reason) =>
    Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined
  )
  const error = errors.find(isSqlError)
  if (error === undefined) return undefined
  // what the body of a transaction met says more than its rollback
  return errors.find((one) => one instanceof StoreError) ?? storeError(operation, error)
}

/**
 * SQLSTATEs of what passes: the connection failed (08), another transaction was in the way (40001, 40P01), the server
 * lacked a resource (53), or it ended the session (57P01 to 57P03, 57P05, 25P03). `isRetryable` of an `SqlError` says
 * something else: it counts a session that an operator ended as hopeless, and a lock that another session holds as passing.
 */
const passing = /^(08|40001|40P01|53|57P0[1235]|25P03)/

/** The same may succeed when it is done again at once: the fault lay with the session or the moment. */
export const isPassing = (error: unknown): boolean => {
  const cause = error instanceof StoreError ? sqlErrorOf(error) : undefined
  if (cause === undefined) return false
  const code = codeOf(cause)
  return code === undefined ? cause.reason._tag === "ConnectionError" && !isUnreadable(cause) : passing.test(code)
}

/** The connection was lost while an answer was due: what was asked may have been done. */
export const isUndecided = (error: StoreError): boolean => {
  const cause = sqlErrorOf(error)
  if (cause?.reason._tag !== "ConnectionError" || cause.reason.operation === "connect") return false
  const code = codeOf(cause)
  return code === undefined || code.startsWith("08")
}

/** The connection stands in a transaction that another client has left open and that has failed. */
export const isLeftAborted = (error: unknown): boolean => {
  const cause = error instanceof StoreError ? sqlErrorOf(error) : undefined
  return cause !== undefined && codeOf(cause) === "25P02"
}

/** The server refused the startup packet: a pooler refuses settings that it does not know. */
export const isRefusedPacket = (error: SqlError): boolean => codeOf(error) === "08P01"

/** The client closed the connection because it could not read an answer; it could not read it a second time either. */
const isUnreadable = ({ reason: { cause } }: SqlError): boolean =>
  typeof cause === "object" && cause !== null && "_tag" in cause && cause._tag === "PgProtocolParseError"

/** Another process stored the same id or key at the same time. */
export const isDuplicate = (error: StoreError): boolean => reasonOf(error) === "UniqueViolation"

/** A task's number was given before: the sequence is behind the table. */
export const isNumberTaken = (error: { readonly _tag: string }): error is StoreError => {
  const reason = error instanceof StoreError ? sqlErrorOf(error)?.reason : undefined
  return reason?._tag === "UniqueViolation" && reason.constraint === "task_pkey"
}

/** The user lacks a privilege. */
export const isForbidden = (error: StoreError | { readonly _tag: string }): error is StoreError =>
  error instanceof StoreError && reasonOf(error) === "AuthorizationError"

/**
 * The failure has to do with what was asked, or with a lock on it, not with the server: others that were asked in the
 * same statement need not fail with it.
 */
export const isOneCallersOwn = (error: StoreError): boolean => {
  if (error.refused === true) return true
  const cause = sqlErrorOf(error)
  const code = cause === undefined ? undefined : codeOf(cause)
  return code !== undefined && /^(2[123]|40|55P03|57014|54)/.test(code)
}

const reasonOf = (error: StoreError) => sqlErrorOf(error)?.reason._tag

const sqlErrorOf = ({ cause }: StoreError): SqlError | undefined =>
  typeof cause === "object" && cause !== null && "_tag" in cause && cause._tag === "SqlError"
    ? cause as SqlError
    : undefined

const detailOf = ({ message, reason: { cause } }: SqlError): string => {
  const inner = cause instanceof Error ? cause.message : ""
  return inner === "" || message.includes(inner) ? message : `${message}: ${inner}`
}
