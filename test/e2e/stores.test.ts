/** What each store makes of several servers: one queue, whichever process takes, runs, cancels or watches a task. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as Postgres from "../servers/Postgres.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import * as Server from "./Server.ts"

interface Task {
  readonly id: string
  readonly status: string
  readonly worker: string | null
  readonly completed_at: string | null
}

interface Workers {
  readonly worker_count: number
  readonly instances: ReadonlyArray<
    { readonly id: string; readonly pid: number; readonly leads: ReadonlyArray<string> }
  >
}

/** What holds for two servers on a store, whether it carries hints between processes or leaves them to look. */
const sharing = (
  store: string,
  environment: Effect.Effect<Server.Environment, unknown, Scope.Scope>,
  hints = true
): void => {
  describe(`two servers on ${store}`, () => {
    const pair = (more: Server.Environment = {}) =>
      Effect.gen(function*() {
        const directory = yield* Server.directory
        const settings = { ...(yield* environment), WORKER_NUM_WORKERS: "5", ...more }
        const servers = yield* Effect.all(
          [Server.start(directory, settings), Server.start(directory, settings)],
          { concurrency: 2 }
        )
        return servers
      })
    const task = (server: Server.Server, id: string) => Server.request<Task>(`${server.url}/api/v1/tasks/${id}`)
    const instanceOf = (server: Server.Server) => String(server.log.find((line) => "instance" in line)?.["instance"])
    const workersOf = (server: Server.Server) => Server.request<Workers>(`${server.url}/api/v1/workers`)

    it.live("share one queue and know of each other", () =>
      Effect.gen(function*() {
        const [one, two] = yield* pair()
        const ids = yield* one.post(
          Array.from({ length: 40 }, () => ({ type: "sleep", payload: { duration: "100ms" } }))
        )
        yield* Server.until(
          "both see all of them completed",
          Effect.map(Effect.all([one.stats, two.stats]), (stats) =>
            stats.every(({ by_status }) => by_status.completed === 40))
        )
        const workers = new Set<string | null>()
        for (const id of ids) {
          workers.add((yield* task(two, id)).worker)
        }
        assert.sameMembers([...workers], [instanceOf(one), instanceOf(two)])

        yield* Server.until(
          "each lists both",
          Effect.map(Effect.all([workersOf(one), workersOf(two)]), (views) =>
            views.every(({ instances, worker_count }) =>
              instances.length === 2 && worker_count === 10
            ))
        )
        const { instances } = yield* workersOf(one)
        assert.sameMembers(
          instances.map(({ pid }) =>
            pid
          ),
          [one.child.pid, two.child.pid]
        )
        assert.lengthOf(instances.flatMap(({ leads }) => leads), 1)

        yield* Server.stop(one)
        assert.deepStrictEqual((yield* workersOf(two)).instances.map(({ id }) => id), [instanceOf(two)])
        yield* Server.stop(two)
      }).pipe(Effect.scoped), 60_000)

    /** Starts a task that lasts a minute and answers its id and the servers: the one that does not run it, and both. */
    const running = Effect.fnUntraced(function*(servers: readonly [Server.Server, Server.Server]) {
      const [id] = yield* servers[0].post([{ type: "sleep", payload: { duration: "1m" } }])
      yield* Server.until(
        "it runs",
        Effect.map(task(servers[0], id!), ({ status }) => status === "running")
      )
      const { worker } = yield* task(servers[0], id!)
      return { id: id!, other: servers.find((server) => instanceOf(server) !== worker)! }
    })

    /** How long it takes until a task is cancelled that another server runs, by the store's clock. */
    const cancelled = Effect.fnUntraced(function*(servers: readonly [Server.Server, Server.Server]) {
      const { id, other } = yield* running(servers)
      const askedAt = Date.now()
      yield* Server.request(`${other.url}/api/v1/tasks/${id}/cancel`, {})
      yield* Server.until("it is cancelled", Effect.map(task(other, id), ({ status }) => status === "cancelled"))
      return Date.parse((yield* task(other, id)).completed_at!) - askedAt
    })

    /** How long it takes from the end of a task until a server that does not run it answers who waits for its result. */
    const answered = Effect.fnUntraced(function*(servers: readonly [Server.Server, Server.Server]) {
      const [id] = yield* servers[0].post([{ type: "sleep", payload: { duration: "300ms" } }])
      yield* Server.until("it runs", Effect.map(task(servers[0], id!), ({ worker }) => worker !== null))
      const { worker } = yield* task(servers[0], id!)
      const other = servers.find((server) => instanceOf(server) !== worker)!
      yield* Server.request(`${other.url}/api/v1/results`, { ids: [id], wait: "20s" }, 25_000)
      const answeredAt = Date.now()
      return answeredAt - Date.parse((yield* task(other, id!)).completed_at!)
    })

    const repeatedly = Effect.fnUntraced(function*(what: string, measure: Effect.Effect<number, unknown>) {
      const times = yield* Effect.replicateEffect(measure, 3)
      const sorted = times.toSorted((left, right) => left - right)
      console.log(`${store}: ${what} after ${sorted[1]} ms (median), ${sorted[2]} ms at most`)
      return sorted
    })

    if (hints) {
      // Looking and heartbeats are so far apart that only hints can be as quick
      const patient = { TASKFORGE_POLL_INTERVAL: "1m", TASKFORGE_LEASE: "1h" }
      it.live("tell each other of cancels and results, within 100 ms", () =>
        Effect.gen(function*() {
          const servers = yield* pair(patient)
          const cancels = yield* repeatedly("a cancel reached another process", cancelled(servers))
          const results = yield* repeatedly("a result reached another process", answered(servers))
          // What a busy machine adds to one or another is not the notification's
          assert.isBelow(cancels[0]!, 100)
          assert.isBelow(results[0]!, 100)
        }).pipe(Effect.scoped), 60_000)
    } else {
      it.live(
        "find cancels within a heartbeat and results when they look, where nobody tells them",
        () =>
          Effect.gen(function*() {
            const servers = yield* pair({ TASKFORGE_LEASE: "3s", TASKFORGE_POLL_INTERVAL: "500ms" })
            const heartbeat = 1000
            const graceMs = 500
            const cancels = yield* repeatedly("a cancel reached another process", cancelled(servers))
            const results = yield* repeatedly("a result reached another process", answered(servers))
            assert.isBelow(cancels[1]!, heartbeat + graceMs)
            assert.isBelow(results[1]!, 500 + graceMs)
          }).pipe(Effect.scoped),
        60_000
      )
    }
  })
}

// Nothing tells one process of what another one writes into the file: it has to look
sharing("one SQLite file", Effect.succeed({ TASKFORGE_POLL_INTERVAL: "100ms" }), false)

await withServer(
  "PostgreSQL",
  Postgres.find,
  (server) => sharing("PostgreSQL", Effect.map(Postgres.scratchDatabase(server), (STORE_URL) => ({ STORE_URL })))
)

await withServer("Redis", Redis.find, (server) =>
  sharing(
    "Redis",
    Effect.map(Redis.scratchPrefix(server), (prefix) => ({ STORE_URL: server.url, TASKFORGE_NAMESPACE: prefix }))
  ))
