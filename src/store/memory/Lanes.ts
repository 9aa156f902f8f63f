import type { Coverage } from "../Coverage.ts"
import { byRank, type Filed, Order, type Place } from "../Order.ts"
import type { Stranded } from "../TaskStore.ts"
import type { Entry } from "./Entry.ts"
import { Lane as Tasks } from "./Lane.ts"

/** A lane as it is filed. */
class Lane extends Tasks {
  readonly ofType: OfType
  filed: Filed<Lane> | undefined

  constructor(queue: string, ofType: OfType) {
    super(queue, ofType.type)
    this.ofType = ofType
  }
}

/** The lanes of one type. */
class OfType {
  filed: Filed<OfType> | undefined
  readonly type: string
  readonly byQueue = new Map<string, Lane>()
  readonly order = new Order<Lane>()

  constructor(type: string) {
    this.type = type
  }
}

/**
 * The lanes that have pending tasks, and nothing of those that have none. They are ordered twice: types by their first
 * lane, and the lanes of each type by their first task. So a claim looks at what it gives, and steps over a type or a
 * queue that it may not take once, however many lanes there are.
 */
export class Lanes {
  private readonly types = new Map<string, OfType>()
  private readonly order = new Order<OfType>()
  private lastAdded: Lane | undefined

  /** Files a pending task. */
  add(entry: Entry): void {
    let lane = this.lastAdded
    if (lane === undefined || lane.queue !== entry.queue || lane.type !== entry.type) {
      lane = this.lastAdded = this.laneOf(entry.queue, entry.type)
    }
    lane.push(entry)
    const { filed, ofType } = lane
    if (filed !== undefined && !byRank(entry, filed)) return
    ofType.order.before(lane, entry)
    this.order.before(ofType, entry)
  }

  /** To be called when a pending task is cancelled. */
  leave({ queue, type }: Entry): void {
    const ofType = this.types.get(type)
    const lane = ofType?.byQueue.get(queue)
    if (ofType === undefined || lane === undefined) return
    lane.size--
    if (lane.size === 0) this.remove(ofType, lane)
  }

  /** Takes up to `limit` tasks of the types and queues that are wanted, by rank. */
  take(wantsType: (type: string) => boolean, wantsQueue: (queue: string) => boolean, limit: number): Array<Entry> {
    const taken: Array<Entry> = []
    const aside: Array<Filed<OfType>> = []
    const asideOf = new Map<OfType, Array<Filed<Lane>>>()
    while (taken.length < limit) {
      const first = this.order.first()
      if (first === undefined) break
      const ofType = first.of
      const lane = wantsType(ofType.type) ? firstWanted(ofType, wantsQueue, asideOf) : undefined
      if (lane === undefined) {
        aside.push(this.order.setAside())
        continue
      }
      if (byRank(first, lane)) {
        this.order.moveFirst(first, lane)
        continue
      }
      // as long as no other lane can have a task before its next one
      const ofSameType = ofType.order.second()
      const ofOtherType = this.order.second()
      const bound = ofSameType === undefined || isAfter(ofSameType, ofOtherType) ? ofOtherType : ofSameType
      let entry = lane.of.first()
      for (; entry !== undefined && taken.length < limit; entry = lane.of.first()) {
        if (isAfter(entry, bound)) break
        lane.of.shift(entry)
        taken.push(entry)
      }
      if (entry === undefined) this.remove(ofType, lane.of)
      else ofType.order.moveFirst(lane, entry)
    }
    this.order.putBack(aside)
    for (const [ofType, lanes] of asideOf) {
      ofType.order.putBack(lanes)
      // it may have been filed where the first wanted lane is
      this.order.before(ofType, ofType.order.first()!)
    }
    return taken
  }

  /** The pending tasks of a queue and type, if there are any. */
  find(queue: string, type: string): Tasks | undefined {
    return this.types.get(type)?.byQueue.get(queue)
  }

  /** Up to `limit` lanes that are not covered. */
  stranded(coverage: Coverage, limit: number): ReadonlyArray<Stranded> {
    const found: Array<Stranded> = []
    for (const { byQueue, type } of this.types.values()) {
      const queues = coverage.get(type)
      if (queues === "all") continue
      for (const lane of byQueue.values()) {
        if (found.length >= limit) return found
        if (queues?.has(lane.queue) !== true) found.push({ queue: lane.queue, type, since: lane.first()!.dueAt })
      }
    }
    return found
  }

  private laneOf(queue: string, type: string): Lane {
    let ofType = this.types.get(type)
    if (ofType === undefined) this.types.set(type, ofType = new OfType(type))
    let lane = ofType.byQueue.get(queue)
    if (lane === undefined) ofType.byQueue.set(queue, lane = new Lane(queue, ofType))
    return lane
  }

  private remove(ofType: OfType, lane: Lane): void {
    if (this.lastAdded === lane) this.lastAdded = undefined
    ofType.order.remove(lane)
    ofType.byQueue.delete(lane.queue)
    if (ofType.byQueue.size > 0) return
    this.order.remove(ofType)
    this.types.delete(ofType.type)
  }
}

const isAfter = (entry: Place, other: Place | undefined): boolean => other !== undefined && byRank(other, entry)

/** The first lane of a wanted queue; those before it are set aside. */
const firstWanted = (
  ofType: OfType,
  wantsQueue: (queue: string) => boolean,
  asideOf: Map<OfType, Array<Filed<Lane>>>
): Filed<Lane> | undefined => {
  let lane = ofType.order.first()
  while (lane !== undefined && !wantsQueue(lane.of.queue)) {
    const aside = asideOf.get(ofType)
    if (aside === undefined) asideOf.set(ofType, [ofType.order.setAside()])
    else aside.push(ofType.order.setAside())
    lane = ofType.order.first()
  }
  return lane
}
