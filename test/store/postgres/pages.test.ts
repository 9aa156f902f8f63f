/** Claims from many lines in PostgreSQL, which it takes as sets: the same tasks in the same order as in memory, where each line is looked at. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Random } from "effect"
import type { Limit } from "../../../src/domain/Gate.ts"
import type { ClaimedTask } from "../../../src/domain/TaskRecord.ts"
import * as MemoryStore from "../../../src/store/memory/MemoryStore.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { RecordStore } from "../../../src/store/RecordStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import { complete, fail, idsOf, release, request, setLimit, task, through } from "../conformance/fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const below = (end: number) => Random.nextIntBetween(0, end - 1)
  const oneIn = (times: number) => Effect.map(below(times), (drawn) => drawn === 0)

  /** Few keys have most of the tasks. One limit is never full, and another one often. */
  const newTask = Effect.gen(function*() {
    const [key, kind] = [Math.floor((yield* below(60)) * (yield* below(60)) / 60), yield* below(8)]
    const passes = kind === 0
      ? []
      : kind < 5
      ? [`wide=${key}`]
      : kind < 7
      ? [`tight=${key % 7}`]
      : [`wide=${key}`, `tight=${key % 3}`]
    return task({
      ...through(...passes),
      type: (yield* oneIn(5)) ? "other" : "work",
      queue: (yield* oneIn(5)) ? "second" : "default",
      priority: (yield* oneIn(3)) ? yield* below(4) : 1
    })
  })

  for (let round = 1; round <= Number(process.env["GATE_ROUNDS"] ?? 3); round++) {
    it.live(
      `Gates in PostgreSQL let the same tasks start as in memory, from any number of lines (${round})`,
      () =>
        Effect.gen(function*() {
          const url = server.url
          const schema = yield* Postgres.scratchSchema(server)
          const capacity = 1_000_000
          const sides = [
            yield* Layer.build(MemoryStore.layer({ capacity })),
            yield* Layer.build(PostgresStore.layerUrl({ url, schema, maxConnections: 3, capacity }))
          ].map((services) => ({
            services: Context.pick(TaskStore, RecordStore)(services),
            store: Context.get(services, TaskStore),
            running: [] as Array<ClaimedTask>
          }))
          const limit = (id: string, limit: Limit | null) =>
            Effect.forEach(sides, ({ services }) => Effect.provide(setLimit(id, limit), services))
          yield* limit("wide", { max: 1_000_000 })
          yield* limit("tight", { max: 3 })
          for (let step = 0; step < 40; step++) {
            const what = step < 2 ? 0 : yield* below(8)
            if (what < 3) {
              const group = yield* Effect.replicateEffect(newTask, 1 + (yield* below(200)))
              for (const { store } of sides) yield* store.enqueue([group])
            } else if (what === 3) {
              yield* limit("tight", { max: yield* below(40) })
            } else if (what === 4) {
              yield* limit(`wide=${yield* below(5)}`, (yield* oneIn(2)) ? { max: yield* below(3) } : null)
            } else {
              const many = yield* below(sides[0]!.running.length + 1)
              const end = [complete, complete, fail, release][yield* below(4)]!
              for (const { running, store } of sides) {
                yield* store.settle(running.splice(0, many).map((one) => end(one)))
              }
            }
            // two writes at one time would have an order of their own in each store
            yield* Effect.sleep(2)
            const asked = {
              limit: 1 + (yield* below(150)),
              types: (yield* oneIn(3)) ? ["work"] : ["work", "other"],
              queues: (yield* oneIn(3)) ? ["default"] : undefined
            }
            for (const { running, store } of sides) running.push(...(yield* store.claim(request(asked))).tasks)
            assert.deepStrictEqual(idsOf(sides[1]!.running), idsOf(sides[0]!.running), `after step ${step}`)
          }
        }).pipe(Effect.scoped),
      120_000
    )
  }
})
