import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import * as RecordedStore from "../../src/events/RecordedStore.ts"
import { Supervisor } from "../../src/observability/Supervisor.ts"
import { EventLog } from "../../src/store/EventLog.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { until } from "../e2e/Server.ts"
import { complete, request, task } from "../store/conformance/fixtures.ts"

/** A store that keeps the answer to the enqueue of `late` back until the gate is open, as a disk may that is slow to sync. */
const slowToAnswer = (gate: Deferred.Deferred<void>) =>
  Layer.effect(
    TaskStore,
    Effect.map(TaskStore, (store) => ({
      ...store,
      enqueue: (groups) =>
        Effect.tap(store.enqueue(groups), () => groups[0]![0]!.id === "late" ? Deferred.await(gate) : Effect.void)
    }))
  )

describe("the events of a task", () => {
  it.live("begin with its creation, also when it ends before the enqueue has its answer", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const layer = RecordedStore.layer.pipe(
        Layer.provide(slowToAnswer(gate)),
        Layer.provideMerge(MemoryStore.layer()),
        Layer.provideMerge(Supervisor.layer)
      )
      yield* Effect.gen(function*() {
        const store = yield* TaskStore
        const log = yield* EventLog
        yield* log.attend(60_000)
        yield* store.enqueue([[task({ id: "early", type: "other" })]])
        const names = (id: string) =>
          Effect.map(log.read(0, 1000), ({ events }) => events.filter((one) => one.id === id).map(({ event }) => event))
        yield* until(
          "events are taken down",
          Effect.gen(function*() {
            yield* store.cancel(["early"])
            yield* store.rerun(["early"])
            yield* Effect.sleep(50)
            return (yield* names("early")).length > 0
          })
        )
        const enqueue = yield* Effect.forkScoped(store.enqueue([[task({ id: "late", type: "ping" })]]))
        yield* until("it is stored", Effect.map(store.get("late"), (task) => task !== undefined))
        const { tasks: [claimed] } = yield* store.claim(request({ types: ["ping"] }))
        yield* store.settle([complete(claimed!)])
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(enqueue)
        yield* until("all is told", Effect.map(names("late"), (told) => told.includes("completed")))
        assert.deepStrictEqual(yield* names("late"), ["created", "started", "completed"])
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped))

  it.live("are told of what is written together, and of nothing that is refused", () =>
    Effect.gen(function*() {
      const layer = RecordedStore.layer.pipe(
        Layer.provideMerge(MemoryStore.layer()),
        Layer.provideMerge(Supervisor.layer)
      )
      yield* Effect.gen(function*() {
        const store = yield* TaskStore
        const records = yield* RecordStore
        const log = yield* EventLog
        yield* log.attend(60_000)
        yield* Effect.sleep(50)
        const told = Effect.map(
          log.read(0, 1000),
          ({ events }) => events.map(({ attempt, event, id }) => `${id} ${event} ${attempt ?? ""}`.trim())
        )
        yield* until(
          "events are taken down",
          Effect.gen(function*() {
            yield* store.enqueue([[task({ type: "other" })]])
            yield* Effect.sleep(50)
            return (yield* told).length > 0
          })
        )
        const before = (yield* told).length
        yield* store.enqueue([[task({ id: "first", type: "ping" })]])
        const { tasks: [claimed] } = yield* store.claim(request({ types: ["ping"] }))
        const tasks = [task({ id: "next", type: "ping" }), task({ id: "first" })]
        const lost = { id: "first", claim: claimed!.claim + 1 }
        yield* Effect.flip(records.atomically("1", { tasks, settlements: [complete(lost)] }))
        yield* records.atomically("1", { tasks, settlements: [complete(claimed!)] })
        yield* until("all is told", Effect.map(told, (events) => events.length >= before + 4))
        yield* Effect.sleep(100)
        assert.sameMembers((yield* told).slice(before), [
          "first created",
          "first started 1",
          "next created",
          "first completed 1"
        ])
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped))
})
