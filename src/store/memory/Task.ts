/**
 * The tasks of a store in memory, and the lists that they are in: by id, in the order of their numbers, scheduled, running,
 * finished. Those that are pending are in `Lanes`.
 */
import type { Effect } from "effect"
import * as Rank from "../../domain/Rank.ts"
import type { Change } from "../../domain/Settlement.ts"
import { dueAtOf, type NewTask, type TaskRecord } from "../../domain/TaskRecord.ts"
import { all, isFinished, type TaskState } from "../../domain/TaskState.ts"
import { type Known, nameOf } from "../Admission.ts"
import type { Decision } from "../Driver.ts"
import type { Gatekeeper } from "../Gatekeeper.ts"
import type { Rules } from "../Gates.ts"
import { LaneOrder } from "../Lanes.ts"
import { countBefore, Deque, Heap } from "../Order.ts"
import { keyedForMs, maxPromoted, rescuable, type RescueRequest, type Retention, type Totals } from "../TaskStore.ts"
import { Lane, StoredLanes } from "./Lanes.ts"
import { Passes } from "./Passes.ts"

/** Makes an operation of something done at one instant; nothing else runs in between. */
export type AtOnce = <A>(operation: (now: number) => A) => Effect.Effect<A>

/** All tasks with their counters, each filed under its state. The operations of the store are written in its terms. */
export class Tasks implements Known {
  readonly log = new TaskLog()
  readonly scheduled = new Scheduled()
  readonly pending: LaneOrder<Entry, Lane<Entry>>
  /** What decides about gates. */
  readonly keeper: Gatekeeper<Entry>
  readonly rules: Rules
  readonly running = new Running()
  readonly finished = new Finished()
  /** The lanes of all tasks. */
  readonly stored = new StoredLanes()
  readonly passes: Passes<Entry>
  /** How many tasks are in each state. */
  readonly size = Object.fromEntries(all.map((state) => [state, 0])) as Record<TaskState, number>
  readonly totals: { -readonly [Name in keyof Totals]: number } = {
    created: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
    retried: 0,
    crashed: 0
  }
  /** Characters of what may be large in all tasks. */
  bytes = 0
  /** Those of finished tasks. */
  finishedBytes = 0
  private readonly byKey = new Map<string, Entry>()
  private seq = 0
  private lastClaim = 0
  private readonly headStartMs: number

  constructor(headStartMs: number, rules: Rules) {
    this.headStartMs = headStartMs
    this.rules = rules
    this.passes = new Passes(
      headStartMs,
      rules,
      (id) => this.log.get(id),
      (queue, type, place) => this.pending.file(queue, type, place)
    )
    this.keeper = this.passes.keeper
    this.pending = new LaneOrder((queue, ofType) => new Lane(queue, ofType, this.keeper))
  }

  /** Tasks that are not finished. */
  get unfinishedCount(): number {
    return this.size.scheduled + this.size.pending + this.size.running
  }

  /** Tasks that are finished and still stored. */
  get finishedCount(): number {
    return this.size.completed + this.size.failed + this.size.cancelled
  }

  /** The task, if this attempt is the one that runs it. */
  held(id: string, claim: number): Entry | undefined {
    const entry = this.log.get(id)
    return entry?.state === "running" && entry.claim === claim ? entry : undefined
  }

  hasId(id: string): boolean {
    return this.log.has(id)
  }

  ownerOf(type: string, key: string): Entry | undefined {
    return this.byKey.get(nameOf(type, key))
  }

  /** Stores a task whose id and key are new. */
  create(task: NewTask, now: number): void {
    const dueAt = dueAtOf(task, now)
    // What a claim reads and writes comes first: with a million waiting, that is two lines of cache instead of four.
    const entry: Entry = {
      state: dueAt > now ? "scheduled" : "pending",
      id: task.id,
      type: task.type,
      queue: task.queue,
      payload: task.payload,
      priority: task.priority,
      maxRetries: task.maxRetries,
      timeoutMs: task.timeoutMs,
      gate: task.gate,
      costs: task.costs,
      dueAt,
      failures: 0,
      crashes: 0,
      claims: 0,
      claim: 0,
      startedAt: null,
      leaseUntil: null,
      instance: null,
      progress: null,
      rank: 0,
      place: -1,
      seq: ++this.seq,
      key: task.key,
      createdAt: now,
      completedAt: null,
      settledClaim: 0,
      cancelRequested: false,
      result: null,
      failure: null,
      history: [],
      dead: false
    }
    this.log.add(entry)
    this.stored.add(entry)
    this.weigh(entry, 1)
    if (entry.key !== null) this.byKey.set(nameOf(entry.type, entry.key), entry)
    if (entry.state === "scheduled") this.stored.schedule(entry, 1)
    this.size[entry.state]++
    this.totals.created++
    this.file(entry)
  }

  /** Files a task that waits. */
  private file(entry: Entry): void {
    if (entry.state === "scheduled") return this.scheduled.add(entry)
    entry.rank = entry.gate === null
      ? Rank.rank(entry.dueAt, entry.priority, this.headStartMs)
      : Rank.rankOf(entry, entry.dueAt, this.headStartMs)
    this.pending.file(entry.queue, entry.type, entry).push(entry)
  }

  /** Makes due tasks pending, a bounded number at a time. */
  promote(now: number): void {
    for (let promoted = 0; promoted < maxPromoted; promoted++) {
      const entry = this.scheduled.takeDue(now)
      if (entry === undefined) return
      entry.state = "pending"
      this.stored.schedule(entry, -1)
      this.size.scheduled--
      this.size.pending++
      this.file(entry)
    }
  }

  /** Begins an attempt at a pending task, under a claim number that was never given before. */
  begin(entry: Entry, instance: string, leaseUntil: number, now: number): void {
    entry.state = "running"
    entry.claims++
    entry.claim = ++this.lastClaim
    entry.startedAt = now
    entry.leaseUntil = leaseUntil
    entry.instance = instance
    entry.progress = null
    this.running.add(entry)
    this.size.pending--
    this.size.running++
  }

  /** Makes the change that is decided about a task; answers what the decision answers. */
  change<A>(id: string, unknown: A, decide: (entry: Entry) => Decision<A>): A {
    const entry = this.log.get(id)
    return entry === undefined ? unknown : this.apply(entry, decide(entry))
  }

  /** The same for a task that is known. */
  apply<A>(entry: Entry, [answer, change, counts]: Decision<A>): A {
    if (counts !== undefined) this.totals[counts]++
    if (change !== undefined) this.move(isFinished(entry.state) ? this.revive(entry) : entry, change)
    return answer
  }

  /** Makes a change and files the task under its new state. */
  private move(entry: Entry, change: Change): void {
    const from = entry.state
    if (from === "running" && change.state !== "running") {
      this.running.delete(entry)
      entry.leaseUntil = null
    }
    this.weigh(entry, -1)
    Object.assign(entry, change)
    this.weigh(entry, 1)
    if (entry.gate !== null && change.state !== from) this.gateChanged(entry)
    if (change.state === from) return
    this.size[from]--
    this.size[change.state]++
    if (from === "scheduled") this.stored.schedule(entry, -1)
    if (change.state === "scheduled") this.stored.schedule(entry, 1)
    switch (change.state) {
      case "scheduled":
      case "pending":
        this.file(entry)
        break
      case "completed":
      case "failed":
      case "cancelled":
        if (from === "scheduled") this.scheduled.leave()
        if (from === "pending") this.leaveLane(entry)
        this.totals[change.state]++
        this.finished.add(entry)
    }
  }

  /** To be called when a task with a gate is in another state. */
  private gateChanged({ gate, id, state }: Entry): void {
    if (state !== "running") this.keeper.end(id)
    this.keeper.touch(gate)
  }

  /** Gives a finished task that comes back an entry of its own: lists may still refer to the old one. */
  private revive(entry: Entry): Entry {
    const fresh: Entry = { ...entry }
    entry.dead = true
    this.log.replace(entry, fresh)
    if (fresh.key !== null) this.byKey.set(nameOf(fresh.type, fresh.key), fresh)
    return fresh
  }

  /** Takes a finished task away; its id and key are free. */
  remove(entry: Entry): void {
    entry.dead = true
    this.log.delete(entry)
    this.stored.remove(entry)
    this.weigh(entry, -1)
    this.keeper.touch(entry.gate)
    if (entry.key !== null) this.byKey.delete(nameOf(entry.type, entry.key))
    this.size[entry.state]--
  }

  /** To be called when a pending task is cancelled: its lane finds out lazily, unless it was its last. */
  private leaveLane({ gate, queue, type }: Entry): void {
    const lane = this.pending.find(queue, type)
    if (gate !== null) lane?.lines?.left(gate)
    if (lane !== undefined && --lane.size === 0) this.pending.remove(lane)
  }

  private weigh(entry: Entry, sign: 1 | -1): void {
    const bytes = sizeOf(entry) * sign
    this.bytes += bytes
    if (isFinished(entry.state)) this.finishedBytes += bytes
  }
}

/** A character is a byte of the heap, or two where the text has others than those of Latin-1. */
const sizeOf = ({ failure, payload, result }: Pick<Entry, "failure" | "payload" | "result">): number =>
  payload.length + (result?.length ?? 0) + (failure === null ? 0 : JSON.stringify(failure).length)

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
    /** Its place among the running tasks, −1 when it is none of them. */
    place: number
    /** Removed or replaced: references to it are void. */
    dead: boolean
  }

/** Tasks that one page looks at: a few milliseconds. */
const maxLooked = 100_000

/** All tasks, by id and in the order of their sequence numbers. */
class TaskLog {
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
class Scheduled {
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
class Running {
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

/** The finished tasks in the order they finished, so that pruning only ever looks at the oldest. */
class Finished {
  private readonly done = { plain: new Deque<Entry>(), keyed: new Deque<Entry>() }
  private readonly failed = { plain: new Deque<Entry>(), keyed: new Deque<Entry>() }

  add(entry: Entry): void {
    const lists = entry.state === "failed" ? this.failed : this.done
    lists[entry.key === null ? "plain" : "keyed"].push(entry)
  }

  /** The next task that retention does not keep, given how many finished tasks there are; it leaves the lists. */
  expired(retention: Retention, count: number, now: number): Entry | undefined {
    for (const list of [this.done.plain, this.done.keyed]) {
      if (age(list, now) >= retention.finishedForMs) return list.shift()
    }
    for (const list of [this.failed.plain, this.failed.keyed]) {
      if (age(list, now) >= retention.failedForMs) return list.shift()
    }
    return (count > retention.maxFinished ? this.oldest(now, keyedForMs) : undefined) ??
      (count > retention.maxKeyedFinished ? this.oldest(now, 0) : undefined)
  }

  /** The oldest task, without keyed ones that are younger than this; it leaves the lists. */
  oldest(now: number, keyedFromMs: number): Entry | undefined {
    let oldest: Deque<Entry> | undefined
    let oldestAge = -1
    for (const list of [this.done.plain, this.failed.plain, this.done.keyed, this.failed.keyed]) {
      const listAge = age(list, now)
      const protectedByKey = (list === this.done.keyed || list === this.failed.keyed) && listAge < keyedFromMs
      if (listAge > oldestAge && !protectedByKey) {
        oldest = list
        oldestAge = listAge
      }
    }
    return oldest?.shift()
  }
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
