/**
 * What a thread, or a process in a thread's place, runs: it loads the module of each job and performs it. One job at
 * a time, as the pool gives it no second one before the first has ended.
 */
import { Effect } from "effect"
import { setPriority } from "node:os"
import { parentPort, Worker } from "node:worker_threads"
import { died, perform, type ThreadHandler } from "./ThreadHandler.ts"
import type { Job, Logged, Reply } from "./ThreadMessage.ts"

/** Below the thread that serves HTTP and keeps the leases, where the system knows priorities of single threads. */
const niceness = 10

const post = parentPort === null
  ? (message: unknown) => process.send?.(message)
  : (message: unknown) => parentPort!.postMessage(message)

// The messages of effect/workers: [0] ready, [1, reply] back, [0, job] here, [1] close
const reply = (message: Reply): void => post([1, message])

const toProcess = {
  report: (fraction: number) => Effect.sync(() => reply({ _tag: "Progress", fraction })),
  log: (line: Logged) => reply({ _tag: "Logged", line })
}

/**
 * The memory of a process in a thread's place. V8's own limit is for the heap of JavaScript alone; what the process has
 * itself, 100 MiB, comes on top.
 */
const maxBytes = parentPort === null ? (Number(process.argv[2]) + 100) * 1024 * 1024 : Infinity

/** Native code gives memory back in pieces that it cannot use again: the next job would be ended for what others took. */
const isWorn = (): boolean => process.memoryUsage.rss() > maxBytes / 2

const load = (module: string): Effect.Effect<ThreadHandler> =>
  Effect.flatMap(
    Effect.promise((): Promise<{ readonly handler?: ThreadHandler }> => import(module)),
    ({ handler }) =>
      handler === undefined
        ? Effect.die(new Error(`${module} does not export a handler; make one with ThreadHandler.make`))
        : Effect.succeed(handler)
  )

const work = (job: Job): Effect.Effect<void> =>
  load(job.module).pipe(
    Effect.flatMap((handler) => perform(handler, job, toProcess)),
    Effect.catchDefect((defect) => Effect.succeed(died(defect))),
    Effect.map((ending) => reply(isWorn() ? { ...ending, isWorn: true } : ending))
  )

const receive = (message: readonly [0, Job] | readonly [1]): void => {
  if (message[0] === 0) Effect.runFork(work(message[1]))
  else process.exit()
}

if (process.platform === "linux") setPriority(niceness)
if (parentPort === null) {
  process.on("message", receive)
  endWithParent()
} else {
  parentPort.on("message", receive)
}
post([0])

/**
 * A process in a thread's place must not outlive a parent that was killed, and must not take more memory than it may, even
 * while native code keeps it busy.
 */
function endWithParent(): void {
  const watch = `setInterval(() => {
    if (process.ppid !== ${process.ppid} || process.memoryUsage.rss() > ${maxBytes}) process.kill(${process.pid}, "SIGKILL")
  }, 100)`
  new Worker(watch, { eval: true }).unref()
  // An exit would wait for native work in the thread pool
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))
}
