/**
 * Several servers on one store: real processes that can be killed, frozen and started again, and a client that tries
 * one after the other until somebody accepts.
 */
import { Effect, Exit, Schedule, Scope } from "effect"
import { join } from "node:path"
import * as Server from "../e2e/Server.ts"
import type { StoredTask } from "./Checker.ts"
import * as Ledger from "./Ledger.ts"

/** How long a lease is in these tests, in milliseconds. */
export const leaseMs = 2000

/** A server of the cluster. */
export interface Member {
  readonly number: number
  server: Server.Server | undefined
  scope: Scope.Closeable
  /** Whether it takes requests, as far as the test knows. */
  frozen: boolean
}

/** The servers, and what a test does to them. */
export interface Cluster {
  readonly members: ReadonlyArray<Member>
  /** The ledger as it is now. */
  readonly ledger: () => ReadonlyArray<Ledger.Line>
  /** Sends SIGKILL and starts the server again, which takes no longer than that of a container. */
  readonly kill: (member: Member) => Effect.Effect<void, Server.NotStarted>
  /** Stops the process in the middle of whatever it does, for a time. */
  readonly freeze: (member: Member, forMs: number) => Effect.Effect<void>
  /** Posts tasks until they are accepted by whichever server. */
  readonly post: (tasks: ReadonlyArray<Server.NewTask>) => Effect.Effect<void>
  /** Tasks that are not finished. */
  readonly unfinished: Effect.Effect<number, Server.RequestFailed>
  /** Every stored task whose id begins like this. */
  readonly tasks: (prefix: string) => Effect.Effect<ReadonlyArray<StoredTask>, Server.RequestFailed>
  /** What the servers have complained about, for whoever has to find out why. */
  readonly complaints: () => ReadonlyArray<string>
  /** Whether every server is alive and says that it is healthy. */
  readonly troubles: Effect.Effect<ReadonlyArray<string>>
}

/** A request that takes longer is sent to another server. */
const patienceMs = 1500

/** Starts servers on a store. */
export const start = Effect.fnUntraced(function*(options: {
  readonly file: string
  readonly size: number
  readonly environment: Server.Environment
}): Effect.fn.Return<Cluster, Server.NotStarted, Scope.Scope> {
  const directory = yield* Server.directory
  const ledgerFile = join(directory, "ledger")
  const environment = {
    TASKFORGE_LEASE: `${leaseMs}ms`,
    TASKFORGE_MAX_CRASHES: "-1",
    TASKFORGE_POLL_INTERVAL: "500ms",
    WORKER_NUM_WORKERS: "20",
    CHAOS_LEDGER: ledgerFile,
    ...options.environment
  }

  const launch = Effect.fnUntraced(function*(member: Member) {
    member.scope = yield* Scope.make()
    const launched = Server.start(directory, environment, options.file)
    member.server = yield* Scope.provide(launched, member.scope)
  })

  const members = Array.from({ length: options.size }, (_, index): Member => ({
    number: index + 1,
    server: undefined,
    scope: Scope.makeUnsafe(),
    frozen: false
  }))
  yield* Effect.addFinalizer(() =>
    Effect.forEach(members, ({ scope }) => Scope.close(scope, Exit.void), { concurrency: "unbounded" })
  )
  yield* Effect.forEach(members, launch, { concurrency: "unbounded" })

  let turn = 0
  let lastTroubles: ReadonlyArray<string> = []
  const available = () => members.filter(({ frozen, server }) => server !== undefined && !frozen)
  const anyone = Effect.suspend(() => {
    const choice = available()
    const { server } = choice[turn++ % Math.max(1, choice.length)] ?? {}
    return server === undefined
      ? Effect.fail(new Server.RequestFailed({ reason: "no server is there" }))
      : Effect.succeed(server)
  })
  /** A read is sent again while the answer is to try again, as any client would do. */
  const get = <Answer>(path: string) =>
    Effect.flatMap(anyone, ({ url }) => Server.request<Answer>(`${url}${path}`, undefined, 5000)).pipe(
      Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 50 })
    )

  return {
    members,
    ledger: () => Ledger.read(ledgerFile),
    kill: Effect.fnUntraced(function*(member) {
      const { server } = member
      member.server = undefined
      if (server !== undefined) {
        yield* server.signal("SIGKILL")
        yield* server.ended
      }
      yield* Scope.close(member.scope, Exit.void)
      yield* launch(member)
    }),
    freeze: Effect.fnUntraced(function*(member, forMs) {
      member.frozen = true
      yield* member.server!.signal("SIGSTOP")
      yield* Effect.sleep(forMs)
      yield* member.server!.signal("SIGCONT")
      member.frozen = false
    }),
    post: (tasks) =>
      Effect.flatMap(anyone, ({ url }) => Server.request(`${url}/api/v1/tasks`, tasks, patienceMs)).pipe(
        Effect.retry(Schedule.spaced("50 millis")),
        Effect.orDie,
        Effect.asVoid
      ),
    unfinished: Effect.map(
      get<Server.Stats>("/api/v1/stats"),
      ({ by_status: { pending, running, scheduled } }) => pending + running + scheduled
    ),
    tasks: Effect.fnUntraced(function*(prefix) {
      const found: Array<StoredTask> = []
      let cursor: string | null = ""
      while (cursor !== null) {
        const page: Page = yield* get<Page>(
          `/api/v1/tasks?type=ledger&limit=1000${cursor === "" ? "" : `&cursor=${cursor}`}`
        )
        const ours = page.tasks.filter(({ id }) => id.startsWith(prefix))
        found.push(...ours)
        // Newest first: what comes before the first of ours is older
        cursor = ours.length < page.tasks.length ? null : page.next
      }
      return found
    }),
    complaints: () => [
      ...lastTroubles,
      ...members.flatMap(({ number, server }) =>
        (server?.log ?? []).filter(({ level }) => level !== "info").slice(-8)
          .map((line) => `server ${number}: ${JSON.stringify(line).slice(0, 600)}`)
      )
    ],
    troubles: Effect.map(
      Effect.forEach(members, ({ number, server }) =>
        server === undefined || server.isEnded()
          ? Effect.succeed([`server ${number} is gone: ${server?.stderr() ?? ""}`])
          : Effect.match(Server.request(`${server.url}/health`, undefined, patienceMs), {
            onSuccess: () => [],
            onFailure: ({ reason }) => [`server ${number}: ${reason}`]
          }), { concurrency: "unbounded" }),
      (troubles) => lastTroubles = troubles.flat()
    )
  }
})

interface Page {
  readonly tasks: ReadonlyArray<StoredTask>
  readonly next: string | null
}
