/** Dependencies between tasks where other transactions are open, of other connections and of the application. */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import type * as Dependencies from "../../../src/store/Dependencies.ts"
import { maxTold } from "../../../src/store/Dependencies.ts"
import type { StoreServices } from "../../../src/store/Driver.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  add,
  addAll,
  addOne,
  cancel,
  complete,
  counts,
  fail,
  record,
  request,
  rerun,
  retention,
  running,
  settled,
  stateOf,
  take,
  takeIds,
  takeOne
} from "../conformance/fixtures.ts"
import { Schemas } from "./fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const schemas = new Schemas(server)

  const test = <E>(name: string, body: Effect.Effect<void, E, StoreServices | PgClient.PgClient>) =>
    it.live(name, () => Effect.provide(body, schemas.layer({ capacity: 20_000 })))

  /** Keeps a transaction of the application open until it is let go. */
  const held = Effect.fnUntraced(function*<E>(body: Effect.Effect<unknown, E, StoreServices>) {
    const sql = yield* PgClient.PgClient
    const written = Deferred.makeUnsafe<void>()
    const end = Deferred.makeUnsafe<void, "rolled back">()
    const fiber = yield* Effect.forkChild(sql.withTransaction(body.pipe(
      Effect.andThen(Deferred.succeed(written, undefined)),
      Effect.andThen(Deferred.await(end))
    )))
    yield* Effect.raceFirst(Deferred.await(written), Fiber.join(fiber))
    return {
      commit: Effect.andThen(Deferred.succeed(end, undefined), Fiber.join(fiber)),
      rollBack: Effect.andThen(Deferred.fail(end, "rolled back"), Effect.exit(Fiber.join(fiber)))
    }
  })

  /** What would wait for a lock of an open transaction takes seconds, and fails in the end. */
  const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.timeout(effect, "1 second")

  /** The schema of the store that the test has. */
  const schemaOf = Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const rows = yield* sql.unsafe<{ name: string }>(
      `SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE '${schemas.name}\\_%' ORDER BY nspname`
    )
    for (const { name } of rows) {
      const [found] = yield* sql.unsafe<{ is: boolean }>(`SELECT EXISTS (SELECT FROM "${name}".task) AS is`)
      if (found!.is) return `"${name}"`
    }
    return assert.fail("No store has tasks")
  })

  test(
    "two ends in transactions that are open at the same time release a task once, whichever is committed first",
    Effect.gen(function*() {
      for (const order of ["first", "last"] as const) {
        const [a, b] = yield* add({}, {})
        const id = yield* addOne({ after: [a, b] })
        const [one, other] = yield* take()
        const first = yield* held(settled(complete(one!)))
        const second = yield* held(settled(complete(other!)))
        assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 2 })
        yield* (order === "first" ? first : second).commit
        assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1 })
        yield* (order === "first" ? second : first).commit
        assert.deepInclude(yield* record(id), { state: "pending", waitsFor: 0 })
        assert.deepStrictEqual(yield* takeIds(), [id])
        assert.deepStrictEqual(yield* takeIds(), [])
      }
    })
  )

  test(
    "an end that is rolled back counts for nothing",
    Effect.gen(function*() {
      const attempt = yield* running()
      const id = yield* addOne({ after: [attempt.id] })
      const transaction = yield* held(settled(complete(attempt)))
      yield* transaction.rollBack
      assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1 })
      yield* settled(complete(attempt))
      assert.deepStrictEqual(yield* takeIds(), [id])
    })
  )

  test(
    "an open transaction that has ended a task keeps neither claims waiting nor other ends",
    Effect.gen(function*() {
      const [a, b] = yield* add({}, {})
      const id = yield* addOne({ after: [a, b] })
      const [one, other] = yield* take()
      const transaction = yield* held(settled(fail(one!)))
      const free = yield* addOne()
      assert.deepStrictEqual(yield* soon(takeIds()), [free])
      yield* soon(settled(complete(other!)))
      assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1 })
      yield* transaction.commit
      assert.deepInclude((yield* record(id)).failure, { dependency: { id: one!.id, state: "failed" } })
    })
  )

  test(
    "tasks may be made to wait for one that an open transaction has ended, and for one that runs, without waiting for it",
    Effect.gen(function*() {
      const ending = yield* running()
      const transaction = yield* held(settled(complete(ending)))
      const early = yield* soon(addOne({ after: [ending.id] }))
      assert.deepInclude(yield* record(early), { state: "scheduled", waitsFor: 1 })
      const store = yield* TaskStore
      const { nextDueAt, now, tasks } = yield* soon(store.claim(request()))
      assert.deepStrictEqual(tasks, [])
      assert.isAbove(nextDueAt ?? 0, now, "it is asked again at once, for as long as the transaction is open")
      yield* transaction.commit
      yield* Effect.sleep("150 millis")
      assert.deepStrictEqual(yield* takeIds(), [early])

      const runs = yield* running()
      const joining = yield* held(addOne({ id: "late", after: [runs.id] }))
      yield* soon(settled(complete(runs)))
      yield* joining.commit
      assert.strictEqual(yield* stateOf("late"), "pending")
      assert.deepStrictEqual(yield* takeIds(), ["late"])
    })
  )

  test(
    "a task that was stored in a transaction which is rolled back leaves nothing behind",
    Effect.gen(function*() {
      const attempt = yield* running()
      const transaction = yield* held(addOne({ id: "lost", after: [attempt.id] }))
      yield* transaction.rollBack
      const store = yield* TaskStore
      assert.deepStrictEqual(yield* store.edges(attempt.id), { after: [], before: [] })
      yield* settled(complete(attempt))
      assert.isFalse(yield* store.tell)
      assert.strictEqual(yield* store.prune(retention({ finishedForMs: 0 }), 10), 1)
    })
  )

  test(
    "nothing removes a task that an open transaction makes another one wait for",
    Effect.gen(function*() {
      const attempt = yield* running()
      yield* settled(complete(attempt))
      const store = yield* TaskStore
      const transaction = yield* held(addOne({ id: "waits", after: [attempt.id] }))
      assert.strictEqual(yield* soon(store.prune(retention({ finishedForMs: 0 }), 10)), 0)
      const removing = yield* Effect.forkChild(store.remove([attempt.id]))
      yield* Effect.sleep("50 millis")
      yield* transaction.commit
      assert.deepStrictEqual(yield* Fiber.join(removing), ["awaited"])
      assert.strictEqual(yield* store.prune(retention({ finishedForMs: 0 }), 10), 0)
      assert.deepStrictEqual(yield* takeIds(), ["waits"])
    })
  )

  test(
    "an end that meets a lock on the task that waits is told once that is gone, by whoever claims",
    Effect.gen(function*() {
      const attempt = yield* running()
      const [id, next] = yield* add({ after: [attempt.id] }, { after: [attempt.id] })
      const cancelling = yield* held(cancel(id))
      yield* soon(settled(complete(attempt)))
      assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1 })
      assert.deepStrictEqual(yield* soon(takeIds()), [next])
      yield* cancelling.rollBack
      yield* Effect.sleep("150 millis")
      assert.deepStrictEqual(yield* takeIds(), [id])
    })
  )

  test(
    "what a transaction runs again waits once more for what runs again before it",
    Effect.gen(function*() {
      const attempt = yield* running()
      const id = yield* addOne({ after: [attempt.id] })
      yield* settled(fail(attempt))
      yield* rerun(attempt.id)
      const transaction = yield* held(rerun(id))
      const again = yield* takeOne()
      assert.strictEqual(again.id, attempt.id)
      yield* soon(settled(complete(again)))
      yield* transaction.commit
      assert.deepInclude(yield* record(id), { state: "pending", waitsFor: 0 })
    })
  )

  test(
    "a claim of another process tells what a process has left that died after its commit",
    Effect.gen(function*() {
      const attempt = yield* running()
      const id = yield* addOne({ after: [attempt.id] })
      const schema = yield* schemaOf
      // what such a process has written
      yield* schemas.query(
        `UPDATE ${schema}.task SET state = 3, completed_at = 1, lease_until = NULL WHERE id = '${attempt.id}'`
      )
      assert.deepStrictEqual(yield* takeIds(), [id])
      const late = yield* addOne({ after: [attempt.id] })
      yield* schemas.query(`UPDATE ${schema}.edge SET nr = NULL`)
      yield* schemas.query(`UPDATE ${schema}.task SET waits_for = 1, state = 0 WHERE id = '${late}'`)
      assert.deepStrictEqual(yield* takeIds(), [late])
    })
  )

  test(
    "ends of many dependencies of the same tasks at the same time release each exactly once",
    Effect.gen(function*() {
      const members = yield* addAll(Array.from({ length: 200 }, () => ({})))
      const half = yield* addAll(Array.from({ length: 20 }, (_, index) => ({
        // in one order and in the other: each end locks several of them
        after: index % 2 === 0 ? members : members.toReversed()
      })))
      const attempts = [...yield* take({ limit: 100 }), ...yield* take({ limit: 100 })]
      assert.lengthOf(attempts, 200)
      const sql = yield* PgClient.PgClient
      const store = yield* TaskStore
      const schema = yield* schemaOf
      // each on a connection of its own, in statements of their own
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) => attempts.slice(index * 10, index * 10 + 10)),
        (some) =>
          sql.unsafe(`SELECT FROM ${schema}.complete_2($1::text[], $2::float8[]::bigint[], $3::text[], true, 0)`, [
            `{${some.map(({ id }) => id).join(",")}}`,
            `{${some.map(({ claim }) => claim).join(",")}}`,
            `{${some.map(() => "1").join(",")}}`
          ]),
        { concurrency: 10, discard: true }
      )
      const given: Array<string> = []
      for (let calls = 0; given.length < half.length && calls < 20; calls++) {
        given.push(...(yield* store.claim(request({ limit: 100 }))).tasks.map(({ id }) => id))
      }
      assert.sameMembers(given, [...half])
      assert.deepStrictEqual(yield* takeIds(), [])
      assert.deepInclude(yield* counts, { scheduled: 0, pending: 0, running: 20, completed: 200 })
    })
  )

  test(
    "edges that cannot be told for long keep no others waiting, however many they are",
    Effect.gen(function*() {
      const stuck = yield* running()
      const transaction = yield* held(settled(complete(stuck)))
      yield* addAll(Array.from({ length: maxTold + 500 }, () => ({ after: [stuck.id] })))
      const free = yield* running()
      const joining = yield* held(addOne({ id: "free", after: [free.id] }))
      yield* settled(complete(free))
      yield* joining.commit
      const store = yield* TaskStore
      for (let calls = 0; calls < 3; calls++) yield* store.tell
      assert.strictEqual(yield* stateOf("free"), "pending")
      yield* transaction.commit
      while (yield* store.tell) { /* goes on with it */ }
      assert.deepInclude(yield* counts, { scheduled: 0, pending: maxTold + 501 })
    })
  )

  test(
    "what depends on a task is told in pages also where edges have no number yet, and runs again after an end that was not committed",
    Effect.gen(function*() {
      const store = yield* TaskStore
      const sql = yield* PgClient.PgClient
      const first = yield* running()
      const ids = yield* addAll(Array.from({ length: 5 }, () => ({ after: [first.id] })))
      const schema = yield* schemaOf
      yield* sql.unsafe(`UPDATE ${schema}.edge SET nr = NULL WHERE nr > 2`)
      const found: Array<string> = []
      let from: Dependencies.LinkPlace | undefined
      do {
        const page: Dependencies.Links = yield* store.links({ ids: [first.id], towards: "dependents", from, limit: 1 })
        found.push(...page.links.map(({ id }) => id))
        from = page.next
      } while (from !== undefined)
      assert.sameMembers(found, [...ids])
      yield* store.cancel(ids)
      const { commit } = yield* held(settled(complete(first)))
      const again = yield* soon(store.reopen(ids, { completed: false }))
      assert.isTrue(again.every(({ _tag }) => _tag === "rerun"))
      assert.deepInclude(yield* counts, { scheduled: 5, pending: 0 })
      yield* commit
      while (yield* store.tell);
      assert.sameMembers([...yield* takeIds()], [...ids])
    })
  )
})
