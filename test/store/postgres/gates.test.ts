/** Gates in PostgreSQL: whatever happens to tasks and limits, no claim overshoots, and none leaves a task that may start. */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Random, type Scope } from "effect"
import * as Gate from "../../../src/domain/Gate.ts"
import * as Rank from "../../../src/domain/Rank.ts"
import type { Settlement } from "../../../src/domain/Settlement.ts"
import type { NewTask, TaskRecord } from "../../../src/domain/TaskRecord.ts"
import * as Gates from "../../../src/store/Gates.ts"
import * as PausedQueues from "../../../src/store/PausedQueues.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { RecordStore, type StoredRecord } from "../../../src/store/RecordStore.ts"
import { type ClaimAnswer, type ClaimRef, TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  again,
  anyTime,
  complete,
  everything,
  fail,
  minute,
  putRecord,
  release,
  request,
  retention,
  second,
  setLimit,
  snooze,
  stop,
  task,
  through
} from "../conformance/fixtures.ts"
import { Schemas } from "./fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const { url } = server
  const schemas = new Schemas(server)
  const sql = (text: string) => Postgres.query(url, text)

  const types = ["a", "b"]
  const queues = ["x", "y"]
  const passes: ReadonlyArray<ReadonlyArray<string>> = [
    [],
    ["max=1"],
    ["max=2"],
    ["rate=1"],
    ["max=1", "rate=1"],
    ["rate=2", "max=2"],
    ["fair=1", "max=2"],
    ["!order=1"],
    ["!order=1", "max=1"],
    ["!order=2", "rate=1"],
    ["max=1", "max=2", "free=1"]
  ]
  const limits: ReadonlyArray<readonly [id: string, limits: ReadonlyArray<Gate.Limit | null>]> = [
    ["max", [{ max: 2 }, { max: 1 }, { max: 0 }, null]],
    ["max=2", [{ max: 3 }, { lifted: true }, null]],
    ["rate", [{ tokens: 2, perMs: second, burst: 3 }, { tokens: 1, perMs: minute, burst: 1 }]],
    ["!order", [{ order: "block" }, { order: "continue" }]],
    ["fair", [{ fair: 1 }, { fair: 2 }, null]]
  ]
  const everywhere = { queues: undefined, types }

  const documentsOf = (found: ReadonlyArray<StoredRecord | undefined>) =>
    new Map(found.flatMap((one) => one === undefined ? [] : [[one.id, one.document]]))

  /** What may start by the contract, from what the store shows. */
  const startable = Effect.gen(function*() {
    const store = yield* TaskStore
    const records = yield* RecordStore
    const all = yield* everything
    const names = [...new Set(all.flatMap(({ gate }) => Gate.passesOf(gate)))]
    const states = new Map((yield* store.passes(names)).map((state) => [state.pass, state]))
    const ids = (kind: string) =>
      Effect.map(
        records.get(kind, [...new Set([...names, ...names.map(Gate.limitOf), ...types, ...queues])]),
        documentsOf
      )
    const [documents, keys, stoppedTypes, stoppedQueues] = [
      yield* ids(Gates.limitKind),
      yield* ids(Gates.pausedKeyKind),
      yield* ids(Gates.pausedTypeKind),
      yield* ids(PausedQueues.kind)
    ]
    const now = (yield* store.claim(request({ ...everywhere, limit: 0 }))).now
    const lines = new Map<string, TaskRecord>()
    const rankOf = (one: TaskRecord) => Rank.rankOf(one, one.dueAt, Rank.headStartMillis(Rank.defaultHeadStart))
    for (const one of all.filter(({ state }) => state === "pending")) {
      const line = JSON.stringify([one.queue, one.type, one.gate])
      const first = lines.get(line)
      if (first === undefined || rankOf(one) < rankOf(first) || rankOf(one) === rankOf(first) && one.seq < first.seq) {
        lines.set(line, one)
      }
    }
    return [...lines.values()].filter((one) => {
      if (stoppedTypes.has(one.type) || stoppedQueues.has(one.queue)) return false
      return Gate.refusal(one.id, Gate.passesOf(one.gate), Gate.costsOf(one), {
        isPaused: (pass) => keys.has(pass),
        limitOf: (pass) =>
          Gates.limitFor(pass, (id) => documents.has(id) ? Gates.limitOfDocument(documents.get(id)!) : undefined),
        running: (pass) => states.get(pass)!.running,
        bucketOf: (pass) => states.get(pass)!.bucket ?? undefined,
        holderOf: (pass) => states.get(pass)!.holder ?? undefined
      }, now) === undefined
    }).map(({ id }) => id)
  })

  const pick = <A>(from: ReadonlyArray<A>) => Effect.map(Random.nextIntBetween(0, from.length - 1), (at) => from[at]!)

  const newTask = Effect.gen(function*() {
    const gate = yield* pick(passes)
    const fields: Partial<NewTask> = {
      type: yield* pick(types),
      queue: yield* pick(queues),
      priority: yield* pick([1, 1, 1, 2]),
      delayMs: yield* pick([0, 0, 0, second])
    }
    const cost = yield* pick<number>([1, 1, 2, 5])
    return task({ ...fields, ...through(...gate.map((pass) => [pass, pass.startsWith("rate") ? cost : 1] as const)) })
  })

  /** One thing that happens to the store. */
  const step = Effect.gen(function*() {
    const store = yield* TaskStore
    const all = yield* everything
    const some = all.length === 0 ? undefined : yield* pick(all)
    const running = all.filter(({ state }) => state === "running")
    const end = running.length === 0 ? undefined : yield* pick(running)
    switch (yield* Random.nextIntBetween(0, 14)) {
      case 0:
      case 1:
      case 2:
        return yield* store.enqueue([[yield* newTask, yield* newTask, yield* newTask]])
      case 3:
      case 4:
      case 5:
      case 6: {
        if (end === undefined) return
        const kind = yield* pick<(ref: ClaimRef) => Settlement>([
          complete,
          complete,
          fail,
          (ref) => again(ref, second),
          release,
          (ref) => snooze(ref, second),
          stop
        ])
        return yield* store.settle([kind(end)])
      }
      case 7:
        return some && (yield* store.cancel([some.id]))
      case 8:
        return some && (yield* store.rerun([some.id]))
      case 9:
        return some && (yield* store.remove([some.id]))
      case 10: {
        const [id, choices] = yield* pick(limits)
        return yield* setLimit(id, yield* pick(choices))
      }
      case 11: {
        const [kind, id] = yield* pick([
          [Gates.pausedKeyKind, "max=1"],
          [Gates.pausedTypeKind, "a"],
          [PausedQueues.kind, "x"]
        ])
        return yield* putRecord(kind!, id!, yield* pick([{}, null, null]))
      }
      case 12:
        return yield* store.charge([{ pass: yield* pick(["rate=1", "rate=2"]), amount: yield* pick([1, 2, -1, -3]) }])
      case 13:
        yield* schemas.advance(yield* pick<number>([10, 300, second, 3 * second, 40 * second]))
        return yield* store.rescue({ limit: 10, ...anyTime })
      default: {
        yield* store.letGo(yield* pick([["!order=1"], ["!order=2"], []]))
        return yield* store.prune(retention({ maxFinished: 20 }), 10)
      }
    }
  })

  /** That no limit on how many run was overshot by what a claim took. */
  const overshot = (answer: ClaimAnswer, before: ReadonlyMap<string, number>) =>
    Effect.gen(function*() {
      const store = yield* TaskStore
      const records = yield* RecordStore
      for (const pass of new Set(answer.tasks.flatMap(({ gate }) => Gate.passesOf(gate)))) {
        const found = documentsOf(yield* records.get(Gates.limitKind, [pass, Gate.limitOf(pass)]))
        const limit = Gates.limitFor(pass, (id) => found.has(id) ? Gates.limitOfDocument(found.get(id)!) : undefined)
        const [state] = yield* store.passes([pass])
        if (limit !== undefined && "max" in limit) {
          assert.isAtMost(state!.running, Math.max(limit.max, before.get(pass) ?? 0), pass)
        }
      }
    })

  describe("Gates in PostgreSQL", () => {
    for (let round = 1; round <= Number(process.env["GATE_ROUNDS"] ?? 3); round++) {
      it.live(`leave no task that may start, whatever happened before (${round})`, () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          yield* setLimit("max", { max: 2 })
          yield* setLimit("rate", { tokens: 2, perMs: second, burst: 3 })
          yield* setLimit("!order", { order: "block" })
          yield* setLimit("fair", { fair: 1 })
          for (let steps = 0; steps < 150; steps++) {
            const times = yield* Random.nextIntBetween(1, 3)
            for (let time = 0; time < times; time++) yield* step
            const names = [...new Set(passes.flat())]
            const before = new Map((yield* store.passes(names)).map(({ pass, running }) => [pass, running]))
            const partly = yield* store.claim(request({
              types: yield* pick([types, ["a"], ["b"]]),
              queues: yield* pick([undefined, ["x"], ["y"], queues]),
              limit: yield* pick<number>([1, 1, 2, 1000]),
              leaseForMs: 30 * second
            }))
            yield* overshot(partly, before)
            if (steps % 3 === 0) {
              yield* store.claim(request(everywhere))
              assert.deepStrictEqual(yield* startable, [], `after step ${steps}`)
            }
          }
        }).pipe(Effect.provide(schemas.layerStopped())), 600_000)
    }

    const open = (schema: string, maxConnections = 4, at = url) =>
      Effect.map(
        Layer.build(Layer.fresh(PostgresStore.layerUrl({ url: at, schema, maxConnections, capacity: 1_000_000 }))),
        (services) => ({
          services,
          store: Context.get(services, TaskStore),
          client: Context.get(services, PgClient.PgClient)
        })
      )
    const test = (name: string, body: (schema: string) => Effect.Effect<void, unknown, Scope.Scope>) =>
      it.live(name, () => Effect.scoped(Effect.flatMap(Postgres.scratchSchema(server), body)), 300_000)
    const keyed = (count: number, keys: number, limit = "tenant") =>
      Array.from({ length: count }, (_, index) => task(through(`${limit}=${index % keys}`)))
    const anywhere = { queues: undefined, types: ["work"] }

    test("keep limits between claimers on connections of their own", (schema) =>
      Effect.gen(function*() {
        const opened = yield* Effect.all(Array.from({ length: 4 }, () => open(schema)))
        const [{ services, store }] = opened as [typeof opened[number]]
        yield* Effect.provide(setLimit("tenant", { max: 2 }), services)
        const count = 400
        yield* store.enqueue([keyed(count, 5)])
        const taken: Array<string> = []
        yield* Effect.forEach(opened, ({ store }, index) =>
          Effect.gen(function*() {
            while (taken.length < count) {
              const { tasks } = yield* store.claim(
                request({ ...anywhere, limit: 1 + index * 3, instance: `i${index}` })
              )
              taken.push(...tasks.map(({ id }) => id))
              // one view of the table, whatever is committed meanwhile
              const over = yield* sql(
                `SELECT gate FROM "${schema}".task WHERE state = 2 GROUP BY gate HAVING count(*) > 2`
              )
              assert.deepStrictEqual(over, [])
              yield* store.settle(tasks.map((one) => complete(one)))
            }
          }), { concurrency: "unbounded" })
        assert.strictEqual(new Set(taken).size, count)
        assert.strictEqual(taken.length, count)
        assert.deepStrictEqual(yield* sql(`SELECT 1 AS n FROM "${schema}".line`), [])
      }))

    test("are as they were when the connection of a claim dies before its commit", (schema) =>
      Effect.gen(function*() {
        const { services, store } = yield* open(schema)
        yield* Effect.provide(setLimit("tenant", { max: 1 }), services)
        yield* store.enqueue([keyed(4, 2)])
        yield* Effect.scoped(Effect.gen(function*() {
          const { client } = yield* open(schema, 3)
          const dying = client.withTransaction(Effect.gen(function*() {
            const claimed = yield* client.unsafe(
              `SELECT out_id FROM "${schema}".claim_6(NULL, '{work}', 10, 'dying', 60000, 1, true)`
            )
            assert.lengthOf(claimed, 2)
            yield* client.unsafe("SELECT pg_terminate_backend(pg_backend_pid())")
          }))
          assert.strictEqual((yield* Effect.exit(dying))._tag, "Failure")
        }))
        const { tasks } = yield* store.claim(request(anywhere))
        assert.lengthOf(tasks, 2)
        assert.lengthOf((yield* store.claim(request(anywhere))).tasks, 0)
        yield* store.settle(tasks.map((one) => complete(one)))
        assert.lengthOf((yield* store.claim(request(anywhere))).tasks, 2)
      }))

    test("wait for no transaction of the application, and take note of it when it ends", (schema) =>
      Effect.gen(function*() {
        const { client, services, store } = yield* open(schema)
        const other = yield* open(schema)
        yield* Effect.provide(setLimit("tenant", { max: 1 }), services)
        yield* Effect.provide(setLimit("rate", { tokens: 1, perMs: 1_000_000 * minute, burst: 5 }), services)
        yield* Effect.provide(setLimit("!order", { order: "block" }), services)
        yield* store.enqueue([[
          ...keyed(2, 1),
          task(through("!order=a")),
          task(through("!order=a")),
          task(through(["rate=a", 2])),
          task({ type: "later", ...through(["rate=a", 2]) })
        ]])
        const { tasks: first } = yield* store.claim(request(anywhere))
        assert.lengthOf(first, 3)
        yield* store.settle([fail(first.find(({ gate }) => gate!.includes("!order"))!)])
        yield* client.withTransaction(Effect.gen(function*() {
          yield* store.settle([complete(first.find(({ gate }) => gate!.includes("tenant"))!)])
          yield* store.letGo(["!order=a"])
          yield* store.charge([{ pass: "rate=a", amount: 3 }])
          yield* store.enqueue([keyed(1, 1, "other")])
          yield* Effect.provide(setLimit("third", { max: 0 }), services)
          assert.lengthOf((yield* store.claim(request(anywhere))).tasks, 0)
          // another client joins nothing
          assert.lengthOf((yield* other.store.claim(request({ ...anywhere, instance: "other" }))).tasks, 0)
        }))
        const { tasks: second_ } = yield* store.claim(request({ queues: undefined, types: ["work", "later"] }))
        assert.sameMembers(second_.map(({ gate }) => gate), [`["tenant=0"]`, `["!order=a"]`, `["other=0"]`])
        yield* store.charge([{ pass: "rate=a", amount: -3 }])
        assert.lengthOf((yield* store.claim(request({ queues: undefined, types: ["work", "later"] }))).tasks, 1)
      }))

    test("have keys of whatever is written, and as long as may be", (schema) =>
      Effect.gen(function*() {
        const { services, store } = yield* open(schema)
        yield* Effect.provide(setLimit("l", { max: 1 }), services)
        const name = "日".repeat(255)
        const long = "x".repeat(Gate.maxGateBytes - `["l="]`.length)
        const keys = ["\u0000", "\ud800", "a\u0000b", "\u0001\u001f", "\\u0000", "}{,\"", long]
        for (const key of keys) {
          yield* store.enqueue([[
            task({ type: name, queue: name, ...through(`l=${key}`) }),
            task({ type: name, queue: name, ...through(`l=${key}`) })
          ]])
        }
        const everywhere = { queues: undefined, types: [name] }
        const { tasks } = yield* store.claim(request(everywhere))
        assert.lengthOf(tasks, keys.length)
        assert.lengthOf((yield* store.claim(request(everywhere))).tasks, 0)
        const states = yield* store.passes(keys.map((key) => `l=${key}`))
        assert.deepStrictEqual(states.map(({ running }) => running), keys.map(() => 1))
        yield* store.settle(tasks.map((one) => complete(one)))
        assert.lengthOf((yield* store.claim(request(everywhere))).tasks, keys.length)
        yield* Effect.provide(setLimit("l", { tokens: 1, perMs: minute, burst: 2 }), services)
        yield* store.charge([{ pass: "l=\u0000", amount: 5 }])
        assert.strictEqual((yield* store.passes(["l=\u0000"]))[0]!.bucket?.level, -3)
        // what no version of the program stores stops no claim
        yield* store.enqueue([[task({ gate: "no JSON" }), task({ gate: "{}" }), task({ gate: "" }), task()]])
        assert.lengthOf((yield* store.claim(request(anywhere))).tasks, 4)
      }))
  })
})
