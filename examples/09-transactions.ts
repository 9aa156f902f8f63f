/**
 * PostgreSQL: a task is enqueued in the transaction that makes it necessary, and completed in the transaction that does
 * its work. Either all of a transaction happened or nothing did.
 *
 * Run it with `DATABASE_URL=postgres://… node --conditions=source examples/09-transactions.ts`. It makes a schema in that
 * database and drops it at its end.
 */
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Effect, Layer, Schema } from "effect"
import { Engine, Task } from "taskforge"
import { PostgresStore } from "taskforge/postgres"

const schema = "taskforge_example"
const orders = `${schema}.orders`

const Ship = Task.make("ship", {
  payload: { order: Schema.Int },
  success: Schema.Struct({ shipped: Schema.Int }),
  retry: { times: 3 }
})

const ShipLive = Ship.toLayer(
  Effect.fn("ship")(function*({ order }) {
    const sql = yield* PgClient.PgClient
    // The order's new state and the end of the task are committed together. If this attempt had lost its task, `complete`
    // would fail and the order would stay as it was
    return yield* Effect.orDie(sql.withTransaction(Effect.gen(function*() {
      yield* sql.unsafe(`UPDATE ${orders} SET state = 'shipped' WHERE id = $1`, [order])
      return yield* Ship.complete({ shipped: order })
    })))
  })
)

const program = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  yield* sql.unsafe(`CREATE TABLE ${orders} (id int PRIMARY KEY, state text NOT NULL)`)
  const placed = (id: number) =>
    Effect.andThen(sql.unsafe(`INSERT INTO ${orders} VALUES ($1, 'placed')`, [id]), Ship.enqueue({ order: id }))

  // No order without its task, and no task without its order
  const handle = yield* sql.withTransaction(placed(1))
  yield* Effect.ignore(sql.withTransaction(Effect.andThen(placed(2), Effect.fail("the customer changed her mind"))))

  const { shipped } = yield* handle.result
  const states = yield* sql.unsafe(`SELECT id, state FROM ${orders}`)
  yield* Console.log(`order ${shipped} has been shipped:`, JSON.stringify(states))
})

const Live = Engine.layer(ShipLive).pipe(Layer.provide(PostgresStore.layer({ schema })))

const Client = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })

const cleanUp = Effect.ignore(
  PgClient.PgClient.use((sql) => sql.unsafe(`DROP SCHEMA IF EXISTS ${schema} CASCADE`))
)

// The schema is dropped once the engine has stopped
const both = Effect.provide(program, Live).pipe(Effect.ensuring(cleanUp))

await Effect.runPromise(Effect.provide(both, Client))

// It prints:
// order 1 has been shipped: [{"id":1,"state":"shipped"}]
