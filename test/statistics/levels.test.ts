import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { StoreError } from "../../src/domain/Errors.ts"
import { ErrorTally, other } from "../../src/observability/ErrorTally.ts"
import { add, addAll, type LogHistogram, quantiles } from "../../src/observability/LogHistogram.ts"
import { emptyLane, type Taken } from "../../src/observability/Tally.ts"
import * as Bucket from "../../src/statistics/Bucket.ts"
import * as Chunk from "../../src/statistics/Chunk.ts"
import * as ErrorGroups from "../../src/statistics/ErrorGroups.ts"
import { levels } from "../../src/statistics/Levels.ts"
import * as RollUp from "../../src/statistics/RollUp.ts"
import { Statistics, type StatisticsOptions } from "../../src/statistics/Statistics.ts"
import * as StatisticsRecords from "../../src/statistics/StatisticsRecords.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { maxDocumentBytes } from "../../src/store/RecordDriver.ts"
import { absent, all, RecordStore } from "../../src/store/RecordStore.ts"

const onStore = Layer.provideMerge(Statistics.layer, MemoryStore.layer())

const hour = 3_600_000
const day = 24 * hour

/** What an instance with two slots has seen in ten seconds: tasks of several types, each enqueued, started and completed once. */
const taken = (types: number, seed = 1): Taken => ({
  lanes: Array.from({ length: types }, (_, index) => {
    const lane = { ...emptyLane("default", `type-${index}`), enqueued: 1, started: 1, completed: 1 }
    for (let value = 0; value < 20; value++) {
      add(lane.wait, (value * 37 + index * 11 + seed) % 500)
      add(lane.run, (value * 53 + index * 17 + seed) % 900)
    }
    return lane
  }),
  errors: Array.from({ length: Math.ceil(types / 4) }, (_, index) => ({
    type: `type-${index}`,
    kind: "error" as const,
    tag: "Refused",
    message: `mx# of type-${index} answered #`,
    failed: seed % 2,
    retried: seed % 3,
    latest: `01a20f46-60fe-779b-a926-cef2c43ec${seed % 1000}`
  })),
  cancelled: 0,
  crashed: 0,
  slots: { forMs: 10_000, slotMs: 20_000, busyMs: 5000, bySlot: [5000, 0] }
})

const minute = (start: number, instance: string, types: number): Map<number, Bucket.Bucket> =>
  new Map(Array.from({ length: 6 }, (_, index) => [
    start + index * 10_000,
    Bucket.ofInstance(instance, start + index * 10_000, taken(types, start / 10_000 + index), {
      scheduled: 1,
      pending: 2,
      running: 3,
      lanes: [{ queue: "default", type: "type-0", scheduled: 1, pending: 2, running: 3, oldestMs: 4000 }]
    })
  ]))

const write = (start: number, instances: ReadonlyArray<string>) =>
  RecordStore.use((records) =>
    records.put(instances.map((instance) => ({
      kind: StatisticsRecords.kind,
      id: StatisticsRecords.idOf(0, start, instance),
      expects: absent,
      document: Chunk.encode(minute(start, instance, 2))
    })))
  )

const rollUp = RecordStore.use(RollUp.rollUp)
const ofLevel = (level: number) =>
  Effect.map(all(StatisticsRecords.kind), (found) => found.filter(({ id }) => id.startsWith(`${level}/`)))
const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)

const entries = (map: ReadonlyMap<number, unknown>) => [...map].sort(([a], [b]) => a - b)

/** A bucket whose histograms are in order, and whose slots are as exact as they are kept. */
const shown = ({ instances, lanes, run, wait, ...bucket }: Bucket.Bucket) => ({
  ...bucket,
  run: entries(run),
  wait: entries(wait),
  lanes: [...lanes].map(([name, lane]) => [name, { ...lane, run: entries(lane.run), wait: entries(lane.wait) }]),
  instances: [...instances].map(([name, slots]) => [name, {
    ...slots,
    bySlot: slots.bySlot.map((ms) => Math.round(ms / slots.forMs * 10))
  }])
})

/** Two instances that record without a pause, and a leader that adds up each minute. */
const live = Effect.fnUntraced(function*(minutes: number, everyMinute: Effect.Effect<unknown, unknown, RecordStore>) {
  for (let index = 0; index < minutes; index++) {
    yield* write(yield* TestClock.testClockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe())), [
      "one",
      "two"
    ])
    yield* TestClock.adjust("1 minute")
    yield* everyMinute
  }
})

describe("histograms", () => {
  it("tell quantiles within 9 %, however they were added up", () => {
    const values = Array.from({ length: 2000 }, (_, index) => ((index * 7919) % 2000) ** 2 / 10 + 1)
    const parts: ReadonlyArray<LogHistogram> = [new Map(), new Map(), new Map()]
    const sums: LogHistogram = new Map()
    values.forEach((value, index) => add(parts[index % 3]!, value))
    for (const part of parts) addAll(sums, part)
    const sorted = values.toSorted((a, b) => a - b)
    for (const share of [0.01, 0.5, 0.95, 0.99, 1]) {
      const exact = sorted[Math.ceil(share * values.length) - 1]!
      assert.approximately(quantiles(sums, [share])[0]! / exact, 1, 0.095, `${share}`)
    }
    assert.deepStrictEqual(quantiles(new Map(), [0.5]), [null])
    for (const value of [0, 1e15]) add(sums, value)
    assert.isTrue([...sums.keys()].every((index) => index >= 0 && index < 128))
  })
})

describe("a chunk", () => {
  it("comes back as a bucket of the next level would have it, in a few kilobytes for ten types", () => {
    const chunk = minute(0, "one", 10)
    const document = Chunk.encode(chunk)
    assert.isBelow(Buffer.byteLength(document), 5000)
    const back = Chunk.decode(document)
    assert.deepStrictEqual([...back.keys()], [...chunk.keys()])
    const sumOf = (chunk: Chunk.Chunk) => shown(RollUp.summed([chunk], 60_000).get(0)!)
    assert.deepStrictEqual(sumOf(back), sumOf(minute(0, "one", 10)))
    for (const [at, { depth, run, wait }] of chunk) {
      const { depth: depthBack, run: runBack, wait: waitBack } = back.get(at)!
      assert.deepStrictEqual(
        [depthBack, entries(runBack), entries(waitBack)],
        [depth, entries(run), entries(wait)]
      )
    }
  })

  it("tells nothing where a later version has written it, or it is damaged", () => {
    for (const document of ["{\"version\":2}", "{\"version\":1,\"deflated\":\"AAAA\"}", "null"]) {
      assert.deepStrictEqual([...Chunk.decode(document)], [])
    }
  })

  it("fits into a record whatever the names are: those to which least has happened become one", () => {
    let random = 1
    const name = () =>
      Array.from({ length: 255 }, () => {
        random = (random * 48_271) % 2_147_483_647
        return String.fromCodePoint(0x4e00 + random % 20_000)
      }).join("")
    const lanes = Array.from({ length: 200 }, (_, index) => ({
      ...emptyLane(name(), name()),
      enqueued: index + 1
    }))
    const bucket = Bucket.ofInstance(
      "one",
      0,
      { lanes, errors: [], cancelled: 0, crashed: 0, slots: undefined },
      undefined
    )
    const document = Chunk.encode(new Map([[0, bucket]]))
    assert.isAtMost(Buffer.byteLength(document), maxDocumentBytes)
    const back = Chunk.decode(document).get(0)!
    assert.strictEqual(sum([...back.lanes.values()].map(({ enqueued }) => enqueued)), 200 * 201 / 2)
    assert.isAbove(back.lanes.get(`${other}\u0000${other}`)!.enqueued, 0)
    assert.isTrue([...back.lanes.values()].some(({ enqueued }) => enqueued === 200))
  })
})

describe("failures by what they have in common", () => {
  const failureOf = (message: string) => ({ kind: "error" as const, tag: "Refused", message })

  it("are counted by name up to a hundred, and those of others together", () => {
    const tally = new ErrorTally()
    for (let number = 0; number < 3; number++) {
      for (let word = 0; word < 1000; word++) {
        tally.add(
          "mail",
          failureOf(`${"x".repeat(word % 500)} ${letters(word)} ${number}`),
          number === 0,
          `task-${word}`
        )
      }
    }
    const counts = tally.take()
    assert.strictEqual(counts.length, 101)
    assert.deepStrictEqual(
      [sum(counts.map(({ failed }) => failed)), sum(counts.map(({ retried }) => retried))],
      [1000, 2000]
    )
    assert.isTrue(counts.every(({ message }) => message.length <= 200))
    assert.deepStrictEqual(tally.take(), [])
  })

  it("keep those that happened most, in a record of bounded size, whatever their names are", () => {
    const count = (word: number, failed: number) => ({
      type: `${letters(word)}`.repeat(40),
      kind: "error" as const,
      tag: letters(word * 7).repeat(40),
      message: letters(word * 31).repeat(30),
      failed,
      retried: 0,
      latest: "t".repeat(255)
    })
    // Each bucket of ten has a hundred others
    const chunk = new Map(Array.from({ length: 10 }, (_, index) => {
      const errors = Array.from({ length: 100 }, (_, word) => count(index * 100 + word, word === 99 ? 1000 : 1))
      const taken = { lanes: [], errors, cancelled: 0, crashed: 0, slots: undefined }
      return [index * 10_000, Bucket.ofInstance("one", index * 10_000, taken, undefined)]
    }))
    const document = Chunk.encode(chunk)
    assert.isAtMost(Buffer.byteLength(document), maxDocumentBytes)
    const all: ErrorGroups.ErrorGroups = new Map()
    for (const { errors } of Chunk.decode(document).values()) ErrorGroups.addAll(all, errors)
    assert.isAtMost(all.size, 101)
    assert.strictEqual(sum([...all.values()].map(ErrorGroups.countOf)), 10 * 1099)
    assert.strictEqual(ErrorGroups.byCount(all).filter(({ failed }) => failed === 1000).length, 10)
    const back = Chunk.decode(Chunk.encode(new Map([[0, chunk.get(0)!]]))).get(0)!
    assert.deepStrictEqual([...back.errors], [...chunk.get(0)!.errors])
  })

  it.effect("are added up from level to level without a loss", () =>
    Effect.gen(function*() {
      yield* rollUp
      yield* live(8 * 60, rollUp)
      const { errors, read } = yield* Statistics
      const ended = (yield* read({ last: "8 hours" })).counts.completed
      for (const last of ["1 hour", "6 hours", "8 hours"] as const) {
        const { groups, others } = yield* errors({ last })
        assert.deepStrictEqual(groups.map(({ tag }) => tag), ["Refused"], last)
        assert.strictEqual(others, 0)
        assert.isAtMost(groups[0]!.columns.length, 61)
        assert.strictEqual(sum(groups[0]!.columns), groups[0]!.failed + groups[0]!.retried)
      }
      const { groups: [whole] } = yield* errors({ last: "8 hours" })
      // In each bucket two are completed; in half of the buckets one fails for good, and on average one is retried
      assert.approximately(whole!.failed, sum(ended) / 2 / 2, sum(ended) * 0.01)
      assert.approximately(whole!.retried, sum(ended) / 2, sum(ended) * 0.01)
    }).pipe(Effect.provide(onStore)))
})

/** A word for each number, of letters alone: digits would make all of them one. */
const letters = (number: number): string => String(number).replace(/\d/g, (digit) => "ghijklmnop"[Number(digit)]!)

describe("the levels", () => {
  it.effect("are added up from one another without a loss, and forgotten when they are old", () =>
    Effect.gen(function*() {
      yield* rollUp
      yield* live(8 * 60, rollUp)
      const { read } = yield* Statistics
      // Two instances, two types, six buckets a minute
      for (
        const [last, step, ms] of [
          ["1 hour", "10 seconds", 10_000],
          ["6 hours", "1 minute", 60_000],
          ["8 hours", "10 minutes", 600_000],
          ["8 hours", "1 hour", hour]
        ] as const
      ) {
        const found = yield* read({ last, step })
        assert.strictEqual(Duration.toMillis(found.step), ms)
        const points = found.counts.completed.slice(1, -1)
        assert.deepStrictEqual(points, points.map(() => 4 * ms / 10_000), `${last} by ${step}`)
        assert.deepStrictEqual(new Set(found.depth.pending.slice(1, -1)), new Set([2]))
        assert.deepStrictEqual(new Set(found.oldestMs.slice(1, -1)), new Set([4000]))
        assert.deepStrictEqual(found.instances.map(({ busy }) => busy.at(-2)), [0.25, 0.25])
        assert.strictEqual(found.types[0]!.pending, 2)
      }
      // An hour in minutes of two instances, and what was not added up; six hours in chunks of ten minutes
      assert.isBelow((yield* ofLevel(0)).length, 2 * (60 + 15 + 2))
      assert.isBelow((yield* ofLevel(1)).length, 36 + 8)
      assert.strictEqual((yield* ofLevel(2)).length, 7)
      assert.strictEqual((yield* ofLevel(3)).length, 1)
    }).pipe(Effect.provide(onStore)))

  it.effect("count nothing twice when two add up at once, or the reply to one is lost", () =>
    Effect.gen(function*() {
      const records = yield* RecordStore
      yield* rollUp
      const lossy: RecordStore["Service"] = {
        ...records,
        put: (changes, nonce) =>
          Effect.andThen(
            records.put(changes, nonce),
            Effect.fail(new StoreError({ operation: "put", reason: "no reply" }))
          )
      }
      yield* live(
        60,
        Effect.andThen(
          Effect.ignore(RollUp.rollUp(lossy)),
          Effect.all([rollUp, rollUp, RollUp.rollUp(records)], { concurrency: "unbounded" })
        )
      )
      const { read } = yield* Statistics
      const { counts } = yield* read({ last: "1 hour", step: "1 minute" })
      assert.strictEqual(sum(counts.completed), 60 * 24)
      assert.strictEqual((yield* ofLevel(1)).length, 5)
    }).pipe(Effect.provide(onStore)))

  it.effect("go on where there was no leader for days, and where the store's clock was far ahead", () =>
    Effect.gen(function*() {
      yield* rollUp
      yield* live(20, Effect.void)
      yield* TestClock.adjust("10 days")
      yield* live(20, Effect.void)
      yield* rollUp
      const { read } = yield* Statistics
      const { counts } = yield* read({ last: "11 days", step: "1 hour" })
      assert.strictEqual(sum(counts.completed), 40 * 24)
      yield* TestClock.adjust("400 days")
      yield* rollUp
      yield* TestClock.setTime(11 * day)
      yield* rollUp
      yield* live(30, rollUp)
      assert.strictEqual(sum((yield* read({ last: "1 hour", step: "1 minute" })).counts.completed), 30 * 24)
      assert.isAbove((yield* ofLevel(1)).length, 1)
    }).pipe(Effect.provide(onStore)))

  it.effect("begin with the first record, and are nothing where there is none", () =>
    Effect.gen(function*() {
      yield* rollUp
      assert.deepStrictEqual(yield* all(StatisticsRecords.kind), [])
      yield* live(40, Effect.void)
      yield* rollUp
      yield* rollUp
      assert.strictEqual((yield* ofLevel(1)).length, 3)
    }).pipe(Effect.provide(onStore)))

  it.effect("refuse times of which nothing is kept, and have a bounded number of points", () =>
    Effect.gen(function*() {
      const { read } = yield* Statistics
      yield* TestClock.adjust("40 days")
      const refused = (options: StatisticsOptions) =>
        Effect.map(Effect.flip(read(options)), (error) => error._tag === "InvalidOption" ? error.option : error._tag)
      const at = (days: number) => DateTime.makeUnsafe(days * day)
      assert.strictEqual(yield* refused({ from: at(41) }), "from")
      assert.strictEqual(yield* refused({ to: at(2) }), "to")
      assert.strictEqual(yield* refused({ from: at(39), last: "1 hour" }), "last")
      assert.strictEqual(yield* refused({ step: 0 }), "step")
      for (const last of ["5 minutes", "1 hour", "6 hours", "3 days", "31 days"] as const) {
        const { counts, step } = yield* read({ last, step: "1 second" })
        assert.isAtMost(counts.enqueued.length, 750, `${last} by ${Duration.format(step)}`)
      }
    }).pipe(Effect.provide(onStore)))

  it("take less than 5 MB for a day of three instances and twenty types that never rest", () => {
    const bytesOf = (chunk: Chunk.Chunk) => Buffer.byteLength(Chunk.encode(chunk))
    const instances = ["one", "two", "three"]
    const minutes = (count: number) =>
      Array.from({ length: count }, (_, index) => instances.map((name) => minute(index * 60_000, name, 20))).flat()
    const chunkOf = (level: number) => {
      const { chunkMs, stepMs } = levels[level]!
      return RollUp.summed(minutes(Math.min(60, chunkMs / 60_000)), Math.min(stepMs, 600_000))
    }
    const fine = 60 * instances.length * bytesOf(minute(0, "one", 20))
    const byMinute = 6 * 6 * bytesOf(chunkOf(1))
    const byTen = 24 * bytesOf(chunkOf(2))
    const byHour = 4 * bytesOf(chunkOf(3))
    const total = fine + byMinute + byTen + byHour
    assert.isBelow(total, 5_000_000)
    assert.isAbove(total, 100_000)
  })
})
