import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Schedule, Schema } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { Statistics, type StatisticsOptions } from "../../src/statistics/Statistics.ts"
import * as StatisticsRecords from "../../src/statistics/StatisticsRecords.ts"
import { all, RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { pass, quiesce, start, withStore } from "../engine/TestEngine.ts"

const Mail = Task.make("mail", { retry: { times: 0 } })
const Slow = Task.make("slow", { queue: "nights" })
const Bad = Task.make("bad", { retry: { times: 0 } })
class Refusal extends Schema.TaggedError<Refusal>()("Refusal", { message: Schema.String }) {}
const Refused = Task.make("refused", {
  payload: { message: Schema.String },
  error: Refusal,
  retry: { times: 1, schedule: Schedule.spaced("1 second") }
})
const handlers = Layer.mergeAll(
  Mail.toLayer(() => Effect.void),
  Slow.toLayer(() => Effect.sleep("15 seconds")),
  Bad.toLayer(() => Effect.die("bad")),
  Refused.toLayer(({ message }) => Effect.fail(new Refusal({ message })))
)

const read = (options?: StatisticsOptions) => Statistics.use((statistics) => statistics.read(options))
const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)
const records = Effect.map(all(StatisticsRecords.kind), (found) => found.filter(({ id }) => id.startsWith("0/")))

describe("statistics of engines", () => {
  it.effect("say what happened by queue and type, how long it took, and how busy the slots were", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const engine = yield* start({ handlers, instance: "one", worker: { concurrency: 2 } })
        yield* pass("5 seconds")
        yield* Effect.provide(
          Effect.all([Mail.enqueue(), Mail.enqueue(), Bad.enqueue(), Slow.enqueue()]),
          engine.context
        )
        yield* quiesce
        yield* pass("25 seconds")
        const found = yield* Effect.provide(read({ instance: "one", last: "30 seconds" }), engine.context)
        assert.strictEqual(Duration.toMillis(found.step), 10_000)
        assert.strictEqual(sum(found.counts.enqueued), 4)
        assert.strictEqual(sum(found.counts.started), 4)
        assert.strictEqual(sum(found.counts.completed), 3)
        assert.strictEqual(sum(found.counts.failed), 1)
        const slow = found.types.find(({ type }) => type === "slow")!
        assert.strictEqual(slow.queue, "nights")
        assert.approximately(slow.run.p50!, 15_000, 15_000 * 0.1)
        assert.strictEqual(slow.running, 0)
        // One of two slots for 5 s of the first ten seconds, and for ten of the next
        const [one] = found.instances
        assert.deepStrictEqual([one!.id, one!.busy.slice(-3)], ["one", [0.25, 0.5, 0]])
        assert.strictEqual(one!.slots!.length, 2)
        assert.deepStrictEqual(one!.slots!.map((slot) => Math.max(...slot.map(Number))).sort(), [0, 1])
        yield* engine.close
      })
    ))

  it.effect("group what lost instances did to their tasks: run again, or quarantined", () =>
    withStore(
      { store: { maxCrashes: 1 } },
      Effect.gen(function*() {
        const engine = yield* start({ instance: "one" })
        yield* pass("30 seconds")
        const [lost, killer] = yield* Effect.provide(
          Effect.all([Mail.enqueue(undefined, { id: "lost" }), Bad.enqueue(undefined, { id: "killer" })]),
          engine.context
        )
        const store = yield* TaskStore
        /** An instance claims tasks of a type, and is never heard of again. */
        const loses = (type: string, nonce: number) =>
          store.claim({ instance: "gone", types: [type], limit: 1, leaseForMs: 1000, nonce })
        yield* loses("mail", 1)
        yield* loses("bad", 2)
        yield* pass("40 seconds")
        yield* loses("bad", 3)
        yield* pass("40 seconds")
        const { groups: found } = yield* Effect.provide(
          Statistics.use(({ errors }) => errors({ last: "1 hour" })),
          engine.context
        )
        const groups = found.map(({ failed, kind, latest, message, retried, tag, type }) => ({
          failed,
          kind,
          latest,
          message,
          retried,
          tag,
          type
        })).toSorted((a, b) => a.type < b.type ? -1 : a.type > b.type ? 1 : a.failed - b.failed)
        const again = "The instance that ran the task died, or lost its lease"
        assert.deepStrictEqual(groups, [
          {
            failed: 0,
            kind: "defect",
            latest: killer.id,
            message: again,
            retried: 1,
            tag: "InstanceLost",
            type: "bad"
          },
          {
            failed: 1,
            kind: "quarantined",
            latest: killer.id,
            message: "The process running this task died # times",
            retried: 0,
            tag: "TaskQuarantined",
            type: "bad"
          },
          { failed: 0, kind: "defect", latest: lost.id, message: again, retried: 1, tag: "InstanceLost", type: "mail" }
        ])
        yield* engine.close
      })
    ))

  it.effect("are the same from every instance, and after all of them were started again", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const one = yield* start({ handlers, instance: "one" })
        const two = yield* start({ instance: "two" })
        yield* pass("1 second")
        yield* Effect.provide(Mail.enqueue(undefined, { id: "known" }), one.context)
        // The same task once more counts no more
        yield* Effect.provide(Mail.enqueue(undefined, { id: "known" }), two.context)
        yield* Effect.provide(Mail.enqueue(), two.context)
        yield* pass("10 seconds")
        const before = yield* Effect.provide(read(), one.context)
        assert.deepStrictEqual(yield* Effect.provide(read(), two.context), before)
        assert.deepStrictEqual(
          [sum(before.counts.enqueued), sum(before.counts.started), sum(before.counts.completed)],
          [2, 2, 2]
        )
        assert.deepStrictEqual(before.instances.map(({ id }) => id), ["one", "two"])
        yield* Effect.provide(Mail.enqueue(), two.context)
        yield* quiesce
        yield* one.close
        yield* two.close
        // What happened right before they ended is known as well
        const again = yield* start({ instance: "one" })
        const after = yield* Effect.provide(read(), again.context)
        assert.deepStrictEqual([sum(after.counts.enqueued), sum(after.counts.completed)], [3, 3])
        yield* again.close
      })
    ))

  it.effect("group failures by what they have in common, the same from every instance and after a restart", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const one = yield* start({ handlers, instance: "one" })
        const two = yield* start({ handlers: handlers, instance: "two" })
        yield* pass("1 second")
        yield* Effect.provide(
          Effect.all([
            ...["mx1 answered 503", "mx22 answered 500", "<b>no</b>"].map((message) => Refused.enqueue({ message })),
            Bad.enqueue(undefined, { id: "bad" })
          ]),
          one.context
        )
        yield* pass("15 seconds")
        const errors = Statistics.use((statistics) => statistics.errors({ last: "10 minutes" }))
        const found = yield* Effect.provide(errors, one.context)
        assert.deepStrictEqual(yield* Effect.provide(errors, two.context), found)
        assert.deepStrictEqual(
          found.groups.map(({ columns, failed, firstAt, kind, lastAt, message, retried, tag, type }) => [
            [type, kind, tag, message],
            [failed, retried, sum(columns)],
            [firstAt.epochMilliseconds, lastAt.epochMilliseconds]
          ]),
          [
            [["refused", "error", "Refusal", "mx# answered #"], [2, 2, 4], [0, 0]],
            [["refused", "error", "Refusal", "<b>no</b>"], [1, 1, 2], [0, 0]],
            [["bad", "defect", "string", "bad"], [1, 0, 1], [0, 0]]
          ]
        )
        assert.strictEqual(found.groups[2]!.latest, "bad")
        yield* one.close
        yield* two.close
        const again = yield* start({ instance: "one" })
        const { groups } = yield* Effect.provide(errors, again.context)
        assert.deepStrictEqual(groups.map(({ failed }) => failed), [2, 1, 1])
        yield* again.close
      })
    ))

  it.effect("know how many tasks wait, and for how long the first of them has", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const engine = yield* start({ handlers })
        yield* pass("5 seconds")
        yield* Effect.provide(Effect.andThen(TaskQueue, (queue) => queue.pause("nights")), engine.context)
        yield* Effect.provide(Effect.all([Slow.enqueue(), Slow.enqueue()]), engine.context)
        yield* pass("25 seconds")
        const { depth, oldestMs, types } = yield* Effect.provide(read({ last: "20 seconds" }), engine.context)
        assert.deepStrictEqual(depth.pending, [2, 2])
        assert.deepStrictEqual(oldestMs, [15_000, 25_000])
        assert.deepInclude(types[0], { queue: "nights", type: "slow", pending: 2, oldestMs: 25_000, drainMs: null })
        yield* engine.close
      })
    ))

  it.effect("have a record a minute of an instance, and none where they are turned off", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const off = yield* start({ handlers, statistics: false })
        yield* pass("1 second")
        yield* Effect.provide(Mail.enqueue(), off.context)
        yield* pass("2 minutes")
        yield* off.close
        assert.deepStrictEqual(yield* all(StatisticsRecords.kind), [])
        const idle = yield* start({ handlers })
        yield* pass("5 minutes")
        yield* idle.close
        const found = yield* records
        // The last one is of the time in which it ended
        assert.isTrue(found.length === 5 || found.length === 6, `${found.length} records`)
      })
    ))

  it.effect("count nothing twice when replies of the store are lost, and wait for a store that is down", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const store = yield* RecordStore
        let fault: "none" | "lost" | "down" = "none"
        let puts = 0
        const lost = new StoreError({ operation: "put", reason: "no reply" })
        const flaky: RecordStore["Service"] = {
          ...store,
          put: (changes, nonce) => {
            if (!changes.some(({ kind }) => kind === StatisticsRecords.kind)) return store.put(changes, nonce)
            puts++
            return fault === "down"
              ? Effect.fail(lost)
              : Effect.tap(store.put(changes, nonce), () => fault === "lost" ? Effect.fail(lost) : Effect.void)
          }
        }
        const engine = yield* Effect.provideService(start({ handlers }), RecordStore, flaky)
        const send = Effect.provide(Mail.enqueue(), engine.context)
        yield* pass("5 seconds")
        for (const now of ["lost", "down", "lost", "none"] as const) {
          fault = now
          yield* send
          // Down for so long that several minutes wait to be written
          yield* pass(now === "down" ? "150 seconds" : "10 seconds")
        }
        yield* pass("30 seconds")
        assert.isAtLeast(puts, 4)
        const { counts } = yield* Effect.provide(read({ last: "4 minutes" }), engine.context)
        assert.deepStrictEqual(counts.enqueued.filter((count) => count > 0), [1, 1, 1, 1])
        assert.strictEqual(sum(counts.completed), 4)
        yield* engine.close
      })
    ))
})
