import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { existsSync } from "node:fs"
import { type AddressInfo, createServer, type Server } from "node:net"
import * as Postgres from "./Postgres.ts"
import * as Program from "./Program.ts"
import * as Redis from "./Redis.ts"
import { withServer } from "./withServer.ts"

describe("A server that takes connections and never answers", () => {
  /** Its port. */
  const mute = Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => {})
        server.once("close", () => socket.destroy())
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.emit("close")
        server.close()
      })
  ).pipe(Effect.map((server) => (server.address() as AddressInfo).port))

  it.live("is none for the tests, and is not waited for", () =>
    Effect.gen(function*() {
      const port = yield* mute
      const answers = yield* Effect.all([
        Program.answers(Redis.command(`redis://127.0.0.1:${port}`, "PING"), "1 second"),
        Program.answers(Postgres.query(`postgres://postgres@127.0.0.1:${port}/postgres`, "SELECT 1"), "1 second")
      ], { concurrency: 2 })
      assert.deepStrictEqual(answers, [false, false])
    }))
})

await withServer("PostgreSQL", Postgres.find, (postgres) => {
  describe("The PostgreSQL of the tests", () => {
    it.live("gives a database of one's own, and takes it back", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const url = yield* Scope.provide(Postgres.scratchDatabase(postgres), scope)
        yield* Postgres.query(url, "CREATE TABLE mine (n int)")
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Postgres.query(url, "SELECT 1"))))
      }))

    it.live("gives a schema of one's own, and takes it back", () =>
      Effect.gen(function*() {
        const schema = yield* Effect.scoped(Effect.gen(function*() {
          const schema = yield* Postgres.scratchSchema(postgres)
          yield* Postgres.query(postgres.url, `CREATE SCHEMA ${schema} CREATE TABLE mine (n int)`)
          return schema
        }))
        const left = yield* Postgres.query(
          postgres.url,
          `SELECT 1 FROM information_schema.schemata WHERE schema_name = '${schema}'`
        )
        assert.deepStrictEqual(left, [])
      }))
  })
})

await withServer("Redis", Redis.find, (redis) => {
  describe("The Redis of the tests", () => {
    it.live("gives keys of one's own, and takes them back", () =>
      Effect.gen(function*() {
        const keys = yield* Effect.scoped(Effect.gen(function*() {
          const prefix = yield* Redis.scratchPrefix(redis)
          const keys = [`${prefix}:a`, `{${prefix}}:b`]
          for (const key of keys) yield* Redis.command(redis.url, "SET", key, "1")
          assert.strictEqual(yield* Redis.command(redis.url, "EXISTS", ...keys), 2)
          return keys
        }))
        assert.strictEqual(yield* Redis.command(redis.url, "EXISTS", ...keys), 0)
      }))
  })
})

await withServer("a PostgreSQL of its own", Postgres.installed, () => {
  describe("A PostgreSQL that a test starts", () => {
    it.live("keeps what is committed through a crash, and leaves nothing behind", () =>
      Effect.gen(function*() {
        const folder = yield* Effect.scoped(Effect.gen(function*() {
          const server = yield* Postgres.start()
          yield* Postgres.query(server.url, "CREATE TABLE kept AS SELECT 7 AS n")
          yield* server.kill("SIGQUIT")
          assert.isTrue(Exit.isFailure(yield* Effect.exit(Postgres.query(server.url, "SELECT 1"))))
          yield* server.start
          assert.deepStrictEqual(yield* Postgres.query(server.url, "SELECT n FROM kept"), [{ n: 7 }])
          return server.folder
        }))
        assert.isFalse(existsSync(folder))
      }))
  })
})

await withServer("a Redis of its own", Redis.installed, () => {
  describe("A Redis that a test starts", () => {
    it.live("keeps what is appended through a kill, and leaves nothing behind", () =>
      Effect.gen(function*() {
        const folder = yield* Effect.scoped(Effect.gen(function*() {
          const server = yield* Redis.start({ appendonly: "yes", appendfsync: "always" })
          yield* Redis.command(server.url, "SET", "kept", "7")
          yield* server.kill("SIGKILL")
          yield* server.start
          assert.strictEqual(yield* Redis.command(server.url, "GET", "kept"), "7")
          return server.folder
        }))
        assert.isFalse(existsSync(folder))
      }))
  })
})
