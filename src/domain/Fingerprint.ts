/** Which failures are the same: those of one type, kind and tag whose messages differ in ids and numbers alone. */
import type { FailureKind, TaskFailure } from "./TaskRecord.ts"
import * as Thrown from "./Thrown.ts"

/** What failures have in common. */
export interface Fingerprint {
  readonly type: string
  readonly kind: FailureKind
  /** The error's tag or name. */
  readonly tag: string
  /** What their messages have in common: a `#` stands for each number. */
  readonly message: string
}

/** Characters of a message by which failures are grouped. */
const maxCommon = 200

/** A message without what differs from task to task: ids and numbers. */
export const commonOf = (message: string): string =>
  Thrown.cut(
    message.replace(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}|\b(?=[a-f]*\d)[\da-f]{12,}\b|\d+/gi, "#"),
    maxCommon
  )

/** The fingerprint of a failure. */
export const of = (
  type: string,
  { kind, message, tag }: Pick<TaskFailure, "kind" | "tag" | "message">
): Fingerprint => ({
  type,
  kind,
  tag,
  message: commonOf(message)
})

/** One text for each fingerprint. */
export const nameOf = ({ kind, message, tag, type }: Fingerprint): string => JSON.stringify([type, kind, tag, message])
