/** Jobs that BullMQ has stored, moved with its workers at rest and at work. */
import { assert, describe, it } from "@effect/vitest"
import { type JobsOptions, Queue, Worker } from "bullmq"
import { Effect, Layer } from "effect"
import { failing, onServer, succeeding } from "../cli/CommandLine.ts"
import { definitions, get, layer } from "../http/TestServer.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { idle, importing, Mail, tasks } from "./Moving.ts"

await withServer("Redis", Redis.start(), ({ url }) => {
  const { hostname, port } = new URL(url)
  const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
  const command = (...args: ReadonlyArray<string>) => Redis.command(url, ...args)

  /** A queue whose keys have a prefix of its own. */
  const queueOf = (prefix: string, name = "mail") =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const queue = new Queue(name, { connection, prefix })
        await queue.waitUntilReady()
        return queue
      }),
      (queue) => Effect.promise(() => queue.close())
    )
  const add = (queue: Queue, data: unknown, options: JobsOptions = {}, name = "mail") =>
    Effect.promise(() => queue.add(name, data, options))
  const at = (prefix: string, ...args: ReadonlyArray<string>) =>
    importing("bullmq", url, "--namespace", prefix, ...args)

  describe("taskforge import bullmq", () => {
    it.live("shows what it would do, and does nothing", () =>
      Effect.gen(function*() {
        const queue = yield* queueOf("preview")
        yield* add(queue, { n: 1 }, { attempts: 5, backoff: { type: "exponential", delay: 1000 } })
        yield* add(queue, { n: 2 }, {}, "unheard_of")
        const preview = yield* at("preview")
        assert.strictEqual(preview.source.version, "6.7.0")
        assert.deepStrictEqual(preview.source.queues, [
          { queue: "mail", state: "waiting", place: "wait", count: 2, held: false }
        ])
        assert.strictEqual(preview.tasks, 1)
        assert.deepStrictEqual(preview.left_out, [
          { reason: `the type "unheard_of" is not known here`, count: 1, example: "mail:2" }
        ])
        assert.deepStrictEqual(preview.backoffs, [{ reason: "mail: exponential 1000 ms", count: 1, example: "mail" }])
        assert.deepInclude(preview.sample[0], { type: "mail", queue: "mail", payload: { n: 1 }, max_retries: 4 })
        const { stdout } = yield* succeeding(onServer(["import", "bullmq", url, "--namespace", "preview"]))
        assert.match(stdout, /mail +waiting +2/)
        assert.include(stdout, "1 job and 0 schedules can be imported.")
        assert.include(stdout, "mail: exponential 1000 ms")
        assert.deepStrictEqual(yield* tasks, [])
      }).pipe(Effect.provide(idle)))

    it.live("maps states, attempts, delays and keys, and makes nothing twice", () =>
      Effect.gen(function*() {
        const queue = yield* queueOf("maps")
        const dueAt = Date.now() + 3_600_000
        yield* add(queue, { n: 1 })
        yield* add(queue, { n: 2 }, { delay: 3_600_000, attempts: 3 })
        yield* add(queue, { n: 3 }, { deduplication: { id: "three" } })
        yield* add(queue, { n: 4 }, {}, "send")
        const report = yield* at("maps", "--yes", "--map", "send=echo")
        assert.deepInclude(report, { created: 4, existed: 0, removed: 0, taken: 0, left_out: [] })
        const found = yield* tasks
        assert.deepStrictEqual(
          found.map(({ max_retries, payload, status, type }) => [payload, type, status, max_retries]),
          [
            [{ n: 1 }, "mail", "pending", 0],
            [{ n: 3 }, "mail", "pending", 0],
            [{ n: 4 }, "echo", "pending", 0],
            [{ n: 2 }, "mail", "scheduled", 2]
          ]
        )
        assert.approximately(Date.parse(found[3]!.due_at), dueAt, 5000)
        const other = yield* succeeding(onServer(["enqueue", "mail", "{}", "--unique", "three", "--json"]))
        assert.deepInclude(JSON.parse(other.stdout), { duplicate: true, payload: { n: 3 } })
        yield* add(queue, { n: 5 })
        assert.deepInclude(yield* at("maps", "--yes", "--map", "send=echo"), { created: 1, existed: 4, removed: 0 })
        assert.strictEqual((yield* tasks).length, 5)
        assert.strictEqual(yield* Effect.promise(() => queue.getWaitingCount()), 4)
      }).pipe(Effect.provide(idle)))

    it.live("keeps the order of priorities, as running shows", () => {
      const ran: Array<number> = []
      const served = layer({
        definitions: [...definitions, Mail],
        handlers: Mail.toLayer((payload) => Effect.sync(() => void ran.push((payload as { n: number }).n)))
      })
      return Effect.gen(function*() {
        const queue = yield* queueOf("order")
        const priorities = [7, 0, 2_097_151, 1, 300, 2, 0, 7]
        for (const [n, priority] of priorities.entries()) yield* add(queue, { n }, { priority })
        const there: Array<number> = []
        // They wait until all of them are here
        yield* onServer(["pause", "mail"])
        yield* at("order", "--yes")
        yield* succeeding(onServer(["resume", "mail"]))
        const worker = new Worker("mail", async ({ data }) => void there.push(data.n), { connection, prefix: "order" })
        yield* Effect.promise(() => worker.waitUntilReady())
        while (there.length < priorities.length || ran.length < priorities.length) yield* Effect.sleep(10)
        yield* Effect.promise(() => worker.close())
        assert.deepStrictEqual(ran, there)
      }).pipe(Effect.provide(served))
    })

    it.live("leaves failed jobs out unless they are to wait again, and running ones always", () =>
      Effect.gen(function*() {
        const queue = yield* queueOf("failed")
        yield* add(queue, { n: 1 }, { attempts: 1 })
        const worker = new Worker("mail", undefined, { connection, prefix: "failed" })
        yield* Effect.addFinalizer(() => Effect.promise(() => worker.close(true)))
        const failed = yield* Effect.promise(() => worker.getNextJob("token"))
        yield* Effect.promise(() => failed!.moveToFailed(new Error("No"), "token"))
        yield* add(queue, { n: 2 })
        yield* Effect.promise(() => worker.getNextJob("token"))
        const { created, source } = yield* at("failed", "--yes", "--drain")
        assert.strictEqual(created, 0)
        assert.deepStrictEqual(source.queues.map(({ count, state }: any) => [state, count]), [["failed", 1], [
          "running",
          1
        ]])
        const { stdout } = yield* succeeding(onServer(["import", "bullmq", url, "--namespace", "failed"]))
        assert.include(stdout, "Not read: 1 failed job of mail; --failed makes them wait again")
        assert.include(stdout, "Not read: 1 running job of mail; a worker has them")
        assert.deepInclude(yield* at("failed", "--yes", "--failed"), { created: 1 })
        assert.deepStrictEqual((yield* tasks).map(({ payload }) => payload), [{ n: 1 }])
      }).pipe(Effect.scoped, Effect.provide(idle)))

    it.live("makes schedules of job schedulers, and leaves their next jobs to them", () =>
      Effect.gen(function*() {
        const queue = yield* queueOf("schedules")
        yield* Effect.promise(async () => {
          const pattern = { pattern: "0 30 2 * * *", tz: "Europe/Berlin" }
          await queue.upsertJobScheduler("nightly", pattern, { name: "mail", data: { n: 1 }, opts: { attempts: 3 } })
          await queue.upsertJobScheduler("often", { every: 60_000 }, { name: "mail", data: { n: 2 } })
          await queue.upsertJobScheduler("thrice", { every: 60_000, limit: 3 }, { name: "mail" })
        })
        const report = yield* at("schedules", "--yes")
        assert.deepInclude(report, { created: 0, schedules_created: 2, schedules_existed: 0 })
        assert.include(report.left_out.map(({ reason }: any) => reason), "a schedule that ends after a number of ticks")
        const { json } = yield* get("/api/v1/schedules")
        const found = (json as any).schedules
        assert.deepStrictEqual(found.map((one: any) => [one.name, one.task.payload]), [
          ["bullmq:mail:nightly", { n: 1 }],
          ["bullmq:mail:often", { n: 2 }]
        ])
        assert.include(found[0].description, "Europe/Berlin")
        assert.deepStrictEqual(
          Date.parse(found[1].next) % 60_000,
          Number(yield* command("ZSCORE", "schedules:mail:repeat", "often")) % 60_000
        )
        assert.deepInclude(yield* at("schedules", "--yes", "--drain"), { schedules_created: 0, schedules_existed: 2 })
        assert.deepStrictEqual(
          yield* Effect.promise(() => queue.getJobSchedulers()).pipe(Effect.map((all) => all.map(({ key }) => key))),
          [
            "thrice"
          ]
        )
        assert.strictEqual(yield* Effect.promise(() => queue.getJobCountByTypes("delayed", "wait")), 1)
      }).pipe(Effect.provide(idle)))

    it.live("drains what it has stored, and leaves the rest as it was", () =>
      Effect.gen(function*() {
        const queue = yield* queueOf("drain")
        for (let n = 0; n < 1200; n++) {
          yield* add(queue, { n }, n % 400 === 7 ? { priority: 1 } : {}, n % 300 === 9 ? "unheard_of" : "mail")
        }
        yield* add(queue, { n: -1 }, { delay: 60_000, deduplication: { id: "later" } })
        const before = yield* Effect.promise(() => queue.getJobs(["wait"]))
        assert.deepInclude(yield* at("drain", "--yes", "--drain"), { created: 1197, removed: 1197, taken: 0 })
        const left = yield* Effect.promise(() => queue.getJobs(["wait", "prioritized", "delayed"]))
        assert.deepStrictEqual(
          left.map(({ id }) => id),
          before.filter(({ name }) => name === "unheard_of").map(({ id }) => id)
        )
        assert.strictEqual(
          yield* command("EXISTS", "drain:mail:1", "drain:mail:taskforge-held", "drain:mail:de:later"),
          0
        )
        assert.deepInclude(yield* at("drain", "--yes", "--drain"), { created: 0, removed: 0 })
      }).pipe(Effect.provide(idle)))

    it.live("runs each job once, here or there, while workers of both are at it", () => {
      const ran: Array<number> = []
      const there: Array<number> = []
      const note = (payload: unknown) => Effect.sync(() => void ran.push((payload as { n: number }).n))
      return Effect.gen(function*() {
        const queue = yield* queueOf("live")
        const count = 3000
        yield* Effect.promise(() =>
          queue.addBulk(
            Array.from({ length: count }, (_, n) => ({ name: "mail", data: { n }, opts: { priority: n % 3 } }))
          )
        )
        const worker = new Worker("mail", async ({ data }) => void there.push(data.n), {
          connection,
          prefix: "live",
          concurrency: 20
        })
        yield* Effect.promise(() => worker.waitUntilReady())
        yield* at("live", "--yes", "--drain")
        while (ran.length + there.length < count) yield* Effect.sleep(10)
        yield* Effect.sleep(200)
        yield* Effect.promise(() => worker.close())
        assert.isAbove(there.length, 0)
        assert.isAbove(ran.length, 0)
        assert.deepStrictEqual([...ran, ...there].sort((a, b) => a - b), Array.from({ length: count }, (_, n) => n))
      }).pipe(Effect.provide(layer({ definitions: [...definitions, Mail], handlers: Mail.toLayer(note) })))
    }, 60_000)

    it.live("goes on with what an import held that did not come to its end", () =>
      Effect.gen(function*() {
        const queue = yield* queueOf("held")
        const job = yield* add(queue, { n: 1 })
        const refused = yield* add(queue, { n: 2 }, {}, "unheard_of")
        yield* command("DEL", "held:mail:wait")
        yield* command("HSET", "held:mail:taskforge-held", job.id!, "wait|", refused.id!, "wait|")
        assert.deepInclude((yield* at("held")).source.queues[0], { count: 2, held: true })
        assert.deepInclude(yield* at("held", "--yes"), { created: 1, removed: 1 })
        assert.deepStrictEqual(
          yield* Effect.map(Effect.promise(() => queue.getWaiting()), (jobs) => jobs.map(({ id }) => id)),
          [refused.id]
        )
      }).pipe(Effect.provide(idle)))

    it.live("leaves out what cannot be a task, and puts back what the server refuses", () =>
      Effect.gen(function*() {
        const queue = yield* queueOf("unfit")
        const broken = yield* add(queue, {})
        yield* command("HSET", `unfit:mail:${broken.id}`, "data", "{no json")
        const inexact = yield* add(queue, {})
        yield* command("HSET", `unfit:mail:${inexact.id}`, "data", "{\"n\":9007199254740993}")
        const gone = yield* add(queue, {})
        yield* command("DEL", `unfit:mail:${gone.id}`)
        yield* add(queue, "x".repeat(5 * 1024 * 1024))
        yield* add(queue, {}, {}, "x".repeat(300))
        yield* add(queue, { n: "no number" }, {}, "count")
        yield* add(queue, { n: 1 }, {}, "count")
        const report = yield* at("unfit", "--yes", "--drain")
        assert.deepInclude(report, { created: 1, removed: 1 })
        const reasons: ReadonlyArray<string> = report.left_out.map(({ reason }: any) => reason)
        for (
          const reason of [
            "data that is no JSON",
            "data with a number that is not kept exactly",
            "nothing is stored of it but its id",
            "a payload of more than 4194304 bytes",
            "a name that no type can have"
          ]
        ) assert.isTrue(reasons.some((one) => one.startsWith(reason)), reason)
        assert.isTrue(reasons.some((one) => one.startsWith("refused here: ")), reasons.join("\n"))
        assert.strictEqual(yield* Effect.promise(() => queue.getWaitingCount()), 6)
        assert.strictEqual(yield* command("EXISTS", "unfit:mail:taskforge-held"), 0)
      }).pipe(Effect.provide(idle)))

    it.live("says what is wrong with a source", () =>
      Effect.gen(function*() {
        const run = (...args: ReadonlyArray<string>) => onServer(["import", "bullmq", ...args])
        assert.include(
          yield* failing(66, run(url, "--namespace", "nothing")),
          "There is no queue of BullMQ under the prefix"
        )
        assert.include(yield* failing(64, run("postgres://localhost/x")), "is not the URL of a BullMQ")
        assert.include(yield* failing(69, run("redis://127.0.0.1:1")), "redis://127.0.0.1:1 does not answer")
        yield* command("HSET", "old:mail:meta", "version", "bullmq:5.41.0")
        const older = yield* failing(65, run(url, "--namespace", "old"))
        assert.include(older, "was last used by bullmq 5.41.0, and only BullMQ 6 can be read")
        yield* command("SET", "older:mail:id", "1")
        assert.include(yield* failing(65, run(url, "--namespace", "older")), "look like those of Bull")
        assert.include(yield* failing(64, run(url, "--drain")), "--drain goes with --yes")
        assert.include(yield* failing(64, run(url, "--map", "x")), "is not OLD=NEW")
      }).pipe(Effect.provide(Layer.fresh(idle))))
  })
})
