/** A whole server whose store accepts connections and then says nothing, until it goes on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { NotReadyJson } from "../../src/http/api/ProbesApi.ts"
import type { HealthJson } from "../../src/http/api/SystemApi.ts"
import * as Proxy from "../chaos/Proxy.ts"
import * as Postgres from "../servers/Postgres.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import * as Server from "./Server.ts"

interface Answer<Json> {
  readonly status: number
  readonly json: Json
  readonly tookMs: number
}

/** Any answer, and how long it took. */
const ask = <Json>(url: string, body?: unknown): Effect.Effect<Answer<Json>> =>
  Effect.promise(async () => {
    const before = performance.now()
    const response = await fetch(url, {
      signal: AbortSignal.timeout(60_000),
      ...body !== undefined && {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body)
      }
    })
    const json = await response.json() as Json
    return { status: response.status, json, tookMs: performance.now() - before }
  })

/** What a prober waits at most: a store has 2 s to answer, and this machine may be slow. */
const patienceMs = 15_000

const silent = (
  name: string,
  /** A store behind the proxy. */
  settings: (proxied: (url: string) => Effect.Effect<string, never, Scope.Scope>) => Effect.Effect<
    Server.Environment,
    unknown,
    Scope.Scope
  >
) =>
  it.live(`${name} leaves a server alive, which says so, and takes up again what was there`, () =>
    Effect.gen(function*() {
      let proxy!: Proxy.Proxy
      const proxied = (url: string) =>
        Effect.map(Proxy.make(Number(new URL(url).port)), (made) => {
          proxy = made
          const through = new URL(url)
          through.hostname = "127.0.0.1"
          through.port = String(made.port)
          return String(through)
        })
      const environment = yield* settings(proxied)
      const server = yield* Server.start(yield* Server.directory, { ...environment, WORKER_NUM_WORKERS: "2" })
      const status = (path: string) => Effect.map(ask(`${server.url}${path}`), (answer) => answer.status)
      const allGreen = Effect.map(
        Effect.all([status("/health/live"), status("/health/ready"), status("/health")]),
        (all) => all.every((one) => one === 200)
      )
      yield* Server.until("all is green", allGreen)

      // Running, waiting and done ones
      const ids = yield* server.post([
        ...Array.from({ length: 4 }, () => ({ type: "sleep", payload: { duration: "2s" } })),
        ...Array.from({ length: 20 }, (_, n) => ({ type: "echo", payload: n }))
      ])
      yield* Server.until("it works on them", Effect.map(server.stats, ({ workers_active }) => workers_active > 0))

      const silentFrom = Date.now()
      yield* proxy.hold
      // An answer of the store serves probes for a moment
      yield* Effect.sleep("500 millis")
      const isSince = (time: string) => {
        assert.isAtLeast(Date.parse(time), silentFrom - 1000)
        assert.isAtMost(Date.parse(time), Date.now() + 1000)
      }

      const [ready, health, refused] = yield* Effect.all([
        ask<typeof NotReadyJson.Type>(`${server.url}/health/ready`),
        ask<HealthJson>(`${server.url}/health`),
        ask<{ readonly error: { readonly code: string } }>(`${server.url}/api/v1/tasks`, { type: "echo", id: "late" }),
        // While these wait
        Effect.forEach([1, 2, 3], () =>
          Effect.gen(function*() {
            const live = yield* ask<{ readonly status: string }>(`${server.url}/health/live`)
            assert.deepStrictEqual([live.status, live.json.status], [200, "live"])
            assert.isBelow(live.tookMs, 1500)
            yield* Effect.sleep("500 millis")
          }))
      ], { concurrency: "unbounded" })

      assert.deepStrictEqual([ready.status, ready.json.status, ready.json.reason], [503, "not_ready", "store"])
      isSince(ready.json.since)
      assert.strictEqual(health.status, 503)
      const trouble = health.json.troubles.find(({ part }) => part === "store")
      isSince(trouble?.since ?? "never")
      assert.deepStrictEqual([refused.status, refused.json.error.code], [503, "store_unavailable"])
      for (const { tookMs } of [ready, health, refused]) assert.isBelow(tookMs, patienceMs)

      yield* proxy.heal
      yield* Server.until("all is green again", allGreen)
      // The first one may have come through, late
      const again = yield* ask<{ readonly id: string }>(`${server.url}/api/v1/tasks`, { type: "echo", id: "late" })
      assert.include([200, 201], again.status)
      yield* Server.until(
        "all are done",
        Effect.map(server.stats, ({ by_status }) => by_status.completed === ids.length + 1)
      )
      const { by_status, totals } = yield* server.stats
      assert.deepInclude(totals, { created: ids.length + 1, completed: ids.length + 1, failed: 0 })
      assert.deepInclude(by_status, { pending: 0, running: 0, failed: 0, scheduled: 0 })
    }).pipe(Effect.scoped))

await withServer("PostgreSQL", Postgres.find, (server) => {
  describe("a store that falls silent", () => {
    silent(
      "PostgreSQL",
      (proxied) => Effect.map(Effect.flatMap(Postgres.scratchDatabase(server), proxied), (STORE_URL) => ({ STORE_URL }))
    )
  })
})

await withServer("Redis", Redis.find, (server) => {
  describe("a store that falls silent", () => {
    silent("Redis", (proxied) =>
      Effect.gen(function*() {
        return { STORE_URL: yield* proxied(server.url), TASKFORGE_NAMESPACE: yield* Redis.scratchPrefix(server) }
      }))
  })
})
