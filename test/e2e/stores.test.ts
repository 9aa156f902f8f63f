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
}

interface Workers {
  readonly worker_count: number
  readonly instances: ReadonlyArray<
    { readonly id: string; readonly pid: number; readonly leads: ReadonlyArray<string> }
  >
}

/** One server only takes tasks (its single worker is busy), the other runs them. */
const sharing = (store: string, environment: Effect.Effect<Server.Environment, unknown, Scope.Scope>): void => {
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
  })
}

// Nothing tells one process of what another one writes into the file: it has to look
sharing("one SQLite file", Effect.succeed({ TASKFORGE_POLL_INTERVAL: "100ms" }))

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
