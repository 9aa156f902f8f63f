/** Whether all tasks of a page that wait together may start is decided at once: here something else than the number of its own tasks closes a gate. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import * as Gates from "../../../src/store/Gates.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import type { RecordStore } from "../../../src/store/RecordStore.ts"
import type { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import { add, addAll, putRecord, setLimit, takeIds, through } from "../conformance/fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const store = Effect.map(
    Postgres.scratchSchema(server),
    (schema) => Layer.fresh(PostgresStore.layerUrl({ url: server.url, schema, maxConnections: 4, capacity: 10_000 }))
  )

  /** Two tasks with a limit per key run at a time, and the last of these is not one of them. */
  const closed = (
    name: string,
    before: Effect.Effect<unknown, unknown, TaskStore | RecordStore>,
    ...given: ReadonlyArray<ReadonlyArray<string>>
  ) =>
    it.live(name, () =>
      Effect.scoped(Effect.gen(function*() {
        const services = yield* Layer.build(yield* store)
        yield* Effect.provide(
          Effect.gen(function*() {
            yield* setLimit("tenant", { max: 2 })
            yield* before
            const ids = yield* addAll(given.map((passes) => through(...passes)))
            assert.deepStrictEqual(yield* takeIds({ limit: given.length }), ids.slice(0, -1))
          }),
          services
        )
      }) as Effect.Effect<void, unknown, Scope.Scope>))

  describe("a gate of tasks that wait together in PostgreSQL is closed", () => {
    closed("where more of a page have its key than may run", Effect.void, ["tenant=1"], ["tenant=2"], ["tenant=1"], [
      "tenant=1"
    ])

    closed(
      "where a task runs that has its key next to another",
      Effect.andThen(add(through("tenant=1", "other=1"), through("other=1", "tenant=1")), takeIds()),
      ["tenant=2"],
      ["tenant=1"]
    )

    closed(
      "where so many run that those with its key are looked up",
      Effect.andThen(
        addAll([1, 1, ...Array.from({ length: 50 }, (_, index) => index + 3)].map((key) => through(`tenant=${key}`))),
        takeIds()
      ),
      ["tenant=2"],
      ["tenant=1"]
    )

    closed("by the other of two limits", setLimit("tenants", { max: 0 }), ["tenant=1"], ["tenants=1"])

    closed("by another limit of the same task", setLimit("other", { max: 0 }), ["tenant=1"], ["tenant=2", "other=1"])

    closed("by the limit of its key alone", setLimit("tenant=2", { max: 0 }), ["tenant=1"], ["tenant=2"])

    closed("by the pause of its key", putRecord(Gates.pausedKeyKind, "tenant=2", {}), ["tenant=1"], ["tenant=2"])

    closed("by a breaker that is open", setLimit("tenant", { max: 2, notBefore: Number.MAX_SAFE_INTEGER }), [
      "tenant=1"
    ])

    closed(
      "by a limit whose record begins with something else",
      putRecord(Gates.limitKind, "tenant", { tag: 9, max: 1 }),
      ["tenant=1"],
      ["tenant=1"]
    )
  })
})
