/**
 * Figures of the task types that ship with the server: `node --conditions=source bench/handlers.ts [csv|image|health|thread]…`.
 * `csv` and `health` run the bundle, as `npm start` does; the peak of resident memory is read from `/proc`.
 */
import { Effect, Layer, References } from "effect"
import { spawn } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Engine from "../src/engine/Engine.ts"
import { Fibonacci, FibonacciLive } from "../src/handlers/Fibonacci.ts"
import { Folders } from "../src/handlers/files/Folders.ts"
import { ImageLimits, ImageResize, ImageResizeLive } from "../src/handlers/ImageResize.ts"
import { Outbound } from "../src/handlers/outbound/Outbound.ts"
import * as MemoryStore from "../src/store/memory/MemoryStore.ts"
import { ThreadPool } from "../src/threads/ThreadPool.ts"

const bundle = fileURLToPath(new URL("../dist/server.cjs", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "taskforge-bench-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

const quantile = (samples: ReadonlyArray<number>, q: number): number =>
  samples.toSorted((one, other) => one - other)[Math.floor(q * (samples.length - 1))]!

const round = (value: number): number => Math.round(value * 1000) / 1000

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/** A server from the bundle, and what it is asked. */
const withServer = async <A>(use: (server: Server) => Promise<A>): Promise<A> => {
  const child = spawn(process.execPath, [bundle], {
    cwd: folder,
    env: {
      PATH: process.env["PATH"],
      STORE_URL: "memory:",
      SERVER_PORT: "0",
      LOG_FORMAT: "json",
      TASKFORGE_FOLDERS: folder
    },
    stdio: ["ignore", "pipe", "inherit"]
  })
  try {
    const url = await new Promise<string>((resolve) => {
      let text = ""
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
        const found = /"url":"([^"]+)"/.exec(text)
        if (found !== null) resolve(found[1]!)
      })
    })
    const request = async (path: string, body?: unknown) => {
      const answer = await fetch(`${url}${path}`, {
        method: body === undefined ? "GET" : "POST",
        headers: { "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      return await answer.json() as Record<string, unknown>
    }
    return await use({ pid: child.pid!, request })
  } finally {
    child.kill("SIGKILL")
  }
}

interface Server {
  readonly pid: number
  readonly request: (path: string, body?: unknown) => Promise<Record<string, unknown>>
}

const finished = async ({ request }: Server, id: unknown) => {
  for (;;) {
    const task = await request(`/api/v1/tasks/${String(id)}`)
    if (task["status"] === "failed") throw new Error(JSON.stringify(task["error"]))
    if (task["status"] === "completed") return task
    await sleep(50)
  }
}

/** One GB of CSV, aggregated by one of its columns. */
const csv = async () => {
  const path = join(folder, "big.csv")
  const file = openSync(path, "w")
  writeFileSync(file, "id,city,product,price,quantity,note\n")
  let rows = 0
  for (let chunk = 0; statSync(path).size < 1_000_000_000; chunk++) {
    let text = ""
    for (let row = 0; row < 50_000; row++, rows++) {
      text += `${rows},city ${rows % 997},"product, no. ${rows % 89}",${(rows % 10_007) / 100},${
        rows % 7
      },a note of some length\n`
    }
    writeFileSync(file, text)
  }
  closeSync(file)
  const peakOf = (pid: number) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1000
  const result = await withServer(async (server) => {
    const begin = performance.now()
    const { id } = await server.request("/api/v1/tasks", {
      type: "data_process",
      payload: {
        input: "big.csv",
        aggregate: { by: ["city"], figures: { rows: { op: "count" }, turnover: { op: "sum", column: "price" } } },
        output: "cities.csv",
        format: "csv"
      }
    })
    const task = await finished(server, id)
    const seconds = (performance.now() - begin) / 1000
    const { rows_in, rows_out } = task["result"] as { readonly rows_in: number; readonly rows_out: number }
    if (rows_in !== rows || rows_out !== 997) throw new Error(`${rows_in} rows in, ${rows_out} out`)
    return { gigabytes: statSync(path).size / 1e9, rows, seconds: round(seconds), peakMb: round(peakOf(server.pid)) }
  })
  rmSync(path)
  return result
}

/** A photograph made smaller, by tasks and by a plain loop, in turns. */
const image = async () => {
  const { default: sharp } = await import("sharp")
  const noise = { type: "gaussian" as const, mean: 128, sigma: 40 }
  const photo = await sharp({ create: { width: 2000, height: 1500, channels: 3, background: "#888", noise } }).jpeg()
    .toBuffer()
  writeFileSync(join(folder, "in.jpg"), photo)
  const count = 6
  const payload = { file: "in.jpg", width: 800, height: 600, fit: "cover", quality: 80, enlarge: true } as const
  const Live = Engine.layer(
    ImageResizeLive.pipe(
      Layer.provide([ImageLimits.layer(), Folders.layer([folder]), Outbound.layer(), ThreadPool.layer()])
    ),
    { worker: { concurrency: 1 } }
  ).pipe(Layer.provideMerge(MemoryStore.layer()), Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")))
  const byTasks = Effect.gen(function*() {
    const begin = performance.now()
    const handles = yield* ImageResize.enqueueAll(
      Array.from({ length: count }, (_, index) => ({ ...payload, output: `out-${index}.jpg` }))
    )
    yield* Effect.forEach(handles, (handle) => handle.result, { concurrency: "unbounded" })
    return performance.now() - begin
  })
  /** The task's file is on disk before it is done; a loop may leave that to chance. */
  const byLoop = async (flush: boolean) => {
    const begin = performance.now()
    for (let index = 0; index < count; index++) {
      const data = await sharp(join(folder, "in.jpg")).resize({ width: 800, height: 600, fit: "cover" }).jpeg({
        quality: 80
      })
        .toBuffer()
      await writeFile(join(folder, `loop-${index}.jpg`), data, { flush })
    }
    return performance.now() - begin
  }
  return await Effect.runPromise(Effect.provide(
    Effect.gen(function*() {
      yield* Effect.promise(() => byLoop(true))
      yield* byTasks
      const flushed: Array<number> = []
      const unflushed: Array<number> = []
      for (let pair = 0; pair < 31; pair++) {
        const tasks = yield* byTasks
        flushed.push((yield* Effect.promise(() => byLoop(true))) / tasks)
        unflushed.push((yield* Effect.promise(() => byLoop(false))) / tasks)
      }
      const ratioOf = (ratios: ReadonlyArray<number>) => ({
        least: round(Math.min(...ratios)),
        most: round(Math.max(...ratios)),
        median: round(quantile(ratios, 0.5))
      })
      return { images: count, flushed: ratioOf(flushed), unflushed: ratioOf(unflushed) }
    }),
    Live
  ))
}

/** `GET /health` while every processor counts primes. */
const health = () =>
  withServer(async (server) => {
    for (let task = 0; task < 8; task++) {
      await server.request("/api/v1/tasks", { type: "primes", payload: { below: 2_000_000_000 } })
    }
    await sleep(1500)
    const samples: Array<number> = []
    for (const end = performance.now() + 8000; performance.now() < end;) {
      const begin = performance.now()
      await server.request("/health")
      samples.push(performance.now() - begin)
      await sleep(5)
    }
    const stats = await server.request("/api/v1/stats")
    return {
      running: stats["tasks_running"],
      requests: samples.length,
      p50Ms: round(quantile(samples, 0.5)),
      p99Ms: round(quantile(samples, 0.99)),
      maxMs: round(Math.max(...samples))
    }
  })

/** A task that does next to nothing, on a thread and inline: the difference is what a thread costs. */
const thread = async () => {
  const samplesOf = (pool: Layer.Layer<ThreadPool>) =>
    Effect.provide(
      Effect.gen(function*() {
        const samples: Array<number> = []
        for (let index = 0; index < 3000; index++) {
          const begin = performance.now()
          const handle = yield* Fibonacci.enqueue({ n: 10 })
          yield* handle.result
          if (index >= 1000) samples.push(performance.now() - begin)
        }
        return samples
      }),
      Engine.layer(FibonacciLive.pipe(Layer.provide(pool))).pipe(
        Layer.provideMerge(MemoryStore.layer({ capacity: 10_000 })),
        Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
      ),
      { local: true }
    )
  const [onThread, inline] = await Effect.runPromise(Effect.all([
    samplesOf(ThreadPool.layer({ size: 1 })),
    samplesOf(ThreadPool.layerInline)
  ]))
  const [threadP50, inlineP50] = [quantile(onThread, 0.5), quantile(inline, 0.5)]
  return {
    threadP50Ms: round(threadP50),
    inlineP50Ms: round(inlineP50),
    differenceMs: round(threadP50 - inlineP50),
    threadP99Ms: round(quantile(onThread, 0.99))
  }
}

const measures = { csv, image, health, thread }
const asked = process.argv.slice(2) as ReadonlyArray<keyof typeof measures>
for (const name of asked.length === 0 ? (Object.keys(measures) as ReadonlyArray<keyof typeof measures>) : asked) {
  console.log(JSON.stringify({ measure: name, ...await measures[name]() }))
}
