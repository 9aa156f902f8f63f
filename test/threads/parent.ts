/** A process whose only thread is a process that computes for ever. It writes the line `computing` once that has begun. */
import { Console, Effect } from "effect"
import { ThreadPool } from "../../src/threads/ThreadPool.ts"

const job = {
  module: new URL("./Probe.thread.ts", import.meta.url).href,
  payload: JSON.stringify({ act: "spin" }),
  attempt: { id: "a", type: "probe", queue: "default", attempt: 1, claim: 1, instance: "here", slot: 1 },
  logLevel: "Info" as const
}

void Effect.runPromise(
  ThreadPool.use((pool) =>
    pool.run(job, { isolation: "process", report: () => Console.log("computing"), log: () => Effect.void })
  ).pipe(
    Effect.provide(ThreadPool.layer({ size: 1 }))
  )
)
