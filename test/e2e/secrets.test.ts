/** What a whole server shows of what it was told in confidence: nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import * as Site from "../handlers/outbound/Site.ts"
import * as Server from "./Server.ts"

const secret = "hunter2-hunter2-hunter2-hunter2-hunter2"

interface Task {
  readonly id: string
  readonly status: string
  readonly payload: unknown
}

/** Everything below a folder. */
const filesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)))

describe("a server with secrets", () => {
  it.live("shows none in its log, its answers and its files' permissions", () =>
    Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.writeHead(418).end(secret))
      const home = yield* Server.directory
      const server = yield* Server.start(home, {
        STORE_URL: "sqlite:data/tasks.db",
        TASKFORGE_ADMIN_KEY: secret,
        TASKFORGE_WEBHOOK_SECRET: secret,
        SERVER_HOST: "127.0.0.1",
        TASKFORGE_OUTBOUND_ALLOW: "127.0.0.1"
      })
      const ask = <A>(path: string, body?: unknown) =>
        Effect.promise(async () => {
          const response = await fetch(`${server.url}${path}`, {
            headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
            ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) })
          })
          return await response.json() as A
        })
      yield* ask("/api/v1/tasks", [
        { id: "write", type: "file_write", payload: { path: "deep/a.txt", body: "x" } },
        { id: "mail", type: "email", payload: { to: "a@example.org", subject: "s", text: "t" } },
        {
          id: "hook",
          type: "http_request",
          max_retries: 0,
          payload: { url: `${site.url}/?token=${secret}`, headers: { authorization: `Bearer ${secret}` } }
        }
      ])
      const ended = (id: string) =>
        Server.until(
          `${id} has ended`,
          Effect.map(ask<Task>(`/api/v1/tasks/${id}`), ({ status }) => status === "completed" || status === "failed")
        )
      yield* Effect.forEach(["write", "mail", "hook"], ended)
      const { payload } = yield* ask<Task>("/api/v1/tasks/hook")
      assert.deepNestedInclude(payload, { "headers.authorization": "***" })
      yield* Server.stop(server)
      assert.notInclude(JSON.stringify(server.log), secret)
      assert.include(JSON.stringify(server.log), "/?***")
      const open = filesIn(home).filter((path) => (statSync(path).mode & 0o077) !== 0)
      assert.deepStrictEqual(open, [])
      assert.isAtLeast(filesIn(home).length, 5)
    }).pipe(Effect.scoped))
})
