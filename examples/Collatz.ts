/** A task type whose handler runs on a thread; see `08-threads.ts`. */
import { Schema } from "effect"
import { Task } from "taskforge"

export const Collatz = Task.make("collatz", {
  payload: { below: Schema.Int },
  success: Schema.Struct({ start: Schema.Int, steps: Schema.Int })
})
