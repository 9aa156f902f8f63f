import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { ErrorsJson, StatisticsJson } from "../../src/http/api/StatisticsApi.ts"
import { TaskPageJson } from "../../src/http/api/TaskJson.ts"
import { decoded, Echo, get, layer, postedAll, refused } from "./TestServer.ts"

const handlers = Echo.toLayer((payload) => payload === "bad" ? Effect.die("bad") : Effect.succeed(payload))
const statistics = (query = "") => decoded(StatisticsJson, get(`/api/v1/statistics${query}`))
const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)

const seconds = (count: number) =>
  Effect.gen(function*() {
    yield* TestClock.adjust(`${count} seconds`)
    for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
  })

describe("GET /api/v1/statistics", () => {
  it.effect("tells what happened, in points of the width that is asked for", () =>
    Effect.gen(function*() {
      yield* seconds(1)
      yield* postedAll([{ type: "echo" }, { type: "echo" }, { type: "echo", payload: "bad", max_retries: 0 }])
      yield* seconds(29)
      const found = yield* statistics("?last=30s&step=10s&instance=w")
      assert.deepInclude(found, {
        from: "1970-01-01T00:00:00.000Z",
        to: "1970-01-01T00:00:30.000Z",
        step_ms: 10_000,
        points_per_column: 1
      })
      assert.deepStrictEqual(found.counts.enqueued, [3, 0, 0])
      assert.deepStrictEqual([sum(found.counts.completed), sum(found.counts.failed)], [2, 1])
      assert.deepStrictEqual(found.instances.map(({ id, slots }) => [id, slots?.length]), [["w", 2]])
      assert.deepInclude(found.types[0], { queue: "default", type: "echo", enqueued: 3, completed: 2, failed: 1 })
      assert.isNotNull(found.types[0]!.wait_ms.p95)
      assert.strictEqual((yield* statistics("?last=30s&step=1h")).step_ms, 3_600_000)
      assert.isUndefined((yield* statistics()).instances[0]!.slots)
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("refuses times that it cannot tell of, and says which", () =>
    Effect.gen(function*() {
      yield* seconds(60)
      for (
        const [query, name] of [
          ["?from=yesterday", "from"],
          ["?from=1970-01-01T00:02:00Z", "from"],
          ["?from=1970-01-01T00:00:00Z&last=1h", "last"],
          ["?last=soon", "last"],
          ["?step=0s", "step"],
          ["?colour=red", "colour"]
        ]
      ) {
        const error = yield* refused(400, "invalid_request", get(`/api/v1/statistics${query}`))
        assert.include(JSON.stringify(error), `"${name}"`, query)
      }
    }).pipe(Effect.provide(layer({ handlers }))))
})

describe("GET /api/v1/errors", () => {
  it.effect("tells which failures happened, and leads to their tasks by the fields of the list", () =>
    Effect.gen(function*() {
      yield* seconds(1)
      yield* postedAll([
        { type: "echo", payload: "bad", max_retries: 0, id: "one" },
        { type: "echo", payload: "bad", max_retries: 0, id: "two" },
        { type: "echo" }
      ])
      yield* seconds(29)
      const found = yield* decoded(ErrorsJson, get("/api/v1/errors?last=5m"))
      assert.strictEqual(found.others, 0)
      assert.strictEqual(found.groups.length, 1)
      const { by_column, kind, latest, message, tag, type, ...rest } = found.groups[0]!
      assert.deepStrictEqual(rest, {
        failed: 2,
        retried: 0,
        first_at: "1970-01-01T00:00:00.000Z",
        last_at: "1970-01-01T00:00:00.000Z"
      })
      assert.strictEqual(sum(by_column), 2)
      const query = new URLSearchParams({ type, kind, error_tag: tag, text: message })
      const { tasks } = yield* decoded(TaskPageJson, get(`/api/v1/tasks?${query}`))
      assert.deepStrictEqual(tasks.map(({ id }) => id).toSorted(), ["one", "two"])
      assert.include(["one", "two"], latest)
      for (const [query, name] of [["?last=soon", "last"], ["?step=1m", "step"], ["?last=0s", "last"]]) {
        const error = yield* refused(400, "invalid_request", get(`/api/v1/errors${query}`))
        assert.include(JSON.stringify(error), `"${name}"`, query)
      }
    }).pipe(Effect.provide(layer({ handlers }))))
})
