/** The image of the server, made by the steps of its Dockerfile and started as a container is. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { type ChildProcess } from "node:child_process"
import { chownSync, globSync, mkdirSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import sharp from "sharp"
import * as Server from "../e2e/Server.ts"
import * as Program from "../servers/Program.ts"
import * as Image from "./Image.ts"

const missing = process.platform !== "linux" || process.getuid?.() !== 0
  ? "The image can only be made by root on Linux"
  : ["unshare", "setpriv", "chroot"].find((name) => Program.findBinary([name]) === undefined)

/** The output of a process and how it ended. */
const ended = (child: ChildProcess): Effect.Effect<{ readonly code: number | null; readonly output: string }> =>
  Effect.callback((resume) => {
    let output = ""
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text
      })
    }
    child.once("close", (code) => resume(Effect.succeed({ code, output })))
  })

/** The process of the image itself, which its namespace counts as the first. */
const firstOf = (child: ChildProcess): number =>
  Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim())

describe.skipIf(missing !== undefined && process.env["CI"] === undefined)("the image", () => {
  const scope = Scope.makeUnsafe()
  let image: Image.Image

  beforeAll(async () => {
    assert.isUndefined(missing)
    image = await Effect.runPromise(Scope.provide(Image.build, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const run = (command: ReadonlyArray<string>, environment: Readonly<Record<string, string>> = {}) =>
    Effect.suspend(() => ended(Image.start(image, command, environment)))

  const script = (text: string) => run(["node", "-e", text])

  it("has the bundles and the library for images, and nothing else", () => {
    const app = join(image.root, "app")
    const top = readdirSync(app)
    assert.includeMembers(top, ["server.cjs", "ThreadMain.cjs", "RedisStore.cjs", "PostgresStore.cjs", "LICENSE"])
    assert.deepStrictEqual(
      top.filter((name) => !name.endsWith(".cjs")).toSorted(),
      ["LICENSE", "cli", "node_modules"]
    )
    assert.include(readdirSync(join(app, "cli")), "taskforge.cjs")
    const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
      readonly packages: Readonly<Record<string, { readonly dependencies?: object; readonly version: string }>>
    }
    const needed = ["sharp", ...Object.keys(packages["node_modules/sharp"]!.dependencies!)]
    const installed = globSync(["*", "@img/*"], { cwd: join(app, "node_modules") })
    for (const name of needed) {
      assert.include(installed, name)
      const { version } = JSON.parse(readFileSync(join(app, "node_modules", name, "package.json"), "utf8"))
      assert.strictEqual(version, packages[`node_modules/${name}`]!.version, name)
    }
    assert.deepStrictEqual(installed.filter((name) => !needed.includes(name) && !name.startsWith("@img")), [])
    assert.deepStrictEqual(globSync("**/*.map", { cwd: app }).filter((name) => !name.includes("node_modules")), [])
  })

  it.live("can write to its volume and to /tmp, and nowhere else, and is not root", () =>
    Effect.gen(function*() {
      const { code, output } = yield* script(`
        const { writeFileSync } = require("node:fs")
        const may = (path) => { try { writeFileSync(path, ""); return true } catch { return false } }
        console.log(JSON.stringify([process.getuid(), process.pid, process.cwd(),
          ["/app/x", "/x", "/etc/x", "x", "/tmp/x"].map(may)]))`)
      assert.strictEqual(code, 0, output)
      assert.deepStrictEqual(JSON.parse(output), [1000, 1, "/var/lib/taskforge", [false, false, false, true, true]])
    }))

  it.live("runs tasks on threads and with the library for images, tells its health, and stops in order", () =>
    Effect.gen(function*() {
      const port = yield* Program.freePort()
      const settings = { SERVER_PORT: String(port), TASKFORGE_INSECURE: "1", LOG_FORMAT: "json" }
      assert.strictEqual((yield* run(image.healthcheck, settings)).code, 1, "before it runs")
      const files = join(image.root, image.volume, "data/files")
      mkdirSync(files, { recursive: true })
      for (const path of ["data", "data/files"]) chownSync(join(image.root, image.volume, path), 1000, 1000)
      yield* Effect.promise(() =>
        sharp({ create: { width: 40, height: 40, channels: 3, background: "red" } }).png().toFile(
          join(files, "red.png")
        )
      )
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => Image.start(image, image.entrypoint, settings)),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const end = yield* Effect.forkChild(ended(child))
      const url = `http://127.0.0.1:${port}`
      yield* Server.until("it answers", Effect.isSuccess(Server.request(`${url}/health`)))
      assert.strictEqual((yield* run(image.healthcheck, settings)).code, 0)
      yield* Server.request(`${url}/api/v1/tasks`, [
        { type: "primes", payload: { below: 1000 } },
        { type: "image_resize", payload: { file: "red.png", width: 20, output: "small.png" } }
      ])
      yield* Server.until(
        "both are completed",
        Effect.map(Server.request<Server.Stats>(`${url}/api/v1/stats`), ({ by_status }) => {
          assert.strictEqual(by_status.failed, 0)
          return by_status.completed === 2
        })
      )
      const listed = yield* run(["node", "/app/cli/taskforge.cjs", "list", "--server", url, "--json"])
      assert.strictEqual(listed.code, 0, listed.output)
      process.kill(firstOf(child), "SIGTERM")
      const { code, output } = yield* Fiber.join(end)
      assert.strictEqual(code, 0, output)
      assert.include(output, "\"stopped\"")
    }))
})
