/** What a program loads that embeds the engine: read off the modules that Node resolves while it runs. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Writes down every package that is resolved, and prints the list when the process ends. */
const spy = `data:text/javascript,${
  encodeURIComponent(`
    import { registerHooks } from "node:module"
    const loaded = new Set()
    registerHooks({
      resolve(specifier, context, next) {
        const found = next(specifier, context)
        const inside = /node_modules\\/((?:@[^/]+\\/)?[^/]+)\\//.exec(found.url)
        if (inside !== null) loaded.add(inside[1])
        return found
      }
    })
    process.on("exit", () => console.log("LOADED " + [...loaded].sort().join(" ")))
  `)
}`

/** The packages that a program loads. */
const packagesOf = (program: string): ReadonlyArray<string> => {
  const output = execFileSync(
    process.execPath,
    ["--conditions=source", "--import", spy, "--input-type=module", "--eval", program],
    { cwd: root, encoding: "utf8" }
  )
  assert.include(output, "DONE 42")
  return /^LOADED (.*)$/m.exec(output)![1]!.split(" ")
}

/** Embeds the engine, runs a task and prints its result. */
const embedding = (importStore: string, store: string) => `
  import { Effect, Layer, Schema } from "effect"
  import { Engine, MemoryStore, Task } from "./src/index.ts"
  ${importStore}
  const Double = Task.make("double", { payload: { n: Schema.Int }, success: Schema.Int })
  const program = Effect.gen(function*() {
    const handle = yield* Double.enqueue({ n: 21 })
    console.log("DONE " + (yield* handle.result))
  })
  const Live = Engine.layer(Double.toLayer(({ n }) => Effect.succeed(n * 2))).pipe(Layer.provide(${store}))
  await Effect.runPromise(Effect.provide(program, Live))
`

describe("a program that embeds the engine", () => {
  it("on the memory store loads effect and nothing else", () => {
    assert.deepStrictEqual(packagesOf(embedding("", "MemoryStore.layer()")), ["effect"])
  })

  it("on the SQLite store loads effect and nothing else", () => {
    const importStore = `import { SqliteStore } from "./src/store/sqlite/index.ts"`
    assert.deepStrictEqual(packagesOf(embedding(importStore, `SqliteStore.layer({ path: ":memory:" })`)), ["effect"])
  })
})

describe("a client of a server", () => {
  it("loads effect and nothing else", () => {
    const program = `
      import { Api, HttpTaskQueue } from "./src/http/index.ts"
      console.log("DONE " + (Api !== undefined && HttpTaskQueue !== undefined ? 42 : 0))
    `
    assert.deepStrictEqual(packagesOf(program), ["effect"])
  })
})

describe("the server", () => {
  it("on a SQLite file loads no driver of another store", () => {
    const program = `
      import { Duration, Effect, Layer } from "effect"
      import * as SelectedStore from "./src/server/SelectedStore.ts"
      const store = { _tag: "Sqlite", path: ":memory:" }
      await Effect.runPromise(Effect.scoped(Layer.build(SelectedStore.layer({ store, lease: Duration.seconds(15) }))))
      console.log("DONE 42")
    `
    const packages = packagesOf(program)
    assert.notInclude(packages, "redis")
    assert.notInclude(packages, "@effect/sql-pg")
  })
})

describe("the libraries of the drivers", () => {
  it("are optional peers: who does not use them installs none", () => {
    const manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8"))
    for (const name of ["@effect/platform-node", "@effect/sql-pg", "redis"]) {
      assert.property(manifest.peerDependencies, name)
      assert.strictEqual(manifest.peerDependenciesMeta[name].optional, true, name)
      assert.notProperty(manifest.dependencies ?? {}, name)
    }
  })
})
