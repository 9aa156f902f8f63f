/** The store is measured where the engine calls it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric } from "effect"
import { TestClock } from "effect/testing"
import { StoreError } from "../../src/domain/Errors.ts"
import * as StoreMetrics from "../../src/observability/StoreMetrics.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { withStore } from "../engine/TestEngine.ts"

const read = Effect.fnUntraced(function*(id: string, attributes: Record<string, string> = {}) {
  const found = (yield* Metric.snapshot).find((metric) =>
    metric.id === id && Object.entries(attributes).every(([name, value]) => metric.attributes?.[name] === value)
  )
  return found?.state as { readonly count?: number; readonly sum?: number } | undefined
})

const failure = new StoreError({ operation: "settle", reason: "it is away" })

describe("the metrics of the store", () => {
  it.effect("time each operation, and count those that failed; what was interrupted is no error", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const tasks = yield* TaskStore
        const operation = "settle"
        const before = yield* read("taskforge_store_duration_seconds", { operation })
        const { tasks: slow } = yield* StoreMetrics.measured({
          records: yield* RecordStore,
          tasks: {
            ...tasks,
            settle: () => Effect.andThen(Effect.sleep("2 seconds"), Effect.fail(failure)),
            counts: Effect.never
          }
        })
        const settling = yield* Effect.forkChild(Effect.exit(slow.settle([])))
        const counting = yield* Effect.forkChild(Effect.timeoutOption(slow.counts, "1 second"))
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(settling)
        yield* Fiber.join(counting)
        const after = yield* read("taskforge_store_duration_seconds", { operation })
        assert.strictEqual((after?.sum ?? 0) - (before?.sum ?? 0), 2)
        assert.strictEqual((yield* read("taskforge_store_errors_total", { operation }))?.count, 1)
        assert.strictEqual((yield* read("taskforge_store_errors_total", { operation: "counts" }))?.count, 0)
      })
    ))

  it.effect("count what a rescue and an expiry did to tasks", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const tasks = yield* TaskStore
        const rescued = (state: "pending" | "failed" | "cancelled" | "expired") => ({
          id: state,
          type: "work",
          state,
          crashes: 1,
          attempt: 1
        })
        const expired = { id: "late", type: "work", queue: "default", attempt: 0 }
        const { tasks: measured } = yield* StoreMetrics.measured({
          records: yield* RecordStore,
          tasks: {
            ...tasks,
            rescue: () =>
              Effect.succeed({ now: 0, rescued: [rescued("pending"), rescued("failed"), rescued("pending")] }),
            expire: () => Effect.succeed([expired, expired]),
            claim: () => Effect.succeed({ tasks: [], now: 0, nextDueAt: null, expired: [expired] })
          }
        })
        yield* measured.rescue({ limit: 1, earliest: 0, latest: 0, maxOffMs: 0, maxAheadMs: 0 })
        yield* measured.expire(10)
        yield* measured.claim({ types: [], limit: 1, instance: "one", leaseForMs: 1000, nonce: 1 })
        const outcomes = { retried: 2, quarantined: 1, cancelled: 0, expired: 0 }
        for (const [outcome, count] of Object.entries(outcomes)) {
          assert.strictEqual((yield* read("taskforge_tasks_rescued_total", { outcome }))?.count, count, outcome)
        }
        assert.strictEqual((yield* read("taskforge_tasks_expired_total"))?.count, 3)
      })
    ))
})
