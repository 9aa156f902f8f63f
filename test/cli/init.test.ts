/** A new project runs, is tested, and overwrites nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import * as NewProject from "../../src/cli/NewProject.ts"
import * as Server from "../e2e/Server.ts"
import { failing, jsonOf, succeeding, taskforge } from "./CommandLine.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
mkdirSync(join(root, "coverage"), { recursive: true })
const folder = mkdtempSync(join(root, "coverage/init-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

/** What a program of the project's Node prints, and its exit code. */
const run = (file: string, args: ReadonlyArray<string>, cwd: string) =>
  Effect.promise(() =>
    new Promise<{ readonly code: number; readonly output: string }>((resolve) => {
      execFile(file, args, { cwd, env: { ...process.env, CI: "true" } }, (error, stdout, stderr) =>
        resolve({
          code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1,
          output: stdout + stderr
        }))
    })
  )

const freePort = Effect.promise(() =>
  new Promise<number>((resolve) => {
    const listener = createServer().listen(0, "127.0.0.1", () => {
      const { port } = listener.address() as { readonly port: number }
      listener.close(() => resolve(port))
    })
  })
)

/** A project with this checkout in the place of the package. */
const installed = Effect.fnUntraced(function*(name: string) {
  const project = join(folder, name)
  yield* succeeding(taskforge(["init", project]))
  mkdirSync(join(project, "node_modules"))
  symlinkSync(root, join(project, "node_modules/taskforge"))
  return project
})

describe("a new project", () => {
  it.live("is checked by its compiler, and its test passes", () =>
    Effect.gen(function*() {
      const project = yield* installed("checked")
      const types = yield* run(join(root, "node_modules/.bin/tsc"), ["--customConditions", "source"], project)
      assert.deepStrictEqual(types, { code: 0, output: "" })
      writeFileSync(
        join(project, "vitest.config.ts"),
        `const conditions = ["source", "module", "node"]\nexport default { resolve: { conditions }, ssr: { resolve: { conditions } } }\n`
      )
      const vitest = [join(root, "node_modules/vitest/vitest.mjs"), "run", "--execArgv=--conditions=source"]
      const tests = yield* run(process.execPath, vitest, project)
      assert.strictEqual(tests.code, 0, tests.output)
      assert.match(tests.output, /1 passed/)
    }))

  it.live("runs tasks that it is sent, and shows them", () =>
    Effect.gen(function*() {
      const project = yield* installed("runs")
      const port = yield* freePort
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, ["--conditions=source", "src/main.ts"], {
            cwd: project,
            env: { PATH: process.env["PATH"], PORT: String(port) },
            stdio: ["ignore", "pipe", "pipe"]
          })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      let log = ""
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          log += text
        })
      }
      const url = `http://127.0.0.1:${port}`
      yield* Server.until("it listens", Effect.sync(() => log.includes("the dashboard is at")))
      const request = (path: string, body?: unknown): Effect.Effect<any> =>
        Effect.promise(async () => {
          const answer = await fetch(`${url}${path}`, {
            method: body === undefined ? "GET" : "POST",
            headers: { "content-type": "application/json" },
            ...(body === undefined ? {} : { body: JSON.stringify(body) })
          })
          return answer.headers.get("content-type")!.includes("json") ? answer.json() : answer.text()
        })
      assert.include(yield* request("/"), "<title>")
      const { id } = yield* request("/api/v1/tasks", { type: "welcome", payload: { name: "Ada" } })
      const task = request(`/api/v1/tasks/${id}`)
      yield* Server.until("the task has ended", Effect.map(task, ({ status }) => status === "completed"))
      assert.deepStrictEqual((yield* task).result, { text: "Welcome, Ada!" })
    }))

  it("depends on what the package is made for", () => {
    for (const [name, range] of Object.entries(NewProject.dependencies)) {
      assert.strictEqual(range, manifest.peerDependencies[name], name)
    }
    for (const name of ["@types/node", "typescript", "vitest"]) {
      assert.strictEqual(NewProject.devDependencies[name], manifest.devDependencies[name], name)
    }
    assert.strictEqual(NewProject.devDependencies["@effect/vitest"], manifest.peerDependencies["@effect/vitest"])
  })

  it.live("is named as npm allows, and says where its packages come from", () =>
    Effect.gen(function*() {
      const nameOf = (directory: string) => JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).name
      const names = { "My App": "my-app", "Ärger": "a-rger", "..x": "x", "日本": "tasks", "a_b.c": "a_b.c" }
      for (const [name, expected] of Object.entries(names)) {
        const directory = join(folder, "names", name)
        const [made] = jsonOf(yield* succeeding(taskforge(["init", directory, "--json"])))
        assert.strictEqual(made.name, expected)
        assert.strictEqual(nameOf(directory), expected)
        assert.sameMembers(made.files, [...NewProject.files("x").keys()])
      }
      const archive = join(folder, "t.tgz")
      writeFileSync(archive, "")
      const project = join(folder, "deep/er")
      yield* succeeding(taskforge(["init", project, "--package", archive]))
      const { dependencies } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"))
      assert.strictEqual(dependencies.taskforge, `file:../../${basename(archive)}`)
      assert.match(
        yield* failing(66, taskforge(["init", join(folder, "n"), "--package", "gone.tgz"])),
        /does not exist/
      )
    }))

  it.live("overwrites nothing", () =>
    Effect.gen(function*() {
      const full = join(folder, "full")
      mkdirSync(full)
      writeFileSync(join(full, "package.json"), "{}")
      assert.match(yield* failing(65, taskforge(["init", full])), /is not empty: it has package\.json/)
      assert.deepStrictEqual(readdirSync(full), ["package.json"])
      writeFileSync(join(folder, "file"), "")
      assert.match(yield* failing(65, taskforge(["init", join(folder, "file")])), /is a file/)
      const history = join(folder, "history")
      mkdirSync(join(history, ".git"), { recursive: true })
      yield* succeeding(taskforge(["init", history]))
      assert.isAbove(readdirSync(history).length, 5)
    }))
})
