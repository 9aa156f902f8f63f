/** Health by whether tasks that could start are claimed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { HealthyJson, UnhealthyJson } from "../../src/http/api/SystemApi.ts"
import * as Limit from "../../src/Limit.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { promotion, TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { decoded, Echo, get, layer, postedAll } from "./TestServer.ts"

const Sync = Task.make("sync", { limits: [Limit.concurrency({ max: 1 })], timeout: "1 day" })
const definitions = [Echo, Sync]
const handlers = Layer.merge(Echo.toLayer(Effect.succeed), Sync.toLayer(() => Effect.never))

/** A store that gives no claim anything while the test says so, as if it had lost what is due. */
const forgetful = (switches: { isLost: boolean }) =>
  Layer.effect(
    TaskStore,
    Effect.map(TaskStore, (store) => ({
      ...store,
      claim: (request) => store.claim(switches.isLost ? promotion : request)
    } satisfies TaskStore["Service"]))
  ).pipe(Layer.provideMerge(MemoryStore.layer()))

const pass = (seconds: number) =>
  Effect.gen(function*() {
    for (let second = 0; second < seconds; second++) {
      yield* TestClock.adjust("1 second")
      for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
    }
  })

describe("/health, where tasks are due and slots are free", () => {
  it.effect("is red when nobody claims them, says since when, and turns green when somebody does", () => {
    const switches = { isLost: false }
    return Effect.gen(function*() {
      yield* pass(20)
      switches.isLost = true
      yield* postedAll([{ type: "echo" }, { type: "echo" }])
      yield* pass(14)
      assert.deepInclude(yield* decoded(HealthyJson, get("/health")), { held_up: [] })
      yield* pass(12)
      const { held_up, troubles } = yield* decoded(UnhealthyJson, get("/health"), 503)
      assert.deepStrictEqual(held_up, [{ code: "unclaimed", tasks: 2 }])
      assert.deepStrictEqual(troubles.map(({ part }) => part), ["claims"])
      const since = Date.parse(troubles[0]!.since)
      assert.isTrue(since >= 35_000 && since <= 41_000, `since ${since}`)
      assert.isString(troubles[0]?.what_to_do)
      switches.isLost = false
      yield* pass(7)
      assert.deepInclude(yield* decoded(HealthyJson, get("/health")), { held_up: [], troubles: [] })
    }).pipe(Effect.provide(layer({ definitions, handlers, store: forgetful(switches) })))
  })

  it.effect("is green when a limit holds them up, and says how many it holds up", () =>
    Effect.gen(function*() {
      yield* postedAll(Array.from({ length: 4 }, () => ({ type: "sync" })))
      yield* pass(90)
      assert.deepInclude(yield* decoded(HealthyJson, get("/health")), {
        held_up: [{ code: "limit_full", tasks: 3 }],
        troubles: []
      })
    }).pipe(Effect.provide(layer({ definitions, handlers }))))

  it.effect("is green when all slots are busy", () =>
    Effect.gen(function*() {
      yield* postedAll(Array.from({ length: 5 }, () => ({ type: "echo" })))
      yield* pass(90)
      assert.deepInclude(yield* decoded(HealthyJson, get("/health")), { held_up: [{ code: "behind", tasks: 3 }] })
    }).pipe(Effect.provide(layer({ handlers: Echo.toLayer(() => Effect.never) }))))
})
