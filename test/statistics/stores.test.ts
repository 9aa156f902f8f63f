import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { emptyLane } from "../../src/observability/Tally.ts"
import * as Bucket from "../../src/statistics/Bucket.ts"
import * as Chunk from "../../src/statistics/Chunk.ts"
import { startOf } from "../../src/statistics/Levels.ts"
import * as RollUp from "../../src/statistics/RollUp.ts"
import { Statistics } from "../../src/statistics/Statistics.ts"
import * as StatisticsRecords from "../../src/statistics/StatisticsRecords.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { absent, all, RecordStore } from "../../src/store/RecordStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"

const minute = 60_000

/** A minute in which three tasks were enqueued. */
const chunkOf = (start: number): Chunk.Chunk =>
  new Map([[
    start,
    Bucket.ofInstance("one", start, {
      errors: [{
        type: "mail",
        kind: "error",
        tag: "Refused",
        message: "mx# answered",
        failed: 1,
        retried: 0,
        latest: String(start)
      }],
      lanes: [{ ...emptyLane("default", "mail"), enqueued: 3 }],
      cancelled: 0,
      crashed: 0,
      slots: undefined
    }, undefined)
  ]])

const keepsStatistics = (
  name: string,
  { advance, layer, live = false }: {
    readonly layer: () => Layer.Layer<RecordStore, unknown>
    readonly advance: (duration: Duration.Input) => Effect.Effect<void>
    readonly live?: boolean
  }
) =>
  describe(name, () => {
    ;(live ? it.live : it.effect)("adds up what instances wrote, tells of it, and forgets it in time", () =>
      Effect.gen(function*() {
        const records = yield* RecordStore
        const statistics = yield* Statistics
        const told = Effect.map(
          statistics.read({ last: "5 hours", step: "1 minute" }),
          ({ counts }) =>
            counts.enqueued.reduce((sum, count) => sum + count, 0)
        )
        yield* RollUp.rollUp(records)
        const now = yield* StatisticsRecords.clock(records)
        yield* records.put(Array.from({ length: 8 }, (_, index) => {
          const start = startOf(now, 10 * minute) + index * minute
          const id = StatisticsRecords.idOf(0, start, `process-${index}`)
          return { kind: StatisticsRecords.kind, id, expects: absent, document: Chunk.encode(chunkOf(start)) }
        }))
        yield* advance("20 minutes")
        assert.strictEqual(yield* told, 24)
        yield* RollUp.rollUp(records)
        assert.strictEqual(yield* told, 24)
        yield* advance("2 hours")
        yield* RollUp.rollUp(records)
        assert.strictEqual(yield* told, 24)
        const levels = (yield* all(StatisticsRecords.kind)).map(({ id }) => id.slice(0, 1))
        assert.notInclude(levels, "0")
        assert.includeMembers(levels, ["1", "2", "p"])
        const { groups, others } = yield* statistics.errors({ last: "5 hours" })
        assert.strictEqual(others, 0)
        assert.deepStrictEqual(
          groups.map(({ columns, failed, firstAt, lastAt, latest, message }) => [
            message,
            failed,
            columns.reduce((sum, count) => sum + count, 0),
            lastAt.epochMilliseconds - firstAt.epochMilliseconds,
            latest
          ]),
          [["mx# answered", 8, 8, 7 * minute, String(startOf(now, 10 * minute) + 7 * minute)]]
        )
      }).pipe(Effect.provide(Layer.provideMerge(Statistics.layer, layer()))))
  })

keepsStatistics("Statistics on memory", { layer: () => MemoryStore.layer(), advance: TestClock.adjust })

keepsStatistics("Statistics on SQLite", {
  layer: () => SqliteStore.layer({ path: ":memory:" }),
  advance: TestClock.adjust
})

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  const { advance, layer } = new Schemas(server)
  keepsStatistics("Statistics on PostgreSQL", { layer: () => layer({}), advance, live: true })
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { advance, layer } = await connect(server)
  keepsStatistics("Statistics on Redis", { layer: () => layer({}), advance, live: true })
})
