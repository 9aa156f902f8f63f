/**
 * Sessions that the server ends while the store works on them: an operator's `pg_terminate_backend`, a failover, a
 * restart. Callers of the store do not notice, and no part of it stops.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, type Scope } from "effect"
import type { Settlement } from "../../../src/domain/Settlement.ts"
import type { StoreServices } from "../../../src/store/Driver.ts"
import type { RecordStore } from "../../../src/store/RecordStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import { patiently } from "../../Patience.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  anyTime,
  cancel,
  complete,
  counts,
  failure,
  pause,
  record,
  refOf,
  retention,
  running,
  settle,
  stateOf,
  task
} from "../conformance/fixtures.ts"
import { Schemas } from "./fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const schemas = new Schemas(server)
  const test = <E>(name: string, body: Effect.Effect<void, E, StoreServices | PgClient.PgClient | Scope.Scope>) =>
    it.live(name, () => Effect.provide(Effect.scoped(body), schemas.layer()))

  /** Ends the sessions of this file's stores that a condition names; answers how many there were. */
  const kill = (condition: string) =>
    Effect.map(
      Postgres.query<{ killed: number }>(
        server.url,
        `SELECT count(pg_terminate_backend(pid))::int AS killed FROM pg_stat_activity
          WHERE query LIKE '%${schemas.name}%' AND pid <> pg_backend_pid() AND ${condition}`
      ),
      ([row]) => row!.killed
    )

  /** Ends the one session that waits for a lock, as soon as there is one. */
  const killWaiting = Effect.retry(
    Effect.filterOrFail(kill("wait_event_type = 'Lock'"), (killed) => killed === 1),
    patiently()
  )

  /** A transaction that stays open until it is rolled back. */
  const held = Effect.fnUntraced(function*<E>(body: Effect.Effect<unknown, E, TaskStore>) {
    const sql = yield* PgClient.PgClient
    const written = Deferred.makeUnsafe<void>()
    const end = Deferred.makeUnsafe<void, "rolled back">()
    const fiber = yield* Effect.forkChild(sql.withTransaction(body.pipe(
      Effect.andThen(Deferred.succeed(written, undefined)),
      Effect.andThen(Deferred.await(end))
    )))
    yield* Deferred.await(written)
    return { rollBack: Effect.andThen(Deferred.fail(end, "rolled back" as const), Effect.exit(Fiber.join(fiber))) }
  })

  const retryOf = ({ claim, id }: { readonly id: string; readonly claim: number }): Settlement => ({
    _tag: "Retry",
    id,
    claim,
    failure,
    delayMs: 0
  })

  /** Does something that waits for what a transaction has locked, ends its session, and rolls the transaction back. */
  const interrupted = Effect.fnUntraced(function*<A, E, R, E2>(
    locked: Effect.Effect<unknown, E2, TaskStore>,
    work: Effect.Effect<A, E, R>
  ) {
    const { rollBack } = yield* held(locked)
    const fiber = yield* Effect.forkChild(work)
    yield* killWaiting
    yield* rollBack
    return yield* Fiber.join(fiber)
  })

  test(
    "a settlement whose session is ended in its transaction is settled, and so are the next ones",
    Effect.gen(function*() {
      const [first, second] = [yield* running({ id: "a" }), yield* running({ id: "b" })]
      assert.strictEqual(yield* interrupted(settle(complete(first)), settle(retryOf(first))), "applied")
      assert.deepInclude(yield* record("a"), { state: "pending", failures: 1 })
      assert.strictEqual(yield* settle(retryOf(second)), "applied")
    })
  )

  test(
    "a keyed enqueue whose session is ended in its transaction is stored, and so are the next ones",
    Effect.gen(function*() {
      const enqueue = (id: string) =>
        TaskStore.use((store) => Effect.map(store.enqueue([[task({ id, key: id })]]), ([answer]) => answer?._tag))
      const inOther = TaskStore.use((store) => store.enqueue([[task({ id: "other", key: "a" })]]))
      assert.strictEqual(yield* interrupted(inOther, enqueue("a")), "Accepted")
      assert.strictEqual(yield* enqueue("b"), "Accepted")
      assert.strictEqual((yield* counts).pending, 2)
    })
  )

  test(
    "a plain enqueue whose session is ended in its statement is stored once",
    Effect.gen(function*() {
      const enqueue = TaskStore.use((store) => store.enqueue([[task({ id: "a" })]]))
      const [answer] = yield* interrupted(enqueue, enqueue)
      assert.strictEqual(answer!._tag, "Accepted")
      assert.strictEqual((yield* counts).totals.created, 1)
      assert.strictEqual(yield* stateOf("a"), "pending")
    })
  )

  test(
    "a cancellation whose session is ended before its commit is done",
    Effect.gen(function*() {
      const claimed = yield* running({ id: "a" })
      assert.strictEqual(yield* interrupted(settle(complete(claimed)), cancel("a")), "requested")
    })
  )

  test(
    "when all sessions at rest are ended, nobody notices",
    Effect.gen(function*() {
      const store = yield* TaskStore
      const claimed = yield* running({ id: "running" })
      const operations: ReadonlyArray<Effect.Effect<unknown, unknown, RecordStore>> = [
        store.enqueue([[task({ id: "plain" })]]),
        store.enqueue([[task({ id: "keyed", key: "key" })]]),
        store.claim({ queues: ["none"], types: ["none"], limit: 1, instance: "w", leaseForMs: 1000, nonce: 7 }),
        store.extend([refOf(claimed)], 60_000),
        store.report([{ ...refOf(claimed), progress: 0.5 }]),
        store.rescue({ limit: 10, ...anyTime }),
        store.prune(retention({ maxFinished: 1000 }), 10),
        store.get("running"),
        store.list({ limit: 10 }),
        store.results(["running"]),
        store.awaitResults(["running"]),
        store.counts,
        pause("none", true),
        store.settle([complete(claimed)])
      ]
      for (const operation of operations) {
        // several connections rest, and one of them is used next; one that was ended before may answer once more and go then
        yield* Effect.all(Array.from({ length: 4 }, () => store.counts), { concurrency: "unbounded" }).pipe(
          Effect.andThen(kill("state = 'idle'")),
          Effect.repeat({ until: (ended) => ended > 0 })
        )
        yield* operation
      }
      assert.strictEqual(yield* stateOf("running"), "completed")
      assert.strictEqual((yield* counts).pending, 2)
    })
  )
})
