/**
 * What starts a server also passes signals to it, often once more than the system does: a terminal and a service manager
 * signal the whole process group, and npm then signals its child again.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Clone from "./Clone.ts"
import * as Server from "./Server.ts"
import * as TaskFile from "./TaskFile.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/**
 * A clone whose server is the project's, in the folder of its tasks. The builder, which would bundle a path that it knows,
 * does not see it.
 */
const startable = Clone.make({ "src/main.ts": `import(${JSON.stringify([Server.shipped()])}.join())` })

/** How a signal arrives. */
const ways = {
  process: (pid: number, signal: NodeJS.Signals) => void process.kill(pid, signal),
  group: (pid: number, signal: NodeJS.Signals) => void process.kill(-pid, signal),
  "process, three times at once": (pid: number, signal: NodeJS.Signals) => {
    for (let times = 0; times < 3; times++) process.kill(pid, signal)
  }
}

interface Launcher {
  readonly runs: Server.Runs
  readonly ways: ReadonlyArray<keyof typeof ways>
  /** The exit code is the server's; where a shell stays in between, it is the shell's. */
  readonly givesCode: boolean
}

const launchers: Readonly<Record<string, Launcher>> = {
  "a bare process": {
    runs: [process.execPath, "scripts/start.mjs"],
    ways: ["group", "process, three times at once"],
    givesCode: true
  },
  "npm start": { runs: ["npm", "start", "--silent"], ways: ["process", "group"], givesCode: true },
  npx: { runs: ["npx", "--silent", "-c", "node scripts/start.mjs"], ways: ["group"], givesCode: false }
}

const signals = ["SIGINT", "SIGTERM"] as const

for (const [name, launcher] of Object.entries(launchers)) {
  describe(`a server started as ${name}`, () => {
    for (const [way, signal] of launcher.ways.flatMap((way) => signals.map((signal) => [way, signal] as const))) {
      it.live(`stops in order on ${signal} to the ${way}`, () =>
        Effect.gen(function*() {
          const directory = yield* startable
          const settings = { ...Clone.environment, TASKFORGE_SHUTDOWN: "1s", HOME: directory }
          const server = yield* Server.start(directory, settings, launcher.runs)
          yield* server.post(Array.from({ length: 5 }, () => ({ type: "sleep", payload: { duration: "20s" } })))
          yield* Server.until("5 tasks run", Effect.map(server.stats, (stats) => stats.workers_active === 5))
          ways[way](server.child.pid!, signal)
          const ended = yield* server.ended
          assert.strictEqual(server.log.at(-1)?.msg, "stopped")
          const tasks = TaskFile.read(directory)
          assert.deepStrictEqual(
            tasks.map(({ claims, crashes, failures, state }) => ({ state, claims, crashes, failures })),
            tasks.map(() => ({ state: "pending", claims: 1, crashes: 0, failures: 0 }))
          )
          if (launcher.givesCode) assert.deepStrictEqual(ended, { code: 0, signal: null })
        }))
    }
  })
}

describe("the scripts of the package", () => {
  it("that start the server run in the shells of every system", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    // `cmd.exe` knows no exec and takes the second way; a shell of Unix becomes the first
    assert.strictEqual(scripts.start, "exec node scripts/start.mjs || node scripts/start.mjs")
    for (const name of ["build:server", "taskforge"]) {
      assert.match(scripts[name], /^(npm|node|rolldown) [\w:.\-/= ]+$/)
    }
  })
})
