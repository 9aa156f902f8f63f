/**
 * What operators ask about queues and do to them: list them, see what waits and runs in each, pause and resume them.
 * A store counts queues and types together; here they become pages.
 */
import { type DateTime, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as ByteOrder from "../domain/ByteOrder.ts"
import * as Cursor from "../domain/Cursor.ts"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type { LaneCounts, LaneRange } from "../store/Lanes.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import * as Pauses from "./Pauses.ts"

/** How many tasks have not finished. Finished ones are counted for the whole store only, see `TaskQueue.counts`. */
export interface Unfinished {
  /** Tasks that are due later, and those that have become due since any instance last asked for work. */
  readonly scheduled: number
  /** Tasks that are due. */
  readonly pending: number
  readonly running: number
  /**
   * When the pending task that comes next in the order of work became due, by the store's clock; `null` when none is
   * pending. Where priorities differ, others may have waited for longer.
   */
  readonly waitingSince: DateTime.Utc | null
}

/** The unfinished tasks of a type. */
export interface TypeCounts extends Unfinished {
  readonly type: string
}

/** A queue, and its unfinished tasks. */
export interface QueueCounts extends Unfinished {
  readonly queue: string
  /** Since when it gives no work, and why; `null` when it does. */
  readonly pause: Pauses.Pause | null
  /** How many types have tasks in it, in whatever state. */
  readonly typeCount: number
  /** These types by name: the first {@link maxListedTypes} of them where queues are listed. */
  readonly types: ReadonlyArray<TypeCounts>
}

/** Queues by name: those that have tasks, in whatever state, or are paused. */
export interface QueuePage {
  readonly queues: ReadonlyArray<QueueCounts>
  /** The cursor of the next page, `null` on the last. */
  readonly next: string | null
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** One queue with a page of its types. A queue without tasks has none, and zeros. */
export interface QueueDetail extends QueueCounts {
  /** The cursor of the next page of types, `null` on the last. */
  readonly next: string | null
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** Types by name, counted over all queues: those that have tasks, in whatever state. */
export interface TypePage {
  readonly types: ReadonlyArray<TypeCounts>
  /** The cursor of the next page, `null` on the last. */
  readonly next: string | null
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** Which page is asked for. */
export interface PageOptions {
  /** From the page before. One that no page gave is refused. */
  readonly cursor?: string | undefined
  /** Default 50, at most 1,000. */
  readonly limit?: number | undefined
}

/** The part of {@link TaskQueue} that is about queues. */
export interface Queues {
  /**
   * Stops claims from a queue; running tasks go on. A queue that is paused already is paused as it is said now. At most 1,000
   * queues are paused at a time.
   *
   * @example
   * ```ts
   * const hold = TaskQueue.use((queue) =>
   *   queue.pause("mail", { by: "ada", reason: "The mail server is being moved", for: "2 hours" })
   * )
   * ```
   */
  readonly pause: (queue: string, options?: Pauses.PauseOptions) => Effect.Effect<void, InvalidOption | StoreError>
  /** Lets claims take from it again. */
  readonly resume: (queue: string) => Effect.Effect<void, InvalidOption | StoreError>
  /** The paused queues, in the order of their names. */
  readonly paused: Effect.Effect<ReadonlyArray<Pauses.PausedQueue>, StoreError>
  /**
   * A page of the queues that have tasks or are paused, with exact counts of what waits and runs. It costs the same however
   * many tasks have finished, and ends early once it has {@link maxTypes} types.
   *
   * @example
   * ```ts
   * const backlog = Effect.gen(function*() {
   *   const queue = yield* TaskQueue
   *   const { now, queues } = yield* queue.queues({ limit: 100 })
   *   for (const { pause, pending, queue: name, waitingSince } of queues) {
   *     const waited = waitingSince === null ? Duration.zero : DateTime.distance(waitingSince, now)
   *     if (pause === null && Duration.isGreaterThan(waited, Duration.minutes(1))) {
   *       yield* Effect.logWarning(`${pending} tasks wait in ${name}, the next one for more than a minute`)
   *     }
   *   }
   * })
   * ```
   */
  readonly queues: (options?: PageOptions) => Effect.Effect<QueuePage, InvalidOption | StoreError>
  /** One queue, and a page of its types. Every name is one of a queue: without tasks it has zeros. */
  readonly queue: (queue: string, options?: PageOptions) => Effect.Effect<QueueDetail, InvalidOption | StoreError>
  /** A page of the types that have tasks, over all queues. It costs as much as there are queues and types with tasks. */
  readonly types: (options?: PageOptions) => Effect.Effect<TypePage, InvalidOption | StoreError>
}

/** Types that are shown of each queue where queues are listed. */
export const maxListedTypes = 100

/** Types on a page of queues at most. */
export const maxTypes = 1000

/** Queues or types on a page at most, and when nothing is said. */
const pageSize = { max: 1000, default: 50 }

/** Queues and types asked for at once where all are wanted; a store may answer fewer. */
const chunk = 10_000

const pageNames: Bounds.Names<PageOptions> = { cursor: 1, limit: 1 }

/** Fails with the first of a page's options that is unknown, or is a cursor that no page of that kind gave. */
export const checkPage = (of: Cursor.Named, options: PageOptions): Effect.Effect<void, InvalidOption> => {
  const invalid = Bounds.refuseUnknown(options, pageNames) ??
    Bounds.refuse("cursor", Cursor.boundOfNames(of), options.cursor)
  return invalid === undefined ? Effect.void : Effect.fail(invalid)
}

/** How many are on the page that is asked for. */
export const sizeOf = ({ limit = pageSize.default }: PageOptions): number =>
  Math.min(Math.max(1, Math.trunc(limit) || 1), pageSize.max)

/** These operations on a store. */
export const make = (store: TaskStore["Service"], records: RecordStore["Service"]): Queues => {
  const onRecords = Effect.provideService(RecordStore, records)
  const pausedQueues = Effect.map(onRecords(PausedQueues.paused), (paused) => paused.map(Pauses.pausedQueueOf))
  const pauses = Effect.map(pausedQueues, (paused) => new Map(paused.map(({ queue, ...pause }) => [queue, pause])))

  /** Looks at lanes in their order as long as they are wanted, first at so many; answers the store's clock. */
  const eachLane = Effect.fnUntraced(function*(range: LaneRange, see: (lane: LaneCounts) => boolean) {
    let { after, limit } = range
    while (true) {
      const { lanes, more, now } = yield* store.laneCounts({ ...range, after, limit })
      for (const lane of lanes) if (!see(lane)) return utc(now)
      after = lanes.at(-1)
      if (!more || after === undefined) return utc(now)
      limit = Math.max(limit, maxTypes)
    }
  })

  const queues = Effect.fnUntraced(function*(options: PageOptions = {}) {
    yield* checkPage("queue", options)
    const limit = sizeOf(options)
    const behind = options.cursor === undefined ? undefined : Cursor.decodeName("queue", options.cursor)
    const paused = yield* pauses
    const found: Array<Count> = []
    let shown = 0
    let more = false
    const range = { limit: limit + 1, after: behind === undefined ? undefined : { queue: behind } }
    const now = yield* eachLane(range, (lane) => {
      let last = found.at(-1)
      if (last?.queue !== lane.queue) {
        shown += last?.types.length ?? 0
        more = found.length === limit || shown + maxListedTypes > maxTypes
        if (more) return false
        found.push(last = new Count(lane.queue, maxListedTypes))
      }
      last.add(lane)
      return true
    })
    const isOnPage = (queue: string) =>
      (behind === undefined || ByteOrder.compare(queue, behind) > 0) &&
      (!more || ByteOrder.compare(queue, found.at(-1)!.queue) < 0)
    const known = new Set(found.map(({ queue }) => queue))
    const empty = [...paused.keys()].filter((queue) => !known.has(queue) && isOnPage(queue))
    const all = [...found, ...empty.map((queue) => new Count(queue, 0))].sort(byQueue)
    const page = all.slice(0, limit)
    const isLast = !more && page.length === all.length
    return {
      queues: page.map((count) => count.shown(paused.get(count.queue) ?? null)),
      next: isLast ? null : Cursor.encodeName("queue", page.at(-1)!.queue),
      now
    }
  })

  const queue = Effect.fnUntraced(function*(queue: string, options: PageOptions = {}) {
    yield* Bounds.check("queue", Bounds.name, queue)
    yield* checkPage("type", options)
    const limit = sizeOf(options)
    const behind = options.cursor === undefined ? undefined : Cursor.decodeName("type", options.cursor)
    const pause = yield* onRecords(PausedQueues.pauseOf(queue))
    const count = new Count(queue, limit + 1, behind)
    const now = yield* eachLane({ queue, limit: chunk }, (lane) => {
      count.add(lane)
      return true
    })
    const shown = count.shown(pause && Pauses.pauseOf(pause))
    const types = shown.types.slice(0, limit)
    return { ...shown, types, next: nextType(types, shown.types.length > limit), now }
  })

  const types = Effect.fnUntraced(function*(options: PageOptions = {}) {
    yield* checkPage("type", options)
    const limit = sizeOf(options)
    const behind = options.cursor === undefined ? undefined : Cursor.decodeName("type", options.cursor)
    const found = new Map<string, Count>()
    const now = yield* eachLane({ limit: chunk }, (lane) => {
      if (behind !== undefined && ByteOrder.compare(lane.type, behind) <= 0) return true
      let count = found.get(lane.type)
      if (count === undefined) found.set(lane.type, count = new Count(lane.type, 0))
      count.add(lane)
      return true
    })
    const all = [...found.keys()].sort(ByteOrder.compare)
    const types = all.slice(0, limit).map((type) => ({ type, ...read(found.get(type)!.unfinished) }))
    return { types, next: nextType(types, all.length > limit), now }
  })

  return {
    pause: Effect.fnUntraced(function*(queue, options = {}) {
      yield* Bounds.check("queue", Bounds.name, queue)
      yield* Pauses.check(options)
      yield* onRecords(PausedQueues.pause(queue, Pauses.reasonOf(options)))
    }),
    resume: (queue) => Effect.andThen(Bounds.check("queue", Bounds.name, queue), onRecords(PausedQueues.resume(queue))),
    paused: pausedQueues,
    queues,
    queue,
    types
  }
}

/** Counts as stores have them. */
type Stored = Omit<LaneCounts, "queue" | "type">

const read = (counts: Stored): Unfinished => ({ ...counts, waitingSince: utcOrNull(counts.waitingSince) })

/** Adds up lanes, and keeps the first types behind one. */
class Count {
  readonly queue: string
  readonly types: Array<Stored & Pick<LaneCounts, "type">> = []
  unfinished: Stored = { scheduled: 0, pending: 0, running: 0, waitingSince: null }
  private typeCount = 0
  private latest: string | undefined
  private readonly maxTypes: number
  private readonly behind: string | undefined

  constructor(queue: string, maxTypes: number, behind?: string) {
    this.queue = queue
    this.maxTypes = maxTypes
    this.behind = behind
  }

  add({ pending, running, scheduled, type, waitingSince }: LaneCounts): void {
    const before = this.unfinished
    this.unfinished = {
      scheduled: before.scheduled + scheduled,
      pending: before.pending + pending,
      running: before.running + running,
      waitingSince: earliest(before.waitingSince, waitingSince)
    }
    // Versions of a type follow one another, and are one
    if (type !== this.latest) {
      this.latest = type
      this.typeCount++
      if (this.types.length >= this.maxTypes) return
      if (this.behind !== undefined && ByteOrder.compare(type, this.behind) <= 0) return
      this.types.push({ type, scheduled, pending, running, waitingSince })
      return
    }
    const last = this.types.at(-1)
    if (last?.type !== type) return
    this.types[this.types.length - 1] = {
      type,
      scheduled: last.scheduled + scheduled,
      pending: last.pending + pending,
      running: last.running + running,
      waitingSince: earliest(last.waitingSince, waitingSince)
    }
  }

  shown(pause: Pauses.Pause | null): QueueCounts {
    const { queue, typeCount, types, unfinished } = this
    const shown = types.map(({ type, ...counts }) => ({ type, ...read(counts) }))
    return { queue, pause, ...read(unfinished), typeCount, types: shown }
  }
}

const byQueue = (a: Count, b: Count): number => ByteOrder.compare(a.queue, b.queue)

const earliest = (a: number | null, b: number | null): number | null => a === null ? b : b === null ? a : Math.min(a, b)

const nextType = (types: ReadonlyArray<TypeCounts>, more: boolean): string | null =>
  more ? Cursor.encodeName("type", types.at(-1)!.type) : null
