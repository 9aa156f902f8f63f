import { Cause, Duration, Effect } from "effect"
import { isMainThread, threadId } from "node:worker_threads"
import * as ThreadHandler from "../../src/threads/ThreadHandler.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { Probe, ProbeFailed } from "./Probe.ts"

/** What it keeps after a job. */
const kept: Array<Buffer> = []

export const handler = ThreadHandler.make(
  Probe,
  Effect.fnUntraced(function*({ act }) {
    const { attempt, progress, snooze } = yield* TaskContext
    yield* progress(0.5)
    switch (act) {
      case "fail":
        return yield* new ProbeFailed({ fact: 42 })
      case "throw":
        throw new TypeError("thrown in the thread")
      case "environment":
        throw new TypeError(`TASKFORGE_PROBE is ${process.env["TASKFORGE_PROBE"]}`)
      case "spin":
        for (;;) continue
      case "exit":
        return process.exit(7)
      case "exhaust": {
        const held: Array<Array<number>> = []
        for (;;) held.push(Array.from({ length: 100_000 }, (_, index) => index + 0.5))
      }
      case "keep":
        kept.push(Buffer.alloc(400 * 1024 * 1024, 1))
        break
      case "log":
        yield* Effect.logWarning("It creaks", Cause.fail("overload")).pipe(Effect.annotateLogs("part", "axle"))
        yield* Effect.logInfo("\u0000")
        break
      case "snooze":
        return yield* snooze("1 milli")
    }
    const thread = act === "unfit" ? 0.5 : isMainThread ? process.pid : threadId
    return { thread, isMain: isMainThread, attempt, at: Duration.seconds(attempt) }
  })
)
