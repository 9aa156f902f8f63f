/**
 * Adds up what this process sees happen to tasks, by queue and type, until it is asked: what statistics are made of. Plain calls,
 * because they run for every task. Where statistics are turned off there is no tally, and nothing is added up.
 */
import { Context, Latch } from "effect"
import { type ErrorCount, ErrorTally, other } from "./ErrorTally.ts"
import { add, type LogHistogram } from "./LogHistogram.ts"

/** What is counted of the tasks of a queue and type. */
export const counted = ["enqueued", "started", "completed", "failed", "retried", "cancelled", "expired"] as const

/** One of them. */
export type Counted = typeof counted[number]

/** What has happened to the tasks of a queue and type. */
export interface LaneTally extends Record<Counted, number> {
  readonly queue: string
  readonly type: string
  /** Milliseconds from when tasks were due to when they were claimed. */
  readonly wait: LogHistogram
  /** Milliseconds that attempts took. */
  readonly run: LogHistogram
}

/** How busy the slots of an instance were. Times are in milliseconds. */
export interface SlotTally {
  /** How long it was looked at. */
  forMs: number
  /** The time of all slots. */
  slotMs: number
  /** The part of it in which they ran a task. */
  busyMs: number
  /** The same of the first {@link maxSlots}, by number. */
  readonly bySlot: Array<number>
}

/** What has been added up. */
export interface Taken {
  readonly lanes: ReadonlyArray<LaneTally>
  /** Failures of attempts by what they have in common. */
  readonly errors: ReadonlyArray<ErrorCount>
  /** Waiting tasks that were cancelled: the store does not say of which queue and type they were. */
  readonly cancelled: number
  /** Leases that ran out. */
  readonly crashed: number
  /** Nothing for a process without slots. */
  readonly slots: SlotTally | undefined
}

/** An attempt that runs, or has run. Times are of the monotonic clock, in milliseconds. */
export interface Occupation {
  readonly slot: number
  readonly startedAt: number
}

/** What the tally asks of a pool. */
export interface Pool {
  readonly size: number
  /** Attempts that have not ended. */
  readonly running: Iterable<Occupation>
}

/** Queues with types that are counted by name at most; the rest share the name {@link other}. */
export const maxLanes = 200

/** Slots of an instance that are told apart at most. */
export const maxSlots = 100

/** A queue and type to which nothing has happened. */
export const emptyLane = (queue: string, type: string): LaneTally => ({
  queue,
  type,
  enqueued: 0,
  started: 0,
  completed: 0,
  failed: 0,
  retried: 0,
  cancelled: 0,
  expired: 0,
  wait: new Map(),
  run: new Map()
})

/** The tally of a process. */
export class Tally {
  private lanes = new Map<string, Map<string, LaneTally>>()
  private laneCount = 0
  /** The one that was looked up last: the next one is often the same. */
  private last: LaneTally | undefined
  private cancelledCount = 0
  private crashedCount = 0
  private since: number | undefined
  private busyMs = 0
  private bySlot: Array<number> = []
  private pool: (() => Pool) | undefined

  /** Failures of attempts: each is also counted as failed or retried. */
  readonly errors: ErrorTally = new ErrorTally()

  /** Open as long as something was counted that was not taken. */
  readonly some: Latch.Latch = Latch.makeUnsafe(false)

  /** Counts tasks of a queue and type. */
  count(queue: string, type: string, what: Counted, number = 1): void {
    this.of(queue, type)[what] += number
  }

  /** A task was claimed that had waited for so long. */
  started(queue: string, type: string, waitMs: number): void {
    const lane = this.of(queue, type)
    lane.started++
    add(lane.wait, Math.max(0, waitMs))
  }

  /** An attempt has ended, and its slot was busy until then. */
  ran(queue: string, type: string, { slot, startedAt }: Occupation, endedAt: number): void {
    add(this.of(queue, type).run, Math.max(0, endedAt - startedAt))
    this.occupy(slot, startedAt, endedAt)
  }

  /** Waiting tasks were cancelled. */
  cancelled(count: number): void {
    this.cancelledCount += count
    if (count > 0) this.some.openUnsafe()
  }

  /** Leases ran out. */
  crashed(count: number): void {
    this.crashedCount += count
    if (count > 0) this.some.openUnsafe()
  }

  /** Where its slots are asked about, from a time of the monotonic clock on. */
  attach(pool: () => Pool, now: number): void {
    this.pool = pool
    this.since = now
  }

  /** What has happened since it was asked last. */
  take(now: number): Taken {
    const slots = this.takeSlots(now)
    const lanes = [...this.lanes.values()].flatMap((byType) => [...byType.values()])
    const taken = {
      lanes,
      errors: this.errors.take(),
      cancelled: this.cancelledCount,
      crashed: this.crashedCount,
      slots
    }
    this.lanes = new Map()
    this.some.closeUnsafe()
    this.laneCount = 0
    this.last = undefined
    this.cancelledCount = 0
    this.crashedCount = 0
    return taken
  }

  private takeSlots(now: number): SlotTally | undefined {
    if (this.pool === undefined || this.since === undefined) return undefined
    const { running, size } = this.pool()
    for (const { slot, startedAt } of running) this.occupy(slot, startedAt, now)
    const forMs = Math.max(0, now - this.since)
    const slots = {
      forMs,
      slotMs: Math.max(size * forMs, this.busyMs),
      busyMs: this.busyMs,
      bySlot: Array.from(
        { length: Math.min(maxSlots, Math.max(size, this.bySlot.length)) },
        (_, index) => this.bySlot[index] ?? 0
      )
    }
    this.since = now
    this.busyMs = 0
    this.bySlot = []
    return slots
  }

  /** The part that was told before is not counted again. */
  private occupy(slot: number, startedAt: number, endedAt: number): void {
    if (this.since === undefined) return
    const ms = endedAt - Math.max(startedAt, this.since)
    if (ms <= 0) return
    this.busyMs += ms
    if (slot <= maxSlots) this.bySlot[slot - 1] = (this.bySlot[slot - 1] ?? 0) + ms
  }

  private of(queue: string, type: string): LaneTally {
    const { last } = this
    if (last !== undefined && last.type === type && last.queue === queue) return last
    const byType = this.lanes.get(queue)
    const known = byType?.get(type)
    if (known !== undefined) return this.last = known
    if (this.laneCount >= maxLanes && (queue !== other || type !== other)) return this.of(other, other)
    const lane = emptyLane(queue, type)
    if (byType === undefined) this.lanes.set(queue, new Map([[type, lane]]))
    else byType.set(type, lane)
    if (this.laneCount++ === 0) this.some.openUnsafe()
    return lane
  }
}

/** The tally of the engine around; none where statistics are turned off. */
export class CurrentTally extends Context.Reference<Tally | undefined>("taskforge/observability/Tally", {
  defaultValue: () => undefined
}) {}
