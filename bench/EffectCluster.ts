/** Effect's workflow engine for clusters, alone in its cluster and with its default settings, on a database of its own. */
import { NodeCrypto } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted, type Scope, Semaphore, Stream } from "effect"
import { ClusterWorkflowEngine, SingleRunner } from "effect/cluster"
import { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import type { WorkflowEngine } from "effect/workflow"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync, type StatementSync } from "node:sqlite"

/** The engine on a database of this kind, which is removed with the scope. */
export const newEngine = Effect.fnUntraced(function*(kind: string): Effect.fn.Return<
  Layer.Layer<WorkflowEngine.WorkflowEngine, unknown>,
  unknown,
  Scope.Scope
> {
  return ClusterWorkflowEngine.layer.pipe(
    Layer.provideMerge(SingleRunner.layer()),
    Layer.provide([yield* kind === "postgres" ? postgres : sqlite, NodeCrypto.layer])
  )
})

const postgres = Effect.gen(function*() {
  const { connect, schema, url } = yield* Effect.promise(() => import("./postgres.ts"))
  const search_path = yield* schema
  const client = yield* connect
  yield* Effect.promise(() => client.query(`CREATE SCHEMA "${search_path}"`))
  return PgClient.layer({ url: Redacted.make(url), startupParameters: { search_path } })
})

const sqlite = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "bench-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  return sqliteClient(join(folder, "cluster.db"))
})

/**
 * A client for SQLite. `@effect/sql-sqlite-node` has no release for this version of Effect; this is what it does: one connection, a
 * log that is synced before a commit answers, statements that are prepared once.
 */
const sqliteClient = (path: string): Layer.Layer<SqlClient.SqlClient> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function*() {
      const db = yield* Effect.acquireRelease(
        Effect.sync(() => new DatabaseSync(path)),
        (db) => Effect.sync(() => db.close())
      )
      db.exec("PRAGMA journal_mode = WAL")
      const prepared = new Map<string, StatementSync>()
      const run = (sql: string, params: ReadonlyArray<unknown>, arrays = false) =>
        Effect.try({
          try: () => {
            let statement = prepared.get(sql)
            if (statement === undefined) prepared.set(sql, statement = db.prepare(sql))
            statement.setReturnArrays(arrays)
            if (statement.columns().length > 0) return statement.all(...params as Array<any>) as Array<any>
            statement.run(...params as Array<any>)
            return []
          },
          catch: (cause) =>
            new SqlError.SqlError({
              reason: SqlError.classifySqliteError(cause, {
                message: "Failed to execute statement",
                operation: "execute"
              })
            })
        })
      const connection: SqlConnection.Connection = {
        execute: (sql, params, transform) => {
          const rows = run(sql, params)
          return transform === undefined ? rows : Effect.map(rows, transform)
        },
        executeRaw: run,
        executeStream: () => Stream.die("No streams here"),
        executeValues: (sql, params) => run(sql, params, true),
        executeValuesUnprepared: (sql, params) => run(sql, params, true),
        executeUnprepared: (sql, params, transform) => {
          const rows = run(sql, params)
          return transform === undefined ? rows : Effect.map(rows, transform)
        }
      }
      return yield* SqlClient.make({
        ...SqlClient.makeSqliteAcquirers({
          connection: Effect.succeed(connection),
          semaphore: Semaphore.makeUnsafe(1),
          isTransaction: () => db.isTransaction
        }),
        compiler: Statement.makeCompilerSqlite(),
        driver: "sqlite-node",
        spanAttributes: [],
        prepareTransactionControls: true
      })
    })
  ).pipe(Layer.provide(Reactivity.layer))
