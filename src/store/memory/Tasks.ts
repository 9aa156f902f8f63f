import type { Change } from "../../domain/Settlement.ts"
import { dueAtOf, type NewTask } from "../../domain/TaskRecord.ts"
import { all, isFinished, type TaskState } from "../../domain/TaskState.ts"
import type { Totals } from "../TaskStore.ts"
import type { Entry } from "./Entry.ts"
import { Finished } from "./Finished.ts"
import { StoredLanes } from "./LaneCounts.ts"
import { Running } from "./Running.ts"
import { TaskLog } from "./TaskLog.ts"
import { Waiting } from "./Waiting.ts"

/** All tasks with their counters, each filed under its state. The operations of the store are written in its terms. */
export class Tasks {
  readonly log = new TaskLog()
  readonly waiting: Waiting
  readonly running = new Running()
  readonly finished = new Finished()
  readonly paused = new Set<string>()
  readonly lanes = new StoredLanes()
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

  constructor(headStartMs: number) {
    this.waiting = new Waiting(headStartMs)
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

  /** The task that owns an idempotency key. */
  ownerOf(type: string, key: string): Entry | undefined {
    return this.byKey.get(keyOf(type, key))
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
    this.lanes.add(entry)
    this.weigh(entry, 1)
    if (entry.key !== null) this.byKey.set(keyOf(entry.type, entry.key), entry)
    if (entry.state === "scheduled") this.lanes.schedule(entry, 1)
    this.size[entry.state]++
    this.totals.created++
    this.waiting.add(entry)
  }

  /** Makes due tasks pending, a bounded number at a time. */
  promote(now: number): void {
    const promoted = this.waiting.promote(now)
    for (const entry of promoted) this.lanes.schedule(entry, -1)
    this.size.scheduled -= promoted.length
    this.size.pending += promoted.length
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

  /** Makes a change of `Settlement` and files the task under its new state. */
  apply(entry: Entry, change: Change): void {
    const from = entry.state
    if (from === "running" && change.state !== "running") {
      this.running.delete(entry)
      entry.leaseUntil = null
    }
    this.weigh(entry, -1)
    Object.assign(entry, change)
    this.weigh(entry, 1)
    if (change.state === from) return
    this.size[from]--
    this.size[change.state]++
    if (from === "scheduled") this.lanes.schedule(entry, -1)
    if (change.state === "scheduled") this.lanes.schedule(entry, 1)
    switch (change.state) {
      case "scheduled":
      case "pending":
        this.waiting.add(entry)
        break
      case "completed":
      case "failed":
      case "cancelled":
        if (from === "scheduled") this.waiting.leave()
        if (from === "pending") this.waiting.lanes.leave(entry)
        this.totals[change.state]++
        this.finished.add(entry)
    }
  }

  /** Makes a change that brings a finished task back, under an entry of its own: lists may still refer to the old one. */
  revive(entry: Entry, change: Change): void {
    const fresh: Entry = { ...entry }
    entry.dead = true
    this.log.replace(entry, fresh)
    if (fresh.key !== null) this.byKey.set(keyOf(fresh.type, fresh.key), fresh)
    this.apply(fresh, change)
  }

  /** Takes a finished task away; its id and key are free. */
  remove(entry: Entry): void {
    entry.dead = true
    this.log.delete(entry)
    this.lanes.remove(entry)
    this.weigh(entry, -1)
    if (entry.key !== null) this.byKey.delete(keyOf(entry.type, entry.key))
    this.size[entry.state]--
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

const keyOf = (type: string, key: string): string => `${type}\u0000${key}`
