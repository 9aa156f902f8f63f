import { Effect } from "effect"
import { Logger, makeWorkerUtils, run as runWorker, type RunnerOptions } from "graphile-worker"
import { EventEmitter } from "node:events"
import { run } from "../drivers/run.ts"
import { connect, schema as scratchSchema, url } from "../postgres.ts"

const logger = new Logger(() => () => {})

/** A server accepts 100 connections unless told otherwise, and others may need some. */
const mostConnections = 50

/** `batched` is the setting that its documentation gives for high throughput; without it, the defaults. */
run(Effect.fnUntraced(function*({ concurrency, onCompleted, onStarted, options }) {
  const schema = yield* scratchSchema
  const client = yield* connect
  const shared = { connectionString: url, schema, logger, maxPoolSize: Math.min(concurrency + 2, mostConnections) }
  const utils = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const utils = await makeWorkerUtils(shared)
      await utils.migrate()
      return utils
    }),
    (utils) => Effect.promise(async () => utils.release())
  )
  const events = new EventEmitter()
  events.on("job:complete", () => onCompleted(1))
  const batching = options["batched"] === true
    ? { localQueue: { size: 500, refetchDelay: { durationMs: 10 } }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
    : {}
  const settings: RunnerOptions = {
    ...shared,
    events,
    concurrency,
    noHandleSignals: true,
    pollInterval: 2000,
    taskList: { bench: onStarted },
    preset: { worker: batching }
  }
  return {
    enqueue: (payload) => Effect.promise(() => utils.addJob("bench", payload)),
    enqueueMany: (payloads) =>
      Effect.promise(() => utils.addJobs(payloads.map((payload) => ({ identifier: "bench", payload })))),
    start: Effect.acquireRelease(
      Effect.promise(() => runWorker(settings)),
      (runner) => Effect.promise(async () => runner.stop())
    ),
    unfinished: Effect.promise(async () => {
      const { rows } = await client.query(`SELECT count(*)::int AS n FROM "${schema}"._private_jobs`)
      return rows[0].n
    })
  }
}))
