import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import * as LogLevels from "../../src/domain/LogLevels.ts"
import { LogLevelsJson } from "../../src/http/api/LogLevelsApi.ts"
import { WorkersJson } from "../../src/http/api/SystemApi.ts"
import { type Answering, decoded, Echo, expecting, get, layer, refused, send } from "./TestServer.ts"

const lines: Array<{ readonly message: string; readonly annotations: Readonly<Record<string, unknown>> }> = []
const capturing = Logger.layer([
  Logger.make<unknown, void>(({ fiber, message }) => {
    lines.push({ message: String(message), annotations: fiber.getRef(References.CurrentLogAnnotations) })
  })
])

const server = layer({ handlers: Echo.toLayer(Effect.succeed) }).pipe(
  Layer.provide(LogLevels.layer({ modules: { settler: "warn" } })),
  Layer.provide(capturing)
)

/** Lets the instance hear what it was told: a third of a lease. */
const soon = Effect.gen(function*() {
  yield* TestClock.adjust("5 seconds")
  for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
})

const all = "/api/v1/log-levels"
const one = "/api/v1/instances/w/log-levels"
const setIn = (path: string) =>
  Effect.map(
    decoded(LogLevelsJson, get(path)),
    ({ levels }) => Object.fromEntries(levels.map(({ level, module }) => [module, level]))
  )
const held = Effect.map(
  decoded(WorkersJson, get("/api/v1/workers")),
  ({ instances }) => instances.find(({ id }) => id === "w")?.log_levels
)

const issuesOf = (answering: Answering) =>
  Effect.map(refused(400, "invalid_request", answering), ({ issues }) => issues ?? [])

describe("/api/v1/log-levels", () => {
  it.effect("sets, shows and unsets levels for all instances and for one, and each instance says what holds", () =>
    Effect.gen(function*() {
      yield* soon
      assert.deepStrictEqual(yield* held, { "*": "info", settler: "warn" })
      yield* expecting(
        204,
        send("PUT", all, { levels: { claimer: "debug", "handlers:echo": "trace" }, for: "10 minutes" })
      )
      yield* expecting(204, send("PUT", all, { levels: { HTTP: "none" } }))
      yield* expecting(204, send("PUT", one, { levels: { claimer: "error" }, by: "ada" }))
      assert.deepStrictEqual(yield* setIn(all), { claimer: "debug", "handlers:echo": "trace", http: "none" })
      assert.deepStrictEqual(yield* setIn(one), { claimer: "error" })
      yield* soon
      yield* soon
      assert.deepStrictEqual(yield* held, {
        "*": "info",
        settler: "warn",
        claimer: "error",
        "handlers:echo": "trace",
        http: "none"
      })
      // A request is logged no more, but who changed what still is
      lines.length = 0
      yield* expecting(204, send("DELETE", `${all}?module=claimer,http`))
      yield* expecting(204, send("DELETE", one))
      const audited = lines.filter(({ annotations }) => annotations["audit"] === true)
      assert.deepStrictEqual(
        audited.map(({ annotations: { action, instance, levels, module } }) => ({
          action,
          instance,
          levels,
          module
        })),
        [
          { action: "unset_log_levels", instance: "all", levels: "claimer, http", module: "audit" },
          { action: "unset_log_levels", instance: "w", levels: "all", module: "audit" }
        ]
      )
      assert.deepStrictEqual(yield* setIn(all), { "handlers:echo": "trace" })
      assert.deepStrictEqual(yield* setIn(one), {})
      yield* TestClock.adjust("11 minutes")
      yield* soon
      assert.deepStrictEqual(yield* held, { "*": "info", settler: "warn" })
      assert.deepStrictEqual(yield* setIn(all), {})
    }).pipe(Effect.provide(server)))

  it.effect("refuses what it does not know, with the nearest that it does", () =>
    Effect.gen(function*() {
      yield* soon
      const problem = (path: string, body: unknown) =>
        Effect.map(
          issuesOf(send("PUT", path, body)),
          (issues) => issues.map(({ message, path }) => `${path.join(".")}: ${message}`).join()
        )
      assert.match(yield* problem(all, { levels: { clamer: "debug" } }), /^body\.levels: .*did you mean claimer\?/)
      assert.match(yield* problem(all, { levels: { "handlers:ecoh": "debug" } }), /did you mean handlers:echo\?/)
      assert.match(yield* problem(all, { levels: { claimer: "loud" } }), /^body\.levels\.claimer: /)
      assert.match(yield* problem(all, { levels: {} }), /1 to 50 modules/)
      assert.match(yield* problem(all, { level: { claimer: "debug" } }), /body\.level/)
      assert.match(yield* problem(all, { levels: { claimer: "debug" }, for: "0s" }), /body\.for/)
      assert.match(
        yield* problem(all, { levels: { claimer: "debug" }, for: "1m", until: "2030-01-01T00:00:00Z" }),
        /not both/
      )
      assert.match(
        yield* problem(all, { levels: { claimer: "debug" }, until: "1969-01-01T00:00:00Z" }),
        /a time after now/
      )
      const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`handlers:t${n}`, "debug"]))
      assert.match(yield* problem(all, { levels: many }), /1 to 50 modules/)
      yield* expecting(404, send("PUT", "/api/v1/instances/gone/log-levels", { levels: { claimer: "debug" } }))
      yield* expecting(400, send("DELETE", `${all}?module=clamer`))
      yield* expecting(400, send("DELETE", `${all}?modul=claimer`))
      // Nothing of it was done
      assert.deepStrictEqual(yield* setIn(all), {})
      assert.deepStrictEqual(yield* setIn("/api/v1/instances/gone/log-levels"), {})
    }).pipe(Effect.provide(server)))

  it.effect("takes no name for another one, and answers long ones shortly", () =>
    Effect.gen(function*() {
      yield* soon
      const set = { levels: { claimer: "debug" } }
      for (const id of ["w%2F", "%2Fw", "W", "..%2Fw", "w%00x", "w%20", "w%0d%0a", "%F0%9F%98%80", "__proto__"]) {
        const answer = yield* send("PUT", `/api/v1/instances/${id}/log-levels`, set)
        assert.include([400, 404], answer.status, id)
      }
      for (const id of ["%ff", "%e2%98", "%ED%A0%80"]) {
        yield* refused(404, "route_not_found", send("PUT", `/api/v1/instances/${id}/log-levels`, set))
      }
      const strange = [
        "__proto__",
        "constructor",
        "handlers:toString",
        "handlers:",
        "handlers:a/b",
        "cl\u0131imer",
        "**"
      ]
      for (const name of [...strange, "\u001b[31mclaimer", "x".repeat(500_000), `handlers:${"x".repeat(500_000)}`]) {
        const answer = yield* send("PUT", all, `{"levels":{${JSON.stringify(name)}:"debug"}}`)
        assert.strictEqual(answer.status, 400, name.slice(0, 50))
        assert.isBelow(answer.text.length, 2000)
      }
      const [issue] = yield* issuesOf(send("DELETE", `${all}?module=__proto__`))
      assert.deepStrictEqual(issue?.path, ["query", "module"])
      assert.deepStrictEqual(yield* setIn(all), {})
      assert.deepStrictEqual(yield* setIn(one), {})
    }).pipe(Effect.provide(server)))

  it.effect("keeps one level of a module, however often it is set and by how many at a time", () =>
    Effect.gen(function*() {
      yield* soon
      yield* Effect.forEach(
        Array.from({ length: 300 }, (_, n) => n),
        (n) => expecting(204, send("PUT", n % 2 === 0 ? all : one, { levels: { claimer: n % 3 ? "debug" : "info" } })),
        {
          concurrency: 30,
          discard: true
        }
      )
      assert.deepStrictEqual(Object.keys(yield* setIn(all)), ["claimer"])
      assert.deepStrictEqual(Object.keys(yield* setIn(one)), ["claimer"])
    }).pipe(Effect.provide(server)))

  it.effect("cannot set the levels of an instance whose program has its own way to log", () =>
    Effect.gen(function*() {
      yield* soon
      assert.isUndefined(yield* held)
      const [issue] = yield* issuesOf(send("PUT", one, { levels: { claimer: "debug" } }))
      assert.include(issue?.message, "LogLevels.layer")
    }).pipe(Effect.provide(layer({ handlers: Echo.toLayer(Effect.succeed) }))))
})
