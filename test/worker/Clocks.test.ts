/** What happens to running tasks when the wall clock is set forward or back. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { SqliteStore } from "../../src/store/sqlite/index.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { withStepping } from "../engine/Clocks.ts"
import { Gate } from "../engine/Gate.ts"
import * as OtherProcess from "../engine/OtherProcess.ts"
import { eventually, pass, record, start } from "../engine/TestEngine.ts"

const Work = Task.make("work")

const stores = {
  memory: MemoryStore.layer(),
  SQLite: Layer.orDie(SqliteStore.layer({ path: ":memory:" }))
}

for (const [name, store] of Object.entries(stores)) {
  describe(`with the store in ${name}, when the wall clock is set`, () => {
    const gateOf = () => {
      const gate = new Gate()
      return { gate, handlers: Work.toLayer(() => gate.run) }
    }

    for (const step of ["1 hour", "-1 hour"] as const) {
      const direction = step === "1 hour" ? "forward" : "back"

      it.effect(`${direction} by an hour, running tasks go on and run once`, () =>
        withStepping((set) => {
          const { gate, handlers } = gateOf()
          return Effect.gen(function*() {
            const engines = [yield* start({ handlers, worker: { concurrency: 1 } }), yield* start()]
            yield* OtherProcess.enqueue("running", { timeoutMs: 86_400_000 })
            yield* pass("20 seconds")
            // At any moment between two heartbeats and two looks of the rescuer
            for (let turn = 0; turn < 8; turn++) {
              yield* set(step)
              yield* pass("1 minute")
              yield* pass(`${turn * 700 + 1} millis`)
            }
            assert.deepInclude(yield* record("running"), { state: "running", claims: 1, crashes: 0 })
            gate.open()
            yield* eventually(Effect.map(record("running"), ({ state }) => state === "completed"))
            assert.strictEqual(gate.count, 1)
            for (const { close } of engines) yield* close
          }).pipe(Effect.provide(store), Effect.scoped)
        }))

      it.effect(`${direction} by an hour, what a dead instance held runs again within 20 seconds, or soon`, () =>
        withStepping((set) => {
          const { gate, handlers } = gateOf()
          return Effect.gen(function*() {
            const engine = yield* start()
            yield* OtherProcess.enqueue("orphan")
            yield* pass("20 seconds")
            yield* OtherProcess.claim({ leaseForMs: 15_000 })
            yield* set(step)
            yield* pass("20 seconds")
            const other = yield* start({ handlers })
            assert.deepInclude(yield* record("orphan"), { crashes: 1 })
            yield* eventually(Effect.sync(() => gate.count === 1))
            gate.open()
            for (const { close } of [engine, other]) yield* close
          }).pipe(Effect.provide(store), Effect.scoped)
        }))

      it.effect(`${direction} while an instance starts, it takes nothing from those that run`, () =>
        withStepping((set) => {
          const { gate, handlers } = gateOf()
          return Effect.gen(function*() {
            const first = yield* start({ handlers })
            yield* OtherProcess.enqueue("running", { timeoutMs: 86_400_000 })
            yield* pass("24 seconds")
            yield* set(step)
            const second = yield* start({ handlers })
            yield* pass("2 minutes")
            assert.deepInclude(yield* record("running"), { state: "running", claims: 1, crashes: 0 })
            gate.open()
            for (const { close } of [first, second]) yield* close
          }).pipe(Effect.provide(store), Effect.scoped)
        }))
    }
  })
}

describe("a lease in memory", () => {
  it.effect("ends after its time, whatever is done to the wall clock", () =>
    withStepping((set) =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const rescue = Effect.map(
          store.rescue({ limit: 10, earliest: Infinity, latest: 0, maxOffMs: Infinity, maxAheadMs: 3_600_000 }),
          ({ rescued }) => rescued.length
        )
        yield* OtherProcess.enqueue("one")
        yield* OtherProcess.claim({ leaseForMs: 15_000 })
        yield* set("1 hour")
        assert.strictEqual(yield* rescue, 0)
        yield* set("-3 hours")
        assert.strictEqual(yield* rescue, 0)
        yield* pass("15 seconds")
        assert.strictEqual(yield* rescue, 1)
      }).pipe(Effect.provide(MemoryStore.layer()))
    ))
})
