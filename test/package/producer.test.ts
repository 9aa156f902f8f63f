/** A producer in a bundle for browsers and edge functions, where there is no Node, and every kilobyte is loaded by people who wait. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpServer as Listener } from "effect/http"
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { gzipSync } from "node:zlib"
import { type OutputChunk, rolldown } from "rolldown"
import { afterAll } from "vitest"
import * as Engine from "../../src/engine/Engine.ts"
import { TaskCatalog, TaskServer } from "../../src/http/server.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"

/** What a producer may have beyond `effect`, compressed. */
const maxBytes = 60_000

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Below the repository, where Effect is found. */
mkdirSync(pathOf("../../coverage"), { recursive: true })
const folder = mkdtempSync(pathOf("../../coverage/producer-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bundle = async (): Promise<OutputChunk> => {
  const bundled = await rolldown({
    input: pathOf("./program/producer.ts"),
    platform: "browser",
    external: [/^effect(\/|$)/],
    resolve: { conditionNames: ["source", "browser", "import", "default"] },
    logLevel: "silent"
  })
  const { output: [chunk, ...others] } = await bundled.generate({ format: "esm", minify: true })
  await bundled.close()
  assert.deepStrictEqual(others, [])
  return chunk
}

/** The modules that take most of it, for whoever has to make it smaller. */
const largest = ({ modules }: OutputChunk): string =>
  Object.entries(modules).toSorted(([, a], [, b]) => b.renderedLength - a.renderedLength).slice(0, 40)
    .map(([path, { renderedLength }]) => `${renderedLength} ${path}`).join("\n")

const server = TaskServer.layer({ port: 0, farewell: 0, maxBodyBytes: 4_000_000 }).pipe(
  Layer.provide(TaskCatalog.layer([
    Task.make("email", { payload: { to: Schema.String, text: Schema.String } })
  ])),
  Layer.provideMerge(Engine.layerProducer()),
  Layer.provideMerge(MemoryStore.layer())
)

/** Runs the bundle, and answers what it prints. */
const run = async (url: string, email: string): Promise<string> => {
  const program = `import { enqueue } from "./producer.mjs"
console.log(await enqueue(${JSON.stringify(url)}, ${email}))`
  writeFileSync(join(folder, "page.mjs"), program)
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, "page.mjs")], { cwd: folder })
  return stdout.trim()
}

/** What only Node has is hidden from the bundle; the `fetch` of Node goes on to use it. */
const withoutNode = "const Buffer = undefined, process = undefined, global = undefined, setImmediate = undefined\n"

describe("a producer in a bundle", () => {
  let chunk: OutputChunk
  beforeAll(async () => {
    chunk = await bundle()
    writeFileSync(join(folder, "producer.mjs"), withoutNode + chunk.code)
  })

  it("has less than 60 kB beyond Effect, compressed", () => {
    assert.isBelow(gzipSync(chunk.code).length, maxBytes, largest(chunk))
  })

  it("imports nothing but Effect", () => {
    const imported = [...chunk.imports, ...chunk.dynamicImports]
    assert.isAbove(imported.length, 0)
    assert.deepStrictEqual(imported.filter((name) => name !== "effect" && !name.startsWith("effect/")), [])
  })

  it.live("enqueues on a server, where there is nothing of Node, also what is long enough to be measured", () =>
    Effect.gen(function*() {
      const { address } = yield* Listener.HttpServer
      const email = (text: string) => `{ to: "ada@example.org", text: ${text} }`
      const url = Listener.formatAddress(address)
      for (const text of [`"Hello"`, `"a".repeat(1_500_000)`]) {
        const id = yield* Effect.promise(() => run(url, email(text)))
        const task = yield* TaskQueue.use((queue) => queue.get(id))
        assert.strictEqual(task.type, "email")
      }
    }).pipe(Effect.provide(server)))
})
