/**
 * What the library ships beside the stores, as each runtime runs it: the HTTP API, handlers on threads and in
 * processes, and `sql_query`, which needs Node 24.10: `shipped.mjs FOLDER`.
 */
import { Duration, Effect, Layer } from "effect"
import { HttpServer as Listener } from "effect/http"
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import {
  Backup,
  BackupLive,
  Folders,
  Hash,
  HashLive,
  Report,
  ReportLive,
  SqlQuery,
  SqlQueryLive
} from "../../dist/handlers/index.js"
import { TaskCatalog, TaskServer } from "../../dist/http/server.js"
import { Engine, MemoryStore, ThreadPool } from "../../dist/index.js"

const folder = process.argv[2]
const database = new DatabaseSync(join(folder, "cities.db"))
database.exec("CREATE TABLE city (name TEXT, people INT); INSERT INTO city VALUES ('Berlin', 4), ('Paris', 2)")
database.close()
writeFileSync(join(folder, "cities.csv"), "city,people\nBerlin,4\nParis,2\n")

const handlers = Layer.mergeAll(BackupLive, HashLive, ReportLive, SqlQueryLive).pipe(
  Layer.provide([ThreadPool.layer({ size: 2 }), Folders.layer([folder])])
)

const resultOf = (enqueued) => Effect.flatMap(enqueued, ({ result }) => result)

const answerTo = (method, url, body) =>
  Effect.promise(async () => {
    const answer = await fetch(url, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return { status: answer.status, body: await answer.json() }
  })

const program = Effect.gen(function*() {
  const listener = yield* Listener.HttpServer
  const url = Listener.formatAddress(listener.address)
  const posted = yield* answerTo("POST", `${url}/api/v1/tasks`, { type: "hash", payload: { text: "hello" } })
  assert.equal(posted.status, 201)
  const handle = yield* Hash.handle(posted.body.id)
  const { digest } = yield* handle.result
  assert.equal(digest, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
  const seen = yield* answerTo("GET", `${url}/api/v1/tasks/${posted.body.id}`)
  assert.deepEqual([seen.status, seen.body.status], [200, "completed"])

  const report = yield* resultOf(Report.enqueue({ csv: "cities.csv", group_by: "city", op: "count" }))
  assert.equal(report.groups, 2)
  const backup = yield* resultOf(Backup.enqueue({ source: "cities.db" }))
  assert.equal(backup.files, 1)

  const answer = yield* Effect.result(resultOf(SqlQuery.enqueue({
    database: "cities.db",
    sql: "SELECT name FROM city WHERE people > ?",
    params: [3],
    max_rows: 10,
    timeout: Duration.seconds(20)
  })))
  if (answer._tag === "Success") assert.deepEqual(answer.success.rows, [["Berlin"]])
  else {
    const [major, minor] = process.versions.node.split(".").map(Number)
    assert.ok(major < 24 || (major === 24 && minor < 10), String(answer.failure))
    assert.equal(
      answer.failure.message,
      `sql_query needs Node 24.10 or later, which can bound what a statement reads; this is ${process.versions.node}`
    )
  }
})

const Live = TaskServer.layer({ port: 0 }).pipe(
  Layer.provide(TaskCatalog.layer([Backup, Hash, Report, SqlQuery])),
  Layer.provideMerge(Engine.layer(handlers)),
  Layer.provide(MemoryStore.layer())
)
await Effect.runPromise(Effect.provide(program, Live))
console.log("done")
