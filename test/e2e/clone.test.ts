/**
 * The command line of a clone is built once for its sources: what has not changed is not built again, and what has
 * changed never runs as it was.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import * as Clone from "./Clone.ts"

const sources = {
  "src/cli/main.ts": `import { existsSync } from "node:fs"
import { said } from "./said.ts"
process.stdout.write([said, existsSync(new URL("./Added.thread.cjs", import.meta.url)), ...process.argv.slice(2)].join(" "))`,
  "src/cli/said.ts": `export const said = "first"`
}

const cacheOf = (directory: string) => join(directory, "node_modules/.cache/taskforge")
const bundlesOf = (directory: string) => readdirSync(cacheOf(directory)).map((name) => join(cacheOf(directory), name))

const start = (directory: string, ...args: ReadonlyArray<string>) => Clone.run(directory, "scripts/taskforge", ...args)

/** Starts the program, which has to end well, and tells what it said and whether it was built for that. */
const said = (directory: string) =>
  Effect.map(start(directory), ({ code, stderr, stdout }) => {
    assert.strictEqual(code, 0, stderr)
    assert.match(stderr, /^(Building taskforge, once for these sources \.\.\.\n)?$/)
    return { text: stdout, built: stderr !== "" }
  })

const first = { text: "first false", built: true }

describe("the command line of a clone", () => {
  it.live(
    "is built at the first start, and at the second nothing of the builder is needed",
    () =>
      Effect.gen(function*() {
        const directory = yield* Clone.make(sources)
        assert.deepStrictEqual(yield* said(directory), first)
        unlinkSync(join(directory, "node_modules/rolldown"))
        const [bundle] = bundlesOf(directory)
        const before = statSync(join(bundle!, "taskforge.cjs"))
        for (
          const [command, ...args] of [
            ["scripts/taskforge"],
            ["npm", "run", "--silent", "taskforge", "--"],
            ["node", "scripts/taskforge.mjs"]
          ]
        ) {
          const { code, stderr, stdout } = yield* Clone.run(directory, command!, ...args, "two words", "--flag")
          assert.deepStrictEqual({ code, stderr, stdout }, {
            code: 0,
            stderr: "",
            stdout: "first false two words --flag"
          })
        }
        assert.deepStrictEqual(bundlesOf(directory), [bundle])
        assert.strictEqual(statSync(join(bundle!, "taskforge.cjs")).mtimeMs, before.mtimeMs)
      })
  )

  it.live("starts through a link and from any folder, with the paths of that folder", () =>
    Effect.gen(function*() {
      const directory = yield* Clone.make({ ...sources, "src/cli/said.ts": "export const said = process.cwd()" })
      yield* start(directory)
      symlinkSync(join(directory, "scripts/taskforge"), join(directory, "src/linked"))
      const { stdout } = yield* Clone.run(join(directory, "src"), "./linked")
      assert.strictEqual(stdout, `${join(directory, "src")} false`)
    }))

  it.live("says what to do before its packages are installed", () =>
    Effect.gen(function*() {
      const directory = yield* Clone.make(sources)
      rmSync(join(directory, "node_modules"), { recursive: true })
      const { code, stderr, stdout } = yield* start(directory)
      assert.deepStrictEqual({ code, stdout }, { code: 1, stdout: "" })
      assert.match(stderr, /run "npm ci"/)
    }))

  describe("runs the present sources after", () => {
    const edited = `export const said = "later"`

    const changes: Readonly<Record<string, { readonly change: (directory: string) => void; readonly text: string }>> = {
      "an edit": { change: (directory) => Clone.write(directory, { "src/cli/said.ts": edited }), text: "later false" },
      "an edit of the same length at the same time": {
        change: (directory) => {
          const path = join(directory, "src/cli/said.ts")
          const { atime, mtime } = statSync(path)
          assert.lengthOf(edited, statSync(path).size)
          writeFileSync(path, edited)
          utimesSync(path, atime, mtime)
        },
        text: "later false"
      },
      "an edit of the configuration": {
        change: (directory) => {
          const path = join(directory, "scripts/rolldown.cli.config.ts")
          const config = readFileSync(path, "utf8")
          writeFileSync(
            path,
            config.replace("...config.output,", `...config.output, banner: "process.argv.push('later')",`)
          )
        },
        text: "first false later"
      }
    }
    for (const [name, { change, text }] of Object.entries(changes)) {
      it.live(name, () =>
        Effect.gen(function*() {
          const directory = yield* Clone.make(sources)
          assert.deepStrictEqual(yield* said(directory), first)
          change(directory)
          assert.deepStrictEqual(yield* said(directory), { text, built: true })
        }))
    }

    it.live("a file was added, and after it was deleted", () =>
      Effect.gen(function*() {
        const directory = yield* Clone.make(sources)
        assert.deepStrictEqual(yield* said(directory), first)
        Clone.write(directory, { "src/cli/Added.thread.ts": "export {}" })
        assert.deepStrictEqual(yield* said(directory), { text: "first true", built: true })
        unlinkSync(join(directory, "src/cli/Added.thread.ts"))
        assert.deepStrictEqual(yield* said(directory), { text: "first false", built: false })
      }))

    it.live("a needed file was deleted: it fails", () =>
      Effect.gen(function*() {
        const directory = yield* Clone.make(sources)
        assert.deepStrictEqual(yield* said(directory), first)
        unlinkSync(join(directory, "src/cli/said.ts"))
        const { code, stderr, stdout } = yield* start(directory)
        assert.deepStrictEqual({ code, stdout }, { code: 1, stdout: "" })
        assert.match(stderr, /taskforge could not be built/)
        assert.lengthOf(bundlesOf(directory), 1)
      }))

    for (const lock of ["package-lock.json", "node_modules/.package-lock.json"]) {
      it.live(`other packages were installed by ${lock}`, () =>
        Effect.gen(function*() {
          const install = (said: string) => ({
            "node_modules/dependency/index.js": `export const said = "${said}"`,
            [lock]: JSON.stringify({ packages: { dependency: said } })
          })
          const directory = yield* Clone.make({
            ...sources,
            "src/cli/said.ts": `export { said } from "dependency"`,
            "node_modules/dependency/package.json": `{ "type": "module" }`,
            ...install("first")
          })
          assert.deepStrictEqual(yield* said(directory), first)
          Clone.write(directory, install("later"))
          assert.deepStrictEqual(yield* said(directory), { text: "later false", built: true })
        }))
    }

    it.live("an edit while it is built", () =>
      Effect.gen(function*() {
        const directory = yield* Clone.make({
          ...sources,
          "scripts/edited.config.ts": `import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
const path = join(import.meta.dirname, "../src/cli/said.ts")
export const plugin = {
  name: "edit",
  buildEnd: () => existsSync("edited.txt") || [path, "edited.txt"].map((path) => writeFileSync(path, ${
            JSON.stringify(edited)
          }))
}`
        })
        const config = join(directory, "scripts/rolldown.cli.config.ts")
        writeFileSync(
          config,
          `import { plugin } from "./edited.config.ts"\n${
            readFileSync(config, "utf8").replace("...config,", "...config, plugins: [plugin],")
          }`
        )
        const { stderr, stdout } = yield* start(directory)
        assert.strictEqual(stdout, "later false")
        assert.lengthOf(stderr.match(/Building/g)!, 2)
        Clone.write(directory, { "src/cli/said.ts": sources["src/cli/said.ts"] })
        assert.deepStrictEqual(yield* said(directory), first)
      }))
  })

  it.live("is built whole by several processes at once", () =>
    Effect.gen(function*() {
      const directory = yield* Clone.make(sources)
      const all = yield* Effect.all(Array.from({ length: 6 }, () => said(directory)), { concurrency: "unbounded" })
      assert.deepStrictEqual(all.map(({ text }) => text), all.map(() => "first false"))
      assert.lengthOf(bundlesOf(directory), 1)
      assert.deepStrictEqual(yield* said(directory), { text: "first false", built: false })
    }))

  describe("is built again when of its bundle", () => {
    const losses: Readonly<Record<string, (bundle: string) => void>> = {
      "half of a file is left": (bundle) => {
        const path = join(bundle, "taskforge.cjs")
        truncateSync(path, statSync(path).size >> 1)
      },
      "a file that is loaded late is gone": (bundle) => {
        const late = readdirSync(bundle).find((name) => name.startsWith("late"))
        unlinkSync(join(bundle, late!))
      },
      "the list of files is cut": (bundle) => truncateSync(join(bundle, "files.json"), 10),
      "nothing is left": (bundle) => {
        for (const name of readdirSync(bundle)) rmSync(join(bundle, name), { recursive: true })
      }
    }
    for (const [name, lose] of Object.entries(losses)) {
      it.live(name, () =>
        Effect.gen(function*() {
          const directory = yield* Clone.make({
            ...sources,
            "src/cli/late.ts": `export const late = "late"`,
            "src/cli/main.ts": `import("./late.ts").then(({ late }) => process.stdout.write(late))`
          })
          assert.deepStrictEqual(yield* said(directory), { text: "late", built: true })
          lose(bundlesOf(directory)[0]!)
          assert.deepStrictEqual(yield* said(directory), { text: "late", built: true })
          assert.deepStrictEqual(yield* said(directory), { text: "late", built: false })
        }))
    }
  })

  it.live("runs from the sources where no bundle can be kept", () =>
    Effect.gen(function*() {
      const directory = yield* Clone.make({
        ...sources,
        "node_modules/.cache": "a file, which root cannot write below"
      })
      for (const text of ["first", "later"]) {
        Clone.write(directory, { "src/cli/said.ts": `export const said = "${text}"` })
        const { code, stderr, stdout } = yield* start(directory)
        assert.deepStrictEqual({ code, stdout }, { code: 0, stdout: `${text} false` })
        assert.match(stderr, /^Running from the sources, .*no bundle can be kept/)
      }
      assert.isFalse(existsSync(join(directory, "dist")))
    }))

  it.live("runs from a checkout that is read only, once it is built", () =>
    Effect.gen(function*() {
      const directory = yield* Clone.make(sources)
      assert.deepStrictEqual(yield* said(directory), first)
      const folders = [cacheOf(directory), ...bundlesOf(directory)]
      for (const folder of folders) chmodSync(folder, 0o555)
      assert.deepStrictEqual(yield* said(directory), { text: "first false", built: false })
      for (const folder of folders) chmodSync(folder, 0o755)
    }))

  it.live("keeps its last bundles for programs that still run, and no more", () =>
    Effect.gen(function*() {
      const directory = yield* Clone.make(sources)
      const seen: Array<string> = []
      for (let version = 0; version < 6; version++) {
        Clone.write(directory, { "src/cli/said.ts": `export const said = ${version}` })
        yield* said(directory)
        seen.push(bundlesOf(directory).find((path) => !seen.includes(path))!)
      }
      assert.deepStrictEqual(bundlesOf(directory).sort(), seen.slice(-4).sort())
    }))
})
