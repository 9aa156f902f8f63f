/**
 * The memory driver: for tests, for embedding, and the reference that the other drivers are compared with.
 * Tasks live as long as the layer's scope.
 *
 * Leases, leads and whatever else is measured follow a steady clock; what is due, and how old a task is, the wall clock.
 */
import { Clock, Context, Effect, Layer } from "effect"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import {
  demandSettings,
  type ServerServices,
  settingNames,
  type StoreSettings,
  withoutTransactions
} from "../Driver.ts"
import { EventLog } from "../EventLog.ts"
import { InstanceStore } from "../InstanceStore.ts"
import { coverageOf } from "../Lanes.ts"
import { Notifier } from "../Notifier.ts"
import * as PausedQueues from "../PausedQueues.ts"
import * as RateLimits from "../RateLimits.ts"
import { RecordStore } from "../RecordStore.ts"
import { lastClaimForMs, TaskStore } from "../TaskStore.ts"
import * as Attempt from "./Attempt.ts"
import { claim, LastClaims } from "./Claim.ts"
import { enqueue } from "./Enqueue.ts"
import * as Events from "./Events.ts"
import * as Instances from "./Instances.ts"
import * as Operate from "./Operate.ts"
import * as Read from "./Read.ts"
import * as Records from "./Records.ts"
import { Tasks } from "./Task.ts"

/** Unfinished tasks accepted at most, unless configured. */
export const defaultCapacity = 1000

/** Bytes of payloads, results and failures kept at most, unless configured. */
export const defaultMaxBytes: number = 256 * 1024 * 1024

/** How much a store in memory keeps. */
export interface Options extends StoreSettings {
  /**
   * Bytes of payloads, results and failures kept at most. Where a new task finds no room, the oldest finished ones are
   * forgotten; where that is not enough, it is refused as if the queue were full. Default 256 MiB.
   */
  readonly maxBytes?: number | undefined
}

/** A store in this process's memory, with the services that belong to a store. */
export const layer = (settings: Options = {}): Layer.Layer<ServerServices> =>
  Layer.mergeAll(
    Layer.effectContext(Effect.map(Clock.Clock, (clock) => {
      const kinds = new Records.Kinds()
      return Context.make(TaskStore, make(clock, settings, kinds)).pipe(
        Context.add(InstanceStore, Instances.make(clock)),
        Context.add(RecordStore, Records.make(clock, kinds)),
        Context.add(EventLog, Events.make(clock))
      )
    })),
    Notifier.layerMemory,
    RateLimits.layer
  )

const make = (
  clock: Clock.Clock,
  settings: Options,
  records: Records.Kinds
): Context.Service.Shape<typeof TaskStore> => {
  const { capacity, headStartMs, maxCrashes } = demandSettings(settings, settingNames, defaultCapacity)
  const limits = { capacity, maxBytes: settings.maxBytes ?? defaultMaxBytes }
  const tasks = new Tasks(headStartMs, (queue) => records.get(PausedQueues.kind, queue) !== undefined)
  const lastClaims = new LastClaims()
  const leasesNow = MonotonicClock.fromNow(clock)

  /** An operation at one instant; nothing else runs while it does. */
  const at = <A>(operation: (now: number) => A): Effect.Effect<A> =>
    Effect.sync(() => operation(clock.currentTimeMillisUnsafe()))

  const results = (ids: ReadonlyArray<string>, maxBytes?: number) =>
    Effect.sync(() => Read.results(tasks, ids, maxBytes))

  return {
    ...withoutTransactions,
    enqueue: (groups) => at((now) => groups.map((group) => enqueue(tasks, limits, group, now))),
    claim: (request) => at((now) => claim(tasks, lastClaims, request, now, leasesNow())),
    extend: (refs, leaseForMs) =>
      Effect.sync(() => {
        const leaseUntil = leasesNow() + leaseForMs
        return refs.map((ref) => Attempt.extend(tasks, ref, leaseUntil))
      }),
    settle: (settlements) => at((now) => settlements.map((settlement) => Attempt.settle(tasks, settlement, now))),
    report: (reports) => Effect.sync(() => reports.forEach((one) => Attempt.report(tasks, one))),
    rescue: (request) =>
      at((now) => {
        const measured = leasesNow()
        return { now: measured, rescued: Attempt.rescue(tasks, maxCrashes, request, now, measured) }
      }),
    cancel: (ids) => at((now) => ids.map((id) => Operate.cancel(tasks, id, now))),
    rerun: (ids) => at((now) => ids.map((id) => Operate.rerun(tasks, id, now))),
    remove: (ids) => Effect.sync(() => ids.map((id) => Operate.remove(tasks, id))),
    prune: (retention, limit) =>
      at((now) => {
        lastClaims.forget(leasesNow() - lastClaimForMs)
        return Operate.prune(tasks, retention, limit, now)
      }),
    get: (id) => Effect.sync(() => Read.get(tasks, id)),
    results,
    // Its own process hears of every end
    awaitResults: results,
    list: (request) => Effect.sync(() => Read.list(tasks, request)),
    answersAtOnce: true,
    stranded: (runnable, limit) =>
      at((now) => {
        tasks.promote(now)
        return tasks.pending.stranded(coverageOf(runnable), limit, (lane) => lane.first()?.dueAt)
      }),
    counts: Effect.sync(() => ({ ...tasks.size, capacity, totals: { ...tasks.totals } })),
    laneCounts: (range) => at((now) => Read.laneCounts(tasks, range, now))
  }
}
