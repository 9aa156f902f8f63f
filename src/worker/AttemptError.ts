/**
 * Which error of a cause an attempt ended with.
 *
 * `sql.withTransaction` makes defects of a database's errors: where the server has ended the session, the rollback fails
 * too, and Effect turns that failure, and whatever the body of the transaction had failed with, into defects. They are
 * still what the handler failed with, and the retry policy is asked about them by their tag.
 */
import { Cause } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import { StoreError } from "../domain/Errors.ts"

/** An error, and whether it was thrown rather than failed with. */
export interface AttemptError {
  readonly error: unknown
  readonly isDefect: boolean
}

/** The error of a cause; `isDeclared` says which ones the definition declares. Nothing for a mere interruption. */
export const of = (
  cause: Cause.Cause<unknown>,
  isDeclared: (error: unknown) => boolean
): AttemptError | undefined => {
  const defects = cause.reasons.filter(Cause.isDieReason).map(({ defect }) => defect)
  if (defects.length === 0) {
    const failed = cause.reasons.find(Cause.isFailReason)
    return failed === undefined ? undefined : { error: failed.error, isDefect: false }
  }
  if (!defects.some(isStorage)) return { error: defects[0], isDefect: true }
  const own = defects.find((defect) => !isStorage(defect) && isDeclared(defect))
  return { error: own ?? defects.find(isStorage), isDefect: false }
}

/** A database or the store behind the task failed, wherever that was noticed. */
export const isStorage = (error: unknown): boolean => {
  try {
    return isSqlError(error) || error instanceof StoreError
  } catch {
    // Anything can be thrown, even what throws when it is looked at
    return false
  }
}
