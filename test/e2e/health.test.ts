import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "node:net"
import type { HealthJson } from "../../src/http/api/SystemApi.ts"
import * as Server from "./Server.ts"

/** Opens connections and answers how many of them the server closes at once. */
const refusedOf = (count: number, url: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { hostname, port } = new URL(url)
      let refused = 0
      const sockets = Array.from({ length: count }, () =>
        connect(Number(port), hostname).on("error", () => {}).on("end", () => {
          refused++
        }))
      return {
        sockets,
        refused: () =>
          refused
      }
    }),
    ({ sockets }) =>
      Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
  )

describe.skipIf(process.platform !== "linux")("a server that may open few files", () => {
  it.live("is red and says why, and accepts no more connections than it can have", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      const limited = `ulimit -n 300 && exec "${process.execPath}" "${Server.shipped()}"`
      const server = yield* Server.start(directory, {}, ["sh", "-c", limited])
      const warnings = server.log.filter(({ level }) => /^warn/i.test(level)).map(({ msg }) => msg)
      assert.lengthOf(warnings.filter((text) => text.includes("may open 300 files")), 1, JSON.stringify(warnings))
      assert.include(warnings.join(), "it accepts 150 connections at most")
      yield* Effect.scoped(Effect.gen(function*() {
        const { refused } = yield* refusedOf(200, server.url)
        yield* Server.until("connections are refused", Effect.sync(() => refused() >= 50))
      }))
      yield* Server.until("it answers again", Effect.isSuccess(healthOf(server.url)))
      const { status, troubles } = yield* healthOf(server.url)
      assert.strictEqual(status, "unhealthy")
      assert.deepStrictEqual(troubles.map(({ part, what_to_do }) => ({ part, what_to_do })), [{
        part: "open files",
        what_to_do: "raise the limit (ulimit -n) to 10200, or set TASKFORGE_MAX_CONNECTIONS=150"
      }])
      // It is no trouble once the setting fits
      const adapted = yield* Server.start(directory, { TASKFORGE_MAX_CONNECTIONS: "100" }, ["sh", "-c", limited])
      assert.strictEqual((yield* healthOf(adapted.url)).status, "healthy")
    }).pipe(Effect.scoped))
})

/** What the server says of its health, be it red or green. */
const healthOf = (url: string) =>
  Effect.tryPromise(async () => await (await fetch(`${url}/health`)).json() as HealthJson)

describe("tasks that no living instance can run", () => {
  it.live("turn the health of a real server red, which names them and what to do", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      const server = yield* Server.start(directory, { TASKFORGE_QUEUES: "mail" })
      yield* server.post([{ type: "echo", queue: "reports" }])
      const health = healthOf(server.url)
      yield* Server.until("health is red", Effect.map(health, ({ status }) => status === "unhealthy"))
      const { troubles } = yield* health
      assert.deepStrictEqual(troubles.map(({ part, what_to_do }) => ({ part, what_to_do })), [{
        part: "no instance for echo in queue reports",
        what_to_do: "start an instance that runs echo and works on the queue reports, or cancel its tasks"
      }])
      yield* Server.start(directory, { TASKFORGE_QUEUES: "reports" })
      yield* Server.until("health is green", Effect.map(health, ({ status }) => status === "healthy"))
    }).pipe(Effect.scoped))
})
