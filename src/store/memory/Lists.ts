/** A task as the memory store holds it, and the lists that tasks are in: by id, by number, scheduled, running, finished. */
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { finished, type FinishedState } from "../../domain/TaskState.ts"
import type { GatedTask } from "../Lines.ts"
import { countBefore, Deque, Heap } from "../Order.ts"
import { keyedForMs, rescuable, type RescueRequest, type Retention } from "../TaskStore.ts"
import type { Node } from "./Node.ts"

/**
 * A task as the memory store holds it: the record itself, changed in place.
 *
 * Lists keep references to entries and skip those that have moved on. A task that comes back from a finished state
 * gets a new entry, so that an old reference can never be mistaken for the new one.
 */
export type Entry =
  & { -readonly [Field in keyof TaskRecord]: TaskRecord[Field] }
  & {
    rank: number
    /** How the passes stand with which it runs. */
    standings: GatedTask["standings"]
    /** It was taken from behind others of its line, which still refers to it. */
    steppedTo: boolean
    /** Its place among the running tasks, −1 when it is none of them. */
    place: number
    /** Removed or replaced: references to it are void. */
    dead: boolean
    /** What it depends on, and what depends on it; nothing for nearly all. */
    node: Node<Entry> | undefined
  }

/** Tasks that one page looks at: a few milliseconds. */
const maxLooked = 100_000

/** All tasks, by id and in the order of their sequence numbers. */
export class TaskLog {
  private readonly byId = new Map<string, Entry>()
  private bySeq: Array<Entry> = []
  private dead = 0

  get(id: string): Entry | undefined {
    return this.byId.get(id)
  }

  has(id: string): boolean {
    return this.byId.has(id)
  }

  add(entry: Entry): void {
    this.byId.set(entry.id, entry)
    this.bySeq.push(entry)
  }

  /** Puts a new entry in the place of one with the same id and sequence. */
  replace(old: Entry, fresh: Entry): void {
    this.byId.set(fresh.id, fresh)
    const index = this.indexFrom(old.seq)
    this.bySeq[index] = fresh
  }

  /** To be called once per entry; its place in the order is given up lazily. */
  delete(entry: Entry): void {
    this.byId.delete(entry.id)
    this.dead++
    if (this.dead > 1000 && this.dead * 2 > this.bySeq.length) {
      this.bySeq = this.bySeq.filter((kept) => !kept.dead)
      this.dead = 0
    }
  }

  /** Up to `limit` matching entries below a sequence number, newest first, and below which there may be more. */
  newest(before: number | undefined, limit: number, matches: (entry: Entry) => boolean): {
    readonly found: ReadonlyArray<Entry>
    readonly next: number | undefined
  } {
    const found: Array<Entry> = []
    let index = (before === undefined ? this.bySeq.length : this.indexFrom(before)) - 1
    const last = Math.max(0, index + 1 - maxLooked)
    for (; index >= last && found.length < limit; index--) {
      const entry = this.bySeq[index]!
      if (!entry.dead && matches(entry)) found.push(entry)
    }
    return { found, next: index < 0 ? undefined : this.bySeq[index]!.seq + 1 }
  }

  /** The first position whose sequence is not below `seq`. */
  private indexFrom(seq: number): number {
    return countBefore(this.bySeq, (entry) => entry.seq < seq)
  }
}

/** The scheduled tasks by due time. */
export class Scheduled {
  private readonly entries = new Heap<Entry>((a, b) => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.seq < b.seq))
  private left = 0

  add(entry: Entry): void {
    this.entries.push(entry)
  }

  /** To be called when one is cancelled: its place is given up lazily, but not for ever. */
  leave(): void {
    this.left++
    if (this.left > 1000 && this.left * 2 > this.entries.size) {
      this.entries.filter((entry) => entry.state === "scheduled" && !entry.dead)
      this.left = 0
    }
  }

  /** Takes one that has become due. */
  takeDue(now: number): Entry | undefined {
    const entry = this.first()
    return entry === undefined || entry.dueAt > now ? undefined : this.entries.shift()
  }

  /** When the next one is due. */
  nextDueAt(): number | null {
    return this.first()?.dueAt ?? null
  }

  private first(): Entry | undefined {
    let entry = this.entries.first()
    while (entry !== undefined && (entry.state !== "scheduled" || entry.dead)) {
      this.entries.shift()
      this.left = Math.max(0, this.left - 1)
      entry = this.entries.first()
    }
    return entry
  }
}

/**
 * The running tasks, in no order. An entry knows its place, so that coming and going cost the same however many tasks
 * are stored: a map by id would have to touch a cold string for each (measured: three quarters of a claim's time).
 */
export class Running {
  private readonly entries: Array<Entry> = []

  all(): Iterable<Entry> {
    return this.entries
  }

  add(entry: Entry): void {
    entry.place = this.entries.length
    this.entries.push(entry)
  }

  delete(entry: Entry): void {
    const last = this.entries.pop()
    if (last !== undefined && last !== entry) {
      this.entries[entry.place] = last
      last.place = entry.place
    }
    entry.place = -1
  }

  /** The tasks whose leases have run out. */
  expired(request: RescueRequest, now: number): ReadonlyArray<Entry> {
    const leases = rescuable(request, now)
    if (leases === undefined) return []
    const found: Array<Entry> = []
    for (const entry of this.entries) {
      if (found.length >= request.limit) break
      const leaseUntil = entry.leaseUntil!
      if (leaseUntil <= leases.until || leaseUntil > leases.after) found.push(entry)
    }
    return found
  }
}

const isCurrent = (entry: Entry): boolean => !entry.dead && entry.completedAt !== null

/** The finished tasks of one state. */
interface OfState {
  readonly plain: Deque<Entry>
  readonly keyed: Deque<Entry>
}

/** Awaited tasks that are looked at again at a time. */
const maxAwaitedLooked = 1000

/** The finished tasks in the order they finished, so that pruning only ever looks at the oldest. */
export class Finished {
  private readonly lists = Object.fromEntries(
    finished.map((state): [FinishedState, OfState] => [state, { plain: new Deque(), keyed: new Deque() }])
  ) as Record<FinishedState, OfState>
  private readonly all = Object.values(this.lists)
  /** Those that would have gone if none that has not ended depended on them: they go once that is so. */
  private readonly awaited = new Deque<Entry>()
  private unlooked = 0
  private readonly awaitedOf = Object.fromEntries(finished.map((state) => [state, 0])) as Record<FinishedState, number>

  add(entry: Entry, state: FinishedState): void {
    this.lists[state][entry.key === null ? "plain" : "keyed"].push(entry)
  }

  /** To be called before tasks are asked for that retention does not keep: some of those that were awaited are looked at again. */
  look(): void {
    this.unlooked = Math.min(this.awaited.size, maxAwaitedLooked)
  }

  /** The next task that retention does not keep, given how many there are of each state; it leaves the lists. */
  expired(retention: Retention, size: Readonly<Record<FinishedState, number>>, now: number): Entry | undefined {
    return this.freed() ?? this.unawaited(() => this.nextExpired(retention, size, now))
  }

  private nextExpired(
    { forMs, max, maxKeyed }: Retention,
    size: Readonly<Record<FinishedState, number>>,
    now: number
  ): Entry | undefined {
    for (const state of finished) {
      const { keyed, plain } = this.lists[state]
      for (const list of [plain, keyed]) if (age(list, now) >= forMs[state]) return list.shift()
    }
    for (const state of finished) {
      const ofState = [this.lists[state]]
      const count = size[state] - this.awaitedOf[state]
      const entry = (count > max[state] ? oldest(ofState, now, keyedForMs) : undefined) ??
        (count > Math.max(max[state], maxKeyed) ? oldest(ofState, now, 0) : undefined)
      if (entry !== undefined) return entry
    }
    return undefined
  }

  /** The oldest task that none awaits, without keyed ones that are younger than this; it leaves the lists. */
  oldest(now: number, keyedFromMs: number, isKept: (entry: Entry) => boolean): Entry | undefined {
    return this.unawaited(() => oldest(this.all, now, keyedFromMs), isKept)
  }

  /** The next of some tasks that none awaits. The others are put aside. */
  private unawaited(
    next: () => Entry | undefined,
    isKept: (entry: Entry) => boolean = () => false
  ): Entry | undefined {
    for (let entry = next(); entry !== undefined; entry = next()) {
      if (entry.node?.isAwaited !== true && !isKept(entry)) return entry
      this.awaited.push(entry)
      this.awaitedOf[entry.state as FinishedState]++
    }
    return undefined
  }

  /** One of those that were put aside and that may go now. */
  private freed(): Entry | undefined {
    for (; this.unlooked > 0; this.unlooked--) {
      const entry = this.awaited.shift()!
      if (isCurrent(entry) && entry.node?.isAwaited === true) {
        this.awaited.push(entry)
        continue
      }
      this.awaitedOf[entry.state as FinishedState]--
      if (!isCurrent(entry)) continue
      this.unlooked--
      return entry
    }
    return undefined
  }
}

const oldest = (states: ReadonlyArray<OfState>, now: number, keyedFromMs: number): Entry | undefined => {
  let first: Deque<Entry> | undefined
  let firstAge = -1
  for (const { keyed, plain } of states) {
    for (const list of [plain, keyed]) {
      const listAge = age(list, now)
      if (listAge <= firstAge || (list === keyed && listAge < keyedFromMs)) continue
      first = list
      firstAge = listAge
    }
  }
  return first?.shift()
}

/** The age of the list's oldest task in milliseconds, or −1 when it is empty. */
const age = (list: Deque<Entry>, now: number): number => {
  let first = list.first()
  while (first !== undefined && !isCurrent(first)) {
    list.shift()
    first = list.first()
  }
  return first === undefined ? -1 : Math.max(0, now - first.completedAt!)
}
