/**
 * A storage driver in one file, to begin a driver of your own with: docs/drivers.md walks through it. All that it keeps is in
 * plain maps that each operation looks through from the beginning to the end, so it gets slow when there are many tasks, and
 * it keeps nothing when the process ends. `test/store/plain.test.ts` proves it with `taskforge/testing/store`.
 */
import { Clock, Context, Effect, Layer } from "effect"
import {
  admit,
  alone,
  asRevised,
  Atomically,
  type Beat,
  type Besides,
  ByteOrder,
  bytesOf,
  type ClaimAnswer,
  type ClaimedTask,
  type ClaimRef,
  type ClaimRequest,
  coverageOf,
  created,
  decideCancel,
  type DecidedGroup,
  decideExpire,
  decideReopen,
  decideRerun,
  decideReschedule,
  decideRescue,
  decideSettle,
  type Decision,
  demandSettings,
  Dependencies,
  type EnqueueAnswer,
  EventLog,
  eventSizeOf,
  type ExpiredTask,
  fitting,
  Gate,
  Gates,
  type InstanceRecord,
  InstanceStore,
  isBlocking,
  keptBytes,
  keptEvents,
  keyedForMs,
  keyName,
  type LaneCounts,
  type LaneRange,
  lastClaimForMs,
  type ListedTasks,
  maxAnswerBytes,
  maxExpired,
  maxPromoted,
  type NewTask,
  Notifier,
  Rank,
  RecordDriver,
  RecordStore,
  refusedGroup,
  type ReopenAnswer,
  type ReopenOptions,
  type RerunAnswer,
  rescuable,
  type Rescued,
  type RescueRequest,
  type Retention,
  type Runnable,
  Seen,
  settingNames,
  Settlement,
  startOf,
  type StoredRecord,
  StoredType,
  type StoreServices,
  type StoreSettings,
  type Stranded,
  type TaskChange,
  type TaskEvent,
  type TaskListRequest,
  type TaskRecord,
  type TaskRef,
  TaskState,
  TaskStore,
  Uniqueness,
  withoutTransactions,
  writtenBytes
} from "taskforge/store"

/** A store in plain maps, with all that belongs to a store. */
export const layer = (settings: StoreSettings = {}): Layer.Layer<StoreServices> =>
  Layer.merge(
    Layer.effectContext(Effect.map(Clock.Clock, (clock) => {
      demandSettings(settings, settingNames)
      const kinds: Kinds = new Map()
      const tasks = new Tasks(settings, kinds)
      return Context.make(TaskStore, taskStore(clock, tasks)).pipe(
        Context.add(RecordStore, recordStore(clock, kinds, tasks)),
        Context.add(InstanceStore, instanceStore(clock)),
        Context.add(EventLog, eventLog(clock))
      )
    })),
    Notifier.layerMemory
  )

/** Something done at one time of the store's own clock. In one process nothing else happens during it. */
const steps = (clock: Clock.Clock) => <A>(step: (now: number) => A): Effect.Effect<A> =>
  Effect.sync(() => step(clock.currentTimeMillisUnsafe()))

/** The same of tasks: what ends in a step is told to those that depend on it. */
const telling = (clock: Clock.Clock, tasks: Tasks) => <A>(step: (now: number) => A): Effect.Effect<A> =>
  steps(clock)((now) => {
    const answer = step(now)
    tasks.tell(now)
    return answer
  })

const taskStore = (clock: Clock.Clock, tasks: Tasks): TaskStore["Service"] => {
  const at = telling(clock, tasks)
  const results = (ids: ReadonlyArray<string>, maxBytes?: number) =>
    Effect.sync(() => {
      const outcomes = ids.map((id) => {
        const task = tasks.byId.get(id)
        if (task === undefined) return null
        if (!TaskState.isFinished(task.state)) return undefined
        return { id, state: task.state, result: task.result, failure: task.failure }
      })
      const sizes = outcomes.map((outcome) => outcome === null || outcome === undefined ? 0 : bytesOf(outcome))
      return outcomes.slice(0, fitting(sizes, maxBytes))
    })
  return {
    ...withoutTransactions,
    enqueue: (groups) => at((now) => groups.map((group) => tasks.enqueue(group, now))),
    claim: (request) => at((now) => tasks.claim(request, now)),
    extend: (refs, leaseForMs) =>
      at((now) =>
        refs.map((ref) => {
          const task = tasks.held(ref)
          if (task === undefined) return "lost"
          tasks.set({ ...task, leaseUntil: now + leaseForMs })
          return task.cancelRequested ? "cancel" : "held"
        })
      ),
    settle: (settlements) => at((now) => settlements.map((settlement) => tasks.settle(settlement, now))),
    passes: (passes) => Effect.sync(() => passes.map((pass) => tasks.passState(pass))),
    charge: (charges) =>
      at((now) => {
        for (const { amount, pass } of charges) {
          const limit = tasks.limitOf(pass)
          if (limit !== undefined && "tokens" in limit) {
            tasks.buckets.set(pass, Gate.spend(tasks.buckets.get(pass), limit, amount, now))
          }
        }
      }),
    letGo: (passes) => Effect.sync(() => passes.forEach((pass) => tasks.holders.delete(pass))),
    report: (reports) =>
      Effect.sync(() => {
        for (const { progress, ...ref } of reports) {
          const task = tasks.held(ref)
          if (task !== undefined) tasks.set({ ...task, progress })
        }
      }),
    rescue: (request) => at((now) => ({ now, rescued: tasks.rescue(request, now) })),
    expire: (limit) => at((now) => tasks.expire(limit, now)),
    cancel: (refs) =>
      at((now) =>
        refs.map((ref) => {
          const task = tasks.byId.get(Seen.idOf(ref))
          return task === undefined ? "unknown" : tasks.decided(task, decideCancel(task, now, ref))
        })
      ),
    rerun: (refs) =>
      at((now) => {
        const answers = refs.map((): RerunAnswer => ({ _tag: "unknown" }))
        for (const place of Dependencies.dependenciesFirst(refs.map(Seen.idOf), (id) => tasks.after.get(id) ?? [])) {
          const ref = refs[place]!
          const task = tasks.byId.get(Seen.idOf(ref))
          if (task !== undefined) answers[place] = tasks.decided(task, tasks.decideRerun(task, now, ref))
        }
        return answers
      }),
    reopen: (ids, options) =>
      at((now) =>
        ids.map((id) => {
          const task = tasks.byId.get(id)
          return task === undefined ? { _tag: "unknown" } : tasks.decided(task, tasks.decideReopen(task, now, options))
        })
      ),
    reschedule: (requests) =>
      at((now) =>
        requests.map((request) => {
          const task = tasks.byId.get(request.id)
          return task === undefined
            ? { _tag: "unknown" }
            : tasks.decided(task, decideReschedule(task, request, now))
        })
      ),
    remove: (refs) =>
      Effect.sync(() =>
        refs.map((ref) => {
          const id = Seen.idOf(ref)
          const task = tasks.byId.get(id)
          if (task === undefined || !Seen.isAsSeen(task, ref)) return "unknown"
          if (!TaskState.isFinished(task.state)) return "unfinished"
          if (tasks.isAwaited(id)) return "awaited"
          tasks.byId.delete(id)
          return "removed"
        })
      ),
    prune: (retention, limit) => at((now) => tasks.prune(retention, limit, now)),
    get: (id) => Effect.sync(() => tasks.byId.get(id)),
    results,
    // Only one process uses the store, and hears of every end
    awaitResults: results,
    list: (request) => Effect.sync(() => tasks.list(request)),
    stranded: (runnable, limit) => at((now) => tasks.stranded(runnable, limit, now)),
    edges: (id) => Effect.sync(() => tasks.edges(id)),
    links: (request) => Effect.sync(() => tasks.links(request)),
    tell: Effect.map(at(() => {}), () => tasks.hasUntold),
    consequences: () => tasks.aftermath.take(),
    counts: Effect.sync(() => tasks.counts()),
    laneCounts: (range) =>
      at((now) => {
        const lanes = tasks.lanesIn(range)
        return { lanes: lanes.slice(0, range.limit), more: lanes.length > range.limit, now }
      }),
    answersAtOnce: true
  }
}

/** What was claimed last, for a claimer that asks for it again. */
interface LastClaim {
  readonly nonce: number
  readonly at: number
  readonly tasks: ReadonlyArray<ClaimedTask>
}

class Tasks {
  /** In the order in which they were stored, which is that of their sequence numbers. */
  readonly byId = new Map<string, TaskRecord>()
  readonly buckets = new Map<Gate.Pass, Gate.Bucket>()
  /** The task that was started last with the pass of an order. */
  readonly holders = new Map<Gate.Pass, TaskRecord>()
  /** Where lines of fair limits stand since their last turn, and how often they are still served in this one. */
  private readonly turns = new Map<string, { readonly turn: number; readonly credit: number }>()
  private readonly lastClaims = new Map<string, LastClaim>()
  /** By key, which task was the last to have it. */
  private readonly owners = new Map<string, string>()
  /** What tasks depend on, and which of that they still wait for. */
  readonly after = new Map<string, ReadonlyArray<string>>()
  private readonly open = new Map<string, Set<string>>()
  readonly aftermath = new Dependencies.Aftermath()
  private readonly kinds: Kinds
  private readonly totals = { created: 0, completed: 0, failed: 0, cancelled: 0, retried: 0, crashed: 0, expired: 0 }
  private readonly capacity: number
  private readonly maxBytes: number
  private readonly maxCrashes: number
  private readonly headStartMs: number
  private seq = 0
  private lastClaim = 0

  constructor(settings: StoreSettings, kinds: Kinds) {
    this.kinds = kinds
    this.capacity = settings.capacity ?? 1000
    this.maxBytes = settings.maxBytes ?? 256 * 1024 * 1024
    this.maxCrashes = settings.maxCrashes ?? Settlement.defaultMaxCrashes
    this.headStartMs = Rank.headStartMillis(settings.headStart ?? Rank.defaultHeadStart)
  }

  set(task: TaskRecord): void {
    this.byId.set(task.id, task)
  }

  private all(matches: (task: TaskRecord) => boolean): Array<TaskRecord> {
    return [...this.byId.values()].filter(matches)
  }

  /** The task that has a key: the latest one, if earlier ones have let go of it. */
  ownerOf(type: string, key: string): TaskRecord | undefined {
    const task = this.byId.get(this.owners.get(keyName(type, key)) ?? "")
    return task?.key === key && keyName(task.type, key) === keyName(type, key) ? task : undefined
  }

  /** Stores all tasks of a group or none. */
  enqueue(group: ReadonlyArray<NewTask>, now: number): EnqueueAnswer {
    const { answer, write } = this.decide(group, now)
    write()
    return answer
  }

  /** Decides about a whole group before any of it is written. What else the same write does counts. */
  decide(group: ReadonlyArray<NewTask>, now: number, { ending, revisedOf }: Besides = alone): DecidedGroup {
    const admission = admit(group, {
      hasId: (id) => this.byId.has(id),
      ownerOf: (type, key) => this.ownerOf(type, key),
      find: (id) => this.byId.get(id),
      ...(revisedOf === undefined ? {} : { revisedOf })
    }, now)
    if (admission._tag !== "Admitted") return refusedGroup(admission)
    const { fresh, losers, revised, tasks } = admission
    const unfinished = this.all((task) => !TaskState.isFinished(task.state)).length - ending
    const full = { _tag: "Full", capacity: this.capacity, unfinished } as const
    if (fresh.length > 0 && unfinished + fresh.length > this.capacity) return refusedGroup(full)
    const offered = writtenBytes(admission)
    const stored = this.all(() => true).reduce((sum, task) => sum + bytesOf(task), 0)
    if (fresh.length + revised.length > 0 && stored + offered > this.maxBytes) {
      return refusedGroup({ ...full, size: { maxBytes: this.maxBytes, storedBytes: stored, offeredBytes: offered } })
    }
    return {
      answer: { _tag: "Accepted", tasks, now },
      write: () => {
        for (const { id } of losers) {
          const task = this.byId.get(id)!
          this.set({ ...task, hold: Uniqueness.holdAfterLoss(task) })
        }
        for (const { change, task } of revised) this.apply(this.byId.get(task.id)!, change)
        for (const task of fresh) {
          this.set({ ...created(task, now), seq: ++this.seq })
          const { after = [] } = task
          this.after.set(task.id, after)
          if (after.length > 0) this.open.set(task.id, new Set(after))
          if (task.key !== null) this.owners.set(keyName(task.type, task.key), task.id)
        }
        this.totals.created += fresh.length
      }
    }
  }

  private isOver(id: string): boolean {
    const task = this.byId.get(id)
    return task === undefined || TaskState.isFinished(task.state)
  }

  /** Whether an end has not been told to one that depends on the task. */
  get hasUntold(): boolean {
    return [...this.open.values()].some((ids) => [...ids].some((id) => this.isOver(id)))
  }

  /** Tells tasks of the ends of those that they depend on: no more than one write should. What ends so is told next. */
  tell(now: number): void {
    let left = Dependencies.maxTold
    for (const [id, ids] of this.open) {
      for (const dependency of ids) {
        const ended = this.byId.get(dependency)
        if (ended === undefined || !TaskState.isFinished(ended.state)) continue
        if (left-- === 0) return
        ids.delete(dependency)
        const task = this.byId.get(id)
        const change = task && Settlement.dependenciesEnded(task, { id: dependency, state: ended.state }, now)
        if (change === undefined) continue
        const { state, waitsFor } = this.apply(task!, change)
        if (TaskState.isFinished(state)) this.aftermath.drop(this.byId.get(id)!)
        else if (waitsFor === 0) this.aftermath.release()
      }
      if (ids.size > 0 && !this.isOver(id)) continue
      this.open.delete(id)
      // those that depend on it may have been looked at before
      if (this.isOver(id)) {
        const behind = [...this.open].filter(([, open]) => open.has(id))
        for (const [other, open] of behind) {
          this.open.delete(other)
          this.open.set(other, open)
        }
      }
    }
  }

  /** A task that is run again waits for what has not ended. */
  decideRerun(task: TaskRecord, now: number, ref: TaskRef): Decision<RerunAnswer> {
    const open = (this.after.get(task.id) ?? []).filter((id) => !this.isOver(id))
    const decision = decideRerun(task, now, open.length, ref)
    if (decision[1] !== undefined && open.length > 0) this.open.set(task.id, new Set(open))
    return decision
  }

  /** The same as a member of a graph: one that ended without being completed keeps it from that. */
  decideReopen(task: TaskRecord, now: number, options: ReopenOptions): Decision<ReopenAnswer> {
    const after = (this.after.get(task.id) ?? []).flatMap((id) => this.byId.get(id) ?? [])
    const open = after.filter(({ id }) => !this.isOver(id) || this.open.get(task.id)?.has(id) === true)
    const blocking = after.find(({ state }) => isBlocking(state, task.onFailure))?.id
    const decision = decideReopen(task, now, options, { open: open.length, blocking })
    if (decision[1] !== undefined && open.length > 0) this.open.set(task.id, new Set(open.map(({ id }) => id)))
    return decision
  }

  edges(id: string): Dependencies.Edges | undefined {
    if (!this.byId.has(id)) return undefined
    const after = (this.after.get(id) ?? []).flatMap((other) => {
      const task = this.byId.get(other)
      return task === undefined ? [] : [{ id: task.id, type: task.type }]
    })
    const before = this.all((task) => this.after.get(task.id)?.includes(id) === true).slice(0, Dependencies.maxBefore)
    return { after, before: before.map((task) => task.id) }
  }

  links({ from = { index: 0, place: 0 }, ids, limit, towards }: Dependencies.LinksRequest): Dependencies.Links {
    const found = ids.flatMap((id, of) =>
      (towards === "dependencies"
        ? (this.after.get(id) ?? []).flatMap((other) => this.byId.get(other) ?? [])
        : this.all((task) => this.after.get(task.id)?.includes(id) === true))
        .map(({ id, type }, place): Dependencies.PlacedLink => ({ of, place, id, type }))
    )
    const left = found.filter(({ of, place }) => of > from.index || (of === from.index && place >= from.place))
    return Dependencies.pageOfLinks(left, limit)
  }

  /** Whether one that has not ended depends on a task. */
  isAwaited(id: string): boolean {
    return this.all((task) => !TaskState.isFinished(task.state))
      .some((task) => this.after.get(task.id)?.includes(id) === true)
  }

  /** Makes due tasks pending, a bounded number at a time. */
  private promote(now: number): void {
    const isDue = (task: TaskRecord) => task.state === "scheduled" && task.waitsFor === 0 && task.dueAt <= now
    const due = this.all(isDue).sort((a, b) => a.dueAt - b.dueAt)
    for (const task of due.slice(0, maxPromoted)) this.set({ ...task, state: "pending" })
  }

  /** Ends waiting tasks that have expired. */
  expire(limit: number, now: number): ReadonlyArray<ExpiredTask> {
    const isOver = (task: TaskRecord) => Settlement.expire(task, now) !== undefined
    const over = this.all(isOver).sort((a, b) => a.expiresAt! - b.expiresAt!)
    return over.slice(0, limit).map((task) => {
      const [answer, change] = decideExpire(task, now)
      this.apply(task, change!)
      return answer!
    })
  }

  /** What waits to be claimed, in the order of work. */
  private pending(matches: (task: TaskRecord) => boolean): Array<TaskRecord> {
    const rank = (task: TaskRecord) => Rank.rankOf(task, task.dueAt, this.headStartMs)
    return this.all((task) => task.state === "pending" && matches(task)).sort((a, b) =>
      rank(a) - rank(b) || a.seq - b.seq
    )
  }

  claim({ except = [], instance, leaseForMs, limit, nonce, queues, types }: ClaimRequest, now: number): ClaimAnswer {
    this.tell(now)
    this.promote(now)
    const last = this.lastClaims.get(instance)
    const repeated = last?.nonce === nonce ? last.tasks.filter((task) => this.held(task) !== undefined) : undefined
    const expired = repeated === undefined && limit > 0 ? this.expire(maxExpired, now) : []
    // Where there may be more of them, nothing is given
    const most = expired.length === maxExpired ? 0 : limit
    const tasks = repeated ??
      this.startable(
        ({ queue, type }) =>
          types.includes(type) && queues?.includes(queue) !== false && !except.includes(queue) &&
          !this.isPaused(Gates.pausedQueueKind, queue) && !this.isPaused(Gates.pausedTypeKind, StoredType.typeOf(type)),
        most,
        now,
        (task) => this.begin(task, instance, leaseForMs, now)
      )
    if (repeated === undefined && tasks.length > 0) this.lastClaims.set(instance, { nonce, at: now, tasks })
    const times = this.all(({ state, waitsFor }) => state === "scheduled" && waitsFor === 0).map(({ dueAt }) => dueAt)
    for (const task of this.pending(({ gate }) => gate !== null)) {
      const refusal = this.refusal(task, now)
      const opensAt = refusal === undefined ? undefined : Gate.opensAt(refusal)
      if (opensAt !== undefined) times.push(opensAt)
    }
    if (expired.length === maxExpired || this.hasUntold) times.push(now)
    return { tasks, now, nextDueAt: times.length === 0 ? null : Math.min(...times), expired }
  }

  private isPaused(kind: string, id: string): boolean {
    return this.kinds.get(kind)?.has(id) === true
  }

  limitOf(pass: Gate.Pass): Gate.Limit | undefined {
    return Gates.limitFor(pass, (id) => {
      const record = this.kinds.get(Gates.limitKind)?.get(id)
      return record === undefined ? undefined : Gates.limitOfDocument(record.document)
    })
  }

  passState(pass: Gate.Pass): Gates.PassState {
    const running = this.all((task) => task.state === "running" && Gate.passesOf(task.gate).includes(pass))
    const holder = this.holderOf(pass)
    return {
      pass,
      running: running.length,
      holders: running.sort((a, b) => a.claim - b.claim).slice(0, Gates.maxHolders).map(({ id }) => id),
      bucket: this.buckets.get(pass) ?? null,
      holder: holder === undefined ? null : { id: holder.id, state: holder.state }
    }
  }

  /** The task that was started last with the pass of an order, as it is now; not another one that got its id. */
  private holderOf(pass: Gate.Pass): TaskRecord | undefined {
    const holder = this.holders.get(pass)
    const task = holder === undefined ? undefined : this.byId.get(holder.id)
    return task?.seq === holder?.seq ? task : undefined
  }

  private holds({ seq }: TaskRecord, pass: Gate.Pass): boolean {
    const limit = this.limitOf(pass)
    return limit !== undefined && "order" in limit && this.holderOf(pass)?.seq === seq
  }

  /** Why the gate of a task is closed. */
  private refusal(task: TaskRecord, now: number): Gate.Refusal | undefined {
    return Gate.refusal(task.id, Gate.passesOf(task.gate), Gate.costsOf(task), {
      isPaused: (pass) => this.isPaused(Gates.pausedKeyKind, pass),
      limitOf: (pass) => this.limitOf(pass),
      running: (pass) => this.passState(pass).running,
      bucketOf: (pass) => this.buckets.get(pass),
      holderOf: (pass) => this.holderOf(pass)
    }, now)
  }

  /** Begins tasks whose gates are open, one after the other: what one takes, the next does not have. */
  private startable(
    matches: (task: TaskRecord) => boolean,
    limit: number,
    now: number,
    begin: (task: TaskRecord) => ClaimedTask
  ): ReadonlyArray<ClaimedTask> {
    const begun: Array<ClaimedTask> = []
    if (this.pending((task) => task.gate !== null).length === 0) return this.pending(matches).slice(0, limit).map(begin)
    while (begun.length < limit) {
      // All tasks of a line wait behind its first
      const lines = new Map<string, TaskRecord>()
      for (const task of this.pending(matches)) {
        const line = lineOf(task)
        if (!lines.has(line)) lines.set(line, task)
      }
      // The one that holds an order and waits again goes in the place of the first of its line
      const holding = new Map(
        this.pending(matches)
          .filter((task) => Gate.passesOf(task.gate).some((pass) => this.holds(task, pass)))
          .map((task) => [lineOf(task), task])
      )
      const startOfLine = (head: TaskRecord) => holding.get(lineOf(head)) ?? head
      const open = [...lines.values()].filter((head) => this.refusal(startOfLine(head), now) === undefined)
      const place = (task: TaskRecord) =>
        Math.max(Rank.rankOf(task, task.dueAt, this.headStartMs), this.turns.get(lineOf(task))?.turn ?? -Infinity)
      const [head] = open.sort((a, b) => place(a) - place(b) || a.seq - b.seq)
      if (head === undefined) break
      const task = startOfLine(head)
      this.take(task, now, begun.length)
      begun.push(begin(task))
      if (!this.pending((other) => lineOf(other) === lineOf(task)).length) this.turns.delete(lineOf(task))
    }
    return begun
  }

  /** Takes from its passes what a task needs. */
  private take(task: TaskRecord, now: number, servedBefore: number): void {
    const costs = Gate.costsOf(task)
    for (const [index, pass] of Gate.passesOf(task.gate).entries()) {
      const limit = this.limitOf(pass)
      if (limit === undefined) continue
      if ("order" in limit) this.holders.set(pass, task)
      if ("tokens" in limit) this.buckets.set(pass, Gate.spend(this.buckets.get(pass), limit, costs[index] ?? 1, now))
      if ("fair" in limit) {
        const { credit, turn } = this.turns.get(lineOf(task)) ?? { credit: limit.fair, turn: -Infinity }
        this.turns.set(
          lineOf(task),
          credit > 1 ? { credit: credit - 1, turn } : {
            credit: limit.fair,
            turn: Gate.turnOf(Rank.rank(now, task.priority, this.headStartMs), servedBefore)
          }
        )
      }
    }
  }

  /** Begins an attempt, under a number that no claim has had. */
  private begin(task: TaskRecord, instance: string, leaseForMs: number, now: number): ClaimedTask {
    const [claim, claims] = [++this.lastClaim, task.claims + 1]
    const leased = { claim, claims, instance, startedAt: now, leaseUntil: now + leaseForMs, progress: null }
    this.set({ ...task, ...leased, state: "running" })
    const { crashes, dueAt, failures, id, maxRetries, payload, priority, queue, timeoutMs, type } = task
    const claimed = { id, type, queue, payload, priority, maxRetries, timeoutMs, dueAt, failures, crashes }
    const { costs, gate, startBy, trace } = task
    return { ...claimed, gate, costs, startBy, trace, attempt: claims, claim }
  }

  /** The task, if this claim is the one under which it runs. */
  held({ claim, id }: ClaimRef): TaskRecord | undefined {
    const task = this.byId.get(id)
    return task?.state === "running" && task.claim === claim ? task : undefined
  }

  settle(settlement: Settlement.Settlement, now: number): Settlement.SettleAnswer {
    const task = this.byId.get(settlement.id)
    return task === undefined ? "stale" : this.decided(task, decideSettle(task, settlement, now))
  }

  /** Makes what was decided about a task true, and answers what the decision answers. */
  decided<A>(task: TaskRecord, [answer, change, counts]: Decision<A>): A {
    if (change !== undefined) this.apply(task, change)
    if (counts !== undefined) this.totals[counts]++
    return answer
  }

  /** Makes a change that `Settlement` has decided. */
  apply(task: TaskRecord, change: TaskChange): TaskRecord {
    const changed = { ...asRevised({ task, change }), leaseUntil: change.state === "running" ? task.leaseUntil : null }
    this.set(changed)
    const { state } = changed
    if (state !== task.state && TaskState.isFinished(state)) {
      this.totals[state]++
    }
    return changed
  }

  rescue(request: RescueRequest, now: number): ReadonlyArray<Rescued> {
    const leases = rescuable(request, now)
    if (leases === undefined) return []
    const expired = this.all(({ leaseUntil }) =>
      leaseUntil !== null && (leaseUntil <= leases.until || leaseUntil > leases.after)
    )
    return expired.slice(0, request.limit).map((task) => this.decided(task, decideRescue(task, this.maxCrashes, now)))
  }

  /** Forgets full buckets, of the next ones: those that are kept go behind all others. */
  private sweep(now: number): void {
    for (const [pass, bucket] of [...this.buckets].slice(0, Gates.maxSwept)) {
      this.buckets.delete(pass)
      const kept = Gate.swept(bucket, this.limitOf(pass), now)
      if (kept !== undefined) this.buckets.set(pass, kept)
    }
  }

  prune(retention: Retention, limit: number, now: number): number {
    for (const [instance, { at }] of this.lastClaims) {
      if (at <= now - lastClaimForMs) this.lastClaims.delete(instance)
    }
    this.sweep(now)
    const age = ({ completedAt }: TaskRecord) => now - completedAt!
    const finished = this.all(({ state }) => TaskState.isFinished(state)).sort((a, b) => age(b) - age(a))
    const ofState = (state: TaskState.TaskState) => finished.filter((task) => task.state === state)
    const gone = new Set(
      TaskState.finished.flatMap((state) => ofState(state).filter((task) => age(task) >= retention.forMs[state]))
    )
    for (const state of TaskState.finished) {
      const left = ofState(state).filter((task) => !gone.has(task))
      let size = left.length
      const shrinkTo = (max: number, candidates: ReadonlyArray<TaskRecord>) => {
        for (const task of candidates) {
          if (size <= max) return
          if (!gone.has(task)) size--
          gone.add(task)
        }
      }
      const { max, maxKeyed } = retention
      shrinkTo(max[state], left.filter((task) => task.key === null || age(task) >= keyedForMs))
      shrinkTo(Math.max(max[state], maxKeyed), left)
    }
    const removed = [...gone].filter(({ id }) => !this.isAwaited(id)).slice(0, limit)
    for (const { id } of removed) this.byId.delete(id)
    return removed.length
  }

  list({ before, limit, maxBytes = maxAnswerBytes, queues, states, types }: TaskListRequest): ListedTasks {
    const found = this.all((task) =>
      (before === undefined || task.seq < before) && states?.includes(task.state) !== false &&
      types?.includes(task.type) !== false && queues?.includes(task.queue) !== false
    ).reverse()
    const page = found.slice(0, limit)
    const tasks = page.slice(0, fitting(page.map(bytesOf), maxBytes))
    return { tasks, next: tasks.length < found.length ? tasks.at(-1)?.seq : undefined }
  }

  stranded(runnable: ReadonlyArray<Runnable>, limit: number, now: number): ReadonlyArray<Stranded> {
    this.promote(now)
    const coverage = coverageOf(runnable)
    const found = new Map<string, Stranded>()
    for (const { dueAt, queue, type } of this.pending(() => true)) {
      const queues = coverage.get(type)
      const lane = JSON.stringify([queue, type])
      if (queues !== "all" && queues?.has(queue) !== true && !found.has(lane)) {
        found.set(lane, { queue, type, since: dueAt })
      }
    }
    return [...found.values()].slice(0, limit)
  }

  counts() {
    const size = Object.fromEntries(TaskState.all.map((state) => [state, 0])) as Record<TaskState.TaskState, number>
    for (const { state } of this.byId.values()) size[state]++
    return { ...size, capacity: this.capacity, totals: { ...this.totals } }
  }

  /** The queues and types of a range, in order. */
  lanesIn(range: LaneRange): ReadonlyArray<LaneCounts> {
    const [firstQueue, firstType] = startOf(range)
    const isBehind = ({ queue, type }: Pick<LaneCounts, "queue" | "type">) =>
      (ByteOrder.compare(queue, firstQueue) || ByteOrder.compare(type, firstType)) >= 0
    const lanes = new Map<string, { -readonly [Name in keyof LaneCounts]: LaneCounts[Name] }>()
    for (const task of this.all((task) => isBehind(task) && (range.queue ?? task.queue) === task.queue)) {
      const { queue, state, type } = task
      const name = JSON.stringify([queue, type])
      const lane = lanes.get(name) ?? { queue, type, scheduled: 0, pending: 0, running: 0, waitingSince: null }
      lanes.set(name, lane)
      if (state === "scheduled" || state === "pending" || state === "running") lane[state]++
    }
    for (const { dueAt, queue, type } of this.pending(() => true)) {
      const lane = lanes.get(JSON.stringify([queue, type]))
      if (lane !== undefined) lane.waitingSince ??= dueAt
    }
    return [...lanes.values()].sort((a, b) => ByteOrder.compare(a.queue, b.queue) || ByteOrder.compare(a.type, b.type))
  }
}

/** Tasks with the same gate wait in one line, one without a gate for itself. */
const lineOf = ({ gate, id, queue, type }: TaskRecord): string =>
  JSON.stringify(gate === null ? [id] : [queue, type, gate])

/** A record, and when it is due or the lease of its taker ends. */
interface Kept extends StoredRecord {
  readonly wakeAt: number | null
}

/** All records, by kind and id. */
type Kinds = Map<string, Map<string, Kept>>

/** Records: `RecordDriver` checks what is asked, so that a driver only reads and writes. */
const recordStore = (clock: Clock.Clock, kinds: Kinds, tasks: Tasks): RecordStore["Service"] => {
  const at = steps(clock)
  let version = 0
  const kept = (kind: string) => [...kinds.get(kind)?.values() ?? []]
  const write = (kind: string, record: Kept) => {
    const records = kinds.get(kind) ?? new Map<string, Kept>()
    kinds.set(kind, records.set(record.id, record))
  }
  const shown = ({ wakeAt: _, ...record }: Kept): StoredRecord => record
  const put = (changes: ReadonlyArray<RecordDriver.PackedChange>, now: number): number => {
    version = RecordDriver.nextVersion(version, now)
    for (const change of changes) {
      const { document, id, kind } = change
      const dueAt = RecordDriver.dueAtOf(change, now)
      if (document === null) kinds.get(kind)?.delete(id)
      else write(kind, { id, version, document, dueAt, writtenAt: now, wakeAt: dueAt })
    }
    return version
  }

  return RecordDriver.make({
    get: (kind, ids) => Effect.sync(() => kept(kind).filter(({ id }) => ids.includes(id)).map(shown)),
    put: (changes) =>
      at((now) => {
        const conflict = RecordDriver.conflictOf(changes, (kind, id) => kinds.get(kind)?.get(id)?.version)
        if (conflict !== undefined) return conflict
        return { version: put(changes, now) }
      }),
    list: (kind, { from, inclusive, until }, limit) =>
      Effect.sync(() =>
        kept(kind).filter(({ id }) =>
          ByteOrder.compare(id, from) >= (inclusive ? 0 : 1) && ByteOrder.compare(id, until) < 0
        ).sort((a, b) => ByteOrder.compare(a.id, b.id)).slice(0, limit).map(shown)
      ),
    due: (kind, limit, leaseForMs) =>
      at((now) => {
        let records = kept(kind).filter(({ wakeAt }) => wakeAt !== null && wakeAt <= now)
          .sort((a, b) => a.wakeAt! - b.wakeAt! || ByteOrder.compare(a.id, b.id)).slice(0, limit)
        if (leaseForMs !== undefined && records.length > 0) {
          version = RecordDriver.nextVersion(version, now)
          records = records.map((record) => ({ ...record, version, wakeAt: now + leaseForMs }))
          for (const record of records) write(kind, record)
        }
        const later = kept(kind).flatMap(({ wakeAt }) => wakeAt !== null && wakeAt > now ? [wakeAt] : [])
        return { records: records.map(shown), now, nextDueAt: later.length === 0 ? null : Math.min(...later) }
      }),
    // Nothing else happens during a step, so all is decided before any of it is written
    atomically: Atomically.make((parts) =>
      Effect.flatMap(
        at((now) =>
          Atomically.inOneStep(parts, now, {
            recordOf: (kind, id) => kinds.get(kind)?.get(id),
            find: (id) => tasks.byId.get(id),
            enqueue: (group, besides) => tasks.decide(group, now, besides),
            put: (changes) => put(changes, now),
            apply: (task, decision) => tasks.decided(task, decision)
          })
        ),
        (outcome) => Atomically.answer(parts, outcome)
      )
    )
  })
}

const instanceStore = (clock: Clock.Clock): InstanceStore["Service"] => {
  const instances = new Map<string, Omit<InstanceRecord, "leads"> & { readonly until: number }>()
  const leads = new Map<string, { readonly holder: string; readonly until: number }>()
  const at = steps(clock)
  const isAlive = (now: number) => ({ until }: { readonly until: number }) => until > now

  return {
    beat: ({ upForMs, ...beat }: Beat, keepForMs) =>
      at((now) => {
        const known = instances.get(beat.id)
        const startedAt = known !== undefined && isAlive(now)(known) ? known.startedAt : now - upForMs
        instances.set(beat.id, { ...beat, startedAt, seenAt: now, until: now + keepForMs })
      }),
    leave: (id) =>
      Effect.sync(() => {
        instances.delete(id)
        for (const [chore, { holder }] of leads) if (holder === id) leads.delete(chore)
      }),
    list: at((now) => {
      const held = [...leads].filter(([, lead]) => isAlive(now)(lead)).sort(([a], [b]) => ByteOrder.compare(a, b))
      return {
        now,
        instances: [...instances.values()].filter(isAlive(now)).map(({ until: _, ...instance }) => ({
          ...instance,
          leads: held.flatMap(([chore, { holder }]) => holder === instance.id ? [chore] : [])
        })).sort((a, b) => a.startedAt - b.startedAt || ByteOrder.compare(a.id, b.id))
      }
    }),
    lead: (chore, id, forMs) =>
      at((now) => {
        const lead = leads.get(chore)
        if (lead !== undefined && lead.holder !== id && isAlive(now)(lead)) return false
        leads.set(chore, { holder: id, until: now + forMs })
        return true
      })
  }
}

const eventLog = (clock: Clock.Clock): EventLog["Service"] => {
  let events: Array<TaskEvent> = []
  let seq = 0
  /** Every event behind this place is in the log. */
  let floor = 0
  let attended = { from: 0, until: 0 }
  const at = steps(clock)
  const beginAgain = () => {
    floor = ++seq
    events = []
  }

  return {
    append: (added, lost = false) =>
      at((now) => {
        if (lost) beginAgain()
        for (const event of added) events.push({ ...event, seq: ++seq, at: now })
        const newest = events.slice(-keptEvents).reverse()
        events = newest.slice(0, fitting(newest.map(eventSizeOf), keptBytes)).reverse()
        floor = seq - events.length
      }),
    read: (after, limit) =>
      Effect.sync(() => {
        const gap = after < floor || after > seq
        const start = gap ? 0 : after - floor
        const page = events.slice(start, start + limit)
        return { events: page, gap, next: page.at(-1)?.seq ?? seq }
      }),
    end: Effect.sync(() => seq),
    attend: (forMs) =>
      at((now) => {
        if (attended.until <= now) {
          beginAgain()
          attended = { from: now, until: now }
        }
        attended = { ...attended, until: Math.max(attended.until, now + forMs) }
      }),
    attended: at((now) => attended.until > now ? now - attended.from : undefined)
  }
}
