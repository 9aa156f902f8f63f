/** What waits to be logged is bounded, and is logged in batches that readers can hold. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import type { NewTaskEvent } from "../../src/domain/TaskEvent.ts"
import * as EventRecorder from "../../src/events/EventRecorder.ts"
import { Supervisor } from "../../src/observability/Supervisor.ts"
import { EventLog, keptBytes } from "../../src/store/EventLog.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { until } from "../e2e/Server.ts"

const failed = (id: number): NewTaskEvent => ({
  event: "failed",
  id: String(id),
  type: "work",
  queue: "default",
  error: { kind: "error", tag: "Refused", message: "x".repeat(2000) }
})

describe("events on their way to the log", () => {
  it.live("are bounded in bytes while the log does not answer, and come in small batches", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const gate = yield* Deferred.make<void>()
      const appended: Array<{ readonly ids: ReadonlyArray<string>; readonly bytes: number; readonly lost: boolean }> =
        []
      const recorder = yield* EventRecorder.make({
        ...log,
        append: (events, lost = false) =>
          Deferred.await(gate).pipe(
            Effect.andThen(log.append(events, lost)),
            Effect.andThen(Effect.sync(() => {
              appended.push({ ids: events.map(({ id }) => id), bytes: JSON.stringify(events).length, lost })
            }))
          )
      })
      const count = 12_000
      for (let id = 0; id < count; id++) recorder.record([failed(id)])
      yield* Deferred.succeed(gate, undefined)
      yield* until("all are logged", Effect.sync(() => appended.at(-1)?.ids.at(-1) === String(count - 1)))
      const ids = appended.flatMap(({ ids }) => ids)
      assert.isTrue(appended.some(({ lost }) => lost))
      assert.isBelow(appended.reduce((sum, { bytes }) => sum + bytes, 0), keptBytes * 1.1)
      for (const { bytes } of appended) assert.isAtMost(bytes, 256 * 1024)
      assert.deepStrictEqual(ids, ids.map((_, index) => String(count - ids.length + index)))
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(MemoryStore.layer(), Supervisor.layer))))
})
