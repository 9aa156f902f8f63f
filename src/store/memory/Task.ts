/** The tasks of a store in memory: each is in the list of its state, see `Lists`. Those that are pending are in `Lanes`. */
import type { Effect } from "effect"
import * as Rank from "../../domain/Rank.ts"
import type { Change } from "../../domain/Settlement.ts"
import { dueAtOf, expiresAtOf, type NewTask, onFailureOf, startByOf } from "../../domain/TaskRecord.ts"
import { all, isFinished, type TaskState } from "../../domain/TaskState.ts"
import { holdAfterLoss, holdOf } from "../../domain/Uniqueness.ts"
import type { Totals } from "../Counts.ts"
import { type Known, nameOf } from "../Draft.ts"
import { decideExpire, type Decision } from "../Driver.ts"
import type { Gatekeeper } from "../Gatekeeper.ts"
import type { Rules } from "../Gates.ts"
import { LaneOrder } from "../Lanes.ts"
import { type Expired, maxPromoted } from "../TaskStore.ts"
import { Dependencies } from "./Dependencies.ts"
import { Expiring } from "./Expiring.ts"
import { Lane, StoredLanes } from "./Lanes.ts"
import { type Entry, Finished, Running, Scheduled, TaskLog } from "./Lists.ts"
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
  readonly expiring = new Expiring<Entry>()
  readonly finished = new Finished()
  /** The lanes of all tasks. */
  readonly stored = new StoredLanes()
  readonly passes: Passes<Entry>
  readonly dependencies = new Dependencies((entry, change) => this.moved(entry, change))
  /** How many tasks are in each state. */
  readonly size = Object.fromEntries(all.map((state) => [state, 0])) as Record<TaskState, number>
  readonly totals: { -readonly [Name in keyof Totals]: number } = {
    created: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
    retried: 0,
    crashed: 0,
    expired: 0
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
      () => this.running.all(),
      (queue, type, place) => this.pending.file(queue, type, place)
    )
    this.keeper = this.passes.keeper
    this.pending = new LaneOrder((queue, ofType) => new Lane(queue, ofType, this.keeper))
  }

  /** Lets claims from now on have numbers beyond this one. */
  claimBeyond(claim: number): void {
    this.lastClaim = Math.max(this.lastClaim, claim)
  }

  /** Tasks that are not finished. */
  get unfinishedCount(): number {
    return this.size.scheduled + this.size.pending + this.size.running
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

  find(id: string): Entry | undefined {
    return this.log.get(id)
  }

  /** Stores a task whose id and key are new. */
  create(task: NewTask, now: number): void {
    const dueAt = dueAtOf(task, now)
    const waitsFor = task.after?.length ?? 0
    // What a claim reads and writes comes first: with a million waiting, that is two lines of cache instead of four.
    const entry: Entry = {
      state: dueAt > now || waitsFor > 0 ? "scheduled" : "pending",
      id: task.id,
      type: task.type,
      queue: task.queue,
      payload: task.payload,
      priority: task.priority,
      maxRetries: task.maxRetries,
      timeoutMs: task.timeoutMs,
      gate: task.gate,
      costs: task.costs,
      startBy: startByOf(task, now),
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
      steppedTo: false,
      place: -1,
      seq: ++this.seq,
      key: task.key,
      hold: holdOf(task.unique),
      standings: undefined,
      createdAt: now,
      completedAt: null,
      settledClaim: 0,
      cancelRequested: false,
      expiresAt: expiresAtOf(task, now),
      startWithinMs: task.startWithinMs,
      result: null,
      failure: null,
      history: [],
      onFailure: onFailureOf(task),
      trace: task.trace ?? null,
      tags: task.tags ?? null,
      waitsFor,
      node: undefined,
      dead: false
    }
    this.log.add(entry)
    this.stored.add(entry)
    this.weigh(entry, 1)
    if (entry.key !== null) this.byKey.set(nameOf(entry.type, entry.key), entry)
    if (entry.state === "scheduled") this.stored.schedule(entry, 1)
    this.size[entry.state]++
    this.totals.created++
    if (entry.expiresAt !== null) this.expiring.add(entry)
    this.file(entry, true)
  }

  /** Files a task that waits. One that waits for others is in no list: nothing looks at it before they have ended. */
  private file(entry: Entry, isNew = false): void {
    if (entry.waitsFor > 0) return
    if (entry.state === "scheduled") return this.scheduled.add(entry)
    entry.rank = entry.gate === null && entry.startWithinMs === null
      ? Rank.rank(entry.dueAt, entry.priority, this.headStartMs)
      : Rank.rankOf(entry, entry.dueAt, this.headStartMs)
    this.pending.file(entry.queue, entry.type, entry).push(entry, isNew)
  }

  /** Lets new tasks wait for those that they depend on, once all of their group are stored. */
  connect(tasks: ReadonlyArray<NewTask>, now: number): void {
    for (const { after, id } of tasks) {
      // all of them are stored, or the group would not be
      if (after !== undefined && after.length > 0) {
        this.dependencies.connect(this.log.get(id)!, after.map((other) => this.log.get(other)!), now)
      }
    }
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

  /** Ends waiting tasks that have expired, up to so many. */
  expire(limit: number, now: number): ReadonlyArray<Expired> {
    const expired: Array<Expired> = []
    while (expired.length < limit) {
      const entry = this.expiring.takeExpired(now)
      if (entry === undefined) break
      const one = this.apply(entry, decideExpire(entry, now))
      if (one !== undefined) expired.push(one)
    }
    return expired
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
    if (change?.revised !== undefined) this.revise(entry.id, change)
    else if (change !== undefined) this.moved(entry, change)
    return answer
  }

  /** Makes a change of a task; answers its entry after that. */
  private moved(entry: Entry, change: Change): Entry {
    const current = this.comingBack(entry, change)
    this.move(current, change)
    return current
  }

  /** The entry for a change: another one where lists still refer to this one, and would have the task twice. */
  private comingBack(entry: Entry, { state }: Change): Entry {
    if (isFinished(entry.state)) return this.revive(entry)
    if (!entry.steppedTo || entry.state !== "running" || state === "running") return entry
    this.running.delete(entry)
    const fresh = this.revive(entry)
    this.running.add(fresh)
    // its line takes it for one that was cancelled
    entry.state = "cancelled"
    return fresh
  }

  /** Makes a waiting task what was decided. */
  revise(id: string, { revised, ...change }: Change): void {
    const entry = this.log.get(id)
    if (entry === undefined || revised === undefined) return
    const { costs, dueAt, gate, priority, startWithinMs, state, waitsFor } = entry
    const { payload, ...fields } = revised
    const isMoved = dueAt !== change.dueAt || state !== change.state || priority !== fields.priority ||
      waitsFor !== change.waitsFor || startWithinMs !== fields.startWithinMs || gate !== fields.gate ||
      costs !== fields.costs
    const fresh = isMoved ? this.unfile(entry) : entry
    this.weigh(fresh, -1)
    Object.assign(fresh, change, fields, { payload: payload ?? fresh.payload })
    this.weigh(fresh, 1)
    if (!isMoved) return
    if (fresh.gate !== gate) this.keeper.touch(fresh.gate)
    if (state !== fresh.state) {
      this.size[state]--
      this.size[fresh.state]++
      this.stored.schedule(fresh, fresh.state === "scheduled" ? 1 : -1)
    }
    if (fresh.expiresAt !== null) this.expiring.add(fresh)
    this.file(fresh)
  }

  /** Lets a waiting task wait for more others. */
  waitFor(entry: Entry, change: Change): void {
    const { costs, gate, hold, priority, startWithinMs } = entry
    this.revise(entry.id, { ...change, revised: { payload: null, costs, gate, hold, priority, startWithinMs } })
  }

  /** Takes a waiting task out of its place: the entry that is there is void, and another one takes its part. */
  private unfile(entry: Entry): Entry {
    if (entry.waitsFor > 0) return entry
    const fresh = this.revive(entry)
    const { state } = entry
    // lists take it for one that was cancelled
    entry.state = "cancelled"
    if (state === "scheduled") this.scheduled.leave()
    else this.leaveLane(entry)
    if (entry.gate !== null) this.keeper.touch(entry.gate)
    return fresh
  }

  /** To be called for a task whose key another one takes. */
  loseKey(id: string): void {
    const entry = this.log.get(id)
    if (entry !== undefined) entry.hold = holdAfterLoss(entry)
  }

  /** Makes a change and files the task under its new state. */
  private move(entry: Entry, change: Change): void {
    const from = entry.state
    const waited = entry.waitsFor > 0
    if (from === "running" && change.state !== "running") {
      this.running.delete(entry)
      entry.leaseUntil = null
    }
    this.weigh(entry, -1)
    Object.assign(entry, change)
    this.weigh(entry, 1)
    if (entry.gate !== null && change.state !== from) this.gateChanged(entry)
    if (change.state === from) {
      if (waited) this.file(entry)
      return
    }
    this.size[from]--
    this.size[change.state]++
    if (from === "scheduled") this.stored.schedule(entry, -1)
    if (change.state === "scheduled") this.stored.schedule(entry, 1)
    switch (change.state) {
      case "scheduled":
      case "pending":
        if (entry.expiresAt !== null) this.expiring.add(entry)
        this.file(entry)
        break
      case "completed":
      case "failed":
      case "cancelled":
      case "expired":
        if (from === "scheduled" && !waited) this.scheduled.leave()
        if (from === "pending") this.leaveLane(entry)
        this.totals[change.state]++
        this.finished.add(entry, change.state)
        if (entry.node !== undefined) this.dependencies.ended(entry.node)
    }
  }

  /** To be called when a task with a gate is in another state. */
  private gateChanged(entry: Entry): void {
    if (entry.state !== "running") this.keeper.end(entry)
    this.keeper.touch(entry.gate)
  }

  /** Gives a task that comes back, or takes another place, an entry of its own: lists may still refer to the old one. */
  private revive(entry: Entry): Entry {
    const fresh: Entry = { ...entry, steppedTo: false }
    entry.dead = true
    if (fresh.node !== undefined) fresh.node.entry = fresh
    this.log.replace(entry, fresh)
    if (this.isOwner(entry)) this.byKey.set(nameOf(fresh.type, fresh.key!), fresh)
    return fresh
  }

  /** Takes a finished task away; its id and key are free. */
  remove(entry: Entry): void {
    entry.dead = true
    this.log.delete(entry)
    this.stored.remove(entry)
    this.weigh(entry, -1)
    this.keeper.touch(entry.gate)
    if (this.isOwner(entry)) this.byKey.delete(nameOf(entry.type, entry.key!))
    this.size[entry.state]--
  }

  private isOwner(entry: Entry): boolean {
    return entry.key !== null && this.byKey.get(nameOf(entry.type, entry.key)) === entry
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
