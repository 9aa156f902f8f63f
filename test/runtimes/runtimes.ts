/**
 * The built library on the runtimes that it is promised for: the lowest Node, the first of the next line, the one that
 * the project brings, the newest, Bun and Deno. Each runs a plain program on each store. `npm run runtimes` installs
 * the runtimes, builds the library and runs this.
 */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { it } from "vitest"
import * as Postgres from "../servers/Postgres.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import manifest from "./installed/package.json" with { type: "json" }

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))

interface Runtime {
  readonly name: string
  /** The binary and the arguments before the program. */
  readonly command: readonly [string, ...Array<string>]
}

const installed = pathOf("./installed/node_modules")

const runtimes: ReadonlyArray<Runtime> = [
  ...Object.keys(manifest.dependencies).filter((name) => name.startsWith("node-")).map((name): Runtime => ({
    name: name.replace("node-", "Node "),
    command: [join(installed, name, "bin/node")]
  })),
  { name: `Node ${process.versions.node}, which the project brings`, command: [process.execPath] },
  { name: `Bun ${manifest.dependencies.bun}`, command: [join(installed, ".bin/bun")] },
  { name: `Deno ${manifest.dependencies.deno}`, command: [join(installed, ".bin/deno"), "run", "--allow-all"] }
]

/** Runs a program to its end, which it has to reach by itself. */
const run = ({ command: [binary, ...before] }: Runtime, program: string, args: ReadonlyArray<string>): Promise<void> =>
  new Promise((resolve, reject) => {
    execFile(binary, [...before, pathOf(program), ...args], { timeout: 240_000 }, (error, stdout, stderr) => {
      if (error === null && stdout.trimEnd().endsWith("done")) resolve()
      else reject(new Error(`${binary} ended with ${error?.signal ?? error?.code}:\n${stdout}\n${stderr}`))
    })
  })

const withFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "taskforge-runtimes-"))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const onEach = (what: string, test: (runtime: Runtime) => Promise<void>) =>
  describe.concurrent(what, () => {
    for (const runtime of runtimes) it(runtime.name, () => test(runtime))
  })

onEach("the memory store", (runtime) => run(runtime, "./store.mjs", ["memory"]))

onEach("the SQLite store, on a file that is opened twice", (runtime) =>
  withFolder(async (folder) => {
    const args = ["SQLite", join(folder, "tasks.db")]
    await run(runtime, "./store.mjs", args)
    await run(runtime, "./store.mjs", args)
  }))

await withServer("PostgreSQL", Postgres.find, (postgres) => {
  onEach(
    "the PostgreSQL store",
    (runtime) =>
      Effect.runPromise(
        Effect.scoped(Effect.flatMap(Postgres.scratchSchema(postgres), (schema) =>
          Effect.promise(() =>
            run(runtime, "./store.mjs", ["PostgreSQL", postgres.url, schema])
          )))
      )
  )
})

await withServer("Redis", Redis.find, (redis) => {
  onEach(
    "the Redis store",
    (runtime) =>
      Effect.runPromise(
        Effect.scoped(Effect.flatMap(Redis.scratchPrefix(redis), (prefix) =>
          Effect.promise(() =>
            run(runtime, "./store.mjs", ["Redis", redis.url, prefix])
          )))
      )
  )
})

onEach(
  "HTTP, threads, processes and sql_query",
  (runtime) => withFolder((folder) => run(runtime, "./shipped.mjs", [folder]))
)

describe("the lowest Node that is tried", () => {
  it("is the one that the package promises", () => {
    const { engines } = JSON.parse(readFileSync(pathOf("../../package.json"), "utf8"))
    assert.strictEqual(`>=${manifest.dependencies["node-22.19.0"].replace("npm:node@", "")}`, engines.node)
  })
})
