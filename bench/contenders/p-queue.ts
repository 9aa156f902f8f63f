import { Effect } from "effect"
import PQueue from "p-queue"
import { run } from "../drivers/run.ts"

run(({ concurrency, onCompleted, onStarted }) =>
  Effect.sync(() => {
    const queue = new PQueue({ concurrency, autoStart: false })
    const completed = () => onCompleted(1)
    return {
      enqueue: (payload) =>
        Effect.sync(() => {
          queue.add(() => {
            onStarted()
            return payload
          }).then(completed)
        }),
      start: Effect.sync(() => queue.start()),
      unfinished: Effect.sync(() => queue.size + queue.pending)
    }
  })
)
