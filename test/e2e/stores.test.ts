/** What each store makes of several servers: one queue, whichever process takes, runs, cancels or watches a task. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as PgBouncer from "../servers/PgBouncer.ts"
import * as Postgres from "../servers/Postgres.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import * as Gate from "./Gate.ts"
import * as Server from "./Server.ts"

interface Task {
  readonly id: string
  readonly status: string
  readonly instance: string | null
}

interface Results {
  readonly results: ReadonlyArray<{ readonly id: string; readonly status: string }>
}

interface Workers {
  readonly worker_count: number
  readonly instances: ReadonlyArray<
    { readonly id: string; readonly pid: number; readonly leads: ReadonlyArray<string> }
  >
}

/** Looking comes each minute and a heartbeat each third of an hour: what is known before, hints have told. */
const notified = { TASKFORGE_POLL_INTERVAL: "1m", TASKFORGE_LEASE: "1h" }

/** Nothing tells one process of what another one did: it is found by looking, a cancel by a heartbeat. */
const looking = { TASKFORGE_POLL_INTERVAL: "500ms", TASKFORGE_LEASE: "6s" }

/** How long the other server may be asked to wait for a result: not until its next look, where it is notified. */
const wait = "30s"

const sharing = (
  store: string,
  settings: Effect.Effect<Server.Environment, unknown, Scope.Scope>,
  environment: Server.Environment,
  /** What health says of it. */
  hearsBy?: "hints" | "polling"
): void => {
  describe(`two servers on ${store}`, () => {
    const scope = Scope.makeUnsafe()
    let gate: Gate.Gate
    let servers: readonly [Server.Server, Server.Server]

    beforeAll(async () => {
      servers = await Effect.runPromise(Scope.provide(
        Effect.gen(function*() {
          const directory = yield* Server.directory
          gate = yield* Gate.make
          const start = Server.start(directory, {
            ...environment,
            ...gate.environment,
            ...(yield* settings),
            WORKER_NUM_WORKERS: "5"
          })
          return yield* Effect.all([start, start], { concurrency: 2 })
        }),
        scope
      ))
    })
    afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

    const task = (server: Server.Server, id: string) => Server.request<Task>(`${server.url}/api/v1/tasks/${id}`)
    const workersOf = (server: Server.Server) => Server.request<Workers>(`${server.url}/api/v1/workers`)
    const instanceOf = (server: Server.Server) => String(server.log.find((line) => "instance" in line)?.["instance"])

    /** Starts a task and answers its id, and the server that does not run it. */
    const running = Effect.fnUntraced(function*(duration: string) {
      const [id] = yield* servers[0].post([{ type: "sleep", payload: { duration } }])
      yield* Server.until("it runs", Effect.map(task(servers[0], id!), ({ instance }) => instance !== null))
      const { instance } = yield* task(servers[0], id!)
      return { id: id!, other: servers.find((server) => instanceOf(server) !== instance)! }
    })

    it.live("share one queue", () =>
      Effect.gen(function*() {
        const [one, two] = servers
        // As many as both can run
        const ids = yield* one.post(gate.tasks(10))
        // Before any of them looks by itself, where they are notified
        yield* Server.until("all of them run", Effect.sync(() => gate.arrived() === 10), 50)
        yield* gate.open
        yield* Server.until(
          "both see all of them completed",
          Effect.map(
            Effect.all([one.stats, two.stats]),
            (stats) => stats.every(({ by_status }) => by_status.completed === ids.length)
          )
        )
        const workers = yield* Effect.forEach(ids, (id) => Effect.map(task(two, id), ({ instance }) => instance))
        assert.sameMembers([...new Set(workers)], servers.map(instanceOf))
      }))

    it.live("say how they learn from each other", () =>
      Effect.forEach(servers, ({ url }) =>
        Server.until(
          "health says so",
          Effect.map(
            Server.request<{ hears_by?: string; status: string }>(`${url}/health`),
            ({ hears_by, status }) => hears_by === hearsBy && status === "healthy"
          )
        ), { discard: true }))

    it.live("stop each other's tasks", () =>
      Effect.gen(function*() {
        const { id, other } = yield* running("1h")
        yield* Server.request(`${other.url}/api/v1/tasks/${id}/cancel`, {})
        yield* Server.until("it is cancelled", Effect.map(task(other, id), ({ status }) => status === "cancelled"))
      }))

    it.live("know the results of each other's tasks", () =>
      Effect.gen(function*() {
        const { id, other } = yield* running("300ms")
        const { results } = yield* Server.request<Results>(`${other.url}/api/v1/results`, { ids: [id], wait })
        assert.deepStrictEqual(results.map(({ status }) => status), ["completed"])
      }))

    it.live("know of each other, until one leaves", () =>
      Effect.gen(function*() {
        const [one, two] = servers
        for (const server of servers) {
          const { instances, worker_count } = yield* workersOf(server)
          assert.sameMembers(instances.map(({ pid }) => pid), [one.child.pid, two.child.pid])
          assert.strictEqual(worker_count, 10)
          assert.lengthOf(instances.flatMap(({ leads }) => leads), 1)
        }
        yield* Server.stop(one)
        assert.deepStrictEqual((yield* workersOf(two)).instances.map(({ id }) => id), [instanceOf(two)])
        yield* Server.stop(two)
      }))
  })
}

sharing("one SQLite file", Effect.succeed({}), looking)

await withServer("PostgreSQL", Postgres.find, (server) => {
  sharing(
    "PostgreSQL",
    Effect.map(Postgres.scratchDatabase(server), (STORE_URL) => ({ STORE_URL })),
    notified,
    "hints"
  )
})

await withServer("PgBouncer", Effect.andThen(PgBouncer.installed, Postgres.find), (server) => {
  const pooled = Effect.gen(function*() {
    const { url } = yield* PgBouncer.start({ url: yield* Postgres.scratchDatabase(server) })
    return { STORE_URL: url }
  })
  sharing("PostgreSQL behind PgBouncer", pooled, looking, "polling")
})

await withServer("Redis", Redis.find, (server) =>
  sharing(
    "Redis",
    Effect.map(Redis.scratchPrefix(server), (prefix) => ({ STORE_URL: server.url, TASKFORGE_NAMESPACE: prefix })),
    notified
  ))
