import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { execFileSync } from "node:child_process"
import { resolve } from "node:path"
import * as ListenAddress from "../../src/config/ListenAddress.ts"
import * as Settings from "../../src/config/Settings.ts"
import * as Welcome from "../../src/server/Welcome.ts"

/** What a server with these variables says to a person. */
const said = (environment: Record<string, string>, { hasKeys = false, url = "http://127.0.0.1:8080" } = {}) =>
  Effect.gen(function*() {
    const settings = yield* Settings.load
    const address = yield* ListenAddress.decide(settings, hasKeys)
    const lines = Welcome.lines(settings, address, { url, command: "taskforge" })
    return Object.fromEntries(lines.map((line) => [line.slice(0, 8).trim() || "Then", line.slice(8)]))
  }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(environment)))

/** The words that a shell makes of a command. */
const words = (command: string, environment: Record<string, string> = {}): ReadonlyArray<string> =>
  execFileSync("sh", ["-c", `for word in ${command}; do printf '%s\\n' "$word"; done`], {
    encoding: "utf8",
    env: environment
  }).trimEnd().split("\n")

describe("a server says to a person", () => {
  it.effect("which address to open, where the tasks are, and that other machines are kept out", () =>
    Effect.gen(function*() {
      const { Access, Open, Tasks, Then, Try } = yield* said({})
      assert.strictEqual(Open, "http://localhost:8080")
      assert.strictEqual(Tasks, `${resolve("data/taskforge.db")}, a SQLite file`)
      assert.match(Access!, /this machine only, because no API key .* TASKFORGE_ADMIN_KEY/)
      assert.deepStrictEqual(words(Try!), [
        "curl",
        "http://localhost:8080/api/v1/tasks",
        "-H",
        "content-type: application/json",
        "-d",
        `{"type": "echo", "payload": {"hello": "world"}}`
      ])
      assert.strictEqual(Then, "taskforge watch")
    }))

  it.effect("a command that needs no key where the store is a file, whatever its name", () =>
    Effect.gen(function*() {
      const { Access, Try } = yield* said({ STORE_URL: "sqlite:/tmp/a folder/it's.db" }, { hasKeys: true })
      assert.match(Access!, /^from this machine only, with an API key/)
      assert.deepStrictEqual(words(Try!).slice(-3), ["--wait", "--store", "sqlite:/tmp/a folder/it's.db"])
    }))

  it.effect("a request with the key of its environment elsewhere", () =>
    Effect.gen(function*() {
      const key = "k".repeat(32)
      const environment = { STORE_URL: "memory:", TASKFORGE_ADMIN_KEY: key }
      const { Access, Open, Tasks, Try } = yield* said(environment, { url: "http://0.0.0.0:9000" })
      assert.strictEqual(Open, "http://localhost:9000")
      assert.match(Access!, /^from every machine that reaches 0\.0\.0\.0, with TASKFORGE_ADMIN_KEY/)
      assert.match(Tasks!, /^in memory, until this process ends/)
      assert.notInclude(Try, key)
      assert.include(words(Try!, { TASKFORGE_ADMIN_KEY: key }), `authorization: Bearer ${key}`)
    }))
})
