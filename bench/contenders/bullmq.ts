import { Queue, Worker } from "bullmq"
import { Effect } from "effect"
import { run } from "../drivers/run.ts"
import { place } from "./Redis.ts"

run(Effect.fnUntraced(function*({ concurrency, directory, onCompleted, onStarted }) {
  const { db, host, name, port } = yield* place(directory)
  const connection = { host, port, db, maxRetriesPerRequest: null }
  const queue = yield* Effect.acquireRelease(
    Effect.sync(() => new Queue(name, { connection, defaultJobOptions: { removeOnComplete: true } })),
    (queue) => Effect.promise(() => queue.close())
  )
  const unfinished = Effect.promise(async () => {
    const counts = await queue.getJobCounts("wait", "active", "delayed", "prioritized")
    return Object.values(counts).reduce((sum, count) => sum + count, 0)
  })
  const start = Effect.acquireRelease(
    Effect.sync(() => {
      const worker = new Worker(
        name,
        async () => {
          onStarted()
          return { ok: true }
        },
        { connection, concurrency, removeOnComplete: { count: 0 } }
      )
      worker.on("completed", () => onCompleted(1))
      worker.on("error", console.error)
      return worker
    }),
    (worker) => Effect.promise(() => worker.close())
  )
  yield* Effect.promise(() => queue.waitUntilReady())
  return {
    enqueue: (payload) => Effect.promise(() => queue.add("noop", payload)),
    enqueueMany: (payloads) => Effect.promise(() => queue.addBulk(payloads.map((data) => ({ name: "noop", data })))),
    start,
    unfinished
  }
}))
