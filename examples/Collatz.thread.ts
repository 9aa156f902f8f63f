/** The handler of `Collatz`: the number below the limit whose way to 1 is the longest. */
import { Effect } from "effect"
import { TaskContext, ThreadHandler } from "taskforge"
import { Collatz } from "./Collatz.ts"

export const handler = ThreadHandler.make(
  Collatz,
  Effect.fnUntraced(function*({ below }) {
    const { progress } = yield* TaskContext
    let longest = { start: 1, steps: 0 }
    for (let start = 1; start < below; start++) {
      let steps = 0
      for (let number = start; number !== 1; steps++) number = number % 2 === 0 ? number / 2 : 3 * number + 1
      if (steps > longest.steps) longest = { start, steps }
      if (start % 100_000 === 0) yield* progress(start / below)
    }
    return longest
  })
)
