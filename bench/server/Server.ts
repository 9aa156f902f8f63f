/** The bundled server in a process of its own, on a fresh SQLite file, for one measurement. */
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** A server that listens. */
export interface Server {
  readonly url: string
  readonly port: number
  readonly key: string | undefined
  readonly stop: () => Promise<void>
}

/** Settings by which a server is measured unless a measurement says something else. */
const settings = {
  QUEUE_SIZE: "2000000",
  WORKER_NUM_WORKERS: "100",
  LOG_LEVEL: "warn",
  TASKFORGE_MAX_FINISHED: "20000"
}

/** Builds the bundle. */
export const build = (): void => {
  const built = spawnSync("npm", ["run", "--silent", "build:server"], { cwd: root, stdio: "inherit" })
  if (built.status !== 0) throw new Error("the server could not be built")
}

/** Starts a server; with `withKey` it asks for one. */
export const start = async (
  environment: Readonly<Record<string, string>> = {},
  withKey = false
): Promise<Server> => {
  const directory = mkdtempSync(join(tmpdir(), "taskforge-bench-"))
  const port = await freePort()
  const env = {
    PATH: process.env["PATH"],
    SERVER_PORT: String(port),
    STORE_URL: `sqlite:${directory}/tasks.db`,
    ...settings,
    ...environment
  }
  const key = withKey ? makeKey(env) : undefined
  const child = spawn(process.execPath, [join(root, "dist/server.cjs")], {
    cwd: directory,
    env,
    stdio: ["ignore", "ignore", "inherit"]
  })
  const url = `http://127.0.0.1:${port}`
  for (let attempt = 0;; attempt++) {
    if (await fetch(`${url}/health`).then(({ ok }) => ok, () => false)) break
    if (attempt > 200) throw new Error("the server does not answer")
    await sleep(50)
  }
  return {
    url,
    port,
    key,
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGTERM")
      await ended
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

/** Reads JSON. */
export const getJson = async <A>({ key, url }: Server, path: string): Promise<A> => {
  const answer = await fetch(`${url}${path}`, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } })
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
  return await answer.json() as A
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const makeKey = (env: NodeJS.ProcessEnv): string => {
  const { STORE_URL = "" } = env
  const script = `
    import { Effect, Layer, Redacted } from "effect"
    import { SecureRandom } from "effect/crypto"
    import * as ApiKeys from "./src/access/ApiKeys.ts"
    import * as SqliteStore from "./src/store/sqlite/SqliteStore.ts"
    const made = ApiKeys.create({ name: "bench", role: "admin" })
    const services = Layer.merge(SqliteStore.layer({ path: ${
    JSON.stringify(STORE_URL.replace("sqlite:", ""))
  } }), SecureRandom.layerWebCrypto)
    const { secret } = await Effect.runPromise(Effect.provide(made, services))
    console.log(Redacted.value(secret))`
  const { stderr, stdout } = spawnSync(process.execPath, ["--conditions=source", "--input-type=module", "-e", script], {
    cwd: root,
    encoding: "utf8"
  })
  if (!stdout.startsWith("tf_")) throw new Error(stderr)
  return stdout.trim()
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number }
      server.close(() => resolve(port))
    })
  })
