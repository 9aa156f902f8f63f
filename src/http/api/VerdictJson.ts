/** What holds up a queue, or all of them, on the wire. */
import { Schema } from "effect"
import type { Cause, Verdict } from "../../explain/Verdict.ts"
import { instant, instantOrNull, Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"

/** What can hold up tasks. */
export const causes = [
  "queue_paused",
  "type_paused",
  "key_paused",
  "limit_full",
  "breaker_open",
  "rate_spent",
  "key_blocked",
  "no_handler",
  "draining",
  "share_full",
  "behind",
  "unclaimed"
] as const satisfies ReadonlyArray<Cause["code"]>

/** How a queue does, or all of them. */
export const VerdictJson = Schema.Struct({
  queue: Schema.NullOr(Schema.String).annotate({ description: "null for all queues" }),
  summary: Schema.String.annotate({ description: "One sentence for people: what waits, and why" }),
  action: Schema.NullOr(Schema.String).annotate({
    description: "What would help most; null where nothing has to be done"
  }),
  causes: Schema.Array(Schema.Struct({
    code: Schema.Literals(causes),
    text: Schema.String,
    tasks: Schema.Int.annotate({
      description: "Waiting tasks that it holds up; of closed limits, as many as the newest tasks suggest"
    }),
    action: Schema.NullOr(Schema.String)
  })).annotate({ description: "What holds tasks up, the most tasks first; 10 at most" }),
  scheduled: Schema.Int.annotate({ description: "Tasks that are due later" }),
  pending: Schema.Int.annotate({ description: "Tasks that are due and wait" }),
  running: Schema.Int,
  waiting_since: Schema.NullOr(Timestamp).annotate({
    description: "When the first of these became due; null when none waits"
  }),
  starts: Schema.Struct({
    timed: Schema.Int.annotate({ description: "How many have such a time" }),
    late: Schema.Int.annotate({ description: "How many of these have started too late, or wait and are late" }),
    max_late_ms: Schema.Int.annotate({ description: "How late the latest of these is; 0 when none is" })
  }).annotate({
    description:
      "Whether tasks that should start within a time do; of the newest 20 that run and the newest 20 that wait"
  }),
  slots: Schema.Int.annotate({ description: "Slots of the living instances that work on it and do not drain" }),
  slots_active: Schema.Int.annotate({ description: "Slots of these that run a task" }),
  timestamp: Timestamp.annotate({ description: "The store's clock" })
}).annotate({ identifier: "Verdict" })

/** A verdict on the wire. */
export const verdictJson = ({ busy, now, starts, waitingSince, ...said }: Verdict): typeof VerdictJson.Type => ({
  ...said,
  waiting_since: timestampOrNull(waitingSince),
  starts: { timed: starts.timed, late: starts.late, max_late_ms: starts.maxLateMs },
  slots_active: busy,
  timestamp: timestamp(now)
})

/** The verdict that was on the wire. */
export const verdictFromJson = (
  { slots_active, starts, timestamp, waiting_since, ...said }: typeof VerdictJson.Type
): Verdict => ({
  ...said,
  waitingSince: instantOrNull(waiting_since),
  starts: { timed: starts.timed, late: starts.late, maxLateMs: starts.max_late_ms },
  busy: slots_active,
  now: instant(timestamp)
})
