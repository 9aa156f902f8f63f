/** What Prometheus reads: each family from the first time, and the numbers of the store. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { spawnSync } from "node:child_process"
import { Echo, expecting, get, layer, posted, postedAll, send } from "./TestServer.ts"

const handlers = Echo.toLayer((payload) => payload === "hang" ? Effect.never : Effect.succeed(payload))

const page = Effect.map(expecting(200, get("/metrics")), ({ text }) => text)

/** Samples without their numbers, and the numbers. */
const samplesOf = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.trimEnd().split("\n").filter((line) => !line.startsWith("#")).map((line) => {
      const end = line.lastIndexOf(" ")
      return [line.slice(0, end), line.slice(end + 1)]
    })
  )

/** Families that have a series only once there is what they are about. */
const byName = ["taskforge_breaker_state"]

describe("the metrics page", () => {
  it.effect("has each family from the first time it is read, with zeros, before any task and request", () =>
    Effect.gen(function*() {
      const first = yield* page
      const samples = samplesOf(first)
      for (const [sample, number] of samples) {
        if (/_total|_count/.test(sample) && !/store_|process_/.test(sample)) assert.strictEqual(number, "0", sample)
      }
      yield* postedAll([{ type: "echo" }, { type: "echo", payload: "hang", start_within: "1 minute" }])
      yield* send("DELETE", "/api/v1/tasks/unknown")
      yield* get("/nowhere")
      const later = yield* page
      const families = (text: string): ReadonlyArray<string> => text.match(/(?<=^# TYPE )\w+/gm) ?? []
      assert.deepStrictEqual(
        families(later).filter((family) => !families(first).includes(family) && !byName.includes(family)),
        []
      )
      for (const labels of [`outcome="fail"`, `outcome="retry"`]) {
        assert.strictEqual(samples.get(`taskforge_attempts_total{type="echo",${labels}}`), "0")
      }
      for (const kind of ["error", "defect", "timeout", "invalid"]) {
        assert.strictEqual(samples.get(`taskforge_attempts_failed_total{type="echo",kind="${kind}"}`), "0")
      }
      for (const operation of ["enqueue", "claim", "settle", "lane_counts", "record_take"]) {
        assert.strictEqual(samples.get(`taskforge_store_errors_total{operation="${operation}"}`), "0")
      }
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("tells what waits by queue and type and what holds it up, until it is gone", () =>
    Effect.gen(function*() {
      const held = `taskforge_tasks_held_up{code="no_handler"}`
      const depth = `taskforge_queue_depth{queue="mail",type="echo",state="pending"}`
      yield* postedAll([{ type: "echo", id: "one", queue: "mail" }, { type: "echo", id: "two", queue: "mail" }])
      const waiting = samplesOf(yield* page)
      assert.strictEqual(waiting.get(depth), "2")
      assert.strictEqual(waiting.get(held), "2")
      assert.strictEqual(waiting.get(`taskforge_queue_waiting_seconds{queue="mail",type="echo"}`), "0")
      assert.strictEqual(waiting.get(`taskforge_tasks_held_up{code="queue_paused"}`), "0")
      for (const id of ["one", "two"]) yield* expecting(204, send("DELETE", `/api/v1/tasks/${id}`))
      const gone = samplesOf(yield* page)
      assert.strictEqual(gone.get(depth), "0")
      assert.strictEqual(gone.get(held), "0")
      assert.strictEqual(gone.get(`taskforge_cancels_total{outcome="cancelled"}`), "2")
    }).pipe(Effect.provide(layer())))

  it.effect("names no more queues and types than it has series for; the others are counted together", () =>
    Effect.gen(function*() {
      const tasks = Array.from({ length: 300 }, (_, n) => ({ type: "echo", queue: `queue-${n}` }))
      yield* postedAll(tasks)
      const samples = samplesOf(yield* page)
      const named = [...samples.keys()].filter((name) => name.startsWith(`taskforge_queue_depth{queue="queue-`))
      assert.strictEqual(named.length, 200 * 3)
      assert.strictEqual(samples.get(`taskforge_queue_depth{queue="other",type="other",state="pending"}`), "100")
    }).pipe(Effect.provide(layer())))

  it.effect("is what promtool accepts, also with names full of quotes and line breaks", () =>
    Effect.gen(function*() {
      yield* posted({ type: "echo", queue: "a \"quoted\" \\ queue" })
      const { error, status, stderr, stdout } = spawnSync("promtool", ["check", "metrics"], {
        input: yield* page,
        timeout: Duration.toMillis("20 seconds"),
        encoding: "utf8"
      })
      if (error !== undefined) throw error
      assert.deepStrictEqual({ status, said: stdout + stderr }, { status: 0, said: "" })
    }).pipe(Effect.provide(layer({ handlers }))))
})
