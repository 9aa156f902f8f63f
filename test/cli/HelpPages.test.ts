/** Help that was written in advance is the help of the commands, and needs nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Stdio } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import * as HelpPages from "../../src/cli/HelpPages.ts"
import { taskforge } from "./CommandLine.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The files that a module loads when it starts, and the packages. */
const loadedBy = (file: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const [, target] of readFileSync(file, "utf8").matchAll(/^(?:import|export)\b(?:.* from)? "([^"]+)"$/gm)) {
    if (target!.startsWith(".")) loadedBy(resolve(dirname(file), target!), seen)
    else seen.add(target!)
  }
  return seen
}

describe("help that was written in advance", () => {
  let folder: string
  let pages: Readonly<Record<string, string>>
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "taskforge-help-"))
    const file = join(folder, HelpPages.fileName)
    execFileSync(process.execPath, ["--conditions=source", "scripts/helpPages.ts", file], { cwd: root, stdio: "pipe" })
    pages = JSON.parse(readFileSync(file, "utf8"))
  }, 120_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live("is what each command says, at any width, in colours and without", () =>
    Effect.gen(function*() {
      assert.isAbove(Object.keys(pages).length, 60)
      for (const [key, page] of Object.entries(pages)) {
        const args = key.split(" ")
        assert.strictEqual(HelpPages.find(args, folder), page)
        for (const [columns, colours] of [[37, true], [80, false]] as const) {
          const { stdout } = yield* taskforge(args, { terminal: true, columns, colours })
          assert.strictEqual(`${HelpPages.shown(page, { columns, colours })}\n`, stdout, `${key} ${columns} ${colours}`)
        }
        const piped = yield* taskforge(args)
        assert.strictEqual(`${HelpPages.shown(page, { columns: Infinity, colours: false })}\n`, piped.stdout)
      }
    }), 120_000)

  it("is found for every way to ask for it, and for nothing else", () => {
    const find = (...args: ReadonlyArray<string>) => HelpPages.find(args, folder)
    assert.isDefined(pages["--help"])
    for (const same of [find(), find("-h"), find("--help")]) assert.strictEqual(same, pages["--help"])
    assert.strictEqual(find("-v"), pages["--version"])
    assert.strictEqual(find("limits", "show", "-h"), pages["limits show --help"])
    assert.strictEqual(find("limits", "ls", "--help"), pages["limits ls --help"])
    const others = [["list"], ["lst", "--help"], ["list", "--help", "--json"], ["list --help"], ["--help", "list"]]
    for (const args of [...others, ["list", "--version"], ["constructor", "--help"], ["__proto__"]]) {
      assert.isUndefined(find(...args), args.join(" "))
    }
  })

  it("is left to the commands where none was written, or what was written is damaged", () => {
    const elsewhere = mkdtempSync(join(tmpdir(), "taskforge-help-"))
    assert.isUndefined(HelpPages.find([], elsewhere))
    for (const text of ["", "{", "null"]) {
      writeFileSync(join(elsewhere, HelpPages.fileName), text)
      assert.isUndefined(HelpPages.find([], elsewhere), text)
    }
    rmSync(elsewhere, { recursive: true })
  })

  it.live("has colours where the commands have them", () =>
    Effect.gen(function*() {
      const saved = { ...process.env }
      try {
        for (const NO_COLOR of [undefined, "", "1"]) {
          for (const FORCE_COLOR of [undefined, "", "0", "false", "FALSE", "1", "3"]) {
            for (const TERM of [undefined, "dumb", "xterm"]) {
              const given = Object.entries({ NO_COLOR, FORCE_COLOR, TERM }).filter(([, value]) => value !== undefined)
              const env = Object.fromEntries(given) as Record<string, string>
              for (const name of ["NO_COLOR", "FORCE_COLOR", "TERM"]) delete process.env[name]
              Object.assign(process.env, env)
              const { canColor } = yield* TerminalCapabilities.TerminalCapabilities.pipe(
                Effect.provide(
                  Layer.fresh(TerminalCapabilities.layer).pipe(Layer.provide([
                    Stdio.layerTest({ stdoutIsTerminal: Effect.succeed(process.stdout.isTTY === true) }),
                    ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
                  ]))
                )
              )
              assert.strictEqual(HelpPages.terminal().colours, canColor, JSON.stringify(env))
            }
          }
        }
      } finally {
        for (const name of ["NO_COLOR", "FORCE_COLOR", "TERM"]) delete process.env[name]
        Object.assign(process.env, saved)
      }
    }))

  it("is shown before a package is loaded", () => {
    const loaded = [...loadedBy(join(root, "src/cli/main.ts"))]
    assert.include(loaded, join(root, "src/cli/Wrapping.ts"))
    assert.deepStrictEqual(loaded.filter((name) => !name.startsWith("node:") && !name.startsWith(root)), [])
  })
})
