/** The server as `npm start` runs it: one bundle, with what tasks need loaded on demand beside it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"
import config from "../../scripts/rolldown.config.ts"
import * as Site from "../handlers/outbound/Site.ts"
import * as Server from "./Server.ts"

/** Below the repository, so that what stays outside of the bundle is found. */
const output = fileURLToPath(new URL("../../coverage/bundle", import.meta.url))

interface Task {
  readonly id: string
  readonly type: string
  readonly status: string
  readonly error: unknown
}

describe("the bundle", () => {
  it.live(
    "runs tasks of every kind: on threads, in processes, with libraries that are loaded on demand",
    () =>
      Effect.gen(function*() {
        const options = config as unknown as { readonly output: object }
        yield* Effect.promise(() => build({ ...options, output: { ...options.output, dir: output, sourcemap: false } }))
        const home = yield* Server.directory
        mkdirSync(join(home, "files"))
        writeFileSync(join(home, "files/a.csv"), "city,n\nBerlin,1\nParis,2\n")
        const database = new DatabaseSync(join(home, "files/a.db"))
        database.exec("CREATE TABLE t (x)")
        database.close()
        const site = yield* Site.start((_, response) => response.end("hello"))
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(process.execPath, [join(output, "server.cjs")], {
              cwd: home,
              env: {
                PATH: process.env["PATH"],
                STORE_URL: "memory:",
                SERVER_PORT: "0",
                LOG_FORMAT: "json",
                TASKFORGE_FOLDERS: "files",
                TASKFORGE_OUTBOUND_ALLOW: "127.0.0.1"
              },
              stdio: ["ignore", "pipe", "inherit"]
            })
          ),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        let log = ""
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          log += text
        })
        const url = () => /"url":"([^"]+)"/.exec(log)?.[1]
        yield* Server.until("the server listens", Effect.sync(() => url() !== undefined))
        const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        const tasks = [
          { type: "primes" },
          {
            type: "data_process",
            payload: { input: "a.csv", sort: [{ column: "n", order: "desc" }], output: "b.csv" }
          },
          { type: "report", payload: { csv: "a.csv", group_by: "city" } },
          { type: "sql_query", payload: { database: "a.db", sql: "SELECT * FROM t" } },
          { type: "http_request", payload: { url: site.url } },
          { type: "webhook", payload: { url: site.url } },
          { type: "image_resize", payload: { data: pixel, width: 4 } },
          { type: "backup", payload: { source: "a.db" } },
          { type: "email", payload: {} }
        ]
        const request = (path: string, body?: unknown): Effect.Effect<any> =>
          Effect.promise(async () => {
            const answer = await fetch(`${url()}${path}`, {
              method: body === undefined ? "GET" : "POST",
              headers: { "content-type": "application/json" },
              ...(body === undefined ? {} : { body: JSON.stringify(body) })
            })
            return answer.json()
          })
        yield* request("/api/v1/tasks", tasks.map((task) => ({ ...task, max_retries: 0 })))
        const ended = Effect.map(request("/api/v1/tasks"), ({ tasks }: { readonly tasks: ReadonlyArray<Task> }) =>
          tasks.filter(({ status }) =>
            status === "completed" || status === "failed"
          ))
        yield* Server.until("all have ended", Effect.map(ended, ({ length }) => length === tasks.length))
        for (const { error, type } of yield* ended) assert.isNull(error, `${type}: ${JSON.stringify(error)}`)
      })
  )
})
