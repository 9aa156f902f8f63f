/** Why a task waits, on the wire. */
import { Option, Schema } from "effect"
import { TaskState } from "../../domain/TaskState.ts"
import type { Explanation, Reason } from "../../explain/Explain.ts"
import type { LastFailure } from "../../explain/GateReasons.ts"
import { pauseFields } from "./QueuesApi.ts"
import { instant, instantOrNull, Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"

const ofKey = {
  text: Schema.String,
  limit: Schema.String,
  key: Schema.String.annotate({ description: "Empty where the limit has no keys" })
}

/** The failure of a dependency that was counted last. */
export const LastFailureJson = Schema.NullOr(Schema.Struct({
  tag: Schema.String,
  message: Schema.String,
  task: Schema.String,
  at: Timestamp
})).annotate({ description: "The failure that was counted last" })

/** It on the wire. */
export const lastFailureJson = (failure: LastFailure | null): typeof LastFailureJson.Type =>
  failure && { ...failure, at: timestamp(failure.at) }

/** The one that was on the wire. */
export const lastFailureFromJson = (failure: typeof LastFailureJson.Type): LastFailure | null =>
  failure && { ...failure, at: instant(failure.at) }

/** Why a task waits. */
export const ExplanationJson = Schema.Struct({
  id: Schema.String,
  status: TaskState,
  summary: Schema.String.annotate({ description: "One sentence for people" }),
  reasons: Schema.Array(Schema.Union([
    Schema.Struct({
      code: Schema.Literal("dependency_open"),
      text: Schema.String,
      open: Schema.Int.annotate({ description: "How many of the tasks that it depends on have not ended" }),
      tasks: Schema.Array(Schema.String).annotate({ description: "The ids of the first of them; 10 at most" })
    }),
    Schema.Struct({ code: Schema.Literal("not_due"), text: Schema.String, due_at: Timestamp }),
    Schema.Struct({ code: Schema.Literal("asleep"), text: Schema.String, step: Schema.String, until: Timestamp }),
    Schema.Struct({
      code: Schema.Literal("waits_for_signal"),
      text: Schema.String,
      step: Schema.String,
      signal: Schema.String.annotate({ description: "Its name; of an event, its token" }),
      since: Timestamp,
      until: Schema.NullOr(Timestamp).annotate({ description: "When it waits no longer; null for never" })
    }),
    Schema.Struct({
      code: Schema.Literal("waits_for_deferred"),
      text: Schema.String,
      deferred: Schema.String,
      until: Schema.NullOr(Timestamp).annotate({ description: "When it goes on at the latest; null for never" })
    }),
    Schema.Struct({
      code: Schema.Literal("waits_for_child"),
      text: Schema.String,
      child: Schema.String.annotate({ description: "The id of the execution whose end it waits for" }),
      workflow: Schema.String,
      until: Schema.NullOr(Timestamp).annotate({ description: "When it goes on at the latest; null for never" })
    }),
    Schema.Struct({ code: Schema.Literal("waits_for_resume"), text: Schema.String }),
    Schema.Struct({ code: Schema.Literal("queue_paused"), ...pauseFields, text: Schema.String }),
    Schema.Struct({ code: Schema.Literal("type_paused"), type: Schema.String, ...pauseFields, text: Schema.String }),
    Schema.Struct({ code: Schema.Literal("key_paused"), ...ofKey, ...pauseFields }),
    Schema.Struct({
      code: Schema.Literal("limit_full"),
      ...ofKey,
      max: Schema.Int,
      running: Schema.Int,
      holders: Schema.Array(Schema.String).annotate({ description: "Tasks that run with the key; 10 at most" })
    }),
    Schema.Struct({
      code: Schema.Literal("breaker_open"),
      text: Schema.String,
      breaker: Schema.String,
      key: Schema.String.annotate({ description: "Empty where the breaker has no keys" }),
      since: Schema.NullOr(Timestamp),
      until: Schema.NullOr(Timestamp).annotate({ description: "When a task may try; null while one does" }),
      tries: Schema.NullOr(Schema.String).annotate({ description: "The task that tries" }),
      last_failure: LastFailureJson,
      by: Schema.NullOr(Schema.String).annotate({ description: "Who opened it by hand" }),
      reason: Schema.NullOr(Schema.String)
    }),
    Schema.Struct({ code: Schema.Literal("rate_spent"), ...ofKey, until: Timestamp }),
    Schema.Struct({
      code: Schema.Literal("key_blocked"),
      ...ofKey,
      holder: Schema.Struct({ id: Schema.String, status: TaskState })
    }),
    Schema.Struct({
      code: Schema.Literal("no_handler"),
      text: Schema.String,
      instances: Schema.Int.annotate({ description: "Instances that run, none of which handles it" })
    }),
    Schema.Struct({
      code: Schema.Literal("share_full"),
      text: Schema.String,
      slots: Schema.Int.annotate({ description: "Slots of the instances that can run it" }),
      busy: Schema.Int.annotate({ description: "Slots of these that run a task" }),
      running: Schema.Int.annotate({ description: "Slots of these that run tasks of its queue's share" })
    }),
    Schema.Struct({
      code: Schema.Literal("behind"),
      text: Schema.String,
      pending: Schema.Int.annotate({ description: "Due tasks of its queue and type, this one among them" }),
      slots: Schema.Int.annotate({ description: "Slots of the instances that can run it" }),
      busy: Schema.Int.annotate({ description: "Slots of these that run a task" })
    })
  ])).annotate({ description: "All that has to change before it starts, the first first" }),
  deadline: Schema.NullOr(Schema.Struct({
    text: Schema.String,
    start_by: Timestamp,
    late_ms: Schema.Int.annotate({ description: "How late it is; less than 0 as long as there is time" })
  })).annotate({
    description:
      "Until when it should start; null where nothing says so, where it has started before, and unless it waits"
  }),
  may_start_at: Schema.NullOr(Timestamp).annotate({
    description: "When it may start; null where it waits for a person, a handler or a free slot"
  }),
  timestamp: Timestamp.annotate({ description: "The store's clock" })
}).annotate({ identifier: "Explanation" })

/** An explanation on the wire. */
export const explanationJson = (
  { deadline, mayStartAt, now, reasons, state, ...said }: Explanation
): typeof ExplanationJson.Type => ({
  ...said,
  status: state,
  reasons: reasons.map((reason) => {
    switch (reason.code) {
      case "not_due":
        return { code: reason.code, text: reason.text, due_at: timestamp(reason.dueAt) }
      case "queue_paused":
      case "type_paused":
      case "key_paused":
      case "waits_for_signal":
        return { ...reason, since: timestamp(reason.since), until: timestampOrNull(reason.until) }
      case "breaker_open": {
        const { lastFailure, since, until, ...rest } = reason
        return {
          ...rest,
          since: timestampOrNull(since),
          until: timestampOrNull(until),
          last_failure: lastFailureJson(lastFailure)
        }
      }
      case "waits_for_deferred":
      case "waits_for_child":
        return { ...reason, until: timestampOrNull(reason.until) }
      case "asleep":
      case "rate_spent":
        return { ...reason, until: timestamp(reason.until) }
      case "key_blocked":
        return { ...reason, holder: { id: reason.holder.id, status: reason.holder.state } }
      default:
        return reason
    }
  }),
  deadline: deadline && { text: deadline.text, start_by: timestamp(deadline.startBy), late_ms: deadline.lateMs },
  may_start_at: timestampOrNull(Option.getOrNull(mayStartAt)),
  timestamp: timestamp(now)
})

/** The explanation that was on the wire. */
export const explanationFromJson = (
  { deadline, may_start_at, reasons, status, timestamp, ...said }: typeof ExplanationJson.Type
): Explanation => ({
  ...said,
  state: status,
  reasons: reasons.map((reason): Reason => {
    switch (reason.code) {
      case "not_due":
        return { code: reason.code, text: reason.text, dueAt: instant(reason.due_at) }
      case "queue_paused":
      case "type_paused":
      case "key_paused":
      case "waits_for_signal":
        return { ...reason, since: instant(reason.since), until: instantOrNull(reason.until) }
      case "breaker_open": {
        const { last_failure, since, until, ...rest } = reason
        return {
          ...rest,
          since: instantOrNull(since),
          until: instantOrNull(until),
          lastFailure: lastFailureFromJson(last_failure)
        }
      }
      case "waits_for_deferred":
      case "waits_for_child":
        return { ...reason, until: instantOrNull(reason.until) }
      case "asleep":
      case "rate_spent":
        return { ...reason, until: instant(reason.until) }
      case "key_blocked":
        return { ...reason, holder: { id: reason.holder.id, state: reason.holder.status } }
      default:
        return reason
    }
  }),
  deadline: deadline && { text: deadline.text, startBy: instant(deadline.start_by), lateMs: deadline.late_ms },
  mayStartAt: Option.fromNullOr(instantOrNull(may_start_at)),
  now: instant(timestamp)
})
