import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { HttpClient } from "effect/http"
import { copyFileSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as SqliteStore from "../../../src/store/sqlite/SqliteStore.ts"
import { until } from "../../e2e/Server.ts"
import { untilGreen, untilRed } from "../../http/StoreHealth.ts"
import { expecting, get, layer, post, posted, send } from "../../http/TestServer.ts"
import * as SmallDisk from "../../servers/SmallDisk.ts"
import { withServer } from "../../servers/withServer.ts"
import { file } from "./fixtures.ts"

/** A server that only takes tasks, on a database at a path. */
const serving = <A, E, R>(path: string, body: Effect.Effect<A, E, R>) =>
  Effect.provide(body, layer({ store: Layer.orDie(SqliteStore.layer({ path })) }))

const large = { type: "echo", payload: "x".repeat(100_000) }

const created = (task: unknown): Effect.Effect<string, never, HttpClient.HttpClient> =>
  Effect.map(posted(task), ({ id }) => id)

await withServer("a small disk", SmallDisk.find, (mount) => {
  describe("a full disk", () => {
    it.live(
      "turns health red, lets tasks be cancelled and removed, and is over by itself",
      () =>
        Effect.gen(function*() {
          const { fill, folder } = yield* mount(16)
          const path = join(folder, "tasks.db")
          yield* serving(
            path,
            Effect.gen(function*() {
              const ids = yield* Effect.forEach(Array.from({ length: 20 }), () => created(large))
              yield* untilReserved(path)
              const filler = yield* fill
              yield* until("a task is refused", Effect.map(post(large), ({ status }) => status === 503))

              assert.deepInclude(yield* untilRed, {
                what_to_do:
                  "free some space on the disk of the database, or remove tasks; cancelling and removing tasks still works"
              })
              // reads go on
              yield* expecting(200, get("/api/v1/stats"))

              for (const id of ids) yield* expecting(200, send("POST", `/api/v1/tasks/${id}/cancel`))
              for (const id of ids.slice(0, 10)) yield* expecting(204, send("DELETE", `/api/v1/tasks/${id}`))
              rmSync(filler)
              yield* untilGreen
              yield* created(large)
              assert.isAtLeast(reserveOf(path), 4 * 1024 * 1024)
            })
          )
        }).pipe(Effect.scoped)
    )

    it.live("lets a server start on it, and tasks be removed from a store", () =>
      Effect.gen(function*() {
        const { fill, folder } = yield* mount(32)
        const path = join(folder, "tasks.db")
        const ids = yield* serving(
          path,
          Effect.tap(Effect.forEach(Array.from({ length: 60 }), () => created(large)), () => untilReserved(path))
        )
        const filler = yield* fill
        yield* serving(
          path,
          Effect.gen(function*() {
            // Where its log has become small since, the reserve was larger than it has to be
            yield* until("a task is refused", Effect.map(post(large), ({ status }) => status === 503))
            assert.match((yield* untilRed)!.what_to_do!, /^free some space on the disk/)
            for (const id of ids.slice(0, 10)) yield* expecting(200, send("POST", `/api/v1/tasks/${id}/cancel`))
            for (const id of ids.slice(0, 10)) yield* expecting(204, send("DELETE", `/api/v1/tasks/${id}`))
          })
        )
        rmSync(filler)
        yield* serving(path, Effect.andThen(untilGreen, created(large)))
      }).pipe(Effect.scoped))

    it.live("is over when enough tasks have been removed", () =>
      Effect.gen(function*() {
        const { fill, folder } = yield* mount(32)
        const path = join(folder, "tasks.db")
        yield* serving(
          path,
          Effect.gen(function*() {
            const ids = yield* Effect.forEach(Array.from({ length: 60 }), () => created(large))
            yield* untilReserved(path)
            yield* fill
            yield* until("a task is refused", Effect.map(post(large), ({ status }) => status === 503))
            yield* untilRed
            for (const id of ids) {
              yield* expecting(200, send("POST", `/api/v1/tasks/${id}/cancel`))
              yield* expecting(204, send("DELETE", `/api/v1/tasks/${id}`))
            }
            yield* untilGreen
            yield* Effect.forEach(Array.from({ length: 5 }), () => created(large))
          })
        )
      }).pipe(Effect.scoped))
  })
})

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

const reserveOf = (path: string): number => sizeOf(`${path}-reserve`)

/** Waits until the reserve is as large as it has to be. */
const untilReserved = (path: string) =>
  until("there is a reserve", Effect.sync(() => reserveOf(path) >= 4 * 1024 * 1024 + sizeOf(`${path}-wal`)))

describe("a database that is not where it was", () => {
  it.live.each([
    { what: "it was deleted", act: (path: string) => rmSync(path) },
    {
      what: "it was replaced",
      act: (path: string) => {
        copyFileSync(path, `${path}.copy`)
        renameSync(`${path}.copy`, path)
      }
    },
    { what: "its log was deleted", act: (path: string) => rmSync(`${path}-wal`) }
  ])("takes no tasks once $what", ({ act }) =>
    Effect.gen(function*() {
      const path = yield* file
      yield* serving(
        path,
        Effect.gen(function*() {
          yield* created({ type: "echo" })
          yield* untilGreen
          act(path)
          assert.deepInclude(yield* untilRed, {
            what_to_do:
              "put the file back where it was, or stop all servers on it, restore it from a backup, and start them again"
          })
          yield* expecting(503, post({ type: "echo" }))
        })
      )
    }).pipe(Effect.scoped))

  it.live("takes tasks again once the file is back", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* serving(
        path,
        Effect.gen(function*() {
          yield* created({ type: "echo" })
          renameSync(path, `${path}.away`)
          yield* until("tasks are refused", Effect.map(post({ type: "echo" }), ({ status }) => status === 503))
          renameSync(`${path}.away`, path)
          yield* untilGreen
          yield* created({ type: "echo" })
        })
      )
    }).pipe(Effect.scoped))
})

describe("a table that somebody removed", () => {
  it.live("turns health red with what to do, until it is back", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* serving(
        path,
        Effect.gen(function*() {
          yield* created({ type: "echo" })
          const other = yield* Effect.acquireRelease(
            Effect.sync(() => new DatabaseSync(path, { timeout: 5000 })),
            (database) => Effect.sync(() => database.close())
          )
          other.exec("ALTER TABLE task RENAME TO away")
          yield* expecting(503, post({ type: "echo" }))
          assert.deepInclude(yield* untilRed, {
            what_to_do:
              "restore the database from a backup, or stop the server, move the file away and start with an " +
              "empty one"
          })
          other.exec("ALTER TABLE away RENAME TO task")
          yield* untilGreen
          yield* created({ type: "echo" })
        })
      )
    }).pipe(Effect.scoped))
})
