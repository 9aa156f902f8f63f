/**
 * How many slots the waiting tasks need: what an autoscaler goes by. It is worked out at each call from what waits in the store
 * and from what the living instances say of the last minute, so every process knows it, also one that has just started.
 *
 * - Slots that were busy, or are busy while tasks wait, are needed again, and a fifth of the slots should be free, so that tasks
 *   rarely wait.
 * - What waits by now is to be done within a time: that takes its number times what an attempt took on average.
 */
import { type DateTime, Duration, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type { InstanceRecord, InstanceStore } from "../store/InstanceStore.ts"
import type { LaneCounts, LaneRange } from "../store/Lanes.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { promotion, type TaskStore } from "../store/TaskStore.ts"

/** What the need for slots is asked of. */
export interface ScalingOptions {
  /**
   * Only this queue, and the instances that work on it. One that works on others too counts with all that it does. All queues when left
   * out.
   */
  readonly queue?: string | undefined
  /** The time in which what waits by now is to be done. Default one minute. */
  readonly within?: Duration.Input | undefined
}

/** How many slots are needed, and what that follows from. Tasks of paused queues do not count. */
export interface Scaling {
  readonly slotsWanted: number
  /** Slots of the living instances, without those that drain. */
  readonly slots: number
  /** How many of them ran a task when they were last heard of. */
  readonly busy: number
  /** Tasks that are due and wait, without those of paused queues and types. */
  readonly waiting: number
  /** When the task that comes first of those became due; `null` when none waits. Where priorities differ, others may have waited longer. */
  readonly waitingSince: DateTime.Utc | null
  /**
   * How long the slots that there are need for what waits by now, if no other task comes: the tasks, times what an attempt took on
   * average in the last minute, divided by the slots. `null` while that is not known, or where there are no slots.
   */
  readonly drainsIn: Duration.Duration | null
  /** What an attempt took on average in the last minute; `null` when nothing ran. */
  readonly taskTime: Duration.Duration | null
  /** Attempts that ended in a second, in the last minute. */
  readonly endedPerSecond: number
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** The part of {@link TaskQueue} that tells how many slots are needed. */
export interface Scales {
  /**
   * How many slots the waiting tasks need, how long they take, and since when they wait: for an autoscaler.
   *
   * @example
   * ```ts
   * const instances = TaskQueue.use((queue) =>
   *   Effect.map(queue.scaling({ queue: "mail", within: "30 seconds" }), ({ slotsWanted }) => Math.ceil(slotsWanted / 10))
   * )
   * ```
   */
  readonly scaling: (options?: ScalingOptions) => Effect.Effect<Scaling, InvalidOption | StoreError>
}

/** The time in which what waits is to be done, unless another one is asked for. */
const defaultWithin: Duration.Duration = Duration.minutes(1)

/** The share of the slots that should be busy. */
const busyShare = 0.8

/** Queues and types that are counted at once; a store may answer fewer. */
const chunk = 10_000

const names: Bounds.Names<ScalingOptions> = { queue: 1, within: 1 }

/** Fails with the first of these options that is unknown or outside of its bound. */
export const check = (options: ScalingOptions): Effect.Effect<void, InvalidOption> => {
  const invalid = Bounds.refuseUnknown(options, names) ?? Bounds.refuse("queue", Bounds.name, options.queue) ??
    Bounds.refuse("within", Bounds.timeout, options.within)
  return invalid === undefined ? Effect.void : Effect.fail(invalid)
}

/** These operations on a store. */
export const make = (
  store: TaskStore["Service"],
  records: RecordStore["Service"],
  instances: InstanceStore["Service"]
): Scales => {
  const onRecords = Effect.provideService(RecordStore, records)

  /** What waits in queues that are not paused, of types that are not. */
  const waitingIn = Effect.fnUntraced(function*(queue: string | undefined) {
    const paused = new Set(yield* onRecords(PausedQueues.names))
    const pausedTypes = new Set(yield* onRecords(PausedQueues.types.names))
    let waiting = 0
    let since: number | null = null
    let after: LaneCounts | undefined
    for (let more = true; more;) {
      const range: LaneRange = { queue, after, limit: chunk }
      const page = yield* store.laneCounts(range)
      for (const lane of page.lanes) {
        if (paused.has(lane.queue) || pausedTypes.has(lane.type)) continue
        waiting += lane.pending
        if (lane.waitingSince !== null) since = Math.min(since ?? Infinity, lane.waitingSince)
      }
      after = page.lanes.at(-1)
      more = page.more && after !== undefined
    }
    return { waiting, since }
  })

  return {
    scaling: Effect.fnUntraced(function*(options = {}) {
      yield* check(options)
      const { queue, within = defaultWithin } = options
      // Where no instance lives, nothing else would make tasks that have become due count as waiting
      const { now } = yield* store.claim(promotion)
      const { since, waiting } = yield* waitingIn(queue)
      const roll = yield* instances.list
      const able = roll.instances.filter(({ queues, sizing }) =>
        sizing?.draining !== true && (queue === undefined || queues.length === 0 || queues.includes(queue))
      )
      return {
        ...needOf(able, waiting, Duration.toMillis(within)),
        waiting,
        waitingSince: utcOrNull(since),
        now: utc(now)
      }
    })
  }
}

/** What instances need to have so many waiting tasks done within a time, by what they did in the last minute. */
export const needOf = (
  instances: ReadonlyArray<Pick<InstanceRecord, "capacity" | "running" | "load">>,
  waiting: number,
  withinMs: number
): Omit<Scaling, "waiting" | "waitingSince" | "now"> => {
  let slots = 0
  let busy = 0
  let busyOnAverage = 0
  let busyMs = 0
  let ended = 0
  let perSecond = 0
  for (const { capacity, load, running } of instances) {
    slots += capacity
    busy += running.length
    const isKnown = load !== undefined && load.forMs > 0
    busyOnAverage += isKnown ? load.busyMs / load.forMs : running.length
    busyMs += load?.busyMs ?? 0
    ended += load?.ended ?? 0
    perSecond += isKnown ? load.ended * 1000 / load.forMs : 0
  }
  // While none has ended, it has taken this long at least
  const taskMs = busyMs > 0 ? busyMs / Math.max(1, ended) : undefined
  const forWaiting = taskMs === undefined
    ? Math.min(waiting, Math.max(1, slots))
    : waiting * Math.min(1, taskMs / withinMs)
  // The average lags behind where more has begun to run; a moment without work is no reason to give up what others wait for
  const needed = waiting === 0 ? busyOnAverage : Math.max(busyOnAverage, busy)
  return {
    slotsWanted: Math.ceil(rounded(needed / busyShare + forWaiting)),
    slots,
    busy,
    drainsIn: waiting === 0
      ? Duration.zero
      : taskMs === undefined || slots === 0
      ? null
      : Duration.millis(Math.ceil(waiting * taskMs / slots)),
    taskTime: taskMs === undefined ? null : Duration.millis(taskMs),
    endedPerSecond: rounded(perSecond)
  }
}

/** So that 8 / 0.8 is 10, and no slot more. */
const rounded = (value: number): number => Math.round(value * 1000) / 1000
