/**
 * Handlers on the store's own database whose session is ended, or who catch a statement's error: their attempts end the
 * same way at whatever moment it happens, and nothing counts as done that was not committed.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schedule, Schema } from "effect"
import { SqlError } from "effect/sql/SqlError"
import { Engine, Task, type TaskContext, type TaskQueue, TaskStore } from "../../../src/index.ts"
import type { StoreServices } from "../../../src/store/Driver.ts"
import { EventLog } from "../../../src/store/EventLog.ts"
import { events, Notifier } from "../../../src/store/Notifier.ts"
import { patiently } from "../../Patience.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import { record } from "../conformance/fixtures.ts"
import { Schemas } from "./fixtures.ts"

const Pay = Task.make("pay", {
  payload: { amount: Schema.Int },
  success: Schema.Struct({ paid: Schema.Int }),
  error: SqlError,
  // every other error is retried for as long as the test lasts
  retry: { times: -1, schedule: Schedule.spaced("10 millis"), byTag: { SqlError: { times: 2 } } }
})

const Ship = Task.make("ship", { queue: "nobody works on it" })

await withServer("PostgreSQL", Postgres.find, (server) => {
  const schemas = new Schemas(server)
  const test = <E>(name: string, body: Effect.Effect<void, E, StoreServices | PgClient.PgClient>) =>
    it.live(name, () => Effect.provide(body, schemas.layer()))

  /** A table of the application's own; a negative amount is committed after half a minute. */
  const ledger = Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const table = `"${schemas.name}".ledger`
    yield* sql.unsafe(`DROP TABLE IF EXISTS ${table}`)
    yield* sql.unsafe(`CREATE TABLE ${table} (amount int)`)
    yield* sql.unsafe(`CREATE OR REPLACE FUNCTION "${schemas.name}".slow() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END'`)
    yield* sql.unsafe(`CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.amount < 0) EXECUTE FUNCTION "${schemas.name}".slow()`)
    return {
      write: (amount: number) => Effect.asVoid(sql.unsafe(`INSERT INTO ${table} VALUES (${amount})`)),
      amounts: Effect.map(
        Effect.orDie(sql.unsafe<{ amount: number }>(`SELECT amount FROM ${table} ORDER BY amount`)),
        (rows) => rows.map(({ amount }) => amount)
      )
    }
  })

  const sessionOf = (sql: PgClient.PgClient) =>
    Effect.map(sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`, ([row]) => row!.pid)

  /** Ends a session; with a text, only once it runs a statement with the text in it. */
  const kill = (pid: number, during = "") =>
    Effect.retry(
      Effect.filterOrFail(
        Postgres.query(
          server.url,
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE pid = ${pid} AND (query LIKE '%${during}%' AND state = 'active' OR '${during}' = '')`
        ),
        (rows) => rows.length === 1
      ),
      patiently()
    ).pipe(Effect.orDie)

  const withEngine = <A, E, R>(
    handler: () => Effect.Effect<{ readonly paid: number }, SqlError, TaskContext | TaskQueue>,
    body: Effect.Effect<A, E, R>
  ) =>
    Effect.flatMap(Effect.context<StoreServices>(), (services) =>
      Effect.provide(
        body,
        Engine.layer(Layer.mergeAll(Pay.toLayer(handler), Ship.toLayer(() => Effect.void)), {
          worker: { concurrency: 1, queues: ["default"] }
        }).pipe(Layer.provide(Layer.succeedContext(services))),
        { local: true }
      ))

  /** How the session of the handler's first attempt ends. What it does runs in the handler's transaction. */
  const moments: ReadonlyArray<{
    readonly when: string
    readonly amount: number
    readonly end: (sql: PgClient.PgClient, pid: number) => Effect.Effect<unknown, SqlError>
  }> = [
    {
      when: "during a statement",
      amount: 7,
      end: (sql, pid) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(sql`SELECT pg_sleep(30)`)
          yield* kill(pid, "pg_sleep")
          yield* Fiber.join(fiber)
        })
    },
    {
      when: "between two statements",
      amount: 7,
      end: (sql, pid) => kill(pid).pipe(Effect.andThen(Effect.sleep("100 millis")), Effect.andThen(sql`SELECT 1`))
    },
    { when: "before the commit", amount: 7, end: (_, pid) => Effect.andThen(kill(pid), Effect.sleep("100 millis")) },
    { when: "during the commit", amount: -7, end: (_, pid) => Effect.forkDetach(kill(pid, "COMMIT")) }
  ]

  for (const { amount, end, when } of moments) {
    for (const completes of [false, true]) {
      test(
        `a session that ends ${when} of a transaction ${
          completes ? "with" : "without"
        } complete: the attempt fails with ` +
          "the database's error and is retried by its rule",
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          const book = yield* ledger
          let runs = 0
          const pay = () =>
            Effect.gen(function*() {
              const first = ++runs === 1
              yield* sql.withTransaction(Effect.gen(function*() {
                const pid = yield* sessionOf(sql)
                yield* book.write(first ? amount : 7)
                yield* Effect.orDie(Ship.enqueue(undefined, { id: `shipment-${runs}` }))
                if (completes) yield* Effect.orDie(Pay.complete({ paid: runs }))
                if (first) yield* end(sql, pid)
              }))
              return { paid: runs }
            })
          yield* withEngine(
            pay,
            Effect.gen(function*() {
              const handle = yield* Pay.enqueue({ amount })
              assert.deepStrictEqual(yield* handle.result, { paid: 2 })
              const { failures, history } = yield* record(handle.id)
              assert.strictEqual(failures, 1)
              assert.deepInclude(history[0]?.failure, { kind: "error", tag: "SqlError" })
            })
          )
          assert.deepStrictEqual(yield* book.amounts, [7])
          const store = yield* TaskStore
          assert.isUndefined(yield* store.get("shipment-1"))
          assert.isDefined(yield* store.get("shipment-2"))
        })
      )
    }
  }

  test(
    "a session that ends during a plain statement fails the attempt in the same way",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      let runs = 0
      const pay = () =>
        Effect.gen(function*() {
          if (++runs > 1) return { paid: runs }
          const fiber = yield* Effect.forkChild(sql`SELECT pg_sleep(31)`)
          yield* Effect.retry(
            Effect.filterOrFail(
              Postgres.query(
                server.url,
                `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(31)'`
              ),
              (rows) => rows.length === 1
            ),
            patiently()
          ).pipe(Effect.orDie)
          yield* Fiber.join(fiber)
          return { paid: 0 }
        })
      yield* withEngine(
        pay,
        Effect.gen(function*() {
          const handle = yield* Pay.enqueue({ amount: 7 })
          assert.deepStrictEqual(yield* handle.result, { paid: 2 })
          assert.deepInclude((yield* record(handle.id)).history[0]?.failure, { kind: "error", tag: "SqlError" })
        })
      )
    })
  )

  test(
    "a session that ends each time spends the retries of the rule for its error",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const pay = () =>
        sql.withTransaction(Effect.gen(function*() {
          yield* kill(yield* sessionOf(sql))
          yield* Effect.sleep("50 millis")
          yield* sql`SELECT 1`
          return { paid: 0 }
        }))
      yield* withEngine(
        pay,
        Effect.gen(function*() {
          const handle = yield* Pay.enqueue({ amount: 7 })
          assert.propertyVal(yield* Effect.flip(handle.result), "_tag", "SqlError")
          assert.strictEqual((yield* record(handle.id)).failures, 3)
        })
      )
    })
  )

  const divide = (sql: PgClient.PgClient) => Effect.exit(sql`SELECT 1 / 0`)

  for (const order of ["before", "after"] as const) {
    test(
      `complete ${order} a statement's error that the body has caught completes nothing, and nobody is told that it did`,
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const book = yield* ledger
        const log = yield* EventLog
        const told = Effect.map(log.read(0, 1000), (page) => page.events)
        const until = <A, R>(read: Effect.Effect<A, unknown, R>, holds: (value: A) => boolean) =>
          Effect.retry(Effect.filterOrFail(read, holds), patiently())
        let runs = 0
        const pay = () =>
          Effect.gen(function*() {
            const spoils = ++runs === 1
            yield* sql.withTransaction(Effect.gen(function*() {
              yield* book.write(runs)
              if (spoils && order === "after") yield* divide(sql)
              // the handler goes on whatever they answer
              yield* Effect.exit(Ship.enqueue(undefined, { id: `shipment-${runs}` }))
              yield* Effect.exit(Pay.complete({ paid: runs }))
              if (spoils && order === "before") yield* divide(sql)
            }))
            assert.isFalse(spoils, "the transaction was committed")
            return { paid: -1 }
          })
        yield* log.attend(60_000)
        yield* withEngine(
          pay,
          Effect.gen(function*() {
            // until what happens is told, because the recorder has heard that somebody attends
            yield* Notifier.use((notifier) => notifier.publish(events))
            yield* until(
              Effect.andThen(Ship.enqueue(undefined), Effect.andThen(Effect.sleep("50 millis"), told)),
              (events) => events.length > 0
            )
            const { id, result } = yield* Pay.enqueue({ amount: 7 })
            assert.deepStrictEqual(yield* result, { paid: 2 })
            assert.deepInclude((yield* record(id)).history[0]?.failure, { kind: "error", tag: "SqlError" })
            const all = yield* until(told, (events) => events.some((one) => one.id === id && one.event === "completed"))
            const names = all.filter((one) => one.id === id).map(({ event }) => event)
            assert.deepStrictEqual(names, ["created", "started", "retrying", "started", "completed"])
            assert.deepStrictEqual(all.filter((one) => one.id === "shipment-1"), [])
          })
        )
        assert.deepStrictEqual(yield* book.amounts, [2])
        assert.isUndefined(yield* TaskStore.use((store) => store.get("shipment-1")))
      })
    )
  }

  test(
    "a statement's error that is caught around a nested transaction spoils nothing",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const book = yield* ledger
      const pay = () =>
        Effect.gen(function*() {
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* book.write(7)
            yield* Effect.exit(sql.withTransaction(Effect.andThen(book.write(8), sql`SELECT 1 / 0`)))
            yield* Effect.orDie(Pay.complete({ paid: 7 }))
          }))
          return { paid: -1 }
        })
      yield* withEngine(
        pay,
        Effect.gen(function*() {
          const handle = yield* Pay.enqueue({ amount: 7 })
          assert.deepStrictEqual(yield* handle.result, { paid: 7 })
          assert.strictEqual((yield* record(handle.id)).failures, 0)
        })
      )
      assert.deepStrictEqual(yield* book.amounts, [7])
    })
  )
})
