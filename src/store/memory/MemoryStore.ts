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
import { Rules } from "../Gates.ts"
import { InstanceStore } from "../InstanceStore.ts"
import { coverageOf } from "../Lanes.ts"
import { Notifier } from "../Notifier.ts"
import * as RateLimits from "../RateLimits.ts"
import { RecordStore } from "../RecordStore.ts"
import { TaskStore } from "../TaskStore.ts"
import * as Archive from "./Archive.ts"
import * as Attempt from "./Attempt.ts"
import { claim, LastClaims } from "./Claim.ts"
import { decide, enqueue } from "./Enqueue.ts"
import * as Events from "./Events.ts"
import * as Instances from "./Instances.ts"
import * as Operate from "./Operate.ts"
import * as Read from "./Read.ts"
import * as Records from "./Records.ts"
import { type AtOnce, Tasks } from "./Task.ts"

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
    Layer.effectContext(Effect.map(Clock.Clock, (clock) =>
      make(clock, settings).pipe(
        Context.add(InstanceStore, Instances.make(clock)),
        Context.add(EventLog, Events.make(clock))
      ))),
    Notifier.layerMemory,
    RateLimits.layer
  )

const make = (clock: Clock.Clock, settings: Options): Context.Context<TaskStore | RecordStore> => {
  const { capacity, headStartMs, maxCrashes } = demandSettings(settings, settingNames, defaultCapacity)
  const limits = { capacity, maxBytes: settings.maxBytes ?? defaultMaxBytes }
  const kinds = new Records.Kinds()
  const tasks = new Tasks(headStartMs, new Rules((kind) => kinds.documentsOf(kind)))
  const lastClaims = new LastClaims()
  const leasesNow = MonotonicClock.fromNow(clock)

  // what ended is told in the same moment, as much as one write does
  const at: AtOnce = (operation) =>
    Effect.sync(() => {
      const now = clock.currentTimeMillisUnsafe()
      const answer = operation(now)
      if (tasks.dependencies.hasMore) tasks.dependencies.tell(now)
      return answer
    })

  const store = TaskStore.of({
    ...withoutTransactions,
    ...Attempt.make(tasks, at, leasesNow, maxCrashes),
    ...Operate.make(tasks, at, leasesNow, lastClaims),
    ...Read.make(tasks, at),
    enqueue: (groups) => at((now) => groups.map((group) => enqueue(tasks, limits, group, now))),
    claim: (request) => at((now) => claim(tasks, lastClaims, request, now, leasesNow())),
    passes: (passes) => at(() => passes.map((pass) => tasks.passes.stateOf(pass))),
    letGo: (passes) => at(() => passes.forEach((pass) => tasks.passes.letGo(pass))),
    charge: (charges) => at((now) => charges.forEach((one) => tasks.passes.charge(one, now))),
    tell: Effect.map(at(() => {}), () => tasks.dependencies.hasMore),
    consequences: () => tasks.dependencies.aftermath.take(),
    answersAtOnce: true,
    archive: Archive.make(tasks, kinds, at),
    stranded: (runnable, limit) =>
      at((now) => {
        tasks.promote(now)
        return tasks.pending.stranded(coverageOf(runnable), limit, (lane) => lane.earliest()?.dueAt)
      }),
    counts: Effect.sync(() => ({ ...tasks.size, capacity, totals: { ...tasks.totals } }))
  })
  const records = Records.make(
    at,
    kinds,
    tasks,
    (group, now, besides) => decide(tasks, limits, group, now, besides)
  )
  return Context.make(TaskStore, store).pipe(Context.add(RecordStore, records))
}
