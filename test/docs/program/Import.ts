import { Effect, Schedule, Schema } from "effect"
import { Task, TaskContext } from "taskforge"

class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", { file: Schema.String }) {}

export const Import = Task.make("import", {
  payload: { file: Schema.String },
  success: Schema.Struct({ rows: Schema.Int }),
  error: Unreadable,
  retry: { schedule: Schedule.exponential("1 second") }
})

export const ImportLive = Import.toLayer(
  Effect.fn("import")(function*({ file }) {
    const { attempt } = yield* TaskContext
    if (attempt <= 3) return yield* new Unreadable({ file })
    return { rows: 3 }
  })
)
