/** Signals and steps over HTTP, by remote `Signals`, and on the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References, Schema } from "effect"
import { FetchHttpClient, HttpServer as Listener } from "effect/http"
import type { Signals } from "../../src/flow/Signals.ts"
import { HttpSignals } from "../../src/http/index.ts"
import * as Signal from "../../src/Signal.ts"
import * as Step from "../../src/Step.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import * as Task from "../../src/Task.ts"
import { failing, jsonOf, onServer, succeeding } from "../cli/CommandLine.ts"
import { until } from "../e2e/Server.ts"
import { expecting, get, layer, pathOf, posted, refused, send } from "./TestServer.ts"

class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { reason: Schema.String }) {}

const Approval = Signal.make("approval", { success: Schema.Struct({ by: Schema.String }), error: TooMuch })
const Go = Signal.make("go")
const Paid = Signal.make("paid", { success: Schema.Int })

/** Gives its token away through its step. */
const tokens = new Map<string, string>()

const Buy = Task.make("buy", {
  payload: { order: Schema.String },
  success: Schema.String,
  error: TooMuch,
  retry: { times: 0 }
})
const Ship = Task.make("ship", { payload: { invoice: Schema.String }, success: Schema.Int, retry: { times: 0 } })
const Many = Task.make("many", { payload: { steps: Schema.Int } })

const handlers = Layer.mergeAll(
  Buy.toLayer(({ order }) =>
    Effect.gen(function*() {
      const token = yield* Approval.token
      yield* Step.run("charge", Effect.succeed({ secret: "4111" }), {
        success: Schema.Struct({ secret: Schema.String })
      })
      tokens.set(order, token)
      const answer = Step.waitFor(Approval, { timeout: "3 days" })
      return (yield* Effect.catchTag(answer, "SignalTimedOut", Effect.die)).by
    })
  ),
  Ship.toLayer(({ invoice }) => Step.waitFor(Paid.event(invoice))),
  Many.toLayer(({ steps }) =>
    Effect.gen(function*() {
      for (let index = 0; index < steps; index++) yield* Step.run(`step ${index}`, Effect.void)
      yield* Step.sleep("nap", "30 days")
    })
  )
)

const working = layer({ definitions: [Buy, Ship, Many], handlers })
const idle = layer({ definitions: [Buy] })

const statusOf = (id: string) => Effect.map(get(pathOf(id)), ({ json }) => (json as { status: string }).status)
const resultOf = (id: string) => Effect.map(get(pathOf(id, "/result")), ({ json }) => json as Record<string, unknown>)
const stepsOf = (id: string, query = "") =>
  Effect.map(
    expecting(200, get(pathOf(id, `/steps${query}`))),
    ({ json }) => json as { readonly steps: ReadonlyArray<{ name: string; status: string }>; readonly count: number }
  )
const waits = (id: string) =>
  until(
    "it waits",
    Effect.gen(function*() {
      const { steps } = yield* stepsOf(id)
      return (steps.at(-1)?.status === "waiting" || steps.at(-1)?.status === "sleeping") &&
        (yield* statusOf(id)) === "scheduled"
    })
  )
const ends = (id: string) =>
  until("it has ended", Effect.map(statusOf(id), (status) => status === "completed" || status === "failed"))
const signal = (token: string) => `/api/v1/signals/${token}`

/** A task that waits for an approval, and its token. */
const waiting = Effect.fnUntraced(function*(order: string) {
  const { id } = yield* posted({ type: "buy", payload: { order } })
  yield* waits(id)
  return { id, token: tokens.get(order)! }
})

describe("signals over HTTP", () => {
  it.live("are completed once, and the task goes on", () =>
    Effect.gen(function*() {
      const { id, token } = yield* waiting("a")
      assert.deepStrictEqual((yield* expecting(200, get(signal(token)))).json, {
        name: "approval",
        task: id,
        status: "open",
        completed_at: null
      })
      const { json } = yield* expecting(200, send("POST", signal(token), { success: { by: "ada" } }))
      assert.deepInclude(json as object, { name: "approval", task: id, status: "succeeded", success: { by: "ada" } })
      yield* ends(id)
      assert.deepInclude(yield* resultOf(id), { status: "completed", result: "ada" })
      // A lost answer is asked for again
      const { json: again } = yield* expecting(200, send("POST", signal(token), { success: { by: "ada" } }))
      assert.deepStrictEqual(again, json)
      const conflict = yield* refused(409, "signal_conflict", send("POST", signal(token), { success: { by: "bob" } }))
      assert.deepStrictEqual(conflict["kept"], { status: "succeeded", success: { by: "ada" } })
    }).pipe(Effect.provide(working)))

  it.live("have one end, however many complete them at a time", () =>
    Effect.gen(function*() {
      const answers = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, index) => index),
        (index) => send("POST", `${signal("paid")}/events/race`, { success: index }),
        { concurrency: "unbounded" }
      )
      const statuses = answers.map(({ status }) => status)
      assert.lengthOf(statuses.filter((status) => status === 200), 1)
      assert.lengthOf(statuses.filter((status) => status === 409), 29)
      const { success } = answers.find(({ status }) => status === 200)!.json as { readonly success: number }
      for (const { json, status } of answers) {
        if (status === 200) continue
        assert.deepStrictEqual((json as { error: { kept: unknown } }).error.kept, { status: "succeeded", success })
      }
    }).pipe(Effect.provide(idle)))

  it.live("fail the task with their error", () =>
    Effect.gen(function*() {
      const { id, token } = yield* waiting("b")
      const error = { _tag: "TooMuch", reason: "42" }
      yield* expecting(200, send("POST", signal(token), { error }))
      yield* ends(id)
      assert.strictEqual(yield* statusOf(id), "failed")
      const conflict = yield* refused(409, "signal_conflict", send("POST", signal(token), { success: { by: "ada" } }))
      assert.deepStrictEqual(conflict["kept"], { status: "failed", error })
    }).pipe(Effect.provide(working)))

  it.live("of which no schema accepts the end fail the waiting step, readably", () =>
    Effect.gen(function*() {
      const { id, token } = yield* waiting("c")
      yield* expecting(200, send("POST", signal(token), { success: "ada" }))
      yield* ends(id)
      const { text } = yield* get(pathOf(id))
      assert.include(text, "StepUnfit")
    }).pipe(Effect.provide(working)))

  it.live("wake all that wait for an event, and those that come later", () =>
    Effect.gen(function*() {
      const first = yield* posted({ type: "ship", payload: { invoice: "i-1" } })
      const second = yield* posted({ type: "ship", payload: { invoice: "i-1" } })
      yield* waits(first.id)
      yield* waits(second.id)
      const { json } = yield* expecting(200, send("POST", `${signal("paid")}/events/i-1`, { success: 7 }))
      assert.deepInclude(json as object, { name: "paid", task: null, status: "succeeded", success: 7 })
      const third = yield* posted({ type: "ship", payload: { invoice: "i-1" } })
      for (const { id } of [first, second, third]) {
        yield* ends(id)
        assert.deepInclude(yield* resultOf(id), { status: "completed", result: 7 })
      }
      assert.deepStrictEqual((yield* expecting(200, get(signal("paid:i-1")))).json, json)
      yield* refused(409, "signal_conflict", send("POST", signal("paid:i-1"), { success: 8 }))
    }).pipe(Effect.provide(working)))

  it.live.each(
    [
      ["no end", {}, "Expected either success or error"],
      ["two ends", { success: 1, error: 2 }, "Expected either success or error"],
      ["an unknown field", { success: 1, by: "ada" }, "Unknown field"],
      ["a text", "\"yes\"", "Expected"],
      ["null", null, "Expected"],
      ["no JSON", "{\"success\":", "Expected JSON"],
      ["a number that is not kept", "{\"success\":9007199254740993}", "9007199254740993"],
      ["deep nesting", `{"success":${"[".repeat(200)}${"]".repeat(200)}}`, "nested"],
      ["200 KiB", { success: "x".repeat(200 * 1024) }, "131072 bytes"]
    ] as const
  )("are refused with %s, and nothing is kept", ([, body, problem]) =>
    Effect.gen(function*() {
      const { message } = yield* refused(400, "invalid_request", send("POST", `${signal("e")}/events/k`, body))
      assert.include(message, problem)
      yield* refused(404, "signal_not_found", get(signal("e:k")))
    }).pipe(Effect.provide(idle)))

  it.live.each([
    "approval",
    "approval.Zm9v",
    "a b",
    "☕",
    "a/b",
    "a:b:c/..",
    "x".repeat(255),
    "a\u0000",
    "__proto__",
    "%"
  ])(
    "have no token %j",
    (token) =>
      Effect.gen(function*() {
        const path = signal(encodeURIComponent(token))
        yield* refused(404, "signal_not_found", send("POST", path, { success: null }))
        yield* refused(404, "signal_not_found", get(path))
      }).pipe(Effect.provide(idle))
  )

  it.live("of events have names and keys of bounded letters", () =>
    Effect.gen(function*() {
      yield* refused(400, "invalid_request", send("POST", `${signal("a%20b")}/events/k`, { success: 1 }))
      yield* refused(400, "invalid_request", send("POST", `${signal("a")}/events/k%2F`, { success: 1 }))
      yield* refused(400, "invalid_request", send("POST", `${signal("a")}/events/${"k".repeat(129)}`, { success: 1 }))
      yield* expecting(200, send("POST", `${signal("a")}/events/${"k".repeat(128)}`, { success: 1 }))
      yield* refused(400, "invalid_request", send("POST", signal("x".repeat(256)), { success: 1 }))
    }).pipe(Effect.provide(idle)))

  it.live("leave their tokens in no log", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ fiber, message }) => {
        lines.push(JSON.stringify([message, fiber.getRef(References.CurrentLogAnnotations)]))
      })
      const logging = layer({ definitions: [Buy], handlers, http: { logRequests: true } }).pipe(
        Layer.provideMerge(Logger.layer([logger]))
      )
      yield* Effect.gen(function*() {
        const { token } = yield* waiting("d")
        const random = token.slice(token.indexOf(".") + 1)
        yield* send("POST", signal(token), { success: { by: "ada" } })
        yield* send("POST", signal(token), { success: { by: "bob" } })
        yield* send("POST", signal(token), { success: 1, error: 2 })
        yield* get(signal(token))
        yield* send("DELETE", signal(token))
        yield* send("POST", `${signal(token)}/`, { success: 1 })
        yield* send("POST", `/api/v1/%73ignals/${token}`, { success: { by: "ada" } })
        yield* send("POST", `${signal(`approval,${random}`)}`, { success: 1 })
        yield* send("POST", `${signal("paid")}/events/i-2`, { success: 1 })
        const text = lines.join("\n")
        assert.include(text, "complete_signal approval: done")
        assert.include(text, "complete_signal approval: failed")
        assert.include(text, "complete_signal paid:i-2: done")
        assert.include(text, "/api/v1/signals/***")
        assert.include(text, "/api/v1/signals/paid/events/i-2")
        assert.notInclude(text, random)
      }).pipe(Effect.provide(logging))
    }))
})

describe("the steps of a task over HTTP", () => {
  it.live("say how they ended and what they wait for, without what they gave and without the token", () =>
    Effect.gen(function*() {
      const { id, token } = yield* waiting("s")
      const { json, text } = yield* expecting(200, get(pathOf(id, "/steps")))
      assert.notInclude(text, "4111")
      assert.notInclude(text, token)
      const { steps } = json as { readonly steps: ReadonlyArray<object & { readonly until: string | null }> }
      assert.deepInclude(json as object, { id, count: 3, left_out: 0, running: [], unasked: [] })
      assert.deepInclude(steps[1] as object, {
        name: "charge",
        status: "succeeded",
        attempt: 1,
        until: null,
        signal: null,
        issue: null
      })
      assert.deepInclude(steps[2] as object, { name: "signal approval", status: "waiting", signal: "approval" })
      assert.isNotNull(steps[2]!.until)
      yield* send("POST", signal(token), { success: { by: "ada" } })
      yield* ends(id)
      assert.deepStrictEqual(
        (yield* stepsOf(id)).steps.map(({ name, status }) => [name, status]),
        [["token of approval", "succeeded"], ["charge", "succeeded"], ["signal approval", "succeeded"]]
      )
    }).pipe(Effect.provide(working)))

  it.live("are the latest, where there are many", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "many", payload: { steps: 150 } })
      yield* waits(id)
      const { steps, ...rest } = yield* stepsOf(id)
      assert.lengthOf(steps, 100)
      assert.deepInclude(rest as object, { count: 151, left_out: 51 })
      assert.deepInclude(steps.at(-1)!, { name: "nap", status: "sleeping" })
      const two = yield* stepsOf(id, "?limit=2")
      assert.deepStrictEqual(two.steps.map(({ name }) => name), ["step 149", "nap"])
      assert.lengthOf((yield* stepsOf(id, "?limit=1000")).steps, 151)
      yield* refused(400, "invalid_request", get(pathOf(id, "/steps?limit=1001")))
      yield* refused(400, "invalid_request", get(pathOf(id, "/steps?limit=0")))
    }).pipe(Effect.provide(working)))

  it.live("say what helps where a later version has written them", () =>
    Effect.gen(function*() {
      const { id } = yield* waiting("later")
      const store = yield* RecordStore
      const [record] = yield* store.get("step", [id])
      yield* store.put([{ kind: "step", id, expects: record!.version, document: JSON.stringify({ layout: 2 }) }])
      const { message } = yield* refused(503, "store_unavailable", get(pathOf(id, "/steps")))
      assert.include(message, "What helps: ask an instance of the version that runs the task")
    }).pipe(Effect.provide(working)))

  it.live("are none of a task that has not begun, and unknown of none", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "buy", payload: { order: "x" } })
      assert.deepInclude(yield* stepsOf(id), { count: 0, steps: [] })
      yield* refused(404, "task_not_found", get(pathOf("nobody", "/steps")))
    }).pipe(Effect.provide(idle)))
})

describe("remote signals", () => {
  it.live("refuse what no server keeps, as an engine does", () =>
    Effect.gen(function*() {
      const Any = Signal.make("any", { success: Schema.Json })
      let deep: Schema.Json = 1
      for (let level = 0; level < 200; level++) deep = [deep]
      for (const [index, value] of ["x".repeat(200_000), "x".repeat(2_000_000), deep].entries()) {
        const error = yield* Effect.flip(remote(Any.event(`k${index}`).complete(value)))
        assert.strictEqual(error._tag, "InvalidOption", JSON.stringify(error).slice(0, 300))
      }
    }).pipe(Effect.provide(idle)))

  const remote = <A, E>(effect: Effect.Effect<A, E, Signals>) =>
    Effect.flatMap(Listener.HttpServer, ({ address }) =>
      Effect.provide(
        effect,
        Layer.provide(HttpSignals.layerHttpClient({ url: Listener.formatAddress(address) }), FetchHttpClient.layer)
      ))

  it.live("are completed as those of an engine are", () =>
    Effect.gen(function*() {
      const { id, token } = yield* waiting("r")
      yield* remote(Approval.complete(token, { by: "ada" }))
      yield* remote(Approval.complete(token, { by: "ada" }))
      yield* ends(id)
      assert.deepInclude(yield* resultOf(id), { status: "completed", result: "ada" })
      const conflict = yield* Effect.flip(remote(Approval.fail(token, new TooMuch({ reason: "late" }))))
      assert.deepInclude(conflict, { _tag: "SignalConflict", token, kept: { _tag: "Value", value: { by: "ada" } } })
      yield* remote(Paid.event("i-3").complete(1))
      assert.strictEqual((yield* Effect.flip(remote(Paid.event("i-3").complete(2))))._tag, "SignalConflict")
      yield* remote(Go.event("k").complete())
      for (const unknown of ["", ".", "..", "approval.none", "☕", "x".repeat(300)]) {
        assert.strictEqual(
          (yield* Effect.flip(remote(Approval.complete(unknown, { by: "ada" }))))._tag,
          "SignalNotFound",
          unknown
        )
      }
    }).pipe(Effect.provide(working)))
})

describe("taskforge signals", () => {
  it.live("completes, fails and shows signals, and events", () =>
    Effect.gen(function*() {
      const { id, token } = yield* waiting("cli")
      const steps = yield* succeeding(onServer(["steps", id]))
      assert.match(steps.stdout, /^STEP +STATUS +ATTEMPT +BEGAN +TOOK +DETAIL\ntoken of approval +succeeded/)
      assert.match(steps.stdout, /\nsignal approval +waiting +1 .* for approval until \S+Z\n/)
      assert.include(
        steps.stdout,
        "taskforge signals complete TOKEN JSON; the task has handed out the token of approval"
      )
      assert.notInclude(steps.stdout, token)
      const open = yield* succeeding(onServer(["signals", "show", token]))
      assert.strictEqual(open.stdout, `approval: open\n  task  ${id}\n`)
      const done = yield* succeeding(onServer(["signals", "complete", token, "{\"by\": \"ada\"}"]))
      assert.strictEqual(done.stdout, `✓ approval is completed; task ${id} goes on\n`)
      yield* ends(id)
      assert.deepInclude(yield* resultOf(id), { status: "completed", result: "ada" })
      const problem = yield* failing(
        1,
        onServer(["signals", "fail", token, "{\"_tag\":\"TooMuch\",\"reason\":\"42\"}"])
      )
      assert.include(problem, "was completed before, with another value")
      assert.include(problem, `{"by":"ada"}`)
      const [json] = jsonOf(yield* succeeding(onServer(["steps", id, "-n", "1", "--json"])))
      assert.deepInclude(json, { id, count: 3, left_out: 2 })

      const refusing = yield* waiting("cli-2")
      const failed = yield* succeeding(
        onServer(["signals", "fail", refusing.token, "-"], { stdin: "{\"_tag\":\"TooMuch\",\"reason\":\"42\"}" })
      )
      assert.match(failed.stdout, /^✓ approval has failed; task \S+ goes on\n$/)
      yield* ends(refusing.id)
      assert.strictEqual(yield* statusOf(refusing.id), "failed")

      const paid = yield* succeeding(onServer(["signals", "complete", "paid", "--event", "i-9", "7"]))
      assert.strictEqual(paid.stdout, "✓ paid:i-9 is completed; whatever waits for it goes on\n")
      yield* succeeding(onServer(["signals", "complete", "paid:i-9", "7"]))
      const shown = yield* succeeding(onServer(["signals", "show", "paid", "--event", "i-9"]))
      assert.match(shown.stdout, /^paid:i-9: succeeded at \S+Z\n {2}with {2}7\n$/)
      const [event] = jsonOf(yield* succeeding(onServer(["signals", "complete", "go:k", "--json"])))
      assert.deepInclude(event, { name: "go", task: null, status: "succeeded", success: null })
    }).pipe(Effect.provide(working)))

  it.live("says what to do about what is refused", () =>
    Effect.gen(function*() {
      const unknown = yield* failing(66, onServer(["signals", "complete", "approval.none", "1"]))
      assert.include(unknown, "taskforge steps")
      assert.include(yield* failing(66, onServer(["signals", "show", "paid", "--event", "none"])), "paid:none")
      assert.include(yield* failing(65, onServer(["signals", "complete", "a:k", "yes"])), "'\"like this\"'")
      assert.include(yield* failing(65, onServer(["signals", "complete", "a:k", "9007199254740993"])), "exactly")
      yield* failing(64, onServer(["signals", "fail", "a:k"]))
      yield* failing(64, onServer(["signals", "complete"]))
      assert.notInclude(yield* failing(66, onServer(["signals", "complete", "a\u001b[31m", "1"])), "\u001b")
      assert.include(
        yield* failing(64, onServer(["signals", "complete", "a b", "--event", "k"])),
        "An event has a name"
      )
      assert.include(yield* failing(64, onServer(["signals", "complete", "a", "--event", "k/"])), "--event has a key")
      assert.include(yield* failing(65, onServer(["signals", "complete", "x".repeat(300), "1"])), "TOKEN")
      yield* failing(66, onServer(["steps", "nobody"]))
      assert.include(yield* failing(64, onServer(["steps", "a", "-n", "0"])), "Expected from 1 to 1000")
      const { id } = yield* posted({ type: "buy", payload: { order: "x" } })
      const none = yield* succeeding(onServer(["steps", id]))
      assert.include(none.stdout, "has no steps yet. Its handler keeps one with Step.run")
      const large = yield* failing(
        65,
        onServer(["signals", "complete", "a:k", "-"], { stdin: `"${"x".repeat(200_000)}"` })
      )
      assert.include(large, "131072 bytes")
    }).pipe(Effect.provide(idle)))
})
