import Queue from "better-queue"
import { Effect } from "effect"
import { run } from "../drivers/run.ts"
import type { Payload } from "../Payload.ts"

interface Ticket {
  once(event: "queued", listener: () => void): unknown
}

run(({ concurrency, onCompleted, onStarted }) =>
  Effect.sync(() => {
    const queue = new Queue<Payload, void>((_payload, done) => {
      onStarted()
      done(null)
    }, { concurrent: concurrency })
    queue.pause()
    queue.on("task_finish", () => onCompleted(1))
    return {
      enqueue: (payload) =>
        Effect.callback<void>((resume) => {
          const ticket: Ticket = queue.push(payload)
          ticket.once("queued", () => resume(Effect.void))
        }),
      start: Effect.sync(() => queue.resume()),
      unfinished: Effect.sync(() => (queue as unknown as { readonly length: number }).length)
    }
  })
)
