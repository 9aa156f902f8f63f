/**
 * PostgreSQL for tests: the server that `TEST_POSTGRES_URL` names, else the one on the default port, else one that is
 * started from an installed binary.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { dirname, join } from "node:path"
import * as Program from "./Program.ts"

/** A server that answers. */
export interface PostgresServer {
  /** Its address, with a database and a user that may create schemas and databases. */
  readonly url: string
}

/** A server that belongs to the test: it may be killed and started again. */
export interface OwnPostgres extends PostgresServer, Program.Program {}

const variable = "TEST_POSTGRES_URL"
const onDefaultPort = "postgres://postgres@127.0.0.1:5432/postgres"

/** The server that tests share, started if there is none. */
export const find: Effect.Effect<PostgresServer, Program.ServerMissing, Scope.Scope> = Effect.gen(function*() {
  const named = process.env[variable]
  if (named !== undefined && named !== "") {
    if (yield* Program.answers(query(named, "SELECT 1"))) return { url: named }
    return yield* new Program.ServerMissing({ reason: `${variable}=${named} names a PostgreSQL that does not answer` })
  }
  // Without fsync: what these servers store is gone with the tests anyway
  return (yield* Program.answers(query(onDefaultPort, "SELECT 1")))
    ? { url: onDefaultPort }
    : yield* start(["fsync=off", "synchronous_commit=off"])
})

/** The program, for tests that start a server of their own. */
export const installed: Effect.Effect<string, Program.ServerMissing> = Effect.suspend(() => {
  const binary = Program.findBinary(["postgres"], Program.versionsIn("/usr/lib/postgresql", "bin"))
  return binary === undefined
    ? new Program.ServerMissing({
      reason:
        `There is no PostgreSQL: set ${variable}, start one on port 5432, or install it (apt-get install postgresql)`
    })
    : Effect.succeed(binary)
})

/** Starts a server of the test's own, whatever else runs. `settings` are lines of its configuration. */
export const start = Effect.fnUntraced(function*(
  settings: ReadonlyArray<string> = []
): Effect.fn.Return<OwnPostgres, Program.ServerMissing, Scope.Scope> {
  const binary = yield* installed
  const user = Program.unprivileged(["postgres", "nobody"])
  const folder = yield* Program.folderFor(user, "postgres")
  const data = join(folder, "data")
  yield* Effect.try({
    try: () =>
      execFileSync(
        join(dirname(binary), "initdb"),
        ["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"],
        { cwd: folder, stdio: "pipe", ...user }
      ),
    catch: (cause) => new Program.ServerMissing({ reason: `initdb failed: ${cause}` })
  })
  const program = yield* Program.run({
    binary,
    folder,
    user,
    // Ends it as a crash would: it is quick, and there is nothing to keep
    stopSignal: "SIGQUIT",
    args: (port) => [
      "-D",
      data,
      "-p",
      String(port),
      "-k",
      folder,
      "-c",
      "listen_addresses=127.0.0.1",
      ...settings.flatMap((setting) => ["-c", setting])
    ],
    isReady: (port) => query(urlAt(port), "SELECT 1")
  })
  return { ...program, url: urlAt(program.port) }
})

/** A schema name that nobody uses; the schema, if there is one by then, is dropped with the scope. */
export const scratchSchema = (server: PostgresServer): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(scratchName),
    (schema) => Effect.ignore(query(server.url, `DROP SCHEMA IF EXISTS "${schema}" CASCADE`))
  )

/** The address of an empty database, which is dropped with the scope. */
export const scratchDatabase = (server: PostgresServer): Effect.Effect<string, unknown, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const name = scratchName()
      return Effect.as(query(server.url, `CREATE DATABASE "${name}"`), name)
    }),
    (name) => Effect.ignore(query(server.url, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`))
  ).pipe(Effect.map((name) => {
    const url = new URL(server.url)
    url.pathname = `/${name}`
    return url.href
  }))

/** One statement on a connection of its own. */
export const query = <Row extends object = Record<string, unknown>>(
  url: string,
  statement: string
): Effect.Effect<ReadonlyArray<Row>, unknown> =>
  PgClient.PgClient.use((sql) => sql.unsafe<Row>(statement)).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(url), connectTimeout: "1 minute", maxConnections: 1 })),
    Effect.timeout("2 minutes")
  )

const urlAt = (port: number): string => `postgres://postgres@127.0.0.1:${port}/postgres`

const scratchName = (): string => `taskforge_test_${randomBytes(6).toString("hex")}`
