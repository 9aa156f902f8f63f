import { Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { Client } from "pg"

/** The server that the contenders share: `BENCH_POSTGRES_URL`, else the one on the default port. */
export const url = process.env["BENCH_POSTGRES_URL"] ?? "postgres://postgres@127.0.0.1:5432/postgres"

/** One connection beside the contender's own. */
export const connect: Effect.Effect<Client, unknown, Scope.Scope> = Effect.acquireRelease(
  Effect.tryPromise(async () => {
    const client = new Client({ connectionString: url })
    await client.connect()
    return client
  }),
  (client) => Effect.promise(() => client.end())
)

/** A schema name that nobody uses; it is dropped with the scope. Take it first, so that it goes last. */
export const schema: Effect.Effect<string, unknown, Scope.Scope> = Effect.gen(function*() {
  const client = yield* connect
  return yield* Effect.acquireRelease(
    Effect.sync(() => `bench_${randomBytes(6).toString("hex")}`),
    (name) => Effect.promise(() => client.query(`DROP SCHEMA IF EXISTS "${name}" CASCADE`))
  )
})

/** Vacuums and analyzes the tables of a schema, as the server does some time after many writes. */
export const vacuum = (schema: string): Effect.Effect<void> =>
  Effect.scoped(Effect.gen(function*() {
    const client = yield* connect
    const { rows } = yield* Effect.promise(() =>
      client.query<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = $1", [schema])
    )
    for (const { name } of rows) {
      yield* Effect.promise(() => client.query(`VACUUM (ANALYZE) "${schema}"."${name}"`))
    }
  })).pipe(Effect.orDie)
