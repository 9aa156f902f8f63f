/**
 * Writes what this process has seen into the store, every ten seconds; without slots, only when it has seen something. A record has the buckets of a minute and is written again with each of them: it always says all that is known of its minute, so
 * writing it twice, after a lost reply, counts nothing twice. Its id has a part that no other process has, nor this one after a restart.
 *
 * Statistics hold nothing up: while the store does not take them, they are kept for ten minutes.
 */
import { Clock, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { Leader } from "../maintenance/Leader.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { CurrentTally, type Tally } from "../observability/Tally.ts"
import { Instance } from "../store/InstanceStore.ts"
import { absent, RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import * as Bucket from "./Bucket.ts"
import * as Chunk from "./Chunk.ts"
import * as DepthSampler from "./DepthSampler.ts"
import * as Levels from "./Levels.ts"
import * as StatisticsRecords from "./StatisticsRecords.ts"

const { chunkMs, stepMs } = Levels.levels[0]!

/** Minutes that wait to be written at most. */
const maxWaiting = 10

/** How often the store's clock is read, in milliseconds. */
const askClockEveryMs = 60_000

/** How long a process that ends tries to write the last of it. */
const flushFor = "1 second"

/** A minute of this process, and how it is in the store. */
interface Page {
  readonly id: string
  readonly startMs: number
  readonly buckets: Map<number, Bucket.Bucket>
  /** The version of the record. */
  version: number
  isWritten: boolean
}

/** Records an instance, which knows how many tasks wait while it leads. */
export const layer: Layer.Layer<
  never,
  never,
  TaskStore | RecordStore | Supervisor | Instance | Leader | SecureRandom.SecureRandom
> = Layer.effectDiscard(Effect.gen(function*() {
  const leader = yield* Leader
  const { id } = yield* Instance
  const sample = yield* DepthSampler.make(yield* TaskStore)
  yield* record(id, Effect.flatMap(leader.leads, (leads) => leads ? sample : Effect.undefined))
}))

/** Records a process that only enqueues and looks. */
export const layerProducer: Layer.Layer<never, never, RecordStore | Supervisor | SecureRandom.SecureRandom> = Layer
  .effectDiscard(Effect.suspend(() => record("", Effect.undefined)))

const record = Effect.fnUntraced(function*(
  instance: string,
  sample: Effect.Effect<Bucket.DepthSample | undefined, StoreError>
) {
  const tally = yield* CurrentTally
  if (tally === undefined) return
  const supervisor = yield* Supervisor
  const clock = yield* Clock.Clock
  const random = yield* SecureRandom.SecureRandom
  const process = (yield* random.uuidV4()).slice(0, 13)
  const recorder = make(yield* RecordStore, tally, instance, process, sample, () => MonotonicClock.exactMillis(clock))
  yield* Effect.addFinalizer(() => Effect.timeoutOption(recorder.finish, flushFor))
  yield* supervisor.loop("statistics", recorder.step, { when: recorder.wait })
})

const make = (
  records: RecordStore["Service"],
  tally: Tally,
  instance: string,
  process: string,
  sample: Effect.Effect<Bucket.DepthSample | undefined, StoreError>,
  now: () => number
) => {
  /** What the store's clock is ahead of the monotonic one. */
  let aheadMs: number | undefined
  let pages: ReadonlyArray<Page> = []
  let pageCount = 0
  /** The start of the bucket that is being added up. */
  let startMs = 0
  let clockAskedAt = -Infinity

  const storeNow = () => now() + aheadMs!

  const askClock = Effect.gen(function*() {
    const askedAt = now()
    const then = yield* StatisticsRecords.clock(records)
    clockAskedAt = now()
    aheadMs = then - (askedAt + clockAskedAt) / 2
  })

  /** The page of a bucket, and whether it is a new one. */
  const pageOf = (bucketMs: number): Page => {
    const start = Levels.startOf(bucketMs, chunkMs)
    const last = pages.at(-1)
    if (last !== undefined && last.startMs === start) return last
    const id = StatisticsRecords.idOf(0, start, `${process}-${++pageCount}`)
    const page = { id, startMs: start, buckets: new Map(), version: absent, isWritten: true }
    pages = [...pages, page].slice(-maxWaiting)
    return page
  }

  /** Puts a bucket away to be written. */
  const keep = (bucket: Bucket.Bucket): void => {
    if (Bucket.isEmpty(bucket)) return
    const page = pageOf(startMs)
    const before = page.buckets.get(startMs)
    // the store's clock was set back
    if (before !== undefined) Bucket.addTime(before, bucket)
    else page.buckets.set(startMs, bucket)
    page.isWritten = false
  }

  const write = (page: Page): Effect.Effect<void, InvalidOption | StoreError> =>
    Effect.suspend(() =>
      records.put([{
        kind: StatisticsRecords.kind,
        id: page.id,
        expects: page.version,
        document: Chunk.encode(page.buckets)
      }])
    ).pipe(
      Effect.tap((version) =>
        Effect.sync(() => {
          page.version = version
          page.isWritten = true
        })
      ),
      Effect.asVoid,
      // No other process writes it: it was written, and the reply was lost. What is written now says all of that again
      Effect.catchTag("RecordConflict", ({ found }) =>
        Effect.suspend(() => {
          page.version = found
          return write(page)
        }))
    )

  /** The last page goes on as long as its minute does. */
  const writeAll = Effect.gen(function*() {
    for (const page of pages) if (!page.isWritten) yield* write(page)
    const current = Levels.startOf(startMs, chunkMs)
    pages = pages.filter((page) => page.startMs === current)
  })

  const patient = <A>(effect: Effect.Effect<A, InvalidOption | StoreError>) =>
    Effect.catchTags(effect, {
      StoreError: (error) => Effect.as(Effect.logDebug("statistics wait for the store", error), undefined),
      InvalidOption: Effect.die
    })

  /** Ends the bucket that was added up until now. */
  const flush = Effect.gen(function*() {
    const found = yield* patient(sample)
    keep(Bucket.ofInstance(instance, startMs, tally.take(now()), found))
    yield* patient(writeAll)
    if (now() - clockAskedAt >= askClockEveryMs) yield* patient(askClock)
    startMs = Levels.startOf(storeNow(), stepMs)
  })

  return {
    /** Waits until there is something to do. It is no part of the step: one that failed would look as if it failed for as long. */
    wait: Effect.gen(function*() {
      // Without slots there is nothing to tell until something happens
      if (instance === "" && pages.every(({ isWritten }) => isWritten)) yield* tally.some.await
      if (aheadMs === undefined) return
      if (storeNow() >= startMs + stepMs) startMs = Levels.startOf(storeNow(), stepMs)
      yield* Effect.sleep(Math.max(1, startMs + stepMs - storeNow()))
    }),
    step: Effect.suspend(() => {
      if (aheadMs === undefined) return askClock
      // Where the sleep was short by a fraction of a millisecond, the bucket goes on
      return storeNow() >= startMs + stepMs - 1 ? flush : Effect.void
    }),
    finish: Effect.suspend(() => {
      if (aheadMs === undefined) return Effect.void
      keep(Bucket.ofInstance(instance, startMs, tally.take(now()), undefined))
      return patient(writeAll)
    })
  }
}
