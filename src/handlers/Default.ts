/** `default` keeps what it got: the type of tasks that name none. Its payload is its result. */
import { Effect, Schema } from "effect"
import * as Task from "../Task.ts"

/** The task type `default`. */
export const Default = Task.make("default", {
  description: "Keeps what it got",
  payload: Schema.Json,
  success: Schema.Struct({ kept: Schema.Json, bytes: Schema.Int })
})

/** Runs `default`. */
export const DefaultLive = Default.toLayer((kept) =>
  Effect.succeed({ kept, bytes: Buffer.byteLength(JSON.stringify(kept)) })
)
