import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { chownSync } from "node:fs"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { until } from "../../e2e/Server.ts"
import { trouble, untilGreen, untilRed } from "../../http/StoreHealth.ts"
import { expecting, get, layer, post, posted } from "../../http/TestServer.ts"
import * as Postgres from "../../servers/Postgres.ts"
import * as Program from "../../servers/Program.ts"
import * as SmallDisk from "../../servers/SmallDisk.ts"
import { withServer } from "../../servers/withServer.ts"

const storeOn = (url: string, schema: string) =>
  Layer.orDie(PostgresStore.layerUrl({ url, schema, maxConnections: 3, prepare: true }))

const task = { type: "echo", payload: "x".repeat(10_000) }

await withServer("PostgreSQL", Postgres.find, ({ url }) => {
  describe("a schema that somebody dropped", () => {
    it.live("turns health red with what to do, until it is back", () =>
      Effect.gen(function*() {
        const schema = yield* Postgres.scratchSchema({ url })
        yield* Effect.gen(function*() {
          yield* posted(task)
          yield* untilGreen
          yield* Postgres.query(url, `DROP SCHEMA "${schema}" CASCADE`)
          yield* expecting(503, post(task))
          assert.include((yield* untilRed)?.what_to_do, "taskforge migrate")
          yield* Effect.scoped(Layer.build(storeOn(url, schema)))
          yield* untilGreen
          yield* posted(task)
        }).pipe(Effect.provide(layer({ store: storeOn(url, schema) })))
      }).pipe(Effect.scoped))

    it.live.each(["record", "event_batch", "instance", "setting", "rate_limit", "claim_number"])(
      "turns health red with what is gone, when that is only its %s",
      (name) =>
        Effect.gen(function*() {
          const schema = yield* Postgres.scratchSchema({ url })
          yield* Effect.scoped(Layer.build(storeOn(url, schema)))
          yield* Postgres.query(url, `CREATE TABLE "${schema}".mine (a int)`)
          yield* Effect.gen(function*() {
            yield* untilGreen
            const kind = name === "claim_number" ? "SEQUENCE" : "TABLE"
            // An application's own table is its own business
            yield* Postgres.query(url, `DROP TABLE "${schema}".mine`)
            yield* Postgres.query(url, `ALTER ${kind} "${schema}".${name} RENAME TO moved`)
            const red = yield* untilRed
            assert.include(red?.what_to_do, "drop what is left of the schema")
            yield* Postgres.query(url, `ALTER ${kind} "${schema}".moved RENAME TO ${name}`)
            yield* untilGreen
          }).pipe(Effect.provide(layer({ store: storeOn(url, schema) })))
        }).pipe(Effect.scoped)
    )
  })
})

await withServer("a small disk and PostgreSQL", Effect.andThen(Postgres.installed, SmallDisk.find), (mount) => {
  describe("PostgreSQL whose disk is full", () => {
    it.live("turns health red although it answers reads, and green by itself", () =>
      Effect.gen(function*() {
        const { fill, folder } = yield* mount(8)
        const user = Program.unprivileged(["postgres", "nobody"])
        if (user !== undefined) chownSync(folder, user.uid, user.gid)
        const { url } = yield* Postgres.start(["fsync=off"])
        yield* Effect.gen(function*() {
          yield* posted(task)
          yield* untilGreen
          yield* Postgres.query(url, `CREATE TABLESPACE small LOCATION '${folder}'`)
          yield* Postgres.query(url, "ALTER TABLE taskforge.task SET TABLESPACE small")
          const filler = yield* fill
          yield* until(
            "a task is refused",
            Effect.map(post({ ...task, payload: random() }), ({ status }) => status === 503)
          )
          const red = yield* untilRed
          assert.include(red?.what_to_do, "free some space on the disk of PostgreSQL")
          yield* expecting(200, get("/api/v1/stats"))
          yield* Effect.sleep("1500 millis")
          assert.strictEqual((yield* trouble)?.since, red?.since)
          yield* SmallDisk.remove(filler)
          yield* untilGreen
          yield* posted(task)
          // the tablespace goes before its disk does
          yield* Postgres.query(url, "ALTER TABLE taskforge.task SET TABLESPACE pg_default")
        }).pipe(Effect.provide(layer({ store: storeOn(url, "taskforge") })))
      }).pipe(Effect.scoped))
  })
})

/** Text that does not compress. */
function random(): string {
  return Array.from({ length: 3000 }, (_, index) => (Math.imul(index + 1, 2_654_435_761) >>> 0).toString(36)).join("")
}
