/**
 * The store behind PgBouncer in transaction mode, where a connection has another session of the server for each
 * transaction.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Effect,
  Fiber,
  Layer,
  Logger,
  Redacted,
  Schedule,
  Schema,
  type Scope,
  Semaphore
} from "effect"
import { Engine, Task, TaskStore } from "../../../src/index.ts"
import { Notifier } from "../../../src/store/Notifier.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { patiently } from "../../Patience.ts"
import * as PgBouncer from "../../servers/PgBouncer.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"

const Pay = Task.make("pay", {
  payload: { amount: Schema.Int },
  success: Schema.Struct({ paid: Schema.Int }),
  retry: { times: 5, schedule: Schedule.spaced("10 millis") }
})

await withServer("PgBouncer", PgBouncer.pooled, ({ direct, pooler }) => {
  const test = (name: string, body: (schema: string) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.live(name, () => Effect.scoped(Effect.flatMap(Postgres.scratchSchema(direct), body)))

  const storeAt = (schema: string, options: Partial<PostgresStore.ConnectionOptions> = {}) =>
    Layer.fresh(PostgresStore.layerUrl({ url: pooler.url, schema, ...options }))

  // One at a time: two would end each other's session
  const kill = Semaphore.makeUnsafe(1).withPermit(
    Postgres.query<{ killed: number }>(
      direct.url,
      `SELECT count(pg_terminate_backend(pid))::int AS killed FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`
    )
  )

  test("an engine works behind it, also in the application's transactions and while sessions are ended", (schema) =>
    Effect.gen(function*() {
      const tasks = 60
      const pay = ({ amount }: { readonly amount: number }) =>
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* sql.unsafe(`INSERT INTO "${schema}".ledger VALUES ($1)`, [amount])
            yield* sql.withTransaction(sql`SELECT 1`)
            yield* Effect.orDie(Pay.complete({ paid: amount }))
          })).pipe(Effect.orDie)
          return { paid: -1 }
        })
      const program = Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        yield* sql.unsafe(`CREATE TABLE "${schema}".ledger (amount int)`)
        const amounts = Array.from({ length: tasks }, (_, index) => index)
        const handles = yield* Effect.forEach(
          amounts,
          (amount) =>
            Effect.gen(function*() {
              if (amount % 20 === 10) yield* kill
              const enqueue = Pay.enqueue({ amount }, { id: `pay-${amount}` })
              // the owner of a transaction repeats it
              return yield* amount % 2 === 0
                ? Effect.retry(Effect.sandbox(sql.withTransaction(enqueue)), { times: 20 })
                : enqueue
            }),
          { concurrency: 5 }
        )
        const paid = yield* Effect.forEach(handles, ({ result }) => result, { concurrency: "unbounded" })
        assert.deepStrictEqual(paid, amounts.map((amount) => ({ paid: amount })))
        const rows = yield* sql.unsafe<{ amount: number }>(`SELECT amount FROM "${schema}".ledger ORDER BY amount`)
        assert.deepStrictEqual(rows.map(({ amount }) => amount), amounts)
        const store = yield* TaskStore
        assert.strictEqual((yield* store.counts).completed, tasks)
      })
      yield* Effect.provide(
        program,
        Engine.layer(Pay.toLayer(pay), { worker: { concurrency: 5, pollInterval: "50 millis" } }).pipe(
          Layer.provideMerge(storeAt(schema))
        )
      )
    }))

  /** How a store there learns of what others do, once it is known. */
  const arrivingAt = (schema: string, url: string, expected: "hints" | "polling") =>
    Effect.scoped(Effect.gen(function*() {
      const { arriving } = Context.get(yield* Layer.build(storeAt(schema, { url })), Notifier)
      const known = Effect.filterOrFail(arriving ?? Effect.never, (by) => by === expected)
      return yield* Effect.retry(known, patiently())
    }))

  test("it polls for the work of others, and says so", (schema) =>
    Effect.gen(function*() {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ message }) => lines.push(message))
      yield* Effect.provide(arrivingAt(schema, pooler.url, "polling"), Logger.layer([logger]))
      assert.match(String(lines), /a connection pooler shares the server's sessions.*polling/)
    }))

  test("its transactions keep to the timeouts, which the pooler does not take for the session", (schema) =>
    Effect.gen(function*() {
      const context = yield* Layer.build(storeAt(schema, { lockTimeout: "100 millis" }))
      const sql = Context.get(context, PgClient.PgClient)
      const store = Context.get(context, TaskStore)
      const locked = Deferred.makeUnsafe<void>()
      const lock = Effect.andThen(sql.unsafe(`LOCK TABLE "${schema}".task`), Deferred.succeed(locked, undefined))
      const fiber = yield* Effect.forkChild(sql.withTransaction(Effect.andThen(lock, Effect.never)))
      yield* Deferred.await(locked)
      const error = yield* Effect.flip(store.cancel(["a"]))
      yield* Fiber.interrupt(fiber)
      assert.include(error.message, "lock_timeout")
    }))

  test("a client that prepares statements is refused, because its transactions would fail", (schema) =>
    Effect.gen(function*() {
      const withClient = (prepare: boolean, options: PostgresStore.Options = {}) =>
        Layer.build(Layer.fresh(
          PostgresStore.layer({ schema, ...options }).pipe(
            Layer.provide(PgClient.layer({ url: Redacted.make(pooler.url), prepare }))
          )
        ))
      const error = yield* Effect.flip(withClient(true))
      assert.strictEqual(error._tag, "StoreIncompatible")
      assert.match(error.message, /prepare: false/)
      yield* withClient(false)
    }))

  test("in session mode, and without a pooler, hints arrive", (schema) =>
    Effect.gen(function*() {
      const session = yield* PgBouncer.start(direct, { pool_mode: "session", default_pool_size: "20" })
      for (const { url } of [session, direct]) yield* arrivingAt(schema, url, "hints")
    }))

  test("a connection that was left in a failed transaction works again", (schema) =>
    Effect.gen(function*() {
      const context = yield* Layer.build(storeAt(schema, { url: direct.url, maxConnections: 4 }))
      const sql = Context.get(context, PgClient.PgClient)
      const store = Context.get(context, TaskStore)
      // all that are free at once
      yield* Effect.forEach([1, 2, 3], () =>
        Effect.scoped(Effect.gen(function*() {
          const connection = yield* sql.reserve
          yield* connection.executeUnprepared("BEGIN", [], undefined)
          yield* Effect.exit(connection.executeUnprepared("SELECT 1 / 0", [], undefined))
          yield* Effect.sleep("100 millis")
        })), { concurrency: 3 })
      yield* Effect.forEach([1, 2, 3], () => store.counts, { concurrency: 3 })
      yield* Effect.forEach([1, 2, 3], () => store.cancel(["a"]), { concurrency: 3 })
    }))
})
