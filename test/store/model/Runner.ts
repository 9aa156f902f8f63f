/**
 * One run: does each operation to the store and to the model, and holds the answers and the visible state together.
 */
import { assert } from "@effect/vitest"
import { Effect, Predicate } from "effect"
import { isDeepStrictEqual } from "node:util"
import {
  type ClaimedTask,
  type ClaimRef,
  type ClaimRequest,
  Gates,
  type LaneRange,
  type NewTask,
  type Outcome,
  PausedQueues,
  RecordStore,
  type Runnable,
  type Settlement,
  type Stranded,
  type TaskFailure,
  type TaskRecord,
  TaskState,
  TaskStore
} from "taskforge/store"
import type { Driver } from "../conformance/driver.ts"
import { anyTime, pause, putRecord, retention, setLimit } from "../conformance/fixtures.ts"
import type { End, Model, ModelTask } from "./Model.ts"
import {
  askedOf,
  endsOf,
  expectedOf,
  expiryOf,
  gatedBy,
  groupOf,
  ids,
  isTimed,
  limitOf,
  marksOf,
  type Operation,
  type OperationOf,
  passes,
  reasonOf,
  rememberedForMs,
  rescheduleOf,
  stepRecord,
  uniqueBy
} from "./Operation.ts"

/** A claim and what it gave. */
interface LastClaim {
  readonly request: ClaimRequest
  readonly refs: ReadonlyArray<ClaimRef>
  readonly at: number
}

/** What is to be written together, and the answer once it was. */
interface Together {
  readonly nonce: string
  readonly record: OperationOf<"together">["record"]
  readonly tasks: ReadonlyArray<NewTask>
  readonly ends: ReadonlyArray<End>
  answer: unknown
}

const nobody: ClaimRef = { id: "unknown", claim: 1 }

export class Runner {
  private readonly model: Model
  private readonly driver: Driver
  /** All leases ever given out, the latest first. */
  private readonly refs: Array<ClaimRef> = []
  /** Each instance's last claim, if it gave tasks. */
  private readonly lastClaims = new Map<string, LastClaim>()
  private readonly sequence = new Map<ModelTask, number>()
  private lastSequence = -Infinity
  private nonce = 0
  private lastTogether: Together | undefined
  private kept: { readonly version: number; readonly document: string } | undefined
  private lastVersion = 0
  private settlements = 0

  constructor(model: Model, driver: Driver) {
    this.model = model
    this.driver = driver
  }

  /** Does one operation to both sides. */
  step(operation: Operation): Effect.Effect<void, unknown, TaskStore | RecordStore> {
    switch (operation.do) {
      case "enqueue":
        return this.enqueue(operation)
      case "enqueue alike":
        return this.enqueue(groupOf(operation))
      case "claim":
        return this.claim(operation)
      case "claim again":
        return this.claimAgain(operation)
      case "settle":
        return this.settle(operation)
      case "together":
        this.lastTogether = { ...this.plan(operation), answer: undefined }
        return this.together(this.lastTogether)
      case "together again":
        return this.lastTogether === undefined ? Effect.void : this.together(this.lastTogether)
      case "extend": {
        const refs = operation.attempts.map((attempt) => this.ref(attempt))
        return this.same(
          (store) => store.extend(refs, operation.leaseForMs),
          () => refs.map((ref) => this.model.extend(ref, operation.leaseForMs))
        )
      }
      case "report": {
        const ref = this.ref(operation.attempt)
        return this.same(
          (store) => store.report([{ ...ref, progress: operation.progress }]),
          () => this.model.report(ref, operation.progress)
        )
      }
      case "rescue":
        return this.rescue(operation)
      case "expire":
        return this.expire(operation)
      case "cancel": {
        // where a line is emptied by a cancel, a store may forget its turn or not
        const cancelled = operation.ids.filter((id) => !this.model.find(id)?.gate?.includes("f="))
        return this.same((store) => store.cancel(cancelled), () => cancelled.map((id) => this.model.cancel(id)))
      }
      case "rerun":
        return this.same((store) => store.rerun(operation.ids), () => operation.ids.map((id) => this.model.rerun(id)))
      case "reschedule": {
        // where a line is emptied because its task takes another gate or time, a store may forget its turn or not
        if (this.model.find(operation.id)?.gate?.includes("f=") === true) return Effect.void
        const request = rescheduleOf(operation)
        return this.same((store) => store.reschedule([request]), () => [this.model.reschedule(request)])
      }
      case "remove":
        return this.same((store) => store.remove(operation.ids), () => operation.ids.map((id) => this.model.remove(id)))
      case "pause":
        return Effect.map(pause(operation.queue, operation.paused), () => {
          if (operation.paused) this.model.paused.add(operation.queue)
          else this.model.paused.delete(operation.queue)
        })
      case "limit": {
        const limit = limitOf(operation, this.model.now)
        return Effect.map(setLimit(operation.id, limit), () => {
          if (limit === null) this.model.limits.delete(operation.id)
          else this.model.limits.set(operation.id, limit)
          if (limit !== null && isTimed(limit)) this.model.isTimed = true
        })
      }
      case "pause key":
        return this.paused(Gates.pausedKeyKind, operation.pass, operation.paused, this.model.pausedKeys)
      case "pause type":
        return this.paused(Gates.pausedTypeKind, operation.type, operation.paused, this.model.pausedTypes)
      case "let go":
        return this.same(
          (store) => store.letGo([operation.pass]),
          () => {
            this.model.holders.delete(operation.pass)
          }
        )
      case "charge":
        return this.same(
          (store) => store.charge([operation]),
          () => this.model.charge(operation.pass, operation.amount)
        )
      case "prune":
        return this.prune(operation)
      case "advance":
        this.model.now += operation.ms
        return this.driver.advance(operation.ms)
    }
  }

  /** Everything that can be seen is as the model has it. */
  readonly compare: Effect.Effect<void, unknown, TaskStore | RecordStore> = Effect.gen({ self: this }, function*() {
    const store = yield* TaskStore
    const expected = this.model.tasks.toSorted((a, b) => b.seq - a.seq)
    const { tasks: listed } = yield* store.list({ limit: 1000 })
    agree("list", listed.map(({ id }) => id), expected.map(({ id }) => id))
    for (const [index, task] of expected.entries()) agreeOnRecord("list", listed[index], task)
    for (const [index, task] of expected.toReversed().entries()) this.checkSequence(task, listed.at(-1 - index)!.seq)
    for (const id of ids) agreeOnRecord("get", yield* store.get(id), this.model.find(id))
    const results = yield* store.results(ids)
    agree("awaited results", yield* store.awaitResults(ids), results)
    for (const [index, id] of ids.entries()) {
      const [outcome, task] = [results[index], this.model.find(id)]
      const kind = task === undefined ? null : this.model.isFinished(task) ? "finished" : undefined
      agree(`result of ${id}`, outcome && "finished", kind)
      if (outcome && task) agree(`result of ${id}`, outcome, outcomeOf(task))
    }
    const { capacity: _capacity, totals, ...states } = yield* store.counts
    agree("totals", totals, this.model.totals)
    for (const state of TaskState.all) {
      agree(`number of ${state} tasks`, states[state], expected.filter((task) => task.state === state).length)
    }
    for (const range of ranges) {
      const what = `counts by queue and type of ${JSON.stringify(range)}`
      agree(what, yield* store.laneCounts(range), this.model.laneCounts(range))
    }
    // It promotes what has become due, which would hide from the next steps what nothing has promoted
    for (const runnable of this.model.hasUnpromoted() ? [] : coverages) {
      agree(
        "stranded",
        yield* store.stranded(runnable, 100).pipe(Effect.map(byName)),
        byName(this.model.stranded(runnable))
      )
    }
    const [record] = yield* RecordStore.use((store) => store.get(stepRecord.kind, [stepRecord.id]))
    agree("the record", record && { version: record.version, document: record.document }, this.kept)
    yield* this.comparePasses
    agree("paused", [...yield* PausedQueues.names].sort(), [...this.model.paused].sort())
  })

  private paused(kind: string, id: string, isPaused: boolean, paused: Set<string>) {
    return Effect.map(putRecord(kind, id, isPaused ? {} : null), () => {
      if (isPaused) paused.add(id)
      else paused.delete(id)
    })
  }

  /** Which tasks run with each pass, and which one holds it; one that holds nothing may be forgotten. */
  private readonly comparePasses = Effect.gen({ self: this }, function*() {
    for (const state of yield* TaskStore.use((store) => store.passes(passes))) {
      const { pass } = state
      const running = this.model.runningWith(pass)
      agree(`number that run with ${pass}`, state.running, running.length)
      agree(`those that run with ${pass}`, [...state.holders].sort(), running.map(({ id }) => id).sort())
      const holder = this.model.find(this.model.holders.get(pass) ?? "")
      const holds = (one: { readonly id: string; readonly state: TaskState.TaskState } | undefined | null) =>
        one === undefined || one === null || (TaskState.isFinished(one.state) && one.state !== "failed")
          ? null
          : { id: one.id, state: one.state }
      agree(`holder of ${pass}`, holds(state.holder), holds(holder))
    }
  })

  /** When it pays to ask again: at the latest when the next task is due, earlier only where a rate or a breaker may let one start. */
  private compareNext(next: number | null): void {
    const due = this.model.nextDueAt()
    if (this.model.isTimed && next !== null && next >= this.model.now && (due === null || next <= due)) return
    agree("nextDueAt", next, due)
  }

  /** Sequence numbers may have gaps; they only grow, and a task keeps its own. */
  private checkSequence(task: ModelTask, seq: number): void {
    const known = this.sequence.get(task)
    if (known !== undefined) return agree(`seq of ${task.id}`, seq, known)
    if (seq <= this.lastSequence) assert.fail(`seq of ${task.id} is ${seq}, after ${this.lastSequence} was given`)
    this.sequence.set(task, seq)
    this.lastSequence = seq
  }

  /** An operation whose answer the model knows beforehand. */
  private same<A>(
    act: (store: TaskStore["Service"]) => Effect.Effect<A, unknown>,
    expected: () => unknown
  ): Effect.Effect<void, unknown, TaskStore> {
    return Effect.map(TaskStore.use(act), (answer) => agree("answer", answer, expected()))
  }

  private ref(attempt: number): ClaimRef {
    return this.refs.length === 0 ? nobody : this.refs[attempt % this.refs.length]!
  }

  private given(drawn: OperationOf<"together">["tasks"][number]): NewTask {
    const { gate, runIn, tags: _tags, trace: _trace, unique, ...task } = drawn
    const runAt = runIn === null ? null : this.model.now + runIn
    return {
      ...task,
      ...marksOf(drawn),
      maxRetries: 3,
      timeoutMs: null,
      ...gatedBy(gate, task.key),
      unique: uniqueBy(unique),
      runAt,
      expiresInMs: expiryOf(drawn)
    }
  }

  private enqueue({ groups }: OperationOf<"enqueue">) {
    const given = groups.map((group) => group.map((task) => this.given(task)))
    return this.same((store) => store.enqueue(given), () => given.map((group) => this.model.enqueue(group)))
  }

  private claim(operation: OperationOf<"claim">) {
    return Effect.gen({ self: this }, function*() {
      const request: ClaimRequest = { ...askedOf(operation), nonce: ++this.nonce }
      const answer = yield* TaskStore.use((store) => store.claim(request))
      const late = this.model.tooLate().map(({ id }) => id)
      const expected = this.model.claim(request).map(claimedTask)
      agree("claimed tasks", answer.tasks, expected)
      agree("expired tasks", (answer.expired ?? []).map(({ id }) => id).sort(), late.sort())
      agree("now", answer.now, this.model.now)
      this.compareNext(answer.nextDueAt)
      const refs = expected.map(({ claim, id }) => ({ id, claim }))
      this.refs.unshift(...refs)
      if (refs.length > 0) this.lastClaims.set(request.instance, { request, refs, at: this.model.now })
      else this.lastClaims.delete(request.instance)
    })
  }

  /** Repeats an instance's last claim, as after a lost reply: whatever it still holds, and nothing more. */
  private claimAgain({ instance }: OperationOf<"claim again">) {
    return Effect.gen({ self: this }, function*() {
      const last = this.lastClaims.get(instance)
      if (last === undefined || this.model.now - last.at >= rememberedForMs) return
      const answer = yield* TaskStore.use((store) => store.claim(last.request))
      this.model.promote()
      const expected = last.refs.flatMap((ref) => this.model.held(ref) ?? []).map(claimedTask)
      agree("tasks claimed again", answer.tasks, expected)
      this.compareNext(answer.nextDueAt)
    })
  }

  private ends(items: OperationOf<"settle">["items"]): ReadonlyArray<End> {
    return items.map((item): End => {
      const n = ++this.settlements
      const failure: TaskFailure = { kind: "error", tag: "Refused", message: `failure ${n}` }
      return { ...this.ref(item.attempt), as: item.as, delayMs: item.delayMs, failure, result: String(n) }
    })
  }

  private plan({ items, record, tasks }: OperationOf<"together">): Omit<Together, "answer"> {
    const nonce = `n${++this.nonce}`
    return { nonce, record, tasks: tasks.map((task) => this.given(task)), ends: endsOf(this.ends(items)) }
  }

  /** All of it happens or none, and what has happened happens once. */
  private together(call: Together) {
    return Effect.gen({ self: this }, function*() {
      const { ends, nonce, record, tasks } = call
      const expects = expectedOf(record, this.kept?.version)
      const document = `"${nonce}"`
      const result = yield* Effect.result(RecordStore.use((store) =>
        store.atomically(nonce, {
          changes: record === "stays" ? [] : [{ ...stepRecord, expects, document }],
          tasks,
          settlements: ends.map(settlementOf)
        })
      ))
      const done = result._tag === "Success" ? { _tag: "Accepted", ...result.success } : undefined
      if (call.answer !== undefined) return agree("the answer once more", done, call.answer)
      const expected = this.model.together(record === "changed before", tasks, ends)
      if (result._tag === "Failure") return agree("why nothing was written", reasonOf(result.failure), expected)
      const { version, ...answer } = result.success
      agree("what was written together", { _tag: "Accepted", ...answer }, expected)
      assert.isAbove(version, this.lastVersion, "versions grow")
      this.lastVersion = version
      if (record !== "stays") this.kept = { version, document }
      call.answer = done
    })
  }

  private settle({ items }: OperationOf<"settle">) {
    const ends = this.ends(items)
    return this.same((store) => store.settle(ends.map(settlementOf)), () => ends.map((end) => this.model.settle(end)))
  }

  /** Which of the expired come first is the store's choice. */
  private rescue({ limit }: OperationOf<"rescue">) {
    return Effect.gen({ self: this }, function*() {
      const { rescued } = yield* TaskStore.use((store) => store.rescue({ limit, ...anyTime }))
      const expired = this.model.expired()
      agree("number rescued", rescued.length, Math.min(limit, expired.length))
      for (const answer of rescued) {
        const task = expired.find(({ id }) => id === answer.id)
        assert.isDefined(task, `${answer.id} had not expired`)
        agree("rescued", answer, this.model.rescue(task!))
      }
    })
  }

  /** Of those that expire at the same time the store chooses. */
  private expire({ limit }: OperationOf<"expire">) {
    return Effect.gen({ self: this }, function*() {
      const expired = yield* TaskStore.use((store) => store.expire(limit))
      const late = this.model.tooLate()
      agree("number expired", expired.length, Math.min(limit, late.length))
      for (const answer of expired) {
        const task = late.find(({ id }) => id === answer.id)
        assert.isDefined(task, `${answer.id} had not expired`)
        agree("expired", answer, this.model.expire(task!))
      }
    })
  }

  /** Among equals the store chooses, so the model checks the choice instead of foretelling it. */
  private prune({ do: _do, limit, ...fields }: OperationOf<"prune">) {
    return Effect.gen({ self: this }, function*() {
      const store = yield* TaskStore
      const kept = retention(fields)
      const removed = yield* store.prune(kept, limit)
      const left = new Set((yield* store.list({ limit: 1000 })).tasks.map(({ id }) => id))
      const gone = this.model.tasks.filter(({ id }) => !left.has(id))
      agree("number pruned", removed, gone.length)

      const tooOld = this.model.tooOld(kept)
      const prunable = this.model.prunable().filter((task) => !tooOld.includes(task))
      let due = tooOld.length
      for (const state of TaskState.finished) {
        const others = this.model.tasks.filter((task) => task.state === state && !tooOld.includes(task))
        const free = others.filter((task) => prunable.includes(task))
        const spared = Math.min(Math.max(0, others.length - kept.max[state]), free.length)
        const most = Math.max(kept.max[state], kept.maxKeyed)
        const excessKeyed = Math.max(0, others.length - spared - most)
        due += spared + excessKeyed
        const byNumber = others.filter((task) => gone.includes(task))
        if (byNumber.length > 0) assert.isTrue(tooOld.every((task) => gone.includes(task)), "the too old go first")
        const taken = byNumber.filter((task) => !free.includes(task))
        assert.isAtMost(taken.length, excessKeyed, "a protected task was pruned by number")
        for (const task of byNumber) {
          const stay = (taken.includes(task) ? others : free).filter((other) => !gone.includes(other))
          assert.isTrue(stay.every((other) => other.completedAt! >= task.completedAt!), "an older task was kept")
        }
      }
      agree("number due to be pruned", removed, Math.min(limit, due))
      this.model.drop(gone)
    })
  }
}

/** What living instances may run of the tasks that operations make. */
const coverages: ReadonlyArray<ReadonlyArray<Runnable>> = [
  [],
  [{ types: ["a"] }, { types: ["b"], queues: ["x"] }],
  [{ types: ["a", "b"], queues: ["x"] }, { types: ["b"], queues: ["y", "z"] }]
]

/** Parts of the queues and types of the tasks that operations make. */
const ranges: ReadonlyArray<LaneRange> = [
  { limit: 100 },
  { limit: 1, queue: "y", after: { queue: "y", type: "a" } },
  { limit: 2, after: { queue: "x", type: "a" } }
]

const byName = (stranded: ReadonlyArray<Stranded>): ReadonlyArray<Stranded> =>
  stranded.toSorted((a, b) => `${a.queue} ${a.type}` < `${b.queue} ${b.type}` ? -1 : 1)

const settlementOf = ({ as, claim, delayMs, failure, id, result }: End): Settlement.Settlement => {
  switch (as) {
    case "Complete":
      return { _tag: as, id, claim, result }
    case "Retry":
      return { _tag: as, id, claim, delayMs, failure }
    case "Fail":
      return { _tag: as, id, claim, failure }
    case "Snooze":
      return { _tag: as, id, claim, delayMs }
    default:
      return { _tag: as, id, claim }
  }
}

const claimedTask = (task: ModelTask): ClaimedTask => ({
  id: task.id,
  type: task.type,
  queue: task.queue,
  payload: task.payload,
  priority: task.priority,
  maxRetries: task.maxRetries,
  timeoutMs: task.timeoutMs,
  gate: task.gate,
  costs: task.costs,
  dueAt: task.dueAt,
  startBy: task.startBy,
  trace: task.trace,
  failures: task.failures,
  crashes: task.crashes,
  attempt: task.claims,
  claim: task.claim
})

const outcomeOf = ({ failure, id, result, state }: ModelTask): Outcome => ({ id, state, result, failure })

/** Fails with both values in full, so that a shrunk sequence explains itself. */
const agree = (what: string, store: unknown, model: unknown): void => {
  if (Object.is(store, model)) return
  const [actual, expected] = [forPeople(store), forPeople(model)]
  if (!isDeepStrictEqual(actual, expected)) {
    assert.fail(`${what}: the store has ${JSON.stringify(actual)}, the model ${JSON.stringify(expected)}`)
  }
}

/** Names the first field that differs. */
const agreeOnRecord = (how: string, found: TaskRecord | undefined, task: ModelTask | undefined): void => {
  if (found === undefined || task === undefined) return agree(how, found?.id, task?.id)
  // Most of what a run of the model does: what is equal costs neither a copy nor a message
  const fields = Object.keys(task) as Array<keyof TaskRecord>
  if (Object.keys(found).length !== fields.length || fields.some((field) => !Object.hasOwn(found, field))) {
    agree(`fields of ${task.id} by ${how}`, Object.keys(found).sort(), fields.toSorted())
  }
  for (const field of fields) {
    if (field === "seq" || Object.is(found[field], task[field])) continue
    agree(`${field} of ${task.id} by ${how}`, found[field], task[field])
  }
}

/** Without the wording of a quarantine, which is for people. */
const forPeople = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(forPeople)
  if (!Predicate.isObject(value)) return value
  const copy: Record<string, unknown> = { ...value }
  if (copy["kind"] === "quarantined") return { ...copy, message: "" }
  for (const [name, field] of Object.entries(copy)) copy[name] = forPeople(field)
  return copy
}
