import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { copyFileSync, readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as PausedQueues from "../../../src/store/PausedQueues.ts"
import { absent, RecordStore } from "../../../src/store/RecordStore.ts"
import { SqliteStore } from "../../../src/store/sqlite/index.ts"
import { maxPromoted, TaskStore } from "../../../src/store/TaskStore.ts"
import { addOne, pause, request, retention, task, tasks } from "../conformance/fixtures.ts"
import { reads } from "../sharing.ts"
import { file, open, using } from "./fixtures.ts"

/** The bytes that this thread has read from files, as Linux counts them. */
const bytesRead = (): number => Number(/^rchar: (\d+)/.exec(readFileSync("/proc/thread-self/io", "utf8"))![1])

describe("reading", () => {
  it.live("leaves no trace in the file", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, (store) =>
        Effect.gen(function*() {
          const look = yield* reads
          const other = new DatabaseSync(path, { readOnly: true })
          const version = () => other.prepare("PRAGMA data_version").get()
          const before = version()
          yield* look()
          assert.deepStrictEqual(version(), before)
          yield* store.cancel([yield* addOne()])
          assert.notDeepEqual(version(), before)
          other.close()
        }))
    }))
})

describe("what survives closing and opening again", () => {
  it.effect("every field of a task, at every stage of its life", () =>
    Effect.gen(function*() {
      const path = yield* file
      const before = yield* using(path, (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([[
            task({ key: "k", timeoutMs: 5, payload: "{\"text\":\"a\\u0000é'\"}" }),
            task({ delayMs: 60_000, priority: 9 }),
            ...tasks(3)
          ]])
          const { tasks: claimed } = yield* store.claim(request({ limit: 3 }))
          const [first, second, third] = claimed.map(({ claim, id }) => ({ claim, id }))
          yield* store.report([{ ...first!, progress: 0.25 }])
          yield* store.settle([
            { _tag: "Complete", ...second!, result: "[1]" },
            {
              _tag: "Retry",
              ...third!,
              delayMs: 1000,
              failure: { kind: "error", tag: "E", message: "m", error: { code: 1 } }
            }
          ])
          yield* store.cancel([first!.id])
          return yield* store.list({ limit: 10 })
        }))
      assert.strictEqual(before.tasks.length, 5)
      assert.deepStrictEqual(yield* using(path, (store) => store.list({ limit: 10 })), before)
    }))

  it.live("records and their versions, of which none comes twice, even where an older copy of the file is put back", () =>
    Effect.gen(function*() {
      const path = yield* file
      const put = (expects: number, document: string | null = "1") =>
        Effect.provide(
          RecordStore.use((records) => records.put([{ kind: "thing", id: "a", expects, document }])),
          Layer.fresh(SqliteStore.layer({ path }))
        )
      const first = yield* put(absent)
      copyFileSync(path, `${path}-copy`)
      const second = yield* put(first)
      yield* put(second, null)
      const third = yield* put(absent)
      copyFileSync(`${path}-copy`, path)
      const fourth = yield* put(first)
      assert.deepStrictEqual([first, second, third, fourth].toSorted((a, b) => a - b), [first, second, third, fourth])
      assert.strictEqual(new Set([first, second, third, fourth]).size, 4)
    }))

  it.effect("counts, totals, and paused queues", () =>
    Effect.gen(function*() {
      const path = yield* file
      const before = yield* using(path, (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([tasks(5), [task({ delayMs: 1000 })]])
          const { tasks: [first, second] } = yield* store.claim(request({ limit: 2 }))
          yield* store.settle([{ _tag: "Complete", id: first!.id, claim: first!.claim, result: "null" }])
          yield* store.cancel([second!.id])
          yield* pause("slow", true)
          yield* store.prune(retention({ maxFinished: 0 }), 100)
          return yield* store.counts
        }))
      assert.deepInclude(before, { pending: 3, scheduled: 1, running: 1, completed: 0 })
      assert.strictEqual(before.totals.completed, 1)
      yield* using(path, (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* store.counts, before)
          assert.deepStrictEqual(yield* PausedQueues.names, ["slow"])
        }))
    }))

  it.effect("large tasks, which a list steps over without reading them", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, (store) =>
        Effect.gen(function*() {
          const group = Array.from({ length: 100 }, () => task({ payload: JSON.stringify("x".repeat(1_000_000)) }))
          for (const one of group) yield* store.enqueue([[one]])
          yield* store.cancel(group.map(({ id }) => id))
          const bytesReadBy = <A, E>(effect: Effect.Effect<A, E>) =>
            Effect.suspend(() => {
              const from = bytesRead()
              return Effect.map(effect, () => bytesRead() - from)
            })
          const reading = yield* bytesReadBy(Effect.forEach(group, ({ id }) => store.get(id)))
          assert.isAbove(reading, 100_000_000)
          const filters = [{ types: ["none"] }, { queues: ["none"] }, { states: ["failed"] as const }]
          for (const filter of filters) {
            const first = yield* store.list({ limit: 10, ...filter })
            assert.deepStrictEqual(first, { tasks: [], next: undefined })
            const looking = yield* bytesReadBy(store.list({ limit: 10, ...filter }))
            assert.isBelow(looking, 1_000_000, JSON.stringify(filter))
          }
          const { tasks } = yield* store.list({ limit: 100, maxBytes: 1e9, states: ["cancelled"] })
          assert.deepStrictEqual(tasks.map(({ id }) => id), group.map(({ id }) => id).toReversed())
        }))
    }), 60_000)

  it.effect("the sequence: numbers of removed tasks are never given again", () =>
    Effect.gen(function*() {
      const path = yield* file
      const last = yield* using(path, (store) =>
        Effect.gen(function*() {
          const group = tasks(20)
          yield* store.enqueue([group])
          const { tasks: [newest] } = yield* store.list({ limit: 1 })
          yield* store.cancel(group.map(({ id }) => id))
          yield* store.remove(group.map(({ id }) => id))
          assert.deepStrictEqual(yield* store.list({ limit: 1 }), { tasks: [], next: undefined })
          return newest!.seq
        }))
      const { tasks: [next] } = yield* using(path, (store) =>
        Effect.andThen(store.enqueue([[task()]]), store.list({ limit: 1 })))
      assert.isAbove(next!.seq, last)
    }))

  it.effect("the claims' sequence: numbers of removed tasks are never given again", () =>
    Effect.gen(function*() {
      const path = yield* file
      const same = task()
      const claimSame = (store: TaskStore["Service"]) =>
        Effect.map(
          Effect.andThen(store.enqueue([[same]]), store.claim(request())),
          ({ tasks: [claimed] }) => claimed!
        )
      const last = yield* using(path, (store) =>
        Effect.gen(function*() {
          const { claim, id } = yield* claimSame(store)
          yield* store.settle([{ _tag: "Complete", id, claim, result: "null" }])
          assert.deepStrictEqual(yield* store.remove([id]), ["removed"])
          return claim
        }))
      assert.isAbove((yield* using(path, claimSame)).claim, last)
    }))

  it.effect("the claims' sequence also when a power failure has undone claims: their numbers are not given again", () =>
    Effect.gen(function*() {
      const path = yield* file
      const afterFailure = yield* file
      yield* using(path, (store) => store.enqueue([tasks(200)]))
      const undone = yield* using(path, (store) =>
        Effect.gen(function*() {
          // what is on disk when the claim is not
          for (const part of ["", "-wal"]) copyFileSync(`${path}${part}`, `${afterFailure}${part}`)
          return (yield* store.claim(request({ limit: 100 }))).tasks
        }))
      const [next] = yield* using(afterFailure, (store) => Effect.map(store.claim(request()), (answer) => answer.tasks))
      assert.strictEqual(next!.id, undone[0]!.id)
      assert.isAbove(next!.claim, undone.at(-1)!.claim)
    }))

  it.effect("the last claim of an instance, whose answer may have been lost", () =>
    Effect.gen(function*() {
      const path = yield* file
      const lost = request({ limit: 2 })
      const before = yield* using(path, (store) => Effect.andThen(store.enqueue([tasks(4)]), store.claim(lost)))
      const again = yield* using(path, (store) => store.claim(lost))
      assert.deepStrictEqual(again.tasks, before.tasks)
    }))
})

describe("callers that share a commit", () => {
  it.effect("fail apart: a full queue and a conflict are one caller's own", () =>
    Effect.gen(function*() {
      const store = yield* open(yield* file, { capacity: 5 })
      yield* store.enqueue([[task({ key: "k", payload: "1" })]])
      const groups = [tasks(3), [task({ key: "k", payload: "2" })], tasks(2), tasks(1), [
        task({ key: "k", payload: "1" })
      ]]
      const answers = yield* Effect.forEach(groups, (group) => store.enqueue([group]), { concurrency: "unbounded" })
      assert.deepStrictEqual(answers.map(([answer]) => answer!._tag), [
        "Accepted",
        "Conflict",
        "Full",
        "Accepted",
        "Accepted"
      ])
      assert.strictEqual((yield* store.counts).pending, 5)
    }))

  it.effect("fail apart: a value that cannot be stored fails its own group only", () =>
    Effect.gen(function*() {
      const store = yield* open(yield* file)
      const groups = [tasks(3), [task(), task({ priority: 0.5 })], tasks(2)]
      const answers = yield* Effect.forEach(groups, (group) => Effect.result(store.enqueue([group])), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["Success", "Failure", "Success"])
      const counts = yield* store.counts
      assert.strictEqual(counts.pending, 5)
      assert.strictEqual(counts.totals.created, 5)
      assert.strictEqual((yield* store.list({ limit: 10 })).tasks.length, 5)
    }))
})

describe("stores on one file", () => {
  it.effect("share tasks, counters and capacity exactly", () =>
    Effect.gen(function*() {
      const path = yield* file
      const left = yield* open(path, { capacity: 5 })
      const right = yield* open(path, { capacity: 5 })
      const [first] = yield* left.enqueue([tasks(3)])
      const [second, third] = yield* right.enqueue([tasks(3), tasks(2)])
      assert.deepStrictEqual([first!._tag, second!._tag, third!._tag], ["Accepted", "Full", "Accepted"])
      const claimed = yield* left.claim(request({ limit: 3, instance: "left" }))
      const rest = yield* right.claim(request({ instance: "right" }))
      assert.strictEqual(new Set([...claimed.tasks, ...rest.tasks].map(({ id }) => id)).size, 5)
      yield* right.settle(rest.tasks.map(({ claim, id }) => ({ _tag: "Complete", id, claim, result: "null" })))
      assert.deepStrictEqual(yield* left.counts, yield* right.counts)
      assert.deepInclude(yield* left.counts, { running: 3, completed: 2 })
    }))
})

describe("large groups", () => {
  it.effect("find the known ids among new ones, wherever they stand", () =>
    Effect.gen(function*() {
      const store = yield* open(yield* file)
      const known = tasks(3)
      yield* store.enqueue([known])
      const group = [...tasks(5), known[0]!, ...tasks(11), known[1]!, known[1]!, ...tasks(6), known[2]!]
      const [answer] = yield* store.enqueue([group])
      assert.deepInclude(answer, {
        _tag: "Accepted",
        tasks: group.map((one) => ({ id: one.id, duplicate: known.includes(one) }))
      })
      assert.strictEqual((yield* store.counts).pending, 3 + 22)
    }))

  it.effect("find an id twice among new ones", () =>
    Effect.gen(function*() {
      const store = yield* open(yield* file)
      const [twice, ...others] = tasks(9)
      const [answer] = yield* store.enqueue([[twice!, ...others, twice!]])
      assert.strictEqual(answer?._tag, "Accepted")
      if (answer?._tag !== "Accepted") return
      assert.deepStrictEqual(answer.tasks.map(({ duplicate }) => duplicate), [...Array(9).fill(false), true])
      assert.strictEqual((yield* store.counts).pending, 9)
    }))

  it.effect("are promoted a bounded number at a time", () =>
    Effect.gen(function*() {
      const store = yield* open(yield* file)
      yield* store.enqueue([tasks(maxPromoted + 10, { delayMs: 1000 })])
      yield* TestClock.adjust("2 seconds")
      const { nextDueAt, now, tasks: claimed } = yield* store.claim(request({ limit: 5 }))
      assert.strictEqual(claimed.length, 5)
      assert.strictEqual(nextDueAt, now - 1000)
      assert.deepInclude(yield* store.counts, { scheduled: 10, pending: maxPromoted - 5, running: 5 })
      assert.isNull((yield* store.claim(request({ limit: 5 }))).nextDueAt)
    }))

  it.effect("are promoted a bounded number at a time by statistics that know of none", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, () => Effect.void)
      const database = new DatabaseSync(path)
      // ANALYZE writes no line for an empty table: these are what it would say
      database.exec("ANALYZE; DELETE FROM sqlite_stat1; INSERT INTO sqlite_stat1 VALUES ('task', NULL, '0')")
      database.close()
      yield* using(path, (store) =>
        Effect.gen(function*() {
          yield* store.enqueue([tasks(maxPromoted + 10, { delayMs: 1000 })])
          yield* TestClock.adjust("2 seconds")
          yield* store.claim(request({ limit: 0 }))
          assert.deepInclude(yield* store.counts, { scheduled: 10, pending: maxPromoted })
        }))
    }))

  it.effect("are listed newest first by whatever they are filtered, however rare", () =>
    Effect.gen(function*() {
      const store = yield* open(yield* file)
      const rare = {
        a: task({ type: "rare" }),
        b: task({ type: "rare", delayMs: 1 }),
        c: task({ type: "rare", queue: "q" })
      }
      yield* store.enqueue([[rare.a, rare.b, rare.c], tasks(2500)])
      yield* store.claim(request({ types: ["rare"], limit: 1 }))
      yield* store.cancel([rare.c.id])
      const ids = (list: ReadonlyArray<{ readonly id: string }>) => list.map(({ id }) => id)
      assert.deepStrictEqual(ids((yield* store.list({ limit: 9, types: ["rare"] })).tasks), [
        rare.c.id,
        rare.b.id,
        rare.a.id
      ])
      assert.deepStrictEqual(ids((yield* store.list({ limit: 9, queues: ["q"] })).tasks), [rare.c.id])
      assert.deepStrictEqual(ids((yield* store.list({ limit: 9, states: ["running", "scheduled"] })).tasks), [
        rare.b.id,
        rare.a.id
      ])
      assert.deepStrictEqual(ids((yield* store.list({ limit: 2, types: ["rare"] })).tasks), [rare.c.id, rare.b.id])
      assert.deepStrictEqual((yield* store.list({ limit: 9, types: ["rare"], states: ["pending"] })).tasks, [])
      assert.strictEqual((yield* store.list({ limit: 2000, states: ["pending"] })).tasks.length, 2000)
    }))
})

describe("the statements", () => {
  it.effect("find tasks through an index; only lists, and counts of waiting and running tasks, scan one", () =>
    Effect.gen(function*() {
      const prepare = DatabaseSync.prototype.prepare
      const statements = new Map<string, DatabaseSync>()
      DatabaseSync.prototype.prepare = function(sql, ...options) {
        if (!/^(PRAGMA|BEGIN|COMMIT)/.test(sql)) statements.set(sql, this)
        return prepare.call(this, sql, ...options)
      }
      yield* Effect.ensuring(
        open(":memory:"),
        Effect.sync(() => {
          DatabaseSync.prototype.prepare = prepare
        })
      )
      const scans: Array<string> = []
      for (const [sql, database] of statements) {
        for (const { detail } of database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all()) {
          if (String(detail).startsWith("SCAN task") || String(detail).startsWith("SCAN record")) {
            scans.push(String(detail))
          }
        }
      }
      assert.isAbove(statements.size, 20)
      assert.deepStrictEqual(scans.toSorted(), [
        "SCAN task USING COVERING INDEX task_lane",
        "SCAN task USING INDEX task_lease",
        "SCAN task USING INDEX task_lease",
        "SCAN task USING INDEX task_lease",
        "SCAN task USING INDEX task_lease"
      ])
    }))
})

describe("the layer", () => {
  it.effect("takes its options from configuration too", () =>
    Effect.gen(function*() {
      const layer = SqliteStore.layerConfig({ path: Config.String("TASKS_PATH"), capacity: Config.Int("TASKS_MAX") })
      const counts = yield* Effect.flatMap(TaskStore, (store) => store.counts).pipe(
        Effect.provide(layer),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown({ TASKS_PATH: yield* file, TASKS_MAX: "7" })
        )
      )
      assert.strictEqual(counts.capacity, 7)
    }))
})

describe("a transaction that is rolled back", () => {
  it.effect("takes no pending task out of the sight of claims", () =>
    Effect.gen(function*() {
      const store = yield* open(":memory:")
      yield* store.enqueue([[task(), task({ queue: "other" })]])
      assert.strictEqual((yield* store.claim(request({ queues: undefined, limit: 1 }))).tasks.length, 1)
      const nameless = Symbol("no name") as unknown as string
      const [claimed, cancelled] = yield* Effect.all(
        [store.claim(request({ queues: undefined })), Effect.exit(store.cancel([nameless]))],
        { concurrency: "unbounded" }
      )
      assert.strictEqual(cancelled._tag, "Failure")
      assert.strictEqual(claimed.tasks.length, 1)
    }))
})
