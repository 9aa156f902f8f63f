import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Deferred, type Duration, Effect, Fiber, Layer, Schedule, Schema } from "effect"
import { Engine, Task, TaskContext, TaskStore } from "../../../src/index.ts"
import type { StoreServices } from "../../../src/store/Driver.ts"
import { EventLog } from "../../../src/store/EventLog.ts"
import { events, Notifier } from "../../../src/store/Notifier.ts"
import { absent, RecordStore } from "../../../src/store/RecordStore.ts"
import type { ClaimRef } from "../../../src/store/TaskStore.ts"
import { patiently } from "../../Patience.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  add,
  addOne,
  complete,
  counts,
  extend,
  record,
  rescue,
  running,
  second,
  settle,
  stateOf,
  take,
  takeOne,
  task
} from "../conformance/fixtures.ts"
import { reads } from "../sharing.ts"
import { Schemas } from "./fixtures.ts"

const Pay = Task.make("pay", {
  payload: { amount: Schema.Int },
  success: Schema.Struct({ paid: Schema.Int }),
  retry: { times: 5, schedule: Schedule.spaced("10 millis") }
})

/** Why an application rolls back. */
class Declined extends Schema.TaggedError<Declined>()("Declined", {}) {}

await withServer("PostgreSQL", Postgres.find, (server) => {
  const schemas = new Schemas(server)

  const test = <E>(name: string, body: Effect.Effect<void, E, StoreServices | PgClient.PgClient>) =>
    it.live(name, () => Effect.provide(body, schemas.layer()))

  /** A table of the application's own. */
  const ledger = Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const table = `"${schemas.name}".ledger`
    yield* sql.unsafe(`CREATE TABLE IF NOT EXISTS ${table} (amount int)`)
    yield* sql.unsafe(`DELETE FROM ${table}`)
    return {
      write: (amount: number) => Effect.asVoid(sql.unsafe(`INSERT INTO ${table} VALUES (${amount})`)),
      amounts: Effect.map(
        sql.unsafe<{ amount: number }>(`SELECT amount FROM ${table} ORDER BY amount`),
        (rows) => rows.map(({ amount }) => amount)
      )
    }
  })

  test(
    "whatever reads the store can be done in a transaction that refuses writes",
    Effect.gen(function*() {
      const look = yield* reads
      const sql = yield* PgClient.PgClient
      const readOnly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        sql.withTransaction(Effect.andThen(sql`SET TRANSACTION READ ONLY`, effect))
      const cancel = TaskStore.use((store) => store.cancel(["unknown"]))
      yield* readOnly(look())
      assert.strictEqual((yield* Effect.flip(readOnly(cancel)))._tag, "StoreError")
    })
  )

  /** Keeps a transaction open until it is let go. */
  const held = Effect.fnUntraced(function*<E>(body: Effect.Effect<unknown, E, TaskStore | RecordStore>) {
    const sql = yield* PgClient.PgClient
    const written = Deferred.makeUnsafe<void>()
    const end = Deferred.makeUnsafe<void, Declined>()
    const fiber = yield* Effect.forkChild(sql.withTransaction(body.pipe(
      Effect.andThen(Deferred.succeed(written, undefined)),
      Effect.andThen(Deferred.await(end))
    )))
    yield* Deferred.await(written)
    return {
      commit: Effect.andThen(Deferred.succeed(end, undefined), Fiber.join(fiber)),
      rollBack: Effect.andThen(Deferred.fail(end, new Declined()), Effect.exit(Fiber.join(fiber)))
    }
  })

  const enqueue = (...ids: ReadonlyArray<string>) =>
    TaskStore.use((store) => store.enqueue(ids.map((id) => [task({ id, key: id === "keyed" ? "key" : null })])))

  test(
    "a task is enqueued with the transaction: nobody sees it before the commit",
    Effect.gen(function*() {
      const book = yield* ledger
      const transaction = yield* held(Effect.andThen(book.write(1), enqueue("plain", "keyed")))
      assert.deepStrictEqual(yield* take(), [])
      yield* transaction.commit
      assert.sameMembers((yield* take()).map(({ id }) => id), ["plain", "keyed"])
      assert.deepStrictEqual(yield* book.amounts, [1])
      assert.strictEqual((yield* counts).totals.created, 2)
    })
  )

  test(
    "a task is rolled back with the transaction, and so is its key",
    Effect.gen(function*() {
      const book = yield* ledger
      const transaction = yield* held(Effect.andThen(book.write(1), enqueue("plain", "keyed")))
      yield* transaction.rollBack
      assert.deepStrictEqual(yield* take(), [])
      assert.deepStrictEqual(yield* book.amounts, [])
      assert.strictEqual((yield* counts).totals.created, 0)
      yield* add({ id: "other", key: "key", payload: "2" })
      assert.strictEqual(yield* stateOf("other"), "pending")
    })
  )

  const uniqueBy = (
    onConflict: "return" | "refuse" | "replace" | "postpone",
    fields: Parameters<typeof task>[0] = {}
  ) => task({ key: "unique", unique: { window: "unfinished", onConflict, byMs: 60_000, maxMs: null }, ...fields })
  const offer = (...given: ReadonlyArray<ReturnType<typeof task>>) =>
    Effect.map(TaskStore.use((store) => store.enqueue([given])), ([answer]) => answer!)

  test(
    "a unique task is rolled back with the transaction, and its key is free again",
    Effect.gen(function*() {
      const lost = yield* held(offer(uniqueBy("refuse", { id: "lost" })))
      yield* lost.rollBack
      assert.strictEqual((yield* offer(uniqueBy("refuse", { id: "next" })))._tag, "Accepted")
      assert.deepStrictEqual((yield* take()).map(({ id }) => id), ["next"])
    })
  )

  test(
    "what is made of a waiting task is rolled back with the transaction, and a key that was passed on comes back",
    Effect.gen(function*() {
      yield* offer(uniqueBy("refuse", { id: "waiting", payload: "1" }))
      const before = yield* record("waiting")
      for (const onConflict of ["replace", "postpone"] as const) {
        const lost = yield* held(offer(uniqueBy(onConflict, { payload: "2" })))
        yield* lost.rollBack
        assert.deepStrictEqual(yield* record("waiting"), before, onConflict)
      }
      yield* settle(complete(yield* takeOne()))
      const passing = yield* held(offer(uniqueBy("refuse", { id: "lost" })))
      yield* passing.rollBack
      assert.deepStrictEqual(yield* record("waiting"), { ...yield* record("waiting"), hold: before.hold })
      const next = yield* held(offer(uniqueBy("refuse", { id: "next" })))
      yield* next.commit
      assert.deepStrictEqual((yield* take()).map(({ id }) => id), ["next"])
    })
  )

  test(
    "of two transactions with one key at once the second one waits for the first, and then follows its end",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      for (const [end, expected] of [["commit", "Conflict"], ["rollBack", "Accepted"]] as const) {
        const key = `both-${end}`
        const first = yield* held(offer(uniqueBy("refuse", { key, id: `first-${end}` })))
        const second = yield* Effect.forkChild(
          sql.withTransaction(offer(uniqueBy("refuse", { key, id: `second-${end}` })))
        )
        yield* Effect.sleep("100 millis")
        yield* first[end]
        assert.strictEqual((yield* Fiber.join(second))._tag, expected, end)
        const left = (yield* take()).map(({ id }) => id)
        assert.deepStrictEqual(left, [end === "commit" ? "first-commit" : "second-rollBack"])
      }
    })
  )

  test(
    "an open transaction holds up no other caller",
    Effect.gen(function*() {
      const transaction = yield* held(enqueue("plain", "keyed"))
      yield* add({}, { key: "another key" })
      assert.strictEqual((yield* take()).length, 2)
      yield* transaction.commit
    })
  )

  test(
    "what is known already spoils no transaction",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const store = yield* TaskStore
      const book = yield* ledger
      yield* add({ id: "known", key: "key", payload: "1" })
      const answers = yield* sql.withTransaction(Effect.gen(function*() {
        const known = yield* store.enqueue([[task({ id: "known" })]])
        const conflict = yield* store.enqueue([[task({ id: "other", key: "key", payload: "2" })]])
        yield* book.write(1)
        return [...known, ...conflict].map(({ _tag }) => _tag)
      }))
      assert.deepStrictEqual(answers, ["Accepted", "Conflict"])
      assert.deepStrictEqual(yield* book.amounts, [1])
    })
  )

  const put = (id: string, document: string | null, expects: number = absent) =>
    RecordStore.use((records) => records.put([{ kind: "thing", id, expects, document, dueInMs: 0 }]))
  const documents = Effect.map(
    RecordStore.use((records) => records.list("thing")),
    ({ records }) => records.map(({ document, id }) => `${id}=${document}`)
  )

  test(
    "a record is put with the transaction, together with tasks, or not at all",
    Effect.gen(function*() {
      const version = yield* put("a", "1")
      const both = Effect.all([put("a", "2", version), put("b", "2"), enqueue("plain")])
      const lost = yield* held(both)
      assert.deepStrictEqual(yield* documents, ["a=1"])
      yield* lost.rollBack
      assert.deepStrictEqual(yield* documents, ["a=1"])
      assert.deepStrictEqual(yield* take(), [])
      const kept = yield* held(both)
      yield* kept.commit
      assert.deepStrictEqual(yield* documents, ["a=2", "b=2"])
      assert.lengthOf(yield* take(), 1)
    })
  )

  test(
    "a conflict of records spoils no transaction, and leaves nothing behind in it",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const version = yield* put("b", "1")
      yield* sql.withTransaction(Effect.gen(function*() {
        const records = yield* RecordStore
        const changes = ["a", "b"].map((id) => ({ kind: "thing", id, expects: absent, document: "2" }))
        const error = yield* Effect.flip(records.put(changes))
        assert.deepInclude(error, { _tag: "RecordConflict", index: 1, found: version })
        yield* put("c", "2")
      }))
      assert.deepStrictEqual(yield* documents, ["b=1", "c=2"])
    })
  )

  test(
    "a put waits for the transaction that has the record, and for no other",
    Effect.gen(function*() {
      const version = yield* put("a", "1")
      const transaction = yield* held(Effect.all([put("a", "2", version), put("new", "2")]))
      yield* put("b", "1")
      const { records: due } = yield* RecordStore.use((records) => records.take("thing", 10, 1000))
      assert.deepStrictEqual(due.map(({ id }) => id), ["b"])
      const late = yield* Effect.forkChild(Effect.all([
        Effect.result(put("a", "3", version)),
        Effect.result(put("new", "3"))
      ], { concurrency: 2 }))
      yield* transaction.commit
      const tags = (yield* Fiber.join(late)).map((result) =>
        result._tag === "Failure" ? result.failure._tag : result._tag
      )
      assert.deepStrictEqual(tags, ["RecordConflict", "RecordConflict"])
      assert.deepStrictEqual(yield* documents, ["a=2", "b=1", "new=2"])
    })
  )

  test(
    "a put that waits for a transaction which is then rolled back goes on",
    Effect.gen(function*() {
      const transaction = yield* held(put("a", "1"))
      const other = yield* Effect.forkChild(put("a", "2"))
      yield* Effect.sleep("50 millis")
      yield* transaction.rollBack
      yield* Fiber.join(other)
      assert.deepStrictEqual(yield* documents, ["a=2"])
    })
  )

  test(
    "an attempt is completed with the transaction, or not at all",
    Effect.gen(function*() {
      const book = yield* ledger
      const claimed = yield* running()
      const lost = yield* held(Effect.andThen(book.write(1), settle(complete(claimed, "1"))))
      assert.strictEqual(yield* stateOf(claimed.id), "running")
      yield* lost.rollBack
      assert.strictEqual(yield* stateOf(claimed.id), "running")
      const kept = yield* held(Effect.andThen(book.write(2), settle(complete(claimed, "2"))))
      yield* kept.commit
      assert.deepInclude(yield* record(claimed.id), { state: "completed", result: "2" })
      assert.deepStrictEqual(yield* book.amounts, [2])
      assert.strictEqual(yield* settle(complete(claimed, "3")), "already")
    })
  )

  const chain = (from: ClaimRef, expects: number = absent) =>
    RecordStore.use((records) =>
      records.atomically(`${from.id} ${from.claim} ${expects}`, {
        changes: [{ kind: "thing", id: "a", expects, document: "1" }],
        tasks: [task({ id: "next" })],
        settlements: [complete(from, "1")]
      })
    )

  test(
    "what is written together joins the transaction, or happens not at all",
    Effect.gen(function*() {
      const book = yield* ledger
      const claimed = yield* running()
      const lost = yield* held(Effect.andThen(book.write(1), chain(claimed)))
      assert.deepStrictEqual([yield* documents, yield* stateOf(claimed.id), yield* take()], [[], "running", []])
      yield* lost.rollBack
      assert.deepStrictEqual([yield* documents, yield* stateOf(claimed.id), yield* take()], [[], "running", []])
      assert.deepStrictEqual(yield* book.amounts, [])
      // its nonce was rolled back with it
      const kept = yield* held(Effect.andThen(book.write(2), chain(claimed)))
      yield* kept.commit
      assert.deepStrictEqual(yield* documents, ["a=1"])
      assert.deepInclude(yield* record(claimed.id), { state: "completed", result: "1" })
      assert.deepStrictEqual(yield* book.amounts, [2])
      assert.deepStrictEqual((yield* take()).map(({ id }) => id), ["next"])
      assert.deepInclude((yield* counts).totals, { created: 2, completed: 1 })
      const { tasks } = yield* chain(claimed)
      assert.deepStrictEqual(tasks, [{ id: "next", duplicate: false }])
    })
  )

  test(
    "what is refused together spoils no transaction, and leaves nothing behind in it",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const book = yield* ledger
      const claimed = yield* running({ key: "key" })
      const conflicting = RecordStore.use((records) =>
        records.atomically("conflicting", {
          changes: [{ kind: "thing", id: "a", expects: absent, document: "1" }],
          tasks: [task(), task({ key: "key", payload: "2" })],
          settlements: [complete(claimed)]
        })
      )
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* book.write(1)
        const refusals = [
          yield* Effect.flip(chain(claimed, 7)),
          yield* Effect.flip(chain({ id: claimed.id, claim: claimed.claim + 1 })),
          yield* Effect.flip(conflicting)
        ]
        assert.deepStrictEqual(refusals.map(({ _tag }) => _tag), ["RecordConflict", "LeaseLost", "KeyConflict"])
        yield* put("b", "2")
      }))
      assert.deepStrictEqual(yield* documents, ["b=2"])
      assert.deepStrictEqual(yield* book.amounts, [1])
      assert.strictEqual(yield* extend(claimed), "held")
      assert.deepInclude((yield* counts).totals, { created: 1, completed: 0 })
    })
  )

  test(
    "what is written together waits for the transaction that has its record or its task, and for no other",
    Effect.gen(function*() {
      const [first, other] = [yield* running(), yield* running()]
      const transaction = yield* held(chain(first))
      yield* RecordStore.use((records) =>
        records.atomically("other", {
          changes: [{ kind: "thing", id: "b", expects: absent, document: "1" }],
          settlements: [complete(other)]
        })
      )
      const late = yield* Effect.forkChild(Effect.all([
        Effect.flip(chain(first, 7)),
        Effect.flip(RecordStore.use((records) => records.atomically("late", { settlements: [complete(first)] }))),
        chain(first)
      ], { concurrency: 3 }))
      yield* Effect.sleep("50 millis")
      yield* transaction.commit
      const [conflict, lost, repeated] = yield* Fiber.join(late)
      assert.deepStrictEqual([conflict._tag, lost._tag], ["RecordConflict", "LeaseLost"])
      assert.deepStrictEqual(repeated.tasks, [{ id: "next", duplicate: false }])
      assert.deepStrictEqual(yield* documents, ["a=1", "b=1"])
    })
  )

  test(
    "heartbeats and rescue do not wait for a transaction that completes an attempt",
    Effect.gen(function*() {
      yield* addOne({ id: "a" })
      yield* addOne({ id: "b" })
      const [first, other] = yield* take({ leaseForMs: second })
      const transaction = yield* held(settle(complete(first!)))
      assert.strictEqual(yield* extend(first!, second), "held")
      yield* schemas.advance("10 seconds")
      assert.deepStrictEqual((yield* rescue()).map(({ id }) => id), [other!.id])
      yield* transaction.commit
      assert.strictEqual(yield* stateOf(first!.id), "completed")
    })
  )

  /** An engine on the store of the test, which finds work by hints alone. */
  const withEngine = <A, E, R>(
    handler: (payload: { readonly amount: number }) => Effect.Effect<{ readonly paid: number }, never, TaskContext>,
    body: Effect.Effect<A, E, R>,
    lease?: Duration.Input
  ) =>
    Effect.flatMap(Effect.context<StoreServices>(), (services) =>
      Effect.provide(
        body,
        Engine.layer(Pay.toLayer(handler), {
          queue: { pollInterval: "1 hour" },
          worker: { concurrency: 1, pollInterval: "1 hour", lease }
        }).pipe(Layer.provide(Layer.succeedContext(services))),
        { local: true }
      ))

  test(
    "a handler completes its task together with its own writes",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const book = yield* ledger
      let runs = 0
      const pay = ({ amount }: { readonly amount: number }) =>
        Effect.gen(function*() {
          runs++
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* book.write(amount)
            yield* Pay.complete({ paid: amount })
            // the first time, after both were written
            if (runs === 1) return yield* new Declined()
          })).pipe(Effect.orDie)
          // A heartbeat comes, and does not mistake it for lost
          yield* Effect.sleep("1500 millis")
          return { paid: -1 }
        })
      yield* withEngine(
        pay,
        Effect.gen(function*() {
          const handle = yield* Pay.enqueue({ amount: 7 })
          assert.deepStrictEqual(yield* handle.result, { paid: 7 })
          assert.strictEqual(runs, 2)
          assert.deepStrictEqual(yield* book.amounts, [7])
        }),
        "3 seconds"
      )
      const { tasks: [stored] } = yield* TaskStore.use((store) => store.list({ limit: 10 }))
      assert.deepInclude(stored, { state: "completed", result: `{"paid":7}`, failures: 1 })
    })
  )

  test(
    "a handler that has lost its task cannot commit anything",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const book = yield* ledger
      const outcome = Deferred.makeUnsafe<unknown>()
      const started = Deferred.makeUnsafe<string>()
      const goOn = Deferred.makeUnsafe<void>()
      const pay = ({ amount }: { readonly amount: number }) =>
        Effect.gen(function*() {
          const { id } = yield* TaskContext
          yield* Deferred.succeed(started, id)
          yield* Deferred.await(goOn)
          const result = yield* Effect.flip(
            sql.withTransaction(Effect.andThen(book.write(amount), Pay.complete({ paid: amount })))
          ).pipe(Effect.orDie)
          yield* Deferred.succeed(outcome, result)
          return { paid: 0 }
        })
      yield* withEngine(
        pay,
        Effect.gen(function*() {
          const { id } = yield* Pay.enqueue({ amount: 7 })
          yield* Deferred.await(started)
          // somebody takes it away, as the rescue of another process would
          const store = yield* TaskStore
          const { claim } = yield* record(id)
          yield* store.settle([{ _tag: "Release", id, claim }])
          yield* takeOne({ types: ["pay"], instance: "thief" })
          yield* Deferred.succeed(goOn, undefined)
          assert.propertyVal(yield* Deferred.await(outcome), "_tag", "LeaseLost")
          assert.deepStrictEqual(yield* book.amounts, [])
          assert.deepInclude(yield* record(id), { state: "running", instance: "thief" })
        }),
        // it does not hear of its loss before
        "1 minute"
      )
    })
  )

  test(
    "a handler whose completion was rolled back is stopped when it has lost its task",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const rolledBack = Deferred.makeUnsafe<string>()
      const stopped = Deferred.makeUnsafe<void>()
      const pay = ({ amount }: { readonly amount: number }) =>
        Effect.gen(function*() {
          const { id } = yield* TaskContext
          yield* Effect.exit(
            sql.withTransaction(Effect.andThen(Pay.complete({ paid: amount }), Effect.fail(new Declined())))
          )
          yield* Deferred.succeed(rolledBack, id)
          return yield* Effect.onInterrupt(Effect.never, () => Deferred.succeed(stopped, undefined))
        })
      yield* withEngine(
        pay,
        Effect.gen(function*() {
          yield* Pay.enqueue({ amount: 7 })
          const id = yield* Deferred.await(rolledBack)
          const store = yield* TaskStore
          const { claim } = yield* record(id)
          yield* store.settle([{ _tag: "Release", id, claim }])
          yield* takeOne({ types: ["pay"], instance: "thief" })
          yield* Deferred.await(stopped)
          assert.deepInclude(yield* record(id), { failures: 0, result: null })
        }),
        "3 seconds"
      )
    })
  )

  test(
    "a transaction that is repeated after it was committed changes nothing",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const book = yield* ledger
      const pay = ({ amount }: { readonly amount: number }) =>
        Effect.gen(function*() {
          const once = sql.withTransaction(Effect.andThen(book.write(amount), Pay.complete({ paid: amount })))
          yield* Effect.orDie(once)
          assert.propertyVal(yield* Effect.orDie(Effect.flip(once)), "_tag", "LeaseLost")
          return { paid: 0 }
        })
      yield* withEngine(
        pay,
        Effect.gen(function*() {
          const handle = yield* Pay.enqueue({ amount: 7 })
          assert.deepStrictEqual(yield* handle.result, { paid: 7 })
        })
      )
      assert.deepStrictEqual(yield* book.amounts, [7])
    })
  )

  test(
    "work that a transaction announces is found after the commit, long before anybody polls",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      yield* withEngine(
        ({ amount }) => Effect.succeed({ paid: amount }),
        Effect.gen(function*() {
          const handle = yield* sql.withTransaction(
            Effect.andThen(Effect.sleep("20 millis"), Pay.enqueue({ amount: 1 }))
          )
          assert.deepStrictEqual(yield* handle.result, { paid: 1 })
        })
      )
    })
  )

  test(
    "what a transaction did is told to those who watch when it has been committed, and never when it was rolled back",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const log = yield* EventLog
      const runs = new Map<string, number>()
      const pay = ({ amount }: { readonly amount: number }) =>
        Effect.gen(function*() {
          const { id } = yield* TaskContext
          const run = (runs.get(id) ?? 0) + 1
          runs.set(id, run)
          yield* sql.withTransaction(
            Effect.andThen(Pay.complete({ paid: amount }), run === 1 ? Effect.fail(new Declined()) : Effect.void)
          ).pipe(Effect.orDie)
          return { paid: -1 }
        })
      yield* log.attend(60_000)
      yield* withEngine(
        pay,
        Effect.gen(function*() {
          // until what happens is told, because the recorder has heard that somebody attends
          yield* Notifier.use((notifier) => notifier.publish(events))
          const probes = new Set<string>()
          const told = Effect.map(log.read(0, 1000), (page) => page.events)
          const isTold = Effect.gen(function*() {
            const { id } = yield* Pay.enqueue({ amount: 0 })
            probes.add(id)
            yield* Effect.sleep("100 millis")
            const isThere = (yield* told).some((event) => event.id === id && event.event === "created")
            return yield* isThere ? Effect.void : Effect.fail("not yet")
          })
          yield* Effect.retry(isTold, patiently())
          yield* Effect.ignore(
            sql.withTransaction(Effect.andThen(Pay.enqueue({ amount: 1 }), Effect.fail(new Declined())))
          )
          const handle = yield* sql.withTransaction(Pay.enqueue({ amount: 2 }))
          assert.deepStrictEqual(yield* handle.result, { paid: 2 })
          const completed = Effect.filterOrFail(
            told,
            (events) => events.some(({ event, id }) => id === handle.id && event === "completed")
          )
          yield* Effect.retry(completed, patiently())
          // as long as an attempt's end may take that is told twice
          yield* Effect.sleep("100 millis")
          const others = (yield* told).filter(({ id }) => !probes.has(id))
          assert.deepStrictEqual(new Set(others.map(({ id }) => id)), new Set([handle.id]))
          const names = others.map(({ event }) => event)
          assert.deepStrictEqual(names, ["created", "started", "retrying", "started", "completed"])
          assert.deepInclude(others.at(-1), { attempt: 2 })
        })
      )
    })
  )

  test(
    "a result cannot be awaited inside of the transaction that enqueued the task",
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      yield* withEngine(
        ({ amount }) => Effect.succeed({ paid: amount }),
        Effect.gen(function*() {
          const error = yield* Effect.flip(
            sql.withTransaction(Effect.flatMap(Pay.enqueue({ amount: 1 }), (handle) => handle.result))
          )
          assert.propertyVal(error, "_tag", "ResultInTransaction")
        })
      )
    })
  )
})
