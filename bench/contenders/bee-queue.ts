import BeeQueue from "bee-queue"
import { Effect } from "effect"
import { run } from "../drivers/run.ts"
import { place } from "./Redis.ts"

run(Effect.fnUntraced(function*({ concurrency, directory, onCompleted, onStarted }) {
  const { db, host, name, port } = yield* place(directory)
  // Nothing that costs and is not asked for: no events across processes, no jobs kept in memory or after success.
  const settings = {
    redis: { host, port, db },
    getEvents: false,
    sendEvents: false,
    storeJobs: false,
    removeOnSuccess: true,
    activateDelayedJobs: false
  }
  const open = (isWorker: boolean) =>
    Effect.acquireRelease(
      Effect.promise(() => new BeeQueue(name, { ...settings, isWorker }).ready()),
      (queue) => Effect.promise(() => queue.close(1000))
    )
  const queue = yield* open(false)
  return {
    enqueue: (payload) => Effect.promise(() => queue.createJob(payload).save()),
    enqueueMany: (payloads) => Effect.promise(() => queue.saveAll(payloads.map((payload) => queue.createJob(payload)))),
    start: Effect.map(open(true), (worker) => {
      worker.on("succeeded", () => onCompleted(1))
      worker.process(concurrency, async () => {
        onStarted()
        return { ok: true }
      })
    }),
    unfinished: Effect.map(
      Effect.promise(() => queue.checkHealth()),
      ({ active, delayed, waiting }) => active + delayed + waiting
    )
  }
}))
