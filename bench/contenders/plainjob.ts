import Database from "better-sqlite3"
import { Effect } from "effect"
import * as Path from "node:path"
import { better, defineQueue, defineWorker, JobStatus } from "plainjob"
import { run } from "../drivers/run.ts"

const silent = { error: console.error, warn: console.error, info: () => {}, debug: () => {} }

run(Effect.fnUntraced(function*({ concurrency, directory, onCompleted, onStarted, options }) {
  const connection = better(new Database(Path.join(directory, "plainjob.db")))
  const queue = yield* Effect.acquireRelease(
    Effect.sync(() => defineQueue({ connection, logger: silent })),
    (queue) => Effect.sync(() => queue.close())
  )
  // plainjob itself sets NORMAL, which may lose the last transactions to a power cut.
  if (options["synchronous"] === "FULL") connection.pragma("synchronous = FULL")

  // A worker runs one job at a time.
  const workers = Array.from({ length: concurrency }, () =>
    defineWorker("bench", onStarted, {
      queue,
      logger: silent,
      pollIntervall: Number(options["pollMs"] ?? 1000),
      onCompleted: () => onCompleted(1)
    }))
  const count = (status: JobStatus) => queue.countJobs({ status })
  return {
    enqueue: (payload) => Effect.sync(() => queue.add("bench", payload)),
    enqueueMany: (payloads) => Effect.sync(() => queue.addMany("bench", [...payloads])),
    start: Effect.acquireRelease(
      Effect.sync(() => workers.forEach((worker) => void worker.start())),
      () => Effect.promise(() => Promise.all(workers.map((worker) => worker.stop())))
    ),
    unfinished: Effect.sync(() => count(JobStatus.Pending) + count(JobStatus.Processing)),
    claim: (limit) =>
      Effect.sync(() => {
        let claimed = 0
        while (claimed < limit && queue.getAndMarkJobAsProcessing("bench") !== undefined) claimed += 1
        return claimed
      })
  }
}))
