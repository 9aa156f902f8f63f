/** Random work with gates in Redis, against what `Gate.refusal` says of all that waits. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import * as Gate from "../../../src/domain/Gate.ts"
import * as Rank from "../../../src/domain/Rank.ts"
import type { TaskRecord } from "../../../src/domain/TaskRecord.ts"
import * as Gates from "../../../src/store/Gates.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  add,
  again,
  cancel,
  complete,
  everything,
  fail,
  idsOf,
  putRecord,
  release,
  request,
  rerun,
  rescue,
  retention,
  setLimit,
  settle,
  snooze,
  stop
} from "../conformance/fixtures.ts"
import { inconsistencies } from "./consistency.ts"
import { connect } from "./fixtures.ts"

const headStartMs = 2000

const passes = ["a=1", "a=2", "a=", "b=x", "b=\"\\]\u0000", "!c=1", "!c=é[", "fair=1", "fair=2", "fair=3"]

/** Those that records may be of. */
const nameable = passes.filter((pass) => !pass.includes("\u0000"))

const gates: ReadonlyArray<ReadonlyArray<Gate.Pass>> = [
  [],
  ["a=1"],
  ["a=2"],
  ["a="],
  ["b=x"],
  ["b=\"\\]\u0000"],
  ["a=1", "b=x"],
  ["a=2", "b=x"],
  ["b=x", "a=2"],
  ["!c=1"],
  ["!c=é["],
  ["!c=1", "a=1"],
  ["!c=1", "b=x"],
  ["fair=1"],
  ["fair=2"],
  ["fair=3"],
  ["fair=1", "b=x"],
  ["fair=2", "b=x"]
]

const limits: ReadonlyArray<Gate.Limit | null> = [
  null,
  { max: 0 },
  { max: 1 },
  { max: 1 },
  { max: 2 },
  { tokens: 1, perMs: 1000, burst: 2 },
  { tokens: 3, perMs: 700, burst: 5 },
  { order: "block" },
  { order: "continue" },
  { fair: 1 },
  { fair: 2 },
  { lifted: true }
]

/** What claims are expected to do, from the records of all tasks. */
class Expected {
  readonly limits = new Map<string, Gate.Limit>()
  readonly pausedKeys = new Set<string>()
  readonly pausedTypes = new Set<string>()
  readonly pausedQueues = new Set<string>()
  readonly buckets = new Map<Gate.Pass, Gate.Bucket>()
  readonly holders = new Map<Gate.Pass, string>()
  readonly turns = new Map<string, { turn: number; credit: number }>()

  limitOf(pass: Gate.Pass): Gate.Limit | undefined {
    return Gates.limitFor(pass, (id) => this.limits.get(id))
  }

  stateOf(records: ReadonlyMap<string, TaskRecord>): Gate.Passes {
    return {
      isPaused: (pass) => this.pausedKeys.has(pass),
      limitOf: (pass) => this.limitOf(pass),
      running: (pass) =>
        [...records.values()].filter(({ gate, state }) => state === "running" && Gate.passesOf(gate).includes(pass))
          .length,
      bucketOf: (pass) => this.buckets.get(pass),
      holderOf: (pass) => {
        const found = records.get(this.holders.get(pass) ?? "")
        return found === undefined ? undefined : { id: found.id, state: found.state }
      }
    }
  }

  linesOf(records: ReadonlyMap<string, TaskRecord>): ReadonlyMap<string, ReadonlyArray<TaskRecord>> {
    const lines = new Map<string, Array<TaskRecord>>()
    for (const one of records.values()) {
      if (one.state !== "pending") continue
      const line = JSON.stringify([one.queue, one.type, one.gate])
      lines.set(line, [...lines.get(line) ?? [], one])
    }
    for (const tasks of lines.values()) tasks.sort((a, b) => rankOf(a) - rankOf(b) || a.seq - b.seq)
    for (const line of this.turns.keys()) if (!lines.has(line)) this.turns.delete(line)
    return lines
  }

  fairOf(gate: string | null): number | undefined {
    for (const pass of Gate.passesOf(gate)) {
      const limit = this.limitOf(pass)
      if (limit !== undefined && "fair" in limit) return limit.fair
    }
    return undefined
  }

  claim(
    all: ReadonlyArray<TaskRecord>,
    { limit, queues, types }: {
      limit: number
      queues: ReadonlyArray<string> | undefined
      types: ReadonlyArray<string>
    },
    now: number
  ): ReadonlyArray<string> {
    const records = new Map(
      all.map((
        one
      ) => [one.id, one.state === "scheduled" && one.dueAt <= now ? { ...one, state: "pending" as const } : one])
    )
    this.linesOf(new Map(all.map((one) => [one.id, one])))
    const taken: Array<string> = []
    while (taken.length < limit) {
      const passesState = this.stateOf(records)
      let best: { place: number; seq: number; task: TaskRecord; line: string } | undefined
      for (const [line, tasks] of this.linesOf(records)) {
        const { gate, queue, type } = tasks[0]!
        if (!types.includes(type) || this.pausedTypes.has(type)) continue
        if (this.pausedQueues.has(queue) || (queues !== undefined && !queues.includes(queue))) continue
        const state = passesState
        // the first, or one that holds the pass of an order
        for (const task of tasks) {
          const isHolder = Gate.passesOf(gate).some((pass) => this.holders.get(pass) === task.id)
          if (task !== tasks[0] && !isHolder) continue
          if (Gate.refusal(task.id, Gate.passesOf(gate), Gate.costsOf(task), state, now) !== undefined) continue
          const turn = this.fairOf(gate) === undefined ? undefined : this.turns.get(line)?.turn
          // one that holds its order goes in the place of the first of its line
          const head = tasks[0]!
          const place = Math.max(rankOf(head), turn ?? -Infinity)
          if (best === undefined || place < best.place || (place === best.place && head.seq < best.seq)) {
            best = { place, seq: head.seq, task, line }
          }
          break
        }
      }
      if (best === undefined) break
      const { line, task } = best
      for (const [index, pass] of Gate.passesOf(task.gate).entries()) {
        const found = this.limitOf(pass)
        if (found === undefined) continue
        if ("order" in found) this.holders.set(pass, task.id)
        if ("tokens" in found) {
          this.buckets.set(pass, Gate.spend(this.buckets.get(pass), found, Gate.costsOf(task)[index] ?? 1, now))
        }
      }
      const weight = this.fairOf(task.gate)
      if (weight !== undefined) {
        const turn = this.turns.get(line) ?? { turn: -Infinity, credit: 0 }
        turn.credit++
        if (turn.credit >= weight) {
          turn.turn = Gate.turnOf(Rank.rank(now, task.priority, headStartMs), taken.length)
          turn.credit = 0
        }
        this.turns.set(line, turn)
      }
      records.set(task.id, { ...task, state: "running" })
      taken.push(task.id)
      this.linesOf(records)
    }
    return taken
  }
}

const rankOf = (task: TaskRecord): number => Rank.rankOf(task, task.dueAt, headStartMs)

await withServer("Redis", Redis.find, async (server) => {
  const { advance, layerStopped, redis, root } = await connect(server)

  const run = (seed: string, steps: number) =>
    Effect.gen(function*() {
      const store = yield* TaskStore
      const expected = new Expected()
      const pick = <A>(items: ReadonlyArray<A>) =>
        Effect.map(Random.nextIntBetween(0, items.length), (index) => items[index % items.length]!)
      const chance = (share: number) => Effect.map(Random.next, (value) => value < share)
      const trace: Array<string> = []

      const step = Effect.gen(function*() {
        const roll = yield* Random.next
        const all = yield* everything
        const some = (states: ReadonlyArray<string>) => all.filter(({ state }) => states.includes(state))
        if (roll < 0.3) {
          const fields = []
          const count = yield* pick([1, 1, 2, 3, 8])
          const gate = yield* pick(gates)
          for (let index = 0; index < count; index++) {
            const its = (yield* chance(0.5)) ? gate : yield* pick(gates)
            const costs = yield* chance(0.3)
            const priced = yield* Effect.forEach(its, (pass) =>
              Effect.map(costs ? pick([1, 2, 0.5, 7]) : Effect.succeed(1), (cost) => [pass, cost] as const))
            fields.push({
              queue: yield* pick(["q", "q", "r"]),
              type: yield* pick(["work", "work", "oth\"er]"]),
              priority: yield* pick([0, 0, 0, 1, 3]),
              delayMs: yield* pick([0, 0, 0, 0, 300, 2000]),
              ...Gate.gated(priced)
            })
          }
          trace.push(`add ${JSON.stringify(fields)}`)
          yield* add(...fields)
        } else if (roll < 0.55) {
          const types = yield* pick([["work"], ["oth\"er]"], ["work", "oth\"er]"], ["work", "oth\"er]"]])
          const queues = yield* pick([undefined, undefined, ["q"], ["r", "q"]])
          const limit = yield* pick([1, 2, 3, 5, 20])
          const before = { turns: new Map([...expected.turns].map(([line, turn]) => [line, { ...turn }])) }
          const answer = yield* store.claim(request({ types, queues, limit, leaseForMs: yield* pick([800, 60_000]) }))
          const ids = expected.claim(all, { types, queues, limit }, answer.now)
          trace.push(
            `claim ${types} ${queues} ${limit} -> ${idsOf(answer.tasks)} (${JSON.stringify([...before.turns])})`
          )
          assert.deepStrictEqual(idsOf(answer.tasks), ids)
          for (const one of answer.tasks) {
            const known = all.find(({ id }) =>
              id === one.id
            )!
            assert.deepInclude(one, { gate: known.gate, costs: known.costs })
          }
        } else if (roll < 0.75) {
          const claimed = some(["running"])
          const ends = yield* Effect.forEach(
            claimed.slice(0, yield* pick([1, 2, 5])),
            (ref) =>
              pick([
                complete(ref),
                complete(ref),
                complete(ref),
                fail(ref),
                again(ref, 400),
                snooze(ref, 400),
                release(ref),
                stop(ref)
              ])
          )
          if (ends.length === 0) return
          trace.push(`settle ${JSON.stringify(ends.map(({ _tag, id }) => [_tag, id]))}`)
          if (yield* chance(0.5)) yield* store.settle(ends)
          else yield* Effect.forEach(ends, settle)
        } else if (roll < 0.85) {
          const id = yield* pick(["a", "b", "!c", "fair", "fair", "fair=1", "a=1", "!c=1", "b=x"])
          const limit = yield* pick(id === "!c" ? [{ order: "block" as const }, ...limits] : limits)
          trace.push(`limit ${id} ${JSON.stringify(limit)}`)
          yield* setLimit(id, limit)
          if (limit === null) expected.limits.delete(id)
          else expected.limits.set(id, limit)
        } else if (roll < 0.88) {
          const [kind, set, ids] = yield* pick(
            [
              [Gates.pausedKeyKind, expected.pausedKeys, nameable],
              [Gates.pausedTypeKind, expected.pausedTypes, ["oth\"er]"]],
              [Gates.pausedQueueKind, expected.pausedQueues, ["r"]]
            ] as const
          )
          const id = yield* pick<string>(ids)
          const isPaused = set.has(id) === false && (yield* chance(0.6))
          trace.push(`pause ${kind} ${id} ${isPaused}`)
          yield* putRecord(kind, id, isPaused ? {} : null)
          if (isPaused) set.add(id)
          else set.delete(id)
        } else if (roll < 0.91) {
          const waiting = some(["pending", "scheduled", "running", "failed"])
          if (waiting.length === 0) return
          const one = yield* pick(waiting)
          trace.push(`cancel ${one.id}`)
          yield* cancel(one.id)
        } else if (roll < 0.94) {
          const ended = some(["failed", "cancelled"])
          if (ended.length === 0) return
          const one = yield* pick(ended)
          if (yield* chance(0.6)) {
            trace.push(`rerun ${one.id}`)
            yield* rerun(one.id)
          } else {
            trace.push(`remove ${one.id}`)
            yield* store.remove([one.id])
          }
        } else if (roll < 0.96) {
          const pass = yield* pick(passes)
          const amount = yield* pick([1, 3, -2])
          const limit = expected.limitOf(pass)
          const { now } = yield* store.claim(request({ limit: 0 }))
          trace.push(`charge and let go ${pass} ${amount}`)
          yield* store.charge([{ pass, amount }])
          if (limit !== undefined && "tokens" in limit) {
            expected.buckets.set(pass, Gate.spend(expected.buckets.get(pass), limit, amount, now))
          }
          if (yield* chance(0.5)) {
            yield* store.letGo([pass])
            expected.holders.delete(pass)
          }
        } else if (roll < 0.97) {
          trace.push("prune")
          const { now } = yield* store.claim(request({ limit: 0 }))
          yield* store.prune(retention({ maxFinished: 20 }), 1000)
          for (const [pass, bucket] of expected.buckets) {
            if (Gate.swept(bucket, expected.limitOf(pass), now) === undefined) expected.buckets.delete(pass)
          }
        } else {
          const ms = yield* pick([1, 50, 400, 1500])
          trace.push(`advance ${ms}`)
          yield* advance(ms)
          if (yield* chance(0.5)) {
            trace.push("rescue")
            yield* rescue()
          }
        }
        expected.linesOf(new Map((yield* everything).map((one) => [one.id, one])))
      })

      const look = Effect.gen(function*() {
        const records = new Map((yield* everything).map((one) => [one.id, one]))
        const state = expected.stateOf(records)
        for (const found of yield* store.passes(passes)) {
          const running = [...records.values()].filter(({ gate, state }) =>
            state === "running" && Gate.passesOf(gate).includes(found.pass)
          )
          assert.strictEqual(found.running, running.length)
          const longest = running.toSorted((a, b) => a.startedAt! - b.startedAt! || a.seq - b.seq).slice(0, 10)
          assert.deepStrictEqual(found.holders, idsOf(longest))
          assert.deepStrictEqual(found.bucket, state.bucketOf(found.pass) ?? null)
          assert.deepStrictEqual(found.holder, state.holderOf(found.pass) ?? null)
        }
        assert.deepStrictEqual(yield* inconsistencies(redis, root()), [])
        const { lanes, now } = yield* store.laneCounts({ limit: 100 })
        for (const lane of lanes) {
          const its = [...records.values()].filter(({ queue, type }) => queue === lane.queue && type === lane.type)
          const count = (state: string) => its.filter((one) => one.state === state).length
          assert.deepInclude(lane, {
            pending: count("pending"),
            scheduled: count("scheduled"),
            running: count("running")
          })
          assert.strictEqual(lane.waitingSince !== null, count("pending") > 0)
        }
        const pending = new Set(
          [...records.values()].filter(({ state }) => state === "pending").map(({ queue, type }) => `${queue}/${type}`)
        )
        if (![...records.values()].some(({ dueAt, state }) => state === "scheduled" && dueAt <= now)) {
          const stranded = yield* store.stranded([], 100)
          assert.sameMembers(stranded.map(({ queue, type }) => `${queue}/${type}`), [...pending])
        }
      })

      yield* Effect.gen(function*() {
        for (let done = 0; done < steps; done++) {
          yield* step
          if (done % 5 === 4) yield* look
        }
        // all of it can be finished, and nothing is left
        for (const id of ["a", "b", "!c", "fair", "fair=1", "a=1", "!c=1", "b=x"]) yield* setLimit(id, { max: 3 })
        for (const pass of nameable) yield* putRecord(Gates.pausedKeyKind, pass, null)
        yield* putRecord(Gates.pausedTypeKind, "oth\"er]", null)
        yield* putRecord("paused-queue", "r", null)
        for (let round = 0; round < 500; round++) {
          yield* store.settle(
            (yield* everything).filter(({ state }) => state === "running").map((one) => complete(one))
          )
          yield* advance(5000)
          const { tasks } = yield* store.claim(request({ types: ["work", "oth\"er]"], queues: undefined }))
          if (tasks.length === 0) break
        }
        assert.deepStrictEqual((yield* everything).filter(({ completedAt }) => completedAt === null), [])
        yield* look
        yield* store.letGo(passes)
        yield* store.remove(idsOf(yield* everything))
        const keys = yield* redis.send<Array<string>>("KEYS", `${root()}:*`)
        assert.deepStrictEqual(
          keys.map((key) => key.slice(root().length + 1)).filter((key) =>
            !/^(meta|tally|claims|claimed|clock|bucket|gone|record.*)$/.test(key)
          ),
          []
        )
      }).pipe(
        Effect.tapCause(() =>
          Effect.sync(() => console.error(`seed ${seed}:\n${trace.slice(-Number(process.env.TRACE ?? 30)).join("\n")}`))
        )
      )
    }).pipe(
      Random.withSeed(seed),
      Effect.provide(layerStopped({ headStart: headStartMs }))
    )

  describe("Gates in Redis", () => {
    const [from, runs] = (process.env.SEEDS ?? "0,4").split(",").map(Number) as [number, number]
    for (let index = from; index < from + runs; index++) {
      it.effect(
        `decide what starts as their contract says, whatever is done: ${index}`,
        () => run(`gates ${index}`, 250),
        120_000
      )
    }
  })
})
