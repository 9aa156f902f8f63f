import { Deferred, Effect, Exit } from "effect"
import type { Drive } from "../Contender.ts"
import { expectUnfinished, fill } from "./backlog.ts"

/** A backlog is enqueued first; the clock runs from `start` to the last completion. */
export const drive: Drive = Effect.fnUntraced(function*(contender, parameters) {
  const { count } = parameters
  const allCompleted = Deferred.makeUnsafe<void>()
  let started = 0
  let completed = 0
  let completedAt = 0
  const queue = yield* contender({
    ...parameters,
    capacity: count,
    onStarted: () => {
      started += 1
    },
    onCompleted: (tasks) => {
      completed += tasks
      if (completed >= count) {
        completedAt = performance.now()
        Deferred.doneUnsafe(allCompleted, Exit.void)
      }
    }
  })
  yield* fill(queue, 0, count)
  yield* expectUnfinished(queue, count)

  const startedAt = performance.now()
  yield* queue.start
  yield* Deferred.await(allCompleted)
  yield* expectUnfinished(queue, 0)
  if (started !== count || completed !== count) {
    return yield* Effect.die(`${count} tasks were enqueued, ${started} started, ${completed} completed`)
  }
  return { perSecond: count / (completedAt - startedAt) * 1000 }
})
