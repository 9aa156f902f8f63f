import { Effect } from "effect"
import { PgBoss } from "pg-boss"
import { run } from "../drivers/run.ts"
import { connect, schema as scratchSchema, url } from "../postgres.ts"

const batchSize = 100
const loops = 4

/**
 * At its best setting: batches of 100 in 4 loops, fetched and completed by hand, so that a task counts when its
 * completion is stored. `listen` is for pickup: one worker that is told of new jobs.
 */
run(Effect.fnUntraced(function*({ onCompleted, onStarted, options }) {
  const schema = yield* scratchSchema
  const client = yield* connect
  const listens = options["listen"] === true
  const boss = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const boss = new PgBoss({ connectionString: url, schema, max: 10, useListenNotify: listens })
      boss.on("error", console.error)
      await boss.start()
      await boss.createQueue("bench", { notify: listens })
      return boss
    }),
    (boss) => Effect.promise(() => boss.stop({ graceful: false, close: true }))
  )
  const stop = new AbortController()
  const loop = async () => {
    while (!stop.signal.aborted) {
      const jobs = await boss.fetch("bench", { batchSize })
      if (jobs.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 500))
        continue
      }
      for (const _ of jobs) onStarted()
      await boss.complete("bench", jobs.map(({ id }) => id))
      onCompleted(jobs.length)
    }
  }
  return {
    enqueue: (payload) => Effect.promise(() => boss.send("bench", payload)),
    enqueueMany: (payloads) => Effect.promise(() => boss.insert("bench", payloads.map((data) => ({ data })))),
    start: listens
      ? Effect.promise(() =>
        boss.work("bench", { pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 30 }, async () => onStarted())
      )
      : Effect.acquireRelease(
        Effect.sync(() => Array.from({ length: loops }, loop)),
        (running) =>
          Effect.promise(() => {
            stop.abort()
            return Promise.all(running)
          })
      ),
    unfinished: Effect.promise(async () => {
      const { rows } = await client.query(
        `SELECT count(*)::int AS n FROM "${schema}".job WHERE name = 'bench' AND state < 'completed'`
      )
      return rows[0].n
    })
  }
}))
