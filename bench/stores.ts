/** New stores for benches, each gone when its scope closes. */
import { Effect, type Layer, type Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as MemoryStore from "../src/store/memory/MemoryStore.ts"
import * as PostgresStore from "../src/store/postgres/PostgresStore.ts"
import * as RedisStore from "../src/store/redis/RedisStore.ts"
import * as SqliteStore from "../src/store/sqlite/SqliteStore.ts"

/** A place in a store. Each layer that it makes is a process of its own, as the store sees it; memory has one alone. */
export interface Place {
  (): Layer.Layer<any, unknown, Scope.Scope>
  /** Does what the server does by itself some time after many writes. */
  readonly vacuum?: Effect.Effect<void>
}

/** A new place in a store of this kind, with room for so many tasks. */
export const newPlace = Effect.fnUntraced(function*(kind: string, capacity: number) {
  if (kind === "memory") {
    const layer = MemoryStore.layer({ capacity })
    return (() => layer) as Place
  }
  if (kind === "postgres") {
    const postgres = yield* Effect.promise(() => import("./postgres.ts"))
    const { url } = postgres
    const schema = yield* postgres.schema
    return Object.assign(() => PostgresStore.layerUrl({ url, schema, capacity }), {
      vacuum: postgres.vacuum(schema)
    }) as Place
  }
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "bench-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  if (kind === "redis") {
    const redis = yield* Effect.promise(() => import("./contenders/Redis.ts"))
    const { name, url } = yield* redis.place(folder)
    return (() => RedisStore.layerUrl({ url, prefix: name, capacity })) as Place
  }
  if (kind !== "sqlite") return yield* Effect.die(`${kind}: expected memory, sqlite, postgres or redis`)
  return (() => SqliteStore.layer({ path: join(folder, "tasks.db"), capacity })) as Place
})
