import { Effect } from "effect"
import fastq from "fastq"
import { run } from "../drivers/run.ts"
import type { Payload } from "../Payload.ts"

run(({ concurrency, onCompleted, onStarted }) =>
  Effect.sync(() => {
    const queue = fastq<unknown, Payload>((_payload, done) => {
      onStarted()
      // Called back at once, a long backlog would overflow the stack.
      queueMicrotask(() => done(null))
    }, concurrency)
    queue.pause()
    const completed = () => onCompleted(1)
    return {
      enqueue: (payload) => Effect.sync(() => queue.push(payload, completed)),
      start: Effect.sync(() => queue.resume()),
      unfinished: Effect.sync(() => queue.length() + queue.running())
    }
  })
)
