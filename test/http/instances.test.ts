import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import { ScalingJson } from "../../src/http/api/InstancesApi.ts"
import { HealthyJson, UnhealthyJson, WorkersJson } from "../../src/http/api/SystemApi.ts"
import { type Beat, InstanceStore } from "../../src/store/InstanceStore.ts"
import { add } from "../store/conformance/fixtures.ts"
import { decoded, Echo, expecting, get, layer, postedAll, refused, send } from "./TestServer.ts"

const handlers = Echo.toLayer(() => Effect.never)
const working = layer({ handlers })
const pathOf = (id: string, action: string) => `/api/v1/instances/${encodeURIComponent(id)}/${action}`
const scaling = (query = "") => decoded(ScalingJson, get(`/api/v1/scaling${query}`))

/** The instance that the server is, as it shows itself. */
const own = Effect.map(decoded(WorkersJson, get("/api/v1/workers")), ({ instances, worker_count, workers }) => {
  const instance = instances.find(({ id }) => id === "w")
  assert.isDefined(instance)
  return { ...instance!, worker_count, busy: workers.filter(({ running }) => running).length }
})

/** Lets the instance hear what it was told: a third of a lease. */
const soon = Effect.gen(function*() {
  yield* TestClock.adjust("5 seconds")
  for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
})

const elsewhere: Beat = {
  id: "else where/1",
  host: "host-2",
  pid: 4711,
  version: "9.9.9",
  upForMs: 0,
  capacity: 4,
  queues: [],
  types: ["echo"],
  running: [],
  sizing: { by: "load", min: 2, max: 30, draining: false },
  load: { forMs: 60_000, ended: 60, busyMs: 120_000 }
}

describe("/api/v1/instances/{id}", () => {
  it.effect("gives the instance as many slots as are asked for, and lets running tasks go on", () =>
    Effect.gen(function*() {
      yield* postedAll(Array.from({ length: 6 }, () => ({ type: "echo" })))
      yield* soon
      assert.deepInclude(yield* own, {
        slot_count: 2,
        slots_active: 2,
        sized_by: "start",
        min_slots: null,
        max_slots: 100
      })
      yield* expecting(204, send("PUT", pathOf("w", "slots"), { slots: 5 }))
      yield* soon
      assert.deepInclude(yield* own, { slot_count: 5, slots_active: 5, sized_by: "hand", busy: 5, worker_count: 5 })
      yield* expecting(204, send("PUT", pathOf("w", "slots"), { slots: 1 }))
      yield* soon
      // Five tasks run still, in one slot that stays and four that are gone once they are free
      assert.deepInclude(yield* own, { slot_count: 1, slots_active: 5, busy: 5, worker_count: 5 })
      yield* expecting(204, send("DELETE", pathOf("w", "slots")))
      yield* soon
      assert.deepInclude(yield* own, { slot_count: 2, sized_by: "start" })
    }).pipe(Effect.provide(working)))

  it.effect("drains and resumes it, and health says whom waiting tasks miss", () =>
    Effect.gen(function*() {
      yield* expecting(204, send("POST", pathOf("w", "drain")))
      yield* soon
      assert.isTrue((yield* own).draining)
      yield* postedAll([{ type: "echo" }])
      yield* TestClock.adjust("16 seconds")
      const { troubles } = yield* decoded(UnhealthyJson, get("/health"), 503)
      assert.deepStrictEqual(troubles.map(({ part }) => part), ["no instance for echo in queue default"])
      assert.deepInclude(yield* scaling(), { slots: 0, waiting: 1, slots_wanted: 1 })
      yield* expecting(204, send("POST", pathOf("w", "resume")))
      yield* soon
      assert.deepInclude(yield* own, { draining: false, slots_active: 1 })
      yield* decoded(HealthyJson, get("/health"))
    }).pipe(Effect.provide(working)))

  it.effect("tells another instance on the store, whatever its name", () =>
    Effect.gen(function*() {
      const store = yield* InstanceStore
      yield* store.beat(elsewhere, 60_000)
      yield* expecting(204, send("PUT", pathOf(elsewhere.id, "slots"), { slots: 30 }))
      yield* expecting(204, send("POST", pathOf(elsewhere.id, "drain")))
      yield* expecting(204, send("POST", pathOf(elsewhere.id, "resume")))
      yield* expecting(204, send("DELETE", pathOf(elsewhere.id, "slots")))
      const error = yield* refused(400, "invalid_request", send("PUT", pathOf(elsewhere.id, "slots"), { slots: 31 }))
      assert.deepStrictEqual(error.issues?.map(({ path }) => path), [["body", "slots"]])
      assert.include(error.message, "from 1 to 30")
    }).pipe(Effect.provide(working)))

  it.effect("refuses what is no number of slots, and instances that are not there", () =>
    Effect.gen(function*() {
      yield* soon
      for (
        const body of [
          {},
          { slots: 0 },
          { slots: -1 },
          { slots: 1.5 },
          { slots: "5" },
          { slots: 1e9 },
          { slots: null },
          {
            slots: 3,
            more: 1
          },
          [],
          5,
          "{"
        ]
      ) {
        yield* refused(400, "invalid_request", send("PUT", pathOf("w", "slots"), body))
      }
      for (const [method, action] of [["PUT", "slots"], ["POST", "drain"]] as const) {
        const body = method === "PUT" ? { slots: 3 } : undefined
        const error = yield* refused(404, "instance_not_found", send(method, pathOf("nobody", action), body))
        assert.strictEqual(error["id"], "nobody")
        yield* refused(400, "invalid_request", send(method, pathOf("x".repeat(256), action), body))
        yield* refused(400, "invalid_request", send(method, pathOf("a\u0000", action), body))
      }
      // What is gone may be set free
      yield* expecting(204, send("POST", pathOf("nobody", "resume")))
      yield* expecting(204, send("DELETE", pathOf("nobody", "slots")))
      yield* expecting(405, get(pathOf("w", "slots")))
      yield* soon
      assert.deepInclude(yield* own, { slot_count: 2, draining: false })
    }).pipe(Effect.provide(working)))

  it.effect("is in the audit log, whatever is said to an instance", () => {
    const lines: Array<Readonly<Record<string, unknown>>> = []
    const logger = Logger.make<unknown, void>(({ fiber }) => {
      const facts = fiber.getRef(References.CurrentLogAnnotations)
      if (facts["audit"] === true) lines.push(facts)
    })
    return Effect.gen(function*() {
      yield* soon
      yield* expecting(204, send("PUT", pathOf("w", "slots"), { slots: 3 }))
      yield* expecting(204, send("DELETE", pathOf("w", "slots")))
      yield* expecting(204, send("POST", pathOf("w", "drain")))
      yield* expecting(204, send("POST", pathOf("w", "resume")))
      yield* refused(404, "instance_not_found", send("POST", pathOf("nobody", "drain")))
      assert.deepStrictEqual(
        lines.map(({ action, instance, outcome, slots }) => ({ action, instance, outcome, slots })),
        [
          { action: "set_slots", instance: "w", outcome: "done", slots: "3" },
          { action: "unset_slots", instance: "w", outcome: "done", slots: undefined },
          { action: "drain", instance: "w", outcome: "done", slots: undefined },
          { action: "resume", instance: "w", outcome: "done", slots: undefined },
          { action: "drain", instance: "nobody", outcome: "failed", slots: undefined }
        ]
      )
    }).pipe(Effect.provide(Layer.provideMerge(working, Logger.layer([logger]))))
  })
})

describe("GET /api/v1/scaling", () => {
  it.effect("says how many slots are needed, for all queues and for one", () =>
    Effect.gen(function*() {
      const store = yield* InstanceStore
      yield* store.beat({ ...elsewhere, queues: ["mail"] }, 600_000)
      yield* add(...Array.from({ length: 30 }, () => ({ queue: "mail", type: "echo" })))
      yield* TestClock.adjust("9 seconds")
      yield* add({ queue: "reports", type: "echo" })
      assert.deepStrictEqual(yield* scaling("?queue=mail&within=30s"), {
        // Two were busy, of two seconds each; thirty more need two slots for half a minute
        slots_wanted: 5,
        slots: 4,
        slots_active: 0,
        waiting: 30,
        waiting_since: "1970-01-01T00:00:00.000Z",
        oldest_age_ms: 9000,
        drain_ms: 15_000,
        task_ms: 2000,
        ended_per_second: 1,
        timestamp: "1970-01-01T00:00:09.000Z"
      })
      assert.deepInclude(yield* scaling(), { waiting: 31, slots_wanted: 4 })
      assert.deepInclude(yield* scaling("?queue=reports"), { waiting: 1, slots: 0, drain_ms: null, oldest_age_ms: 0 })
      const { text } = yield* expecting(200, get("/metrics"))
      for (
        const line of ["taskforge_slots_wanted 4", "taskforge_drain_seconds 15.5", "taskforge_oldest_waiting_seconds 9"]
      ) assert.include(text, `${line}\n`)
    }).pipe(Effect.provide(layer())))

  it.effect("is a zero where there is nothing, and has no time where none is known", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* scaling(), { slots_wanted: 0, slots: 0, waiting: 0, drain_ms: 0, task_ms: null })
      yield* add({ type: "echo" })
      assert.deepInclude(yield* scaling(), { slots_wanted: 1, drain_ms: null })
      assert.include((yield* expecting(200, get("/metrics"))).text, "taskforge_drain_seconds NaN\n")
    }).pipe(Effect.provide(layer())))

  it.effect.each([
    "?within=0s",
    "?within=",
    "?within=soon",
    "?within=4000d",
    "?queue=",
    "?queues=a",
    "?within=1m&within=2m"
  ])(
    "refuses %s",
    (query) => Effect.provide(refused(400, "invalid_request", get(`/api/v1/scaling${query}`)), layer())
  )
})
