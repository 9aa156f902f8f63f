/**
 * What a store should do, written as plainly as possible: one array of tasks that every operation walks through.
 * It shares no decision with the code under test; only the shapes of records are the same.
 */
import type {
  Accepted,
  AttemptRecord,
  ClaimRef,
  CountedLanes,
  Gate,
  LaneCounts,
  LaneRange,
  NewTask,
  RescheduleRequest,
  Retention,
  Runnable,
  Stranded,
  TaskFailure,
  TaskRecord
} from "taskforge/store"

/** The name in a type, which has a version behind it where that is not the first. */
const nameOf = (type: string): string => type.split("\u001f")[0]!

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** A task in the model. */
export type ModelTask = Mutable<TaskRecord>

/** The settings of the store that the model mirrors. */
export interface ModelSettings {
  readonly capacity: number
  readonly headStartMs: number
  readonly maxCrashes: number
}

/** Whether others of an order would no longer wait for a task that has started. */
const leavesOrder = ({ claims, gate }: Pick<ModelTask, "claims" | "gate">, next: string | null): boolean =>
  claims > 0 && ordersOf(gate).some((pass) => !ordersOf(next).includes(pass))

const ordersOf = (gate: string | null): ReadonlyArray<string> =>
  gate === null ? [] : (JSON.parse(gate) as ReadonlyArray<string>).filter((pass) => pass.startsWith("!"))

/** The end of an attempt, in the model's words. */
export interface End extends ClaimRef {
  readonly as: "Complete" | "Retry" | "Fail" | "Cancel" | "Snooze" | "Release"
  readonly delayMs: number
  readonly failure: TaskFailure
  readonly result: string
}

export class Model {
  now: number
  tasks: Array<ModelTask> = []
  readonly paused = new Set<string>()
  readonly totals = { created: 0, completed: 0, failed: 0, cancelled: 0, retried: 0, crashed: 0, expired: 0 }
  private seq = 0
  /** The number of the latest claim of any task; the drivers under test leave no gaps. */
  private lastClaim = 0
  private readonly settings: ModelSettings

  constructor(settings: ModelSettings, now: number) {
    this.settings = settings
    this.now = now
  }

  find(id: string): ModelTask | undefined {
    return this.tasks.find((task) => task.id === id)
  }

  isFinished(task: ModelTask): boolean {
    return task.completedAt !== null
  }

  private get unfinished(): number {
    return this.tasks.filter((task) => !this.isFinished(task)).length
  }

  /** Which task was the last to be stored with a key. */
  private owners = new Map<string, ModelTask>()

  /** Stores the whole group or leaves everything as it was. */
  enqueue(group: ReadonlyArray<NewTask>): unknown {
    const before = this.snapshot()
    const { tasks, unfinished } = { tasks: this.tasks.length, unfinished: this.unfinished }
    this.tasks = [...this.tasks]
    const accepted: Array<unknown> = []
    for (const [index, given] of group.entries()) {
      const answer = this.find(given.id) !== undefined
        ? { id: given.id, duplicate: true }
        : this.meet(given) ?? { id: given.id, duplicate: false }
      if ("conflict" in answer) {
        before.restore()
        return { _tag: "Conflict", index, key: given.key, ...answer.conflict }
      }
      accepted.push(answer)
      if (answer.duplicate) continue
      const task = this.created(given)
      this.tasks.push(task)
      if (task.key !== null) this.owners.set(`${nameOf(task.type)} ${task.key}`, task)
    }
    const added = this.tasks.length - tasks
    if (added > 0 && this.unfinished > this.settings.capacity) {
      before.restore()
      return { _tag: "Full", capacity: this.settings.capacity, unfinished }
    }
    this.totals.created += added
    return { _tag: "Accepted", tasks: accepted, now: this.now }
  }

  private snapshot(): { readonly restore: () => void } {
    const { seq, tasks } = this
    const totals = { ...this.totals }
    const owners = new Map(this.owners)
    const copies = tasks.map((task) => ({ ...task }))
    return {
      restore: () => {
        for (const [index, task] of tasks.entries()) Object.assign(task, copies[index])
        this.tasks = tasks
        this.seq = seq
        this.owners = owners
        Object.assign(this.totals, totals)
      }
    }
  }

  /** Whether a task has let go of its key, because what it was to hold it for is over. */
  private hasLetGo(task: ModelTask): boolean {
    const { claims, createdAt, hold } = task
    const state = this.stateNow(task)
    const [window] = hold === null ? [null] : JSON.parse(hold) as [string | number]
    if (typeof window === "number") return this.now >= createdAt + window
    const isOver = state === "completed" || state === "failed" || state === "cancelled" || state === "expired"
    return (window === "waiting" && (isOver || claims > 0)) || (window === "unfinished" && isOver)
  }

  /** A task that waits for longer than it may has ended, even before something notices it. */
  private stateNow({ createdAt, expiresAt, state }: ModelTask): ModelTask["state"] {
    const waits = state === "scheduled" || state === "pending"
    return waits && createdAt !== this.now && expiresAt !== null && expiresAt <= this.now ? "expired" : state
  }

  /** What becomes of a task whose key another one has; nothing if it is new. */
  private meet(given: NewTask): Accepted | { readonly conflict: object } | undefined {
    const owner = given.key === null ? undefined : this.owners.get(`${nameOf(given.type)} ${given.key}`)
    if (owner === undefined) return undefined
    const { id } = owner
    const state = this.stateNow(owner)
    if (owner.hold !== null && (JSON.parse(owner.hold) as Array<unknown>).slice(1).includes(given.id)) {
      return { id, duplicate: true }
    }
    if (this.hasLetGo(owner)) {
      const [window] = JSON.parse(owner.hold!) as Array<unknown>
      // a rerun would make it hold the key once more
      if (window === "unfinished" || (window === "waiting" && owner.claims === 0)) owner.hold = "superseded"
      return undefined
    }
    const { unique } = given
    if (unique === null || unique === undefined) {
      return owner.payload === given.payload ? { id, duplicate: true } : { conflict: { id } }
    }
    if (unique.onConflict === "return") return { id, duplicate: true }
    const waits = state === "scheduled" || state === "pending"
    if (unique.onConflict === "refuse" || !waits) return { conflict: { id, state } }
    if (given.queue !== owner.queue || given.type !== owner.type) return { conflict: { id, state } }
    if (leavesOrder(owner, given.gate)) return { conflict: { id, state } }
    const [window, ...merged] = owner.hold === null ? ["kept"] : JSON.parse(owner.hold) as Array<unknown>
    owner.hold = JSON.stringify([window, ...[...merged, given.id].slice(-8)])
    owner.payload = given.payload
    owner.gate = given.gate
    owner.costs = given.costs
    if (unique.onConflict === "replace") return { id, duplicate: true, merge: "replaced" }
    this.move(owner, Math.min(this.now + unique.byMs, owner.createdAt + (unique.maxMs ?? Infinity)))
    owner.state = owner.dueAt > this.now ? "scheduled" : "pending"
    return { id, duplicate: true, merge: "postponed" }
  }

  /** Does all of it, or leaves everything as it was and says why. */
  together(isChanged: boolean, group: ReadonlyArray<NewTask>, ends: ReadonlyArray<End>): unknown {
    if (isChanged) return { _tag: "RecordConflict", index: 0 }
    const lost = ends.find((end) => this.held(end) === undefined)
    if (lost !== undefined) return { _tag: "LeaseLost", id: lost.id, claim: lost.claim }
    const before = this.snapshot()
    for (const end of ends) this.settle(end)
    const answer = this.enqueue(group) as { readonly _tag: string; readonly index: number }
    if (answer._tag === "Accepted") return answer
    before.restore()
    return answer._tag === "Full"
      ? { ...answer, _tag: "QueueFull", offered: group.length }
      : { ...answer, _tag: "KeyConflict", type: group[answer.index]!.type }
  }

  /** What a gate is, by the model's own reading. */
  readonly limits = new Map<string, Gate.Limit>()
  /** Whether one of them has ever had to do with times. */
  isTimed = false
  readonly pausedKeys = new Set<string>()
  readonly pausedTypes = new Set<string>()
  readonly holders = new Map<string, string>()
  readonly buckets = new Map<string, { level: number; at: number }>()
  private readonly turns = new Map<string, { turn: number; left: number }>()

  private limitOf(pass: string): Gate.Limit | undefined {
    return this.limits.get(pass) ?? this.limits.get(pass.split("=")[0]!)
  }

  private level(pass: string, rate: { tokens: number; perMs: number; burst: number }): number {
    const bucket = this.buckets.get(pass)
    if (bucket === undefined) return rate.burst
    return Math.min(rate.burst, bucket.level + (this.now - bucket.at) * rate.tokens / rate.perMs)
  }

  charge(pass: string, amount: number): void {
    const limit = this.limitOf(pass)
    if (limit !== undefined && "tokens" in limit) {
      this.buckets.set(pass, { level: this.level(pass, limit) - amount, at: this.now })
    }
  }

  runningWith(pass: string): ReadonlyArray<ModelTask> {
    return this.tasks.filter((task) => task.state === "running" && passesOf(task).includes(pass))
  }

  private isOpen(task: ModelTask): boolean {
    return passesOf(task).every((pass, index) => {
      if (this.pausedKeys.has(pass)) return false
      const limit = this.limitOf(pass)
      if (limit === undefined || "lifted" in limit || "fair" in limit) return true
      if ("max" in limit) {
        return this.now >= (limit.notBefore ?? -Infinity) && this.runningWith(pass).length < limit.max
      }
      if ("tokens" in limit) {
        const cost = (JSON.parse(task.costs ?? "[]") as Array<number>)[index] ?? 1
        return this.level(pass, limit) >= Math.min(cost, limit.burst)
      }
      const holder = this.find(this.holders.get(pass) ?? "")
      if (holder === undefined || holder.id === task.id) return true
      return holder.state === "failed" ? limit.order === "continue" : this.isFinished(holder)
    })
  }

  /** Whether a task of an order waits again, and none of its line may start before it. */
  private holds(task: ModelTask): boolean {
    return passesOf(task).some((pass) => {
      const limit = this.limitOf(pass)
      return limit !== undefined && "order" in limit && this.holders.get(pass) === task.id
    })
  }

  private begin(task: ModelTask, before: number): void {
    const rank = this.now - task.priority * this.settings.headStartMs
    for (const [index, pass] of passesOf(task).entries()) {
      const limit = this.limitOf(pass)
      if (limit === undefined) continue
      if ("order" in limit) this.holders.set(pass, task.id)
      if ("tokens" in limit) this.charge(pass, (JSON.parse(task.costs ?? "[]") as Array<number>)[index] ?? 1)
      if ("fair" in limit) {
        const turn = this.turns.get(lineOf(task)) ?? { turn: -Infinity, left: 0 }
        const left = Math.min(turn.left === 0 ? limit.fair : turn.left, limit.fair) - 1
        this.turns.set(lineOf(task), left > 0 ? { ...turn, left } : { turn: rank + (before + 1) / 1024, left: 0 })
      }
    }
  }

  private created({ delayMs, expiresInMs, runAt, unique, ...given }: NewTask): ModelTask {
    const dueAt = runAt ?? this.now + delayMs
    return {
      ...given,
      hold: unique === null || unique === undefined || unique.window === "kept"
        ? null
        : JSON.stringify([unique.window]),
      onFailure: null,
      trace: given.trace ?? null,
      tags: given.tags ?? null,
      waitsFor: 0,
      seq: ++this.seq,
      state: dueAt > this.now ? "scheduled" : "pending",
      createdAt: this.now,
      dueAt,
      expiresAt: expiresInMs === null ? null : dueAt + expiresInMs,
      startBy: given.startWithinMs === null ? null : dueAt + given.startWithinMs,
      startedAt: null,
      completedAt: null,
      failures: 0,
      crashes: 0,
      claims: 0,
      claim: 0,
      settledClaim: 0,
      leaseUntil: null,
      instance: null,
      cancelRequested: false,
      progress: null,
      result: null,
      failure: null,
      history: []
    }
  }

  /** Makes pending what has become due; the property test never has more of it than one claim promotes. */
  promote(): void {
    for (const task of this.tasks) if (task.state === "scheduled" && task.dueAt <= this.now) task.state = "pending"
  }

  /** Whether something has become due and no claim has promoted it. */
  hasUnpromoted(): boolean {
    return this.tasks.some((task) => task.state === "scheduled" && task.dueAt <= this.now)
  }

  /** The tasks that a claim must give, in order. */
  claim(request: {
    readonly instance: string
    readonly queues?: ReadonlyArray<string> | undefined
    readonly except?: ReadonlyArray<string> | undefined
    readonly types: ReadonlyArray<string>
    readonly limit: number
    readonly leaseForMs: number
  }): ReadonlyArray<ModelTask> {
    this.promote()
    for (const task of this.tooLate()) this.expire(task)
    const claimed: Array<ModelTask> = []
    while (claimed.length < request.limit) {
      const wanted = this.pending
        .filter((task) => request.queues?.includes(task.queue) !== false && !this.paused.has(task.queue))
        .filter((task) => request.except?.includes(task.queue) !== true)
        .filter((task) => request.types.includes(task.type) && !this.pausedTypes.has(nameOf(task.type)))
      const heads = wanted.filter((task, index) =>
        wanted.findIndex((other) => lineOf(other) === lineOf(task)) === index
      )
      const place = (task: ModelTask) => Math.max(this.rank(task), this.turns.get(lineOf(task))?.turn ?? -Infinity)
      // one that holds its order goes in the place of the first of its line
      const firstOf = (head: ModelTask) =>
        wanted.find((task) => lineOf(task) === lineOf(head) && this.holds(task)) ?? head
      const [head] = heads.filter((head) => this.isOpen(firstOf(head)))
        .sort((a, b) => place(a) - place(b) || a.seq - b.seq)
      if (head === undefined) break
      const task = firstOf(head)
      this.begin(task, claimed.length)
      claimed.push(task)
      task.state = "running"
      task.claims += 1
      task.claim = ++this.lastClaim
      task.instance = request.instance
      task.startedAt = this.now
      task.leaseUntil = this.now + request.leaseForMs
      task.progress = null
      if (!this.pending.some((other) => lineOf(other) === lineOf(task))) this.turns.delete(lineOf(task))
    }
    return claimed
  }

  /** Pending tasks in the order of work. */
  private get pending(): ReadonlyArray<ModelTask> {
    return this.tasks.filter((task) => task.state === "pending").sort((a, b) =>
      this.rank(a) - this.rank(b) || a.seq - b.seq
    )
  }

  /** A task counts from its deadline, one without any as if it should start within the head start. */
  private rank({ createdAt, dueAt, gate, priority, startWithinMs }: ModelTask): number {
    const { headStartMs } = this.settings
    if (gate?.includes("!o") === true) return createdAt - priority * headStartMs
    return dueAt + (startWithinMs ?? headStartMs) - (priority + 1) * headStartMs
  }

  /** The pairs of queue and type with pending tasks that none of these can run. */
  stranded(runnable: ReadonlyArray<Runnable>): ReadonlyArray<Stranded> {
    const found = new Map<string, Stranded>()
    for (const { dueAt, queue, type } of this.pending) {
      const runs = runnable.some(({ queues, types }) => types.includes(type) && queues?.includes(queue) !== false)
      const name = `${queue} ${type}`
      if (!runs && !found.has(name)) found.set(name, { queue, type, since: dueAt })
    }
    return [...found.values()]
  }

  /** The queues and types of a range that have tasks, and how many of these are not finished. */
  laneCounts({ after, limit, queue }: LaneRange): CountedLanes {
    const names = [...new Set(this.tasks.map((task) => JSON.stringify([task.queue, task.type])))].sort()
    const lanes = names.map((name): LaneCounts => {
      const [queue, type] = JSON.parse(name) as [string, string]
      const isIn = (task: ModelTask) => task.queue === queue && task.type === type
      const inState = (state: string) => this.tasks.filter((task) => isIn(task) && task.state === state).length
      return {
        queue,
        type,
        scheduled: inState("scheduled"),
        pending: inState("pending"),
        running: inState("running"),
        waitingSince: this.pending.find(isIn)?.dueAt ?? null
      }
    })
    const begins = (lane: LaneCounts) =>
      after === undefined || lane.queue > after.queue ||
      (lane.queue === after.queue && after.type !== undefined && lane.type > after.type)
    const found = lanes.filter((lane) => begins(lane) && (queue === undefined || lane.queue === queue))
    return { lanes: found.slice(0, limit), more: found.length > limit, now: this.now }
  }

  nextDueAt(): number | null {
    const times = this.tasks.filter((task) => task.state === "scheduled").map((task) => task.dueAt)
    return times.length === 0 ? null : Math.min(...times)
  }

  /** The task, if this attempt is the one that runs it. */
  held({ claim, id }: ClaimRef): ModelTask | undefined {
    return this.tasks.find((task) => task.id === id && task.state === "running" && task.claim === claim)
  }

  extend(ref: ClaimRef, leaseForMs: number): string {
    const task = this.held(ref)
    if (task === undefined) return "lost"
    task.leaseUntil = this.now + leaseForMs
    return task.cancelRequested ? "cancel" : "held"
  }

  report(ref: ClaimRef, progress: number): void {
    const task = this.held(ref)
    if (task !== undefined) task.progress = progress
  }

  settle(end: End): string {
    const task = this.held(end)
    if (task === undefined) {
      const known = this.find(end.id)
      return known !== undefined && known.settledClaim === end.claim ? "already" : "stale"
    }
    task.settledClaim = end.claim
    task.leaseUntil = null
    if (end.as === "Fail" || end.as === "Retry") {
      task.failures += 1
      task.failure = end.failure
    }
    if (end.as === "Complete") {
      task.result = end.result
      task.failure = null
      this.finish(task, "completed")
    } else if (end.as === "Fail") {
      this.finish(task, "failed")
    } else if (end.as === "Cancel" || task.cancelRequested) {
      task.failure = end.as === "Retry" ? end.failure : null
      this.finish(task, "cancelled")
    } else {
      this.remember(task, end.as === "Retry" ? "failed" : end.as === "Snooze" ? "snoozed" : "released", end)
      if (end.as !== "Release") task.dueAt = this.now + end.delayMs
      this.wait(task)
      if (end.as === "Retry" && !this.isFinished(task)) this.totals.retried += 1
    }
    return "applied"
  }

  /** The task waits until it is due; one that would be too old by then ends now. */
  private wait(task: ModelTask): void {
    task.startBy = null
    const startsAt = Math.max(this.now, task.dueAt)
    if (task.expiresAt !== null && startsAt >= task.expiresAt) this.finish(task, "expired")
    else task.state = task.dueAt > this.now ? "scheduled" : "pending"
  }

  /** Waiting tasks whose time is over. */
  tooLate(): ReadonlyArray<ModelTask> {
    return this.tasks.filter((task) =>
      (task.state === "scheduled" || task.state === "pending") && (task.expiresAt ?? Infinity) <= this.now
    )
  }

  expire(task: ModelTask): unknown {
    this.finish(task, "expired")
    return { id: task.id, type: task.type, queue: task.queue, attempt: task.claims }
  }

  private finish(task: ModelTask, state: "completed" | "failed" | "cancelled" | "expired"): void {
    task.state = state
    task.completedAt = this.now
    this.totals[state] += 1
  }

  private remember(task: ModelTask, outcome: AttemptRecord["outcome"], end?: End): void {
    const attempt: AttemptRecord = {
      claim: task.claim,
      attempt: task.claims,
      instance: task.instance!,
      startedAt: task.startedAt!,
      endedAt: this.now,
      outcome,
      ...(outcome === "failed" ? { failure: end!.failure } : {})
    }
    task.history = [...task.history, attempt].slice(-20)
  }

  expired(): ReadonlyArray<ModelTask> {
    return this.tasks.filter((task) => task.state === "running" && task.leaseUntil! <= this.now)
  }

  /** Takes back one expired lease. */
  rescue(task: ModelTask): unknown {
    this.totals.crashed += 1
    task.leaseUntil = null
    if (task.cancelRequested) {
      task.failure = null
      this.finish(task, "cancelled")
    } else {
      task.crashes += 1
      if (this.settings.maxCrashes >= 0 && task.crashes > this.settings.maxCrashes) {
        task.failure = { kind: "quarantined", tag: "TaskQuarantined", message: "" }
        this.finish(task, "failed")
      } else {
        this.remember(task, "crashed")
        const backoff = [0, 1000, 2000, 4000, 8000, 16_000, 32_000][task.crashes - 1] ?? 60_000
        task.dueAt = this.now + backoff
        this.wait(task)
      }
    }
    return { id: task.id, type: task.type, state: task.state, crashes: task.crashes, attempt: task.claims }
  }

  cancel(id: string): string {
    const task = this.find(id)
    if (task === undefined) return "unknown"
    if (this.isFinished(task)) return "finished"
    if (task.state === "running") {
      task.cancelRequested = true
      return "requested"
    }
    this.finish(task, "cancelled")
    return "cancelled"
  }

  rerun(id: string): unknown {
    const task = this.find(id)
    if (task === undefined) return { _tag: "unknown" }
    if (task.hold === "superseded") return { _tag: "superseded" }
    if (!this.isFinished(task) || task.state === "completed") return { _tag: "conflict", state: task.state }
    const recorded = task.history.some((attempt) => attempt.claim === task.claim)
    if (task.claim > 0 && !recorded) {
      const attempt: AttemptRecord = {
        claim: task.claim,
        attempt: task.claims,
        instance: task.instance!,
        startedAt: task.startedAt!,
        endedAt: task.completedAt!,
        outcome: task.state === "failed" ? "failed" : "cancelled",
        ...(task.failure === null ? {} : { failure: task.failure })
      }
      task.history = [...task.history, attempt].slice(-20)
    }
    task.state = "pending"
    task.dueAt = this.now
    task.expiresAt = null
    task.startBy = task.startWithinMs === null ? null : this.now + task.startWithinMs
    task.completedAt = null
    task.failures = 0
    task.crashes = 0
    task.cancelRequested = false
    task.failure = null
    return { _tag: "rerun" }
  }

  /** A task that has started once was first due before, so it expires no sooner. */
  private move(task: ModelTask, dueAt: number): void {
    const moved = dueAt - task.dueAt
    if (task.startBy !== null) task.startBy += moved
    if (task.expiresAt !== null) task.expiresAt += task.claims > 0 ? Math.max(0, moved) : moved
    task.dueAt = dueAt
  }

  reschedule(
    { costs, delayMs, gate, id, payload, priority, queue, startWithinMs, type }: RescheduleRequest
  ): unknown {
    const task = this.find(id)
    if (task?.type !== type || task.queue !== queue) return { _tag: "unknown" }
    const state = this.stateNow(task)
    if (state !== "scheduled" && state !== "pending") return { _tag: "conflict", state }
    const next = gate === undefined ? task.gate : gate
    if (priority !== undefined && priority !== task.priority && next?.includes("!o") === true) {
      return { _tag: "ordered" }
    }
    if (leavesOrder(task, next)) return { _tag: "ordered" }
    task.payload = payload ?? task.payload
    task.priority = priority ?? task.priority
    if (gate !== undefined) Object.assign(task, { gate, costs })
    if (startWithinMs !== undefined) {
      const isFirst = task.startBy !== null || task.claims === 0
      task.startWithinMs = startWithinMs
      task.startBy = isFirst && startWithinMs !== null ? task.dueAt + startWithinMs : null
    }
    if (delayMs === undefined) return { _tag: "rescheduled" }
    this.move(task, this.now + delayMs)
    task.state = delayMs > 0 ? "scheduled" : "pending"
    return { _tag: "rescheduled" }
  }

  remove(id: string): string {
    const task = this.find(id)
    if (task === undefined) return "unknown"
    if (!this.isFinished(task)) return "unfinished"
    this.drop([task])
    return "removed"
  }

  drop(gone: ReadonlyArray<ModelTask>): void {
    for (const [pass, id] of this.holders) if (gone.some((task) => task.id === id)) this.holders.delete(pass)
    for (const [key, task] of this.owners) if (gone.includes(task)) this.owners.delete(key)
    this.tasks = this.tasks.filter((task) => !gone.includes(task))
  }

  /** Finished tasks that are too old, whatever their number. */
  tooOld(retention: Retention): ReadonlyArray<ModelTask> {
    return this.tasks.filter((task) =>
      this.isFinished(task) &&
      this.now - task.completedAt! >= retention.forMs[task.state as keyof Retention["forMs"]]
    )
  }

  /** Finished tasks that pruning by number may take. */
  prunable(): ReadonlyArray<ModelTask> {
    return this.tasks.filter((task) =>
      this.isFinished(task) && (task.key === null || this.now - task.completedAt! >= 24 * 60 * 60 * 1000)
    )
  }
}

const passesOf = ({ gate }: ModelTask): ReadonlyArray<string> =>
  gate === null ? [] : JSON.parse(gate) as ReadonlyArray<string>

/** Tasks with one gate wait behind one another, others only for themselves. */
const lineOf = ({ gate, id, queue, type }: ModelTask): string =>
  gate === null ? id : JSON.stringify([queue, type, gate])
