/** Jobs that pg-boss and Graphile Worker have stored, moved with their workers at rest and at work. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Logger, makeWorkerUtils, run, runMigrations, runOnce } from "graphile-worker"
import { PgBoss } from "pg-boss"
import * as PgBossSource from "../../src/import/PgBoss.ts"
import { failing, onServer, succeeding } from "../cli/CommandLine.ts"
import { definitions, get, layer } from "../http/TestServer.ts"
import * as Postgres from "../servers/Postgres.ts"
import { withServer } from "../servers/withServer.ts"
import { idle, importing, Mail, tasks } from "./Moving.ts"

const silent = new Logger(() => () => {})
const range = (count: number) => Array.from({ length: count }, (_, n) => n)

await withServer("PostgreSQL", Postgres.start(["fsync=off"]), (server) => {
  const scratch = Postgres.scratchDatabase(server)

  const bossOf = (url: string) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const boss = new PgBoss({ connectionString: url, max: 4 })
        boss.on("error", () => {})
        await boss.start()
        await boss.createQueue("mail")
        return boss
      }),
      (boss) => Effect.promise(() => boss.stop({ graceful: false, close: true }))
    )

  describe("taskforge import pg-boss", () => {
    it.live(
      "maps states, attempts, delays, keys and schedules, drains them, and makes nothing twice",
      () =>
        Effect.gen(function*() {
          const url = yield* scratch
          const boss = yield* bossOf(url)
          const dueAt = new Date(Date.now() + 3_600_000)
          yield* Effect.promise(async () => {
            await boss.createQueue("short", { policy: "short" })
            await boss.send("mail", { n: 1 }, { retryLimit: 4, retryDelay: 5, retryBackoff: true })
            await boss.send("mail", { n: 2 }, { startAfter: dueAt, priority: 3 })
            await boss.send("short", { n: 3 }, { singletonKey: "three" })
            await boss.schedule("mail", "30 2 * * *", { n: 4 }, { tz: "Europe/Berlin", key: "nightly" })
            await boss.send("mail", { n: 5 }, { retryLimit: 0, priority: 9 })
            const [job] = await boss.fetch("mail")
            await boss.fail("mail", job!.id)
          })
          const args = ["pg-boss", url, "--map", "short=echo"]
          const preview = yield* importing(...args)
          assert.deepStrictEqual(preview.backoffs.map(({ reason }: any) => reason), ["mail: exponential 5000 ms"])
          assert.deepInclude(yield* importing(...args, "--yes"), {
            created: 3,
            existed: 0,
            schedules_created: 1,
            left_out: []
          })
          const found = yield* tasks
          assert.deepStrictEqual(
            found.map(({ max_retries, payload, priority, queue, status, type }) => [
              payload,
              type,
              queue,
              status,
              priority,
              max_retries
            ]),
            [
              [{ n: 1 }, "mail", "default", "pending", 1, 4],
              [{ n: 2 }, "mail", "default", "scheduled", 2, 2],
              [{ n: 3 }, "echo", "default", "pending", 1, 2]
            ]
          )
          assert.strictEqual(Date.parse(found[1]!.due_at), dueAt.getTime())
          const { json } = yield* get("/api/v1/schedules")
          assert.deepInclude((json as any).schedules[0], { name: "pg-boss:mail:nightly" })
          assert.include((json as any).schedules[0].description, "Europe/Berlin")
          assert.deepInclude(yield* importing(...args, "--yes", "--drain", "--failed"), {
            created: 1,
            existed: 3,
            removed: 4,
            schedules_existed: 1
          })
          const left = yield* Postgres.query(url, "SELECT id FROM pgboss.job WHERE name NOT LIKE '\\_\\_pgboss%'")
          assert.deepStrictEqual(left, [])
          assert.deepStrictEqual(yield* Effect.promise(() => boss.getSchedules()), [])
        }).pipe(Effect.provide(idle)),
      60_000
    )

    it.live("runs each job once, here or there, in the order of priorities, while workers of both are at it", () => {
      const ran: Array<number> = []
      const there: Array<number> = []
      const note = (payload: unknown) => Effect.sync(() => void ran.push((payload as { n: number }).n))
      return Effect.gen(function*() {
        const url = yield* scratch
        const boss = yield* bossOf(url)
        const count = 1500
        yield* Effect.promise(async () => {
          await boss.insert("mail", range(count).map((n) => ({ data: { n }, priority: n % 3 })))
          await boss.work("mail", { batchSize: 5, pollingIntervalSeconds: 0.5 }, async (jobs) => {
            for (const { data } of jobs) there.push((data as any).n)
          })
        })
        while (there.length === 0) yield* Effect.sleep(10)
        yield* importing("pg-boss", url, "--yes", "--drain")
        while (ran.length + there.length < count) yield* Effect.sleep(10)
        yield* Effect.sleep(700)
        assert.isAbove(ran.length, 0)
        assert.deepStrictEqual([...ran, ...there].sort((a, b) => a - b), range(count))
      }).pipe(Effect.provide(layer({ definitions: [...definitions, Mail], handlers: Mail.toLayer(note) })))
    }, 60_000)

    it.live("holds no job that a worker took after it was read", () =>
      Effect.gen(function*() {
        const url = yield* scratch
        const boss = yield* bossOf(url)
        yield* Effect.promise(() => boss.insert("mail", range(3).map((n) => ({ data: { n } }))))
        const source = yield* PgBossSource.open(url, "pgboss", [])
        const [part] = source.parts
        const jobs = yield* source.page(part!, undefined)
        const [taken] = yield* Effect.promise(() => boss.fetch("mail"))
        const held = yield* source.hold(part!, jobs)
        assert.deepStrictEqual(
          [...held].sort(),
          jobs.map(({ id }) => id).filter((id) => id !== taken!.id).sort()
        )
        assert.deepStrictEqual(yield* Effect.promise(() => boss.fetch("mail")), [])
      }).pipe(Effect.scoped), 60_000)

    it.live("leaves a flow to its queue", () =>
      Effect.gen(function*() {
        const url = yield* scratch
        const boss = yield* bossOf(url)
        yield* Effect.promise(() => boss.insert("mail", [{ data: { n: 1 } }]))
        yield* Postgres.query(url, "UPDATE pgboss.job SET blocking = true WHERE name = 'mail'")
        const report = yield* importing("pg-boss", url, "--yes", "--drain")
        assert.deepInclude(report, { created: 0, removed: 0 })
        assert.strictEqual(report.left_out[0].reason, "other jobs wait for its end")
      }).pipe(Effect.provide(idle)), 60_000)

    it.live("puts back what is refused here, as it was", () =>
      Effect.gen(function*() {
        const url = yield* scratch
        const boss = yield* bossOf(url)
        yield* Effect.promise(async () => {
          await boss.createQueue("count")
          await boss.send("count", { n: "no number" })
        })
        const row = Postgres.query(url, "SELECT to_jsonb(job)::text AS row FROM pgboss.job WHERE name = 'count'")
        const before = yield* row
        const report = yield* importing("pg-boss", url, "--yes", "--drain")
        assert.deepInclude(report, { created: 0, removed: 0 })
        assert.match(report.left_out[0].reason, /^refused here: /)
        assert.deepStrictEqual(yield* row, before)
      }).pipe(Effect.provide(idle)), 60_000)

    it.live("says what is wrong with a source", () =>
      Effect.gen(function*() {
        const url = yield* scratch
        const run = (...args: ReadonlyArray<string>) => onServer(["import", "pg-boss", ...args])
        assert.include(yield* failing(66, run(url)), "There is no pg-boss in the schema")
        assert.include(yield* failing(64, run("redis://localhost")), "is not the URL of a pg-boss")
        assert.include(yield* failing(69, run("postgres://postgres@127.0.0.1:1/x")), "does not answer")
        yield* bossOf(url)
        yield* Postgres.query(url, "UPDATE pgboss.version SET version = 24")
        assert.include(yield* failing(65, run(url)), "has version 24 of an older pg-boss")
      }).pipe(Effect.provide(idle)), 60_000)
  })

  const utilsOf = (url: string) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        await runMigrations({ connectionString: url, logger: silent })
        return makeWorkerUtils({ connectionString: url, logger: silent })
      }),
      (utils) => Effect.promise(async () => void await utils.release())
    )

  describe("taskforge import graphile-worker", () => {
    it.live(
      "maps states, attempts, delays and keys, drains them, and makes nothing twice",
      () =>
        Effect.gen(function*() {
          const url = yield* scratch
          const utils = yield* utilsOf(url)
          const dueAt = new Date(Date.now() + 3_600_000)
          yield* Effect.promise(async () => {
            await utils.addJob("mail", { n: 1 }, { maxAttempts: 5 })
            await utils.addJob("mail", { n: 2 }, { runAt: dueAt, jobKey: "two" })
            await utils.addJob("mail", { n: 3 }, { queueName: "slow" })
            const failed = await utils.addJob("mail", { n: 4 })
            await utils.permanentlyFailJobs([failed.id], "No")
          })
          const preview = yield* importing("graphile-worker", url)
          assert.deepStrictEqual(preview.backoffs.map(({ reason }: any) => reason), [
            "mail: one at a time in the queue slow: here a limit"
          ])
          assert.deepInclude(yield* importing("graphile-worker", url, "--yes"), {
            created: 3,
            existed: 0,
            left_out: []
          })
          const found = yield* tasks
          assert.deepStrictEqual(
            found.map(({ max_retries, payload, status }) => [payload, status, max_retries]),
            [[{ n: 1 }, "pending", 4], [{ n: 3 }, "pending", 24], [{ n: 2 }, "scheduled", 24]]
          )
          assert.strictEqual(Date.parse(found[2]!.due_at), dueAt.getTime())
          const other = yield* succeeding(onServer(["enqueue", "mail", "{}", "--unique", "two", "--json"]))
          assert.deepInclude(JSON.parse(other.stdout), { duplicate: true, payload: { n: 2 } })
          assert.deepInclude(yield* importing("graphile-worker", url, "--yes", "--drain", "--failed"), {
            created: 1,
            existed: 3,
            removed: 4
          })
          assert.deepStrictEqual(yield* Postgres.query(url, "SELECT id FROM graphile_worker._private_jobs"), [])
        }).pipe(Effect.provide(idle)),
      60_000
    )

    it.live("keeps the order of priorities, as running shows", () => {
      const ran: Array<number> = []
      const there: Array<number> = []
      const note = (payload: unknown) => Effect.sync(() => void ran.push((payload as { n: number }).n))
      return Effect.gen(function*() {
        const url = yield* scratch
        const utils = yield* utilsOf(url)
        for (const [n, priority] of [7, 0, -50, 1, 300, 2, 0, 7].entries()) {
          yield* Effect.promise(() => utils.addJob("mail", { n }, { priority }))
        }
        yield* onServer(["pause", "default"])
        yield* importing("graphile-worker", url, "--yes")
        yield* onServer(["resume", "default"])
        const taskList = { mail: async (payload: unknown) => void there.push((payload as any).n) }
        yield* Effect.promise(() => runOnce({ connectionString: url, concurrency: 1, logger: silent, taskList }))
        while (ran.length < 8) yield* Effect.sleep(10)
        assert.deepStrictEqual(ran, there)
      }).pipe(Effect.provide(layer({
        definitions: [...definitions, Mail],
        handlers: Mail.toLayer(note)
      })))
    }, 60_000)

    it.live("runs each job once, here or there, while workers of both are at it", () => {
      const ran: Array<number> = []
      const there: Array<number> = []
      const note = (payload: unknown) => Effect.sync(() => void ran.push((payload as { n: number }).n))
      return Effect.gen(function*() {
        const url = yield* scratch
        const utils = yield* utilsOf(url)
        const count = 1500
        yield* Effect.promise(() => utils.addJobs(range(count).map((n) => ({ identifier: "mail", payload: { n } }))))
        const taskList = { mail: async (payload: unknown) => void there.push((payload as any).n) }
        const runner = yield* Effect.promise(() =>
          run({ connectionString: url, concurrency: 4, logger: silent, noHandleSignals: true, taskList })
        )
        while (there.length === 0) yield* Effect.sleep(1)
        yield* importing("graphile-worker", url, "--yes", "--drain")
        while (ran.length + there.length < count) yield* Effect.sleep(10)
        yield* Effect.promise(() => runner.stop())
        assert.isAbove(ran.length, 0)
        assert.deepStrictEqual([...ran, ...there].sort((a, b) => a - b), range(count))
      }).pipe(Effect.provide(layer({ definitions: [...definitions, Mail], handlers: Mail.toLayer(note) })))
    }, 60_000)

    it.live("says what is wrong with a source", () =>
      Effect.gen(function*() {
        const url = yield* scratch
        assert.include(
          yield* failing(66, onServer(["import", "graphile-worker", url])),
          "There is no Graphile Worker in the schema"
        )
        yield* utilsOf(url)
        yield* Postgres.query(url, "DELETE FROM graphile_worker.migrations WHERE id > 10")
        const older = yield* failing(65, onServer(["import", "graphile-worker", url]))
        assert.include(older, "has revision 10 of an older Graphile Worker")
      }).pipe(Effect.provide(idle)), 60_000)
  })
})
