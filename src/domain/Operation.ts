/** What operations on many tasks may do, where they are, and what is wrong about one. */
import { Schema } from "effect"
import { shortened } from "./Quoting.ts"

/** What an operation may do to its tasks. */
export const Action = Schema.Literals(["cancel", "rerun", "discard", "reschedule"])

/** See {@link Action}. */
export type Action = typeof Action.Type

/** Where an operation is. */
export const OperationState = Schema.Literals(["running", "completed", "aborted", "undoing", "undone"])

/** See {@link OperationState}. */
export type OperationState = typeof OperationState.Type

const shown = (operation: string): string => JSON.stringify(shortened(operation, 64))

/** No operation has this id: it never existed, or is too long ago. */
export class OperationNotFound extends Schema.TaggedError<OperationNotFound>()("OperationNotFound", {
  operation: Schema.String
}) {
  override get message(): string {
    return `No operation has the id ${shown(this.operation)}: it never existed, or is too long ago`
  }
}

/**
 * Why an operation is not begun, ended or taken back.
 *
 * - `busy`: too many others run
 * - `ended`: it has ended already
 * - `final`: what it does cannot be taken back
 * - `late`: it could have been, but is too long ago
 * - `undone`: it was, or is being
 */
export const OperationRefusal = Schema.Literals(["busy", "ended", "final", "late", "undone"])

/** See {@link OperationRefusal}. */
export type OperationRefusal = typeof OperationRefusal.Type

const words: Record<OperationRefusal, string> = {
  busy: "cannot begin: too many others have not ended",
  ended: "has ended already",
  final: "cannot be taken back: what it does is final",
  late: "cannot be taken back any more: it is too long ago",
  undone: "has been taken back already"
}

/** The operation does not take that, as it is. */
export class OperationRefused extends Schema.TaggedError<OperationRefused>()("OperationRefused", {
  operation: Schema.String,
  reason: OperationRefusal
}) {
  override get message(): string {
    return `The operation ${shown(this.operation)} ${words[this.reason]}`
  }
}
