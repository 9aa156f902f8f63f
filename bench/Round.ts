import { Duration, Effect, FileSystem, Schedule, Schema, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { existsSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { fileURLToPath } from "node:url"
import { bundle } from "./bundle.ts"
import type { Metrics, RoundParameters, ServerParameters } from "./Contender.ts"
import type { Entry, QueueEntry, ServerEntry } from "./Measure.ts"
import { percentile } from "./statistics.ts"

export class RoundFailed extends Schema.TaggedError<RoundFailed>()("RoundFailed", {
  /** Fit to be saved: names no path of this machine. */
  reason: Schema.String,
  /** What the child wrote to its error stream, for the terminal only. */
  output: Schema.String
}) {}

/** Null where no such file exists. */
export const contenderPath = (contender: string): string | null =>
  ["ts", "cjs"].map((extension) => fileURLToPath(new URL(`./contenders/${contender}.${extension}`, import.meta.url)))
    .find((path) => existsSync(path)) ?? null

/** One round of one entry in fresh processes and a fresh directory. */
export const runRound = (entry: Entry, path: string, timeout: Duration.Duration) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "taskforge-bench-" })
    return yield* entry._tag === "Queue" ? runQueue(entry, path, directory) : runServer(entry, path, directory)
  }).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => new RoundFailed({ reason: `no answer within ${Duration.format(timeout)}`, output: "" })
    }),
    Effect.catchTags({
      PlatformError: (error) => new RoundFailed({ reason: "the platform failed", output: error.message }),
      SchemaError: (error) => new RoundFailed({ reason: "the answer is no line of metrics", output: error.message })
    })
  )

const runQueue = (entry: QueueEntry, path: string, directory: string) => {
  const { concurrency, count, driver, options } = entry
  const parameters: RoundParameters = { driver, count, concurrency, options, directory }
  return spawn(path, parameters).pipe(Effect.flatMap(answer))
}

const runServer = Effect.fnUntraced(function*(entry: ServerEntry, path: string, directory: string) {
  const parameters: ServerParameters = { port: yield* freePort, directory, options: entry.options ?? {} }
  const script = entry.bundle === undefined ? path : yield* bundle(path, entry.bundle, directory)
  const server = yield* spawn(script, parameters)
  const probe = waitUntilReady(parameters.port).pipe(
    Effect.andThen(entry.probe === "load" ? loadOf(parameters.port) : residentMemoryOf(server.pid))
  )
  const ended = Effect.flatMap(
    Effect.all([text(server.stderr), server.exitCode], { concurrency: 2 }),
    ([output, code]) => new RoundFailed({ reason: `the server exited with code ${code}`, output })
  )
  return yield* Effect.raceFirst(
    probe,
    Effect.raceFirst(ended, Effect.andThen(Stream.runDrain(server.stdout), Effect.never))
  )
})

const loadOf = (port: number) =>
  spawn(fileURLToPath(new URL("./load.ts", import.meta.url)), { port }).pipe(Effect.flatMap(answer))

const residentMemoryOf = Effect.fnUntraced(function*(pid: number) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const sample = spawner.string(ChildProcess.make("ps", ["-o", "rss=", "-p", String(pid)])).pipe(
    Effect.map((kilobytes) => Number(kilobytes) / 1024)
  )
  yield* Effect.sleep("5 seconds")
  const samples = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.andThen(Effect.sleep("200 millis"), sample))
  const metrics: Metrics = { residentMB: percentile(samples, 0.5) }
  return metrics
})

/** Killed with its descendants when the scope closes. */
const spawn = Effect.fnUntraced(function*(script: string, parameters: object) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  return yield* spawner.spawn(
    ChildProcess.make(process.execPath, [...process.execArgv, script, JSON.stringify(parameters)], {
      // As `npm start` sets it, and for all alike: the allocator gives back what it does not need
      env: { MALLOC_ARENA_MAX: "2", MALLOC_TRIM_THRESHOLD_: "131072" },
      extendEnv: true,
      forceKillAfter: "5 seconds"
    })
  )
})

const decodeMetrics = Schema.decodeEffect(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Finite)))

const answer = Effect.fnUntraced(function*(child: ChildProcessSpawner.ChildProcessHandle) {
  const [stdout, output, code] = yield* Effect.all([text(child.stdout), text(child.stderr), child.exitCode], {
    concurrency: 3
  })
  if (code !== ChildProcessSpawner.ExitCode(0)) {
    return yield* new RoundFailed({ reason: `exited with code ${code}`, output })
  }
  // What a store logs comes before
  return yield* decodeMetrics(stdout.trimEnd().split("\n").at(-1)!)
})

const text = <E>(stream: Stream.Stream<Uint8Array, E>) => stream.pipe(Stream.decodeText, Stream.mkString)

const waitUntilReady = (port: number) =>
  Effect.tryPromise({
    try: (signal) => fetch(`http://127.0.0.1:${port}/health`, { signal }).then((response) => response.arrayBuffer()),
    catch: () => new RoundFailed({ reason: "the server did not answer within 30 s", output: "" })
  }).pipe(Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo({ duration: "30 seconds" }))))

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})
