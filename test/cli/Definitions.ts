/** Task types for the tests of `taskforge check`. */
import { Schema } from "effect"
import * as Versions from "../../src/domain/Versions.ts"
import * as Task from "../../src/Task.ts"

export const all = [
  Task.make("work", {
    payload: { width: Schema.Int, height: Schema.Int },
    earlier: Versions.first({ width: Schema.Int }, ({ width }) => ({ width, height: width }))
  })
]
