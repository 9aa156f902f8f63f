import { Effect, Schema } from "effect"
import { Task } from "taskforge"

export const Import = Task.make("import", {
  payload: { file: Schema.String },
  success: Schema.Struct({ rows: Schema.Int })
})

export const ImportLive = Import.toLayer(({ file }) => Effect.succeed({ rows: file.length }))
