import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { names } from "../../src/domain/LogModule.ts"
import * as Server from "./Server.ts"

const put = (url: string, path: string, body: unknown) =>
  Effect.promise(async () => {
    const { status } = await fetch(url + path, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
    return status
  })

const isModule = (module: unknown): boolean =>
  typeof module === "string" &&
  (module === "audit" || module.startsWith("handlers:") || names.some((name) => name === module))

describe("the log of a real server", () => {
  it.live("has a module on each line, and levels by module that change while it runs", () =>
    Effect.gen(function*() {
      const server = yield* Server.start(yield* Server.directory, {
        TASKFORGE_LEASE: "1s",
        LOG_LEVEL: "warn",
        LOG_LEVELS: "program=info, http=info, attempts=none"
      })
      const of = (module: string) => server.log.filter((line) => line["module"] === module)
      yield* server.post([{ type: "echo" }])
      yield* Server.until("the request is logged", Effect.sync(() => of("http").length > 0))
      assert.deepStrictEqual(of("attempts"), [])
      assert.strictEqual(
        yield* put(server.url, "/api/v1/log-levels", { levels: { http: "none", attempts: "info" } }),
        204
      )
      yield* Server.until(
        "it says what holds",
        Effect.sync(() =>
          of("logs").some(({ msg }) => msg === "levels of the log: program=info, http=none, attempts=info, *=warn")
        )
      )
      const requests = of("http").length
      yield* server.post([{ type: "echo" }, { type: "fail", max_retries: 0 }])
      yield* Server.until("both ends are logged", Effect.sync(() => of("attempts").length === 2))
      assert.lengthOf(of("http"), requests)
      assert.strictEqual(of("audit")[0]?.["action"], "set_log_levels")
      for (const line of server.log) assert.isTrue(isModule(line["module"]), JSON.stringify(line))
    }).pipe(Effect.scoped))

  it.live("is refused at the start with the module that was meant", () =>
    Effect.gen(function*() {
      const process = yield* Server.launch(yield* Server.directory, { LOG_LEVELS: "clamer=debug" })
      assert.strictEqual((yield* process.ended).code, 78)
      assert.include(process.stderr(), "LOG_LEVELS=clamer=debug")
      assert.include(process.stderr(), "did you mean claimer?")
    }).pipe(Effect.scoped))
})
