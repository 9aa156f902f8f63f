import type { Cause } from "effect"

/** Data that does not fit its schema: trying again cannot help. */
export class Unfit {
  readonly subject: "payload" | "result"
  readonly cause: Cause.Cause<unknown>

  constructor(subject: "payload" | "result", cause: Cause.Cause<unknown>) {
    this.subject = subject
    this.cause = cause
  }
}
