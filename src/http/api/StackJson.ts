/** Where a running task is, on the wire, in snake_case. */
import { DateTime, Schema } from "effect"
import { TaskState } from "../../domain/TaskState.ts"
import type { StoredTask } from "../../queue/StoredTask.ts"
import type { RunningStack } from "../../worker/RunningStack.ts"
import { Timestamp, timestamp } from "./TaskJson.ts"

const Place = Schema.NullOr(Schema.String)

const FrameJson = Schema.Struct({
  name: Schema.String.annotate({ description: "Of a function made with Effect.fn, or of a span" }),
  called_at: Place.annotate({ description: "Where it was called: the end of a path, a line and a column" }),
  defined_at: Place.annotate({ description: "Where the function is" }),
  since: Schema.NullOr(Timestamp).annotate({ description: "Since when; null for what has no span" })
}).annotate({ identifier: "StackFrame" })

const FiberJson = Schema.Struct({
  parent: Schema.NullOr(Schema.Int).annotate({
    description: "The place of the fiber that has forked it in this list; null for that of the handler"
  }),
  step: Schema.NullOr(Schema.String).annotate({ description: "The step that it is in" }),
  frames: Schema.Array(FrameJson).annotate({
    description: "The innermost first, up to where it was forked. What has no name is not seen"
  }),
  more_frames: Schema.Int.annotate({ description: "How many more there are, as far as they were counted" })
}).annotate({ identifier: "FiberStack" })

/** Where a running task is. */
export const StackJson = Schema.Struct({
  id: Schema.String,
  status: TaskState,
  instance: Schema.NullOr(Schema.String).annotate({ description: "That runs it, or has run it last" }),
  answered: Schema.Boolean.annotate({
    description:
      "Whether the instance that was asked runs it. Only that one knows where it is: where this is false, ask the one that is named"
  }),
  attempt: Schema.optionalKey(Schema.Int),
  slot: Schema.optionalKey(Schema.Int),
  running_for_ms: Schema.optionalKey(Schema.Int),
  fibers: Schema.Array(FiberJson),
  more_fibers: Schema.Boolean.annotate({ description: "Whether there are others" })
}).annotate({ identifier: "TaskStack" })

/** Where a task is. */
export const stackJson = (
  { id, instance, state }: StoredTask,
  stack: RunningStack | undefined
): typeof StackJson.Type => ({
  id,
  status: state,
  instance,
  answered: stack !== undefined,
  ...stack === undefined ? {} : { attempt: stack.attempt, slot: stack.slot, running_for_ms: stack.forMs },
  fibers: (stack?.fibers ?? []).map(({ frames, moreFrames, parent, step }) => ({
    parent,
    step,
    frames: frames.map(({ calledAt, definedAt, name, since }) => ({
      name,
      called_at: calledAt,
      defined_at: definedAt,
      since: since === null ? null : timestamp(DateTime.makeUnsafe(since))
    })),
    more_frames: moreFrames
  })),
  more_fibers: stack?.hasMore ?? false
})
