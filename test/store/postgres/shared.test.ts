/** Tasks with gates that wait together: when they get lines, who starts, and what earlier versions do to them. */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, type Scope } from "effect"
import type * as Gate from "../../../src/domain/Gate.ts"
import type { Settlement } from "../../../src/domain/Settlement.ts"
import { Notifier } from "../../../src/store/Notifier.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { maxAlike, maxMoved } from "../../../src/store/postgres/Shared.ts"
import type { RecordStore } from "../../../src/store/RecordStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  add,
  addAll,
  again,
  cancel,
  complete,
  idsOf,
  record,
  refOf,
  request,
  rerun,
  setLimit,
  take,
  takeIds,
  task,
  tasks,
  through
} from "../conformance/fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const { url } = server
  const sql = <Row extends object>(text: string) => Effect.orDie(Postgres.query<Row>(url, text))

  /** A store in a schema of its own, and what its tables hold. */
  const inStore = (
    body: (looks: {
      readonly schema: string
      /** How many pending tasks wait together. */
      readonly together: Effect.Effect<number>
      readonly lines: Effect.Effect<number>
      readonly news: Effect.Effect<number>
      readonly client: PgClient.PgClient
    }) => Effect.Effect<void, unknown, Notifier | TaskStore | RecordStore | Scope.Scope>
  ) =>
    Effect.scoped(Effect.gen(function*() {
      const schema = yield* Postgres.scratchSchema(server)
      const services = yield* Layer.build(
        Layer.fresh(PostgresStore.layerUrl({ url, schema, maxConnections: 4, capacity: 100_000 }))
      )
      const count = (from: string) =>
        Effect.map(sql<{ n: number }>(`SELECT count(*)::int AS n FROM "${schema}".${from}`), ([row]) => row!.n)
      yield* Effect.provide(
        body({
          schema,
          together: count("task WHERE state = 1 AND shared_gate IS NOT NULL"),
          lines: count("line"),
          news: count("end_news"),
          client: Context.get(services, PgClient.PgClient)
        }),
        services
      )
    }))

  const perKey = (count: number, keys = count) => tasks(count).map((_, index) => through(`tenant=${index % keys}`))

  describe("tasks with gates that wait together in PostgreSQL", () => {
    it.live("stay so until a gate is closed, and then the tasks that it stops alone have lines", () =>
      inStore(Effect.fnUntraced(function*({ lines, together }) {
        yield* setLimit("tenant", { max: 1 })
        const ids = yield* add(...perKey(30, 10))
        assert.strictEqual(yield* together, 30)
        assert.deepStrictEqual(yield* takeIds({ limit: 10 }), ids.slice(0, 10))
        assert.deepStrictEqual([yield* together, yield* lines], [20, 0])
        yield* setLimit("tenant=3", { max: 2 })
        assert.deepStrictEqual(yield* takeIds({ limit: 10 }), [ids[13]!])
        assert.deepStrictEqual([yield* together, yield* lines], [0, 10])
        // what comes now goes to the line that there is
        yield* add(through("tenant=4"), through("tenant=x"))
        assert.strictEqual(yield* together, 1)
      })))

    it.live("have a line at once where very many of one gate are stored together: a limit put later finds them there", () =>
      inStore(Effect.fnUntraced(function*({ together }) {
        const one = tasks(maxMoved + maxAlike).map(() => through("tenant=one"))
        yield* addAll(one)
        yield* add(...perKey(maxAlike, 1))
        assert.strictEqual(yield* together, maxAlike)
        yield* setLimit("tenant=one", { tokens: 5, perMs: 60_000, burst: 5 })
        // a claim that had to give them to their line would answer nothing
        assert.lengthOf(yield* takeIds({ limit: 10 }), 10)
      })))

    it.live("leave no news where no line waits for one of their passes", () =>
      inStore(Effect.fnUntraced(function*({ lines, news }) {
        const store = yield* TaskStore
        yield* setLimit("tenant", { max: 1 })
        yield* add(...perKey(4), ...perKey(1))
        const [first, ...others] = yield* take({ limit: 4 })
        yield* store.settle(others.slice(0, 1).map((one) => complete(one)))
        assert.strictEqual(yield* news, 0)
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.strictEqual(yield* lines, 1)
        yield* store.settle(others.slice(1).map((one) => complete(one)))
        assert.strictEqual(yield* news, 0)
        yield* store.settle([complete(first!)])
        assert.strictEqual(yield* news, 1)
        assert.lengthOf(yield* takeIds(), 1)
      })))

    it.live("are told of where one ends for which others wait, and not where none does", () =>
      inStore(Effect.fnUntraced(function*({ client }) {
        const store = yield* TaskStore
        const hints: Array<string> = []
        yield* setLimit("tenant", { max: 1 })
        yield* add(...perKey(8), ...perKey(3))
        const [first, second, third, ...others] = yield* take({ limit: 8 })
        yield* (yield* Notifier).listen(({ _tag }) => void hints.push(_tag))
        const told = <A, E>(ending: Effect.Effect<A, E>) =>
          Effect.map(ending, () => hints.splice(0).filter((hint) => hint === "Work").length)
        const end = (...settlements: ReadonlyArray<Settlement>) => told(store.settle(settlements))
        assert.strictEqual(yield* end(complete(others[0]!)), 0)
        assert.strictEqual(yield* end({ _tag: "Cancel", ...refOf(others[1]!) }, complete(others[2]!)), 1)
        // three find their limits full
        assert.deepStrictEqual(yield* takeIds(), [])
        hints.splice(0)
        assert.strictEqual(yield* end(complete(others[3]!)), 0)
        assert.strictEqual(yield* end(complete(first!)), 1)
        // one of which the store knows nothing any more is no reason to be silent about another
        assert.strictEqual(yield* end(complete(first!), complete(second!)), 1)
        assert.lengthOf(yield* takeIds(), 2)
        // in a transaction it is told once that is committed
        yield* client.withTransaction(Effect.gen(function*() {
          assert.strictEqual(yield* end(complete(third!)), 0)
        }))
        assert.strictEqual(yield* told(Effect.void), 1)
        assert.lengthOf(yield* takeIds(), 1)
      })))

    it.live("start when a task ends that a claim has seen running: the claim waits for its end", () =>
      inStore(Effect.fnUntraced(function*({ client, schema }) {
        const store = yield* TaskStore
        yield* setLimit("tenant", { max: 1 })
        const [, second] = yield* add(...perKey(2, 1))
        const [first] = yield* take({ limit: 1 })
        // as a process does that ends a task, between its statement and the end of its transaction
        const ended = yield* Deferred.make<void>()
        const isOver = yield* Deferred.make<void>()
        const ending = yield* client.withTransaction(Effect.gen(function*() {
          yield* client.unsafe(
            `SELECT "${schema}".complete_alone_1(ARRAY['${first!.id}'], ARRAY[${
              first!.claim
            }]::bigint[], ARRAY['null'])`
          )
          yield* Deferred.succeed(ended, undefined)
          yield* Deferred.await(isOver)
        })).pipe(Effect.forkScoped)
        yield* Deferred.await(ended)
        const claiming = yield* Effect.forkScoped(takeIds())
        // until the claim waits, or has answered
        const waits = sql<{ n: number }>(
          `SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
        )
        while ((yield* waits)[0]!.n === 0 && claiming.pollUnsafe() === undefined) yield* Effect.sleep("5 millis")
        yield* Deferred.succeed(isOver, undefined)
        yield* Fiber.join(ending)
        const taken = [...yield* Fiber.join(claiming), ...yield* takeIds()]
        assert.deepStrictEqual(taken, [second])
        assert.lengthOf(yield* store.passes(["tenant=0"]), 1)
      })))

    const needing: ReadonlyArray<readonly [string, Gate.Limit]> = [
      ["turns", { fair: 1 }],
      ["an order", { order: "block" }],
      ["a rate", { tokens: 1, perMs: 1000, burst: 1 }]
    ]
    for (const [what, limit] of needing) {
      it.live(`go to their lines when ${what} is put for one of their limits, and only then`, () =>
        inStore(Effect.fnUntraced(function*({ together }) {
          yield* add(...perKey(20, 4))
          yield* setLimit("other", limit)
          yield* takeIds({ limit: 1 })
          assert.strictEqual(yield* together, 19)
          yield* setLimit("tenant", limit)
          yield* takeIds({ limit: 1 })
          assert.strictEqual(yield* together, 0)
          // and new ones have lines from the start
          yield* add(...perKey(8))
          assert.strictEqual(yield* together, 0)
        })))
    }

    it.live(
      "go to their lines part by part where they are very many, and none starts before",
      () =>
        inStore(Effect.fnUntraced(function*({ together }) {
          const count = maxMoved + 1000
          for (let at = 0; at < count; at += 1000) yield* add(...perKey(1000, 20))
          yield* setLimit("tenant", { order: "continue" })
          const store = yield* TaskStore
          const first = yield* store.claim(request({ limit: 10 }))
          assert.deepStrictEqual([idsOf(first.tasks), first.nextDueAt], [[], first.now])
          assert.strictEqual(yield* together, 1000)
          assert.lengthOf(yield* takeIds({ limit: 30 }), 20)
          assert.strictEqual(yield* together, 0)
        })),
      60_000
    )

    it.live(
      "are passed over part by part where very many gates are closed",
      () =>
        inStore(Effect.fnUntraced(function*({ together }) {
          const count = 2 * maxMoved
          yield* setLimit("tenant", { max: 0 })
          for (let at = 0; at < count; at += 1000) yield* add(...perKey(1000))
          const [id] = yield* addAll([through("open=")])
          const store = yield* TaskStore
          const first = yield* store.claim(request({ limit: 1 }))
          assert.deepStrictEqual([idsOf(first.tasks), first.nextDueAt], [[], first.now])
          // one that has looked at enough goes on later
          assert.isAtMost(count + 1 - (yield* together), maxMoved + 1000)
          let taken: ReadonlyArray<string> = []
          for (let times = 0; times < 10 && taken.length === 0; times++) taken = yield* takeIds({ limit: 1 })
          assert.deepStrictEqual(taken, [id])
        })),
      60_000
    )

    it.live("start in one order of work with those in lines, and no limit is overshot between them", () =>
      inStore(Effect.fnUntraced(function*({ lines, together }) {
        const store = yield* TaskStore
        yield* setLimit("tenant", { max: 2 })
        // a retry has a line, and stands before those that came later
        const [retried] = yield* addAll([through("tenant=a")])
        yield* store.settle((yield* take()).map((one) => again(one)))
        const [b, behind, plain, third] = yield* addAll([
          through("tenant=b"),
          through("tenant=a", "tenant=c"),
          {},
          through("tenant=c", "tenant=a")
        ])
        assert.strictEqual(yield* together, 3)
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [retried])
        assert.strictEqual(yield* lines, 0)
        const [again_] = yield* store.claim(request({ limit: 1, types: ["none"] })).pipe(Effect.as([undefined]))
        assert.isUndefined(again_)
        assert.deepStrictEqual(yield* takeIds(), [b, behind, plain])
        assert.deepStrictEqual([yield* together, yield* lines], [0, 1])
        yield* store.settle([complete({ id: retried!, claim: (yield* record(retried!)).claim })])
        assert.deepStrictEqual(yield* takeIds(), [third])
      })))

    it.live("are not started beyond a limit by a claim that takes a task of a line before them", () =>
      inStore(Effect.fnUntraced(function*({ together }) {
        const store = yield* TaskStore
        yield* setLimit("tenant", { max: 1 })
        const [retried] = yield* addAll([through("tenant=a", "tenant=b")])
        yield* store.settle((yield* take()).map((one) => again(one)))
        // other gates with the same passes, which have no line
        const [first, plain, second] = yield* addAll([through("tenant=a"), {}, through("tenant=b")])
        assert.strictEqual(yield* together, 2)
        assert.deepStrictEqual([...yield* takeIds(), ...yield* takeIds()], [retried, plain])
        assert.strictEqual(yield* together, 0)
        yield* store.settle([complete({ id: retried!, claim: (yield* record(retried!)).claim })])
        assert.deepStrictEqual(yield* takeIds(), [first, second])
      })))

    it.live("keep their gate where they are cancelled, run again, rescheduled and delayed", () =>
      inStore(Effect.fnUntraced(function*({ together }) {
        const store = yield* TaskStore
        const [a, b, c] = yield* addAll([...perKey(2), { ...through("tenant=2"), delayMs: 3_600_000 }])
        assert.strictEqual((yield* record(a!)).gate, `["tenant=0"]`)
        yield* cancel(a!)
        assert.strictEqual((yield* record(a!)).gate, `["tenant=0"]`)
        yield* rerun(a!)
        yield* store.reschedule([
          { id: b!, type: "work", queue: "default", priority: 5 },
          { id: c!, type: "work", queue: "default", delayMs: 0 }
        ])
        for (const [index, id] of [a, b, c].entries()) {
          assert.strictEqual((yield* record(id!)).gate, `["tenant=${index}"]`)
        }
        assert.strictEqual(yield* together, 3)
        yield* store.reschedule([{ id: c!, type: "work", queue: "default", ...through("tenant=x") }])
        assert.strictEqual((yield* record(c!)).gate, `["tenant=x"]`)
        const taken = yield* take()
        assert.deepStrictEqual(taken.map(({ gate }) => gate).toSorted(), [
          `["tenant=0"]`,
          `["tenant=1"]`,
          `["tenant=x"]`
        ])
      })))

    it.live("keep their gate when an instance of an earlier version changes them, which does not see it", () =>
      inStore(Effect.fnUntraced(function*({ client, schema, together }) {
        yield* setLimit("tenant", { max: 1 })
        const [first, second] = yield* addAll(perKey(2, 1))
        const { seq } = yield* record(first!)
        // what it sends where it changes the priority of a task that seems to have no gate
        yield* client.unsafe(
          `SELECT "${schema}".revise_tasks_2(ARRAY[${seq}]::bigint[], ARRAY[NULL], ARRAY[9]::smallint[], ARRAY[NULL],
            ARRAY[NULL], ARRAY[NULL], ARRAY[NULL]::bigint[])`
        )
        assert.strictEqual(yield* together, 2)
        assert.strictEqual((yield* record(first!)).gate, `["tenant=0"]`)
        // and it claims by the same function, and ends tasks with news
        const claimed = yield* client.unsafe<{ out_id: string; out_gate: string; out_claim: number }>(
          `SELECT out_id, out_gate, out_claim FROM "${schema}".claim_6(NULL, '{work}', 10, 'earlier', 60000, 1, true)`
        )
        assert.deepStrictEqual(claimed.map(({ out_gate, out_id }) => [out_id, out_gate]), [[first, `["tenant=0"]`]])
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* client.unsafe(
          `SELECT "${schema}".complete_1(ARRAY['${first}'], ARRAY[${claimed[0]!.out_claim}]::bigint[], ARRAY['null'])`
        )
        assert.deepStrictEqual(yield* takeIds(), [second])
      })))

    it.live("are left to others by a claim in a transaction of the application, as those in lines are", () =>
      inStore(Effect.fnUntraced(function*({ client, together }) {
        const store = yield* TaskStore
        const [, plain] = yield* addAll([...perKey(1), {}])
        assert.deepStrictEqual(yield* client.withTransaction(takeIds()), [plain])
        assert.strictEqual(yield* together, 1)
        assert.lengthOf((yield* store.claim(request())).tasks, 1)
      })))

    it.live("are in lines where the layout before has stored them, and start from there", () =>
      inStore(Effect.fnUntraced(function*({ lines, schema, together }) {
        yield* setLimit("tenant", { max: 2 })
        const store = yield* TaskStore
        yield* store.enqueue([perKey(6, 2).map((fields) => task(fields))])
        yield* sql(`SELECT "${schema}".give_to_lines_1(ARRAY(SELECT seq FROM "${schema}".task))`)
        yield* sql(`ALTER TABLE "${schema}".task DROP COLUMN shared_gate`)
        yield* sql(`UPDATE "${schema}".layout SET version = 21`)
        yield* Effect.scoped(Layer.build(Layer.fresh(PostgresStore.layerUrl({ url, schema, maxConnections: 3 }))))
        assert.strictEqual(yield* together, 0)
        const taken = yield* take()
        assert.lengthOf(taken, 4)
        assert.strictEqual(yield* lines, 2)
        yield* store.settle(taken.map((one) => complete(refOf(one))))
        assert.lengthOf(yield* take(), 2)
      })))
  })
})
