/**
 * Every type that a public signature shows can be imported by its name. A program that exports what it makes with the
 * package, and emits declarations of its own, has to write these names.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Http from "effect/http"
import * as HttpApi from "effect/http-api"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import * as Client from "../../src/http/index.ts"
import * as Server from "../../src/http/server.ts"
import { modulesOf, specifierOf } from "./Consumer.ts"
import { compile, install } from "./Installed.ts"
import { type PublicNames, read } from "./PublicNames.ts"

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const { exports } = JSON.parse(readFileSync(pathOf("../../package.json"), "utf8"))

/** The declarations of each entry. `./ThreadMain` is run by threads, and is no module that a program imports. */
const entries = new Map(
  Object.entries<{ readonly types?: string }>(exports).flatMap(([entry, { types }]) =>
    types === undefined || entry === "./ThreadMain" ? [] : [[entry.replace("./", ""), types] as const]
  )
)

/** Below the repository, where Effect is found. */
mkdirSync(pathOf("../../coverage"), { recursive: true })
const folder = mkdtempSync(pathOf("../../coverage/package-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const strict = {
  target: "ES2024",
  // Effect itself names what browsers have; `@types/node` is left out unless a program says otherwise
  lib: ["ES2024", "ESNext.Disposable", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
  types: [] as ReadonlyArray<string>,
  strict: true,
  exactOptionalPropertyTypes: true,
  declaration: true,
  emitDeclarationOnly: true,
  allowImportingTsExtensions: true,
  outDir: "dist"
}

/** The declarations of the libraries are checked once for each kind of program: that is most of a compiler's work. */
const resolutions: ReadonlyArray<{
  readonly name: string
  readonly options: object
  readonly libraries: "plain" | "node"
}> = [
  { name: "nodenext", options: { module: "nodenext" }, libraries: "plain" },
  { name: "bundler", options: { module: "preserve", moduleResolution: "bundler" }, libraries: "node" }
]

const program = (name: string): readonly [string, string] => [
  `${name}.ts`,
  readFileSync(pathOf(`./program/${name}.ts`), "utf8")
]

/** Entries that need the types of Node, because they have a library of servers or of tests, or take functions of Node. */
const needNode = ["postgres", "server", "handlers", "testing/store"]

/** Entries that a program may use without the main one. */
const alone = ["store", "sqlite", "postgres", "redis", "http"]

/** A program in a folder of its own. */
const write = (name: string, compilerOptions: object, modules: Iterable<readonly [string, string]>): string => {
  const path = join(folder, name)
  mkdirSync(path)
  writeFileSync(join(path, "package.json"), JSON.stringify({ type: "module" }))
  writeFileSync(join(path, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }))
  for (const [file, text] of modules) writeFileSync(join(path, file), text)
  return path
}

describe("the types of the package", () => {
  let names: PublicNames
  beforeAll(async () => {
    await install(folder)
    const imports = [...entries.keys()].map((entry) => `import "${specifierOf(entry)}"\n`).join("")
    const all = write("names", { ...strict, module: "nodenext", skipLibCheck: true }, [["index.ts", imports]])
    names = read(all, join(folder, "node_modules/taskforge"), entries)
  })

  const usesOf = (selected: ReadonlyArray<string>) =>
    selected.flatMap((entry) => modulesOf(entry, names.entries.get(entry)!))

  it("can each be imported by name from an entry, if a public signature shows it", () => {
    assert.isAbove(names.entries.get(".")!.length, 20)
    assert.deepStrictEqual(names.unnamed, [])
  })

  it.each(resolutions)(
    "need no types of Node, where nothing of Node is used: $name",
    async ({ libraries, name, options }) => {
      const path = write(`plain-${name}`, { ...strict, ...options, skipLibCheck: libraries !== "plain" }, [
        ...usesOf([...entries.keys()].filter((entry) => !needNode.includes(entry))),
        ...["tasks", "elsewhere", "client", "testing"].map(program)
      ])
      assert.deepStrictEqual(await compile(path, "-p", "."), [])
      for (const made of ["main-Engine", "store-TaskStore-again", "tasks"]) {
        assert.isTrue(existsSync(join(path, "dist", `${made}.d.ts`)), made)
      }
    }
  )

  it.each(resolutions)(
    "let a program export whatever it gets from them: $name",
    async ({ libraries, name, options }) => {
      const types = ["node"]
      const path = write(`node-${name}`, { ...strict, ...options, types, skipLibCheck: libraries !== "node" }, [
        ...usesOf(needNode),
        ["main.ts", `import "taskforge"\n`]
      ])
      assert.deepStrictEqual(await compile(path, "-p", "."), [])
    }
  )

  it("do so without the main entry, where it need not be there; what no entry exports is refused", async () => {
    const options = { ...strict, ...resolutions[0]!.options, types: ["node"], skipLibCheck: true }
    const wrong = ["wrong.ts", `export { Missing } from "taskforge/sqlite"\n`] as const
    const [first, ...others] = await compile(write("alone", options, [...usesOf(alone), wrong]), "-p", ".")
    assert.include(first, "wrong.ts(1,10): error TS2305")
    assert.deepStrictEqual(others, [])
  })
})

describe("the names of the entries for HTTP", () => {
  it("are not those of Effect's own modules, which a program imports beside them", () => {
    const modules = new Set([...Object.keys(Http), ...Object.keys(HttpApi)])
    assert.isTrue(modules.has("HttpServer") && modules.has("HttpApi"))
    const ours = [...Object.keys(Client), ...Object.keys(Server)]
    assert.deepStrictEqual(ours.filter((name) => modules.has(name)), [])
  })
})
