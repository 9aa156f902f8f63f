/**
 * A program with a handler on a thread, as people build it: from source, by `tsc`, by esbuild, rolldown and Vite, with
 * the library outside of the bundle and within.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build as rolldown } from "rolldown"
import { build as vite } from "vite"
import { afterAll } from "vitest"

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Below the repository, where the packages are found and the library by its own name. */
mkdirSync(pathOf("../../coverage"), { recursive: true })
const folder = mkdtempSync(pathOf("../../coverage/consumer-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const source = (path: string) => join(folder, "src", path)
mkdirSync(source("tasks"), { recursive: true })
writeFileSync(
  source("tasks/Square.ts"),
  `import { Schema } from "effect"
import { onThread, Task } from "taskforge"
export const Square = Task.make("square", { payload: { n: Schema.Int }, success: Schema.Struct({ n: Schema.Int, isMain: Schema.Boolean }) })
export const SquareLive = Square.toLayer(onThread(Square, new URL("./Square.thread.js", import.meta.url)))
`
)
writeFileSync(
  source("tasks/Square.thread.ts"),
  `import { Effect } from "effect"
import { isMainThread } from "node:worker_threads"
import { ThreadHandler } from "taskforge"
import { Square } from "./Square.ts"
export const handler = ThreadHandler.make(Square, ({ n }) => Effect.succeed({ n: n * n, isMain: isMainThread }))
`
)
writeFileSync(
  source("main.ts"),
  `import { Effect, Layer } from "effect"
import { Engine, MemoryStore, ThreadPool } from "taskforge"
import { Square, SquareLive } from "./tasks/Square.ts"
const Live = Engine.layer(SquareLive.pipe(Layer.provide(ThreadPool.layer()))).pipe(Layer.provide(MemoryStore.layer()))
const program = Effect.gen(function*() {
  console.log("STARTED")
  const handle = yield* Square.enqueue({ n: 7 }, { maxRetries: 0 })
  console.log("RESULT " + JSON.stringify(yield* handle.result))
})
await Effect.runPromise(Effect.provide(program, Live))
`
)

const entries = { main: source("main.ts"), "Square.thread": source("tasks/Square.thread.ts") }
const withLibrary = { ...entries, ThreadMain: pathOf("../../dist/threads/ThreadMain.js") }
const packages = [/^[^./]/]

const run = (file: string): string => {
  try {
    return execFileSync(process.execPath, [file], { cwd: folder, encoding: "utf8", timeout: 240_000, stdio: "pipe" })
  } catch (error) {
    const { stderr, stdout } = error as { readonly stderr: string; readonly stdout: string }
    return stdout + stderr
  }
}

const works = (file: string) => assert.include(run(file), `RESULT {"n":49,"isMain":false}`)

const esbuild = (out: string, options: ReadonlyArray<string>, inputs: Readonly<Record<string, string>>) => {
  const flags = ["--bundle", "--platform=node", "--format=esm", "--log-level=error", `--outdir=${join(folder, out)}`]
  const files = Object.entries(inputs).map(([name, path]) => `${name}=${path}`)
  execFileSync(pathOf("./installed/node_modules/.bin/esbuild"), [...files, ...flags, ...options], { cwd: folder })
  return join(folder, out, "main.js")
}

const bundled = async (out: string, input: Readonly<Record<string, string>>, external: ReadonlyArray<RegExp>) => {
  const dir = join(folder, out)
  const output = { dir, entryFileNames: "[name].js", format: "esm" as const }
  await rolldown({ cwd: folder, input, platform: "node", external: [...external], output, logLevel: "silent" })
  return join(dir, "main.js")
}

const bundledByVite = async (out: string, input: Readonly<Record<string, string>>, noExternal: boolean) => {
  const outDir = join(folder, out)
  await vite({
    root: folder,
    configFile: false,
    logLevel: "silent",
    // The library is a link here, which Vite would bundle
    ssr: noExternal ? { noExternal: true } : { external: ["taskforge"] },
    build: { ssr: true, outDir, rolldownOptions: { input } }
  })
  return join(outDir, "main.js")
}

describe("a handler on a thread", () => {
  it("works from source", () => works(source("main.ts")))

  it("works after tsc", () => {
    const flags =
      "--ignoreConfig --module nodenext --target es2024 --skipLibCheck --types node --rewriteRelativeImportExtensions"
    const tsc = pathOf("../../node_modules/.bin/tsc")
    execFileSync(tsc, [...flags.split(" "), "--rootDir", "src", "--outDir", "tsc", ...Object.values(entries)], {
      cwd: folder,
      stdio: "pipe"
    })
    works(join(folder, "tsc/main.js"))
  })

  it("works in a bundle of esbuild", () => works(esbuild("esbuild", ["--packages=external"], entries)))
  it("works in a bundle of rolldown", async () => works(await bundled("rolldown", entries, packages)))
  it("works in a bundle of Vite", async () => works(await bundledByVite("vite", entries, false)))
})

describe("a bundle that contains the library", () => {
  const banner =
    `--banner:js=import { createRequire } from "node:module"; const require = createRequire(import.meta.url)`

  it("works with esbuild", () => works(esbuild("esbuild-all", [banner], withLibrary)))
  it("works with rolldown", async () => works(await bundled("rolldown-all", withLibrary, [])))
  it("works with Vite", async () => works(await bundledByVite("vite-all", withLibrary, true)))
})

describe("a bundle without the thread module", () => {
  it("does not start, and says what is missing", async () => {
    const output = run(await bundled("incomplete", { main: entries.main }, packages))
    assert.notInclude(output, "STARTED")
    assert.include(output, "ThreadModulesMissing")
    assert.include(output, "incomplete/Square.thread.js")
  })
})
