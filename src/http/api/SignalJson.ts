/** Signals on the wire, in snake_case. */
import { Schema } from "effect"
import * as Redaction from "../../domain/Redaction.ts"
import type { SignalConflict } from "../../domain/StepErrors.ts"
import type { SignalEnd } from "../../flow/SignalRecords.ts"
import type { Signal } from "../../flow/Signals.ts"
import { JsonValue } from "./RequestValues.ts"
import { instantOrNull, Timestamp, timestampOrNull } from "./TaskJson.ts"

/** What a signal is completed with. */
export const SignalEndJson = Schema.Struct({
  success: Schema.optionalKey(JsonValue).annotate({
    description: "What the waiting step gives, as the signal's schema writes it; null for a signal without one"
  }),
  error: Schema.optionalKey(JsonValue).annotate({
    description: "What the waiting step fails with, as the signal's schema for errors writes it"
  })
}).check(
  Schema.makeFilter((given) =>
    ("success" in given) !== ("error" in given) ? undefined : { path: [], issue: "Expected either success or error" }
  )
).annotate({ identifier: "SignalEnd" })

/** How a signal has ended. */
const endFields = {
  success: Schema.optionalKey(Schema.Json).annotate({ description: "What it was completed with, if it succeeded" }),
  error: Schema.optionalKey(Schema.Json).annotate({ description: "What it was completed with, if it failed" })
}

/** A signal that has an end. */
export const EndedJson = Schema.Struct({
  status: Schema.Literals(["succeeded", "failed", "timed_out"]),
  ...endFields
}).annotate({ identifier: "SignalOutcome" })

/** A signal. Its token is known to who asks. */
export const SignalJson = Schema.Struct({
  name: Schema.String,
  task: Schema.NullOr(Schema.String).annotate({ description: "The task that waits for it; null for an event" }),
  status: Schema.Literals(["open", "succeeded", "failed", "timed_out"]).annotate({
    description: "open: nothing has completed it yet. timed_out: its task waits for it no longer"
  }),
  ...endFields,
  completed_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "Signal" })

/** What a body completes a signal with. */
export const endOf = ({ error, success }: typeof SignalEndJson.Type): SignalEnd =>
  success === undefined ? { _tag: "Error", error } : { _tag: "Value", value: success }

/** The same as a body. */
export const bodyOf = (end: SignalEnd): typeof SignalEndJson.Type =>
  end._tag === "Value" ? { success: end.value as Schema.Json } : { error: end.error as Schema.Json }

/** How a signal has ended, on the wire. What may be a secret in it is masked, as in tasks. */
export const endedJson = (end: NonNullable<Signal["end"]>): typeof EndedJson.Type => {
  switch (end._tag) {
    case "Value":
      return { status: "succeeded", success: Redaction.json(end.value as Schema.Json) }
    case "Error":
      return { status: "failed", error: Redaction.json(end.error as Schema.Json) }
    case "TimedOut":
      return { status: "timed_out" }
  }
}

/** How a signal has ended that was on the wire. */
export const endedFromJson = ({ error, status, success }: typeof EndedJson.Type): SignalConflict["kept"] =>
  status === "succeeded"
    ? { _tag: "Value", value: success }
    : status === "failed"
    ? { _tag: "Error", error }
    : { _tag: "TimedOut" }

/** A signal on the wire. */
export const signalJson = ({ completedAt, end, name, task }: Signal): typeof SignalJson.Type => ({
  name,
  task,
  ...end === null ? { status: "open" as const } : endedJson(end),
  completed_at: timestampOrNull(completedAt)
})

/** The signal that was on the wire. */
export const signalFromJson = (
  token: string,
  { completed_at: completedAt, name, status, task, ...end }: typeof SignalJson.Type
): Signal => ({
  token,
  name,
  task,
  end: status === "open" ? null : endedFromJson({ ...end, status }),
  completedAt: instantOrNull(completedAt)
})
