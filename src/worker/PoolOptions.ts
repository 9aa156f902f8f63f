/** How a pool works. */
import { Duration } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { QueueLimits } from "../domain/QueueLimits.ts"
import * as TaskLogs from "../logs/TaskLogs.ts"
import type { Options as Shares } from "./Shares.ts"

/** How a pool works. Every field has a default. */
export interface Options {
  /** Tasks run at the same time, at the start. Default 10, or the nearest number that the others allow. */
  readonly concurrency?: number | undefined
  /**
   * With it, the pool sizes itself: it has this many slots at least, `maxConcurrency` at most, and as many between as waiting
   * tasks ask for and the event loop of the process bears. Without it, the pool keeps `concurrency`.
   */
  readonly minConcurrency?: number | undefined
  /** The most slots that it may have, by itself or by hand: `TaskQueue.setSlots`. Default 100, or what the others say if that is more. */
  readonly maxConcurrency?: number | undefined
  /** Queues to work on. Default, and when none is named: all, whatever they are called. */
  readonly queues?: ReadonlyArray<string> | undefined
  /**
   * How the slots are shared among queues, by their names: `{ mail: { reserved: 2 }, reports: { max: 4 }, "*": { weight: 3 } }`, where
   * `*` stands for all that are not named. Queues with shares take turns by weight, 1 if nothing is said, and each keeps its own
   * order of work. Without it, all queues are one.
   */
  readonly shares?: Shares | undefined
  /** How long a claim holds without a heartbeat; a crashed process's tasks come back after it. Default 15 s. */
  readonly lease?: Duration.Input | undefined
  /** How often an idle pool looks for work that no hint announced. Default 1 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** Time limit of attempts whose task has none. Default 5 minutes. */
  readonly timeout?: Duration.Input | undefined
  /** How long running tasks may go on after shutdown began. Default 20 s. */
  readonly gracePeriod?: Duration.Input | undefined
  /** How long they may take to stop when they are interrupted after that. Default 5 s. */
  readonly resistPeriod?: Duration.Input | undefined
  /** How long finished attempts may take to be settled at shutdown. Default 3 s. */
  readonly flushPeriod?: Duration.Input | undefined
  /** The level of the line per completed task. Default `Debug`; the server uses `Info`. */
  readonly logCompletions?: "Info" | "Debug" | undefined
  /** How long what handlers log is kept with the attempts; not at all where it is 0. Default 14 days. */
  readonly keepLogs?: Duration.Input | undefined
  /** The limits of queues: see `TaskQueue`. */
  readonly limitsOfQueues?: QueueLimits | undefined
}

/** The defaults of {@link Options}. */
export const defaults = {
  concurrency: 10,
  maxConcurrency: 100,
  lease: Duration.seconds(15),
  pollInterval: Duration.seconds(1),
  timeout: Duration.minutes(5),
  gracePeriod: Duration.seconds(20),
  resistPeriod: Duration.seconds(5),
  flushPeriod: Duration.seconds(3),
  logCompletions: "Debug",
  keepLogs: TaskLogs.defaultKeepFor
} as const

/** Options that an engine says with others of its own: it divides one deadline among some, and gives the pool what its other parts have. */
export const ofEngine = { gracePeriod: 1, resistPeriod: 1, flushPeriod: 1, keepLogs: 1, limitsOfQueues: 1 } as const

/** An option outside of its bound is a mistake in the program: the layer dies of it, and says which it is. */
export const demandBounds = (options: Options): void => {
  for (const queue of options.queues ?? []) Bounds.demand("worker.queues", Bounds.name, queue)
  Bounds.demand("worker.lease", Bounds.timeout, options.lease)
  Bounds.demand("worker.pollInterval", Bounds.timeout, options.pollInterval)
  Bounds.demand("worker.timeout", Bounds.timeoutOrNone, options.timeout)
  Bounds.demand("worker.gracePeriod", Bounds.delay, options.gracePeriod)
  Bounds.demand("worker.resistPeriod", Bounds.delay, options.resistPeriod)
  Bounds.demand("worker.flushPeriod", Bounds.delay, options.flushPeriod)
  Bounds.demand("worker.keepLogs", Bounds.retention, options.keepLogs)
}
