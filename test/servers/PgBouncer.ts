/**
 * PgBouncer for tests, in front of a PostgreSQL: started from an installed binary, in transaction mode unless the test
 * says otherwise.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { find, type PostgresServer, scratchDatabase } from "./Postgres.ts"
import * as Program from "./Program.ts"

/** A pooler that belongs to the test. */
export interface OwnPgBouncer extends PostgresServer, Program.Program {}

/** The program. */
export const installed: Effect.Effect<string, Program.ServerMissing> = Effect.suspend(() => {
  const binary = Program.findBinary(["pgbouncer"])
  return binary === undefined
    ? new Program.ServerMissing({ reason: "There is no PgBouncer: install it (apt-get install pgbouncer)" })
    : Effect.succeed(binary)
})

/** Starts a pooler in front of a server. `settings` are lines of its configuration. */
export const start = Effect.fnUntraced(function*(
  server: PostgresServer,
  settings: Readonly<Record<string, string>> = {}
): Effect.fn.Return<OwnPgBouncer, Program.ServerMissing, Scope.Scope> {
  const binary = yield* installed
  // It refuses to run as root, as PostgreSQL does
  const user = Program.unprivileged(["postgres", "nobody"])
  const folder = yield* Program.folderFor(user, "pgbouncer")
  const target = new URL(server.url)
  const file = join(folder, "pgbouncer.ini")
  const configurationFor = (port: number) => {
    const values = {
      listen_addr: "127.0.0.1",
      listen_port: String(port),
      unix_socket_dir: "",
      // whoever asks is let in as the user of the address below
      auth_type: "any",
      pool_mode: "transaction",
      default_pool_size: "8",
      max_client_conn: "200",
      ...settings
    }
    const password = target.password === "" ? "" : ` password=${decodeURIComponent(target.password)}`
    return [
      "[databases]",
      `* = host=${target.hostname} port=${target.port || "5432"} user=${
        decodeURIComponent(target.username)
      }${password}`,
      "[pgbouncer]",
      ...Object.entries(values).map(([name, value]) => `${name} = ${value}`)
    ].join("\n")
  }
  const urlAt = (port: number): string => {
    const url = new URL(server.url)
    url.hostname = "127.0.0.1"
    url.port = String(port)
    return url.href
  }
  const program = yield* Program.run({
    binary,
    folder,
    user,
    stopSignal: "SIGKILL",
    args: (port) => {
      writeFileSync(file, configurationFor(port))
      return [file]
    },
    isReady: (port) => answers(urlAt(port))
  })
  return { ...program, url: urlAt(program.port) }
})

/** A database of the tests' own, and a pooler in front of it. */
export const pooled = Effect.gen(function*() {
  const server = yield* find
  const direct = { url: yield* Effect.orDie(scratchDatabase(server)) }
  return { direct, pooler: yield* start(direct) }
})

const answers = (url: string) =>
  PgClient.PgClient.use((sql) => sql`SELECT 1`).pipe(
    Effect.provide(
      PgClient.layer({ url: Redacted.make(url), connectTimeout: "1 minute", maxConnections: 1, prepare: false })
    )
  )
