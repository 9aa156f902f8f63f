/** The steps of a task on the wire, in snake_case. */
import { Schema } from "effect"
import type { StepsView } from "../../flow/StepViews.ts"
import { PageSize } from "./RequestValues.ts"
import { Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"

/** Steps in an answer when nothing is said. */
export const defaultSteps = 100

/** How many steps are asked for. */
export const StepsQuery = { limit: Schema.optionalKey(PageSize) }

const StepJson = Schema.Struct({
  name: Schema.String,
  status: Schema.Literals(["succeeded", "failed", "unfit", "sleeping", "slept", "waiting", "timed_out"]).annotate({
    description: "succeeded, failed: its effect has ended, and is not run again. unfit: what it gave cannot be kept. " +
      "sleeping, slept: until a time. waiting, timed_out: for a signal"
  }),
  attempt: Schema.Int.annotate({ description: "The attempt that wrote this" }),
  started_at: Timestamp.annotate({ description: "By the clock of the instance that ran it" }),
  ms: Schema.Finite.annotate({ description: "How long its effect took" }),
  until: Schema.NullOr(Timestamp).annotate({
    description: "When a sleep or a wait is over; null for a wait without an end, and for other steps"
  }),
  signal: Schema.NullOr(Schema.String).annotate({
    description: "What it waits for: the name of a signal, or the token of an event"
  }),
  bytes: Schema.Int.annotate({ description: "Of what is kept of its end, which is not shown" }),
  issue: Schema.NullOr(Schema.String).annotate({ description: "Of an unfit one: why" })
}).annotate({ identifier: "Step" })

/** The steps of a task. */
export const TaskStepsJson = Schema.Struct({
  id: Schema.String,
  count: Schema.Int.annotate({ description: "How many are known" }),
  left_out: Schema.Int.annotate({ description: "How many of them, the first ones, are not in this answer" }),
  steps: Schema.Array(StepJson).annotate({ description: "In the order in which they ended" }),
  running: Schema.Array(Schema.String).annotate({
    description: "Those that had begun, and had not ended, when steps were last written"
  }),
  unasked: Schema.Array(Schema.String).annotate({
    description:
      "Those that had ended and that the attempt that completed did not ask for: the handler may have changed"
  }),
  timestamp: Timestamp.annotate({ description: "The store's clock" })
}).annotate({ identifier: "TaskSteps" })

/** The steps of a task on the wire. */
export const stepsJson = ({ count, id, now, running, steps, unasked }: StepsView): typeof TaskStepsJson.Type => ({
  id,
  count,
  left_out: count - steps.length,
  steps: steps.map(({ startedAt, until, ...step }) => ({
    ...step,
    started_at: timestamp(startedAt),
    until: timestampOrNull(until)
  })),
  running,
  unasked,
  timestamp: timestamp(now)
})
