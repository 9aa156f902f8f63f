/** Counts the failures of attempts by what they have in common, a bounded number of groups, until it is asked. */
import * as Fingerprint from "../domain/Fingerprint.ts"
import type { TaskFailure } from "../domain/TaskRecord.ts"

/** Failures that have a fingerprint in common. */
export interface ErrorCount extends Fingerprint.Fingerprint {
  /** Attempts that failed for good. */
  failed: number
  /** Attempts that were followed by another one. */
  retried: number
  /** The id of a task that failed so lately. */
  latest: string
}

/** The queue and the type of what is not counted by name. */
export const other = "other"

/** Groups that are counted by name at most; the rest are {@link others}. */
export const maxErrors = 100

/** What stands for all groups that have no name. */
export const others: Fingerprint.Fingerprint = { type: other, kind: "error", tag: other, message: "" }

/** The failures of a process. */
export class ErrorTally {
  private errors = new Map<string, ErrorCount>()

  /** An attempt has failed. */
  add(type: string, failure: TaskFailure, isFinal: boolean, task: string): void {
    const error = this.of(Fingerprint.of(type, failure))
    if (isFinal) error.failed++
    else error.retried++
    error.latest = task
  }

  /** What was counted since it was asked last. */
  take(): ReadonlyArray<ErrorCount> {
    const errors = [...this.errors.values()]
    this.errors = new Map()
    return errors
  }

  private of(fingerprint: Fingerprint.Fingerprint): ErrorCount {
    const name = Fingerprint.nameOf(fingerprint)
    const known = this.errors.get(name)
    if (known !== undefined) return known
    if (this.errors.size >= maxErrors && fingerprint !== others) return this.of(others)
    const error = { ...fingerprint, failed: 0, retried: 0, latest: "" }
    this.errors.set(name, error)
    return error
  }
}
