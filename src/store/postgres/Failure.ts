/**
 * What PostgreSQL's errors mean to a caller.
 */
import type { SqlError } from "effect/sql/SqlError"
import { StoreError } from "../../domain/Errors.ts"

/** What to do about an error, by its SQLSTATE or the first part of it. */
const hints: ReadonlyArray<readonly [code: string, hint: string]> = [
  ["25006", "the server only answers reads; connect to the primary"],
  ["53100", "the server's disk is full; free some space"],
  ["53300", "the server has no connection left; raise max_connections or make the pools smaller"],
  ["53", "the server is out of resources"],
  ["55P03", "somebody holds a lock for longer than lock_timeout; look for a transaction that is left open"],
  ["57014", "it took longer than statement_timeout"],
  ["57P", "the server is shutting down or starting"],
  ["42501", "the database user lacks a privilege"],
  ["28", "the server refuses this user"],
  ["22021", "PostgreSQL cannot store the character U+0000 in a text"]
]

/** The SQLSTATE of a database error, if the server answered at all. */
const codeOf = ({ reason: { cause } }: SqlError): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined

/** The typed error of an operation, with what to do about it where that is known. */
export const storeError = (operation: string, error: SqlError): StoreError => {
  const code = codeOf(error)
  const hint = code === undefined ? undefined : hints.find(([prefix]) => code.startsWith(prefix))?.[1]
  const detail = detailOf(error)
  return new StoreError({ operation, reason: hint === undefined ? detail : `${hint} (${detail})`, cause: error })
}

/** The transaction met another one and can simply be run again. */
export const isCollision = (error: unknown): boolean => {
  const reason = error instanceof StoreError ? reasonOf(error) : undefined
  return reason === "DeadlockError" || reason === "SerializationError"
}

/** Somebody stored the same id or key at the same time. */
export const isDuplicate = (error: StoreError): boolean => reasonOf(error) === "UniqueViolation"

/**
 * The failure has to do with what was asked, or with a lock on it, not with the server: others that were asked in the
 * same statement need not fail with it.
 */
export const isOneCallersOwn = (error: StoreError): boolean => {
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
