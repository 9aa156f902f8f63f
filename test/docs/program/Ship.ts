import { Schema } from "effect"
import { Task } from "taskforge"

export const Ship = Task.make("ship", {
  payload: { order: Schema.Int },
  success: Schema.Struct({ shipped: Schema.Int }),
  retry: { times: 3 }
})
