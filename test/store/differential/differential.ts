/**
 * Does the same to a driver and to the memory store, and compares every answer and everything that is stored. Both read
 * clocks that stand still between operations, so the answers must be equal to the last digit.
 */
import { assert, describe } from "@effect/vitest"
import { Clock, Context, Effect, Layer } from "effect"
import { isDeepStrictEqual } from "node:util"
import type { Settlement } from "../../../src/domain/Settlement.ts"
import type { NewTask, TaskFailure } from "../../../src/domain/TaskRecord.ts"
import { isFinished } from "../../../src/domain/TaskState.ts"
import * as Gates from "../../../src/store/Gates.ts"
import * as MemoryStore from "../../../src/store/memory/MemoryStore.ts"
import * as PausedQueues from "../../../src/store/PausedQueues.ts"
import { RecordStore } from "../../../src/store/RecordStore.ts"
import { type ClaimAnswer, type ClaimRef, type ClaimRequest, TaskStore } from "../../../src/store/TaskStore.ts"
import type { Driver } from "../conformance/driver.ts"
import { anyTime, pause, putRecord, retention, setLimit } from "../conformance/fixtures.ts"
import { check, type Step } from "../model/check.ts"
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
  onceFailed,
  type Operation,
  type OperationOf,
  passes,
  reasonOf,
  rememberedForMs,
  rescheduleOf,
  sequences,
  stepRecord,
  uniqueBy
} from "../model/Operation.ts"

const settings = { capacity: 4, headStart: 2000, maxCrashes: 1 }

/** Holds a driver to the memory store. Its clock must stand at the test's own, and move by `advance` alone. */
export const differential = (name: string, driver: Driver, options: { readonly runs: number }): void => {
  describe(`${name} answers like the memory store`, () => {
    check("whatever is done to both, in whatever order", begin(driver), { onceFailed, sequences }, options)
  })
}

/** Two fresh stores; a step fails with the first difference. */
const begin = Effect.fnUntraced(function*(driver: Driver) {
  const begun = yield* Clock.currentTimeMillis
  const startedAt = (yield* Clock.Clock).monotonicTimeNanosUnsafe()
  let passed = 0
  // moved by hand: adjusting the test's clock would wait for whatever the driver's connection sleeps for
  const clock: Clock.Clock = Object.assign(Object.create(yield* Clock.Clock) as Clock.Clock, {
    currentTimeMillisUnsafe: () => begun + passed,
    monotonicTimeNanosUnsafe: () => startedAt + BigInt(passed) * 1_000_000n
  })
  const layer = Layer.provide(Layer.fresh(MemoryStore.layer(settings)), Layer.succeed(Clock.Clock, clock))
  const memory = storeOf(yield* Layer.build(layer))
  const store = storeOf(yield* Layer.build(Layer.fresh(driver.layer(settings))))
  const history = new History()
  const step: Step<Operation> = Effect.fnUntraced(function*(operation) {
    if (operation.do === "advance") {
      passed += operation.ms
      return yield* driver.advance(operation.ms)
    }
    const act = history.plan(operation, begun + passed)
    const [expected, actual] = [yield* act(memory), yield* act(store)]
    agree("the answer", actual, expected)
    history.learn(operation, expected as ClaimAnswer | undefined)
    agree("what is stored", yield* everything(store), yield* everything(memory))
  })
  return step
})

type Store = TaskStore["Service"] & { readonly records: RecordStore["Service"] }

const storeOf = (services: Context.Context<TaskStore | RecordStore>): Store => ({
  ...Context.get(services, TaskStore),
  records: Context.get(services, RecordStore)
})

type Act = (store: Store) => Effect.Effect<unknown, unknown>

/** A claim, and since when a store remembers that it gave tasks. */
interface LastClaim {
  readonly request: ClaimRequest
  gaveAt: number | undefined
}

/** What later operations refer to: the leases given out, the latest first, and each instance's last claim. */
class History {
  private refs: Array<ClaimRef> = []
  private readonly claims = new Map<string, LastClaim>()
  private numbers = 0
  private lastTogether: Act | undefined
  private isTimed = false
  /** Ids of tasks whose lines take turns. */
  private readonly takingTurns = new Set<string>()

  /** An operation as a call. */
  plan(operation: Exclude<Operation, { readonly do: "advance" }>, now: number): Act {
    switch (operation.do) {
      case "enqueue": {
        const groups = operation.groups.map((group) => group.map((task) => newTaskOf(task, now)))
        this.note(groups.flat())
        return (store) => store.enqueue(groups)
      }
      case "enqueue alike":
        return this.plan(groupOf(operation), now)
      case "claim": {
        const request = { ...askedOf(operation), nonce: ++this.numbers }
        this.claims.set(request.instance, { request, gaveAt: undefined })
        return this.claim(request)
      }
      case "claim again": {
        const last = this.claims.get(operation.instance)
        const mayBeForgotten = last?.gaveAt !== undefined && now - last.gaveAt >= rememberedForMs
        return last === undefined || mayBeForgotten ? () => Effect.void : this.claim(last.request)
      }
      case "settle": {
        const settlements = operation.items.map((item) => settlementOf(item, this.ref(item.attempt), ++this.numbers))
        return (store) => store.settle(settlements)
      }
      case "together": {
        const settlements = endsOf(
          operation.items.map((item) => settlementOf(item, this.ref(item.attempt), ++this.numbers))
        )
        const tasks = operation.tasks.map((task) => newTaskOf(task, now))
        this.note(tasks)
        return this.lastTogether = together(`n${++this.numbers}`, operation.record, tasks, settlements)
      }
      case "together again":
        return this.lastTogether ?? (() => Effect.void)
      case "extend": {
        const refs = operation.attempts.map((attempt) => this.ref(attempt))
        return (store) => store.extend(refs, operation.leaseForMs)
      }
      case "report": {
        const ref = this.ref(operation.attempt)
        return (store) => store.report([{ ...ref, progress: operation.progress }])
      }
      case "rescue":
        // all of them: which come first is the store's choice
        return (store) =>
          Effect.map(
            store.rescue({ limit: 100, ...anyTime }),
            ({ rescued }) => rescued.toSorted((a, b) => a.id < b.id ? -1 : 1)
          )
      case "expire":
        // all of them: which come first is the store's choice
        return (store) => Effect.map(store.expire(100), (expired) => expired.toSorted((a, b) => a.id < b.id ? -1 : 1))
      case "cancel": {
        // where a line is emptied by a cancel, a store may forget its turn or not
        const cancelled = operation.ids.filter((id) => !this.takingTurns.has(id))
        return (store) => store.cancel(cancelled)
      }
      case "rerun":
        return (store) => store.rerun(operation.ids)
      case "reschedule": {
        // the turns of lines that are emptied so are kept or not
        if (this.takingTurns.has(operation.id)) return () => Effect.void
        const request = rescheduleOf(operation)
        return (store) => store.reschedule([request])
      }
      case "remove":
        return (store) => store.remove(operation.ids)
      case "pause":
        return (store) => Effect.provideService(pause(operation.queue, operation.paused), RecordStore, store.records)
      case "limit": {
        const limit = limitOf(operation, now)
        if (limit !== null && isTimed(limit)) this.isTimed = true
        return (store) => Effect.provideService(setLimit(operation.id, limit), RecordStore, store.records)
      }
      case "pause key":
        return paused(Gates.pausedKeyKind, operation.pass, operation.paused)
      case "pause type":
        return paused(Gates.pausedTypeKind, operation.type, operation.paused)
      case "let go":
        return (store) => store.letGo([operation.pass])
      case "charge":
        return (store) => store.charge([operation])
      case "prune": {
        const { do: _do, limit: _limit, ...fields } = operation
        // all or none by number: among tasks that finished together the choice is the store's
        const maxFinished = fields.maxFinished < 100 ? 0 : 100
        const maxKeyedFinished = fields.maxKeyedFinished < 100 ? 0 : 100
        return (store) => store.prune(retention({ ...fields, maxFinished, maxKeyedFinished }), 100)
      }
    }
  }

  private note(tasks: ReadonlyArray<NewTask>): void {
    for (const { gate, id } of tasks) if (gate?.includes("f=") === true) this.takingTurns.add(id)
  }

  /** With rates and breakers, when it pays to ask again depends on how far a store has looked. */
  private claim(request: ClaimRequest): Act {
    const { isTimed } = this
    return (store) =>
      Effect.map(store.claim(request), ({ expired = [], ...answer }) => ({
        ...answer,
        nextDueAt: isTimed ? null : answer.nextDueAt,
        expired: expired.map(({ id }) => id).sort()
      }))
  }

  /** Remembers the leases that a claim gave, or one that gave nothing at first when it was repeated. */
  learn(operation: Operation, answer: ClaimAnswer | undefined): void {
    if (operation.do !== "claim" && operation.do !== "claim again") return
    const last = this.claims.get(operation.instance)
    if (last === undefined || last.gaveAt !== undefined || answer === undefined || answer.tasks.length === 0) return
    last.gaveAt = answer.now
    this.refs = [...answer.tasks.map(({ claim, id }) => ({ id, claim })), ...this.refs]
  }

  private ref(attempt: number): ClaimRef {
    return this.refs.length === 0 ? { id: "unknown", claim: 1 } : this.refs[attempt % this.refs.length]!
  }
}

const newTaskOf = (drawn: OperationOf<"together">["tasks"][number], now: number): NewTask => {
  const { gate, runIn, tags: _tags, trace: _trace, unique, ...task } = drawn
  return {
    ...task,
    ...marksOf(drawn),
    maxRetries: 3,
    timeoutMs: null,
    ...gatedBy(gate, task.key),
    unique: uniqueBy(unique),
    runAt: runIn === null ? null : now + runIn,
    expiresInMs: expiryOf(drawn)
  }
}

const paused = (kind: string, id: string, isPaused: boolean): Act => (store) =>
  Effect.provideService(putRecord(kind, id, isPaused ? {} : null), RecordStore, store.records)

/** The answer without versions: each store has its own. */
const together = (
  nonce: string,
  record: OperationOf<"together">["record"],
  tasks: ReadonlyArray<NewTask>,
  settlements: ReadonlyArray<Settlement>
): Act =>
(store) =>
  Effect.gen(function*() {
    const [found] = yield* store.records.get(stepRecord.kind, [stepRecord.id])
    const expects = expectedOf(record, found?.version)
    const changes = record === "stays" ? [] : [{ ...stepRecord, expects, document: `"${nonce}"` }]
    const result = yield* Effect.result(store.records.atomically(nonce, { changes, tasks, settlements }))
    if (result._tag === "Failure") return reasonOf(result.failure)
    const { version: _version, ...answer } = result.success
    return answer
  })

const settlementOf = (
  { as, delayMs }: { readonly as: Settlement["_tag"]; readonly delayMs: number },
  ref: ClaimRef,
  number: number
): Settlement => {
  const failure: TaskFailure = { kind: "error", tag: "Refused", message: `failure ${number}` }
  switch (as) {
    case "Complete":
      return { _tag: as, ...ref, result: String(number) }
    case "Retry":
      return { _tag: as, ...ref, delayMs, failure }
    case "Fail":
      return { _tag: as, ...ref, failure }
    case "Snooze":
      return { _tag: as, ...ref, delayMs }
    default:
      return { _tag: as, ...ref }
  }
}

/** Everything that can be seen; sequence numbers are each store's own. */
const everything = Effect.fnUntraced(function*(store: Store) {
  const listed = yield* store.list({ limit: 1000 })
  const filtered = yield* store.list({ limit: 3, states: ["pending", "failed"], types: ["a"], queues: ["x", "y"] })
  return {
    tasks: listed.tasks.map(({ seq: _seq, ...task }) => task),
    filtered: filtered.tasks.map(({ id }) => id),
    isLast: filtered.next === undefined,
    results: yield* store.results(ids),
    awaited: yield* store.awaitResults(ids),
    counts: yield* store.counts,
    passes: (yield* store.passes(passes)).map(({ holder, holders, pass, running }) => ({
      pass,
      running,
      holders: holders.toSorted(),
      // one that holds nothing may be forgotten
      holder: holder !== null && isFinished(holder.state) && holder.state !== "failed" ? null : holder
    })),
    record: (yield* store.records.get(stepRecord.kind, [stepRecord.id])).map((record) => record?.document),
    paused: yield* Effect.provideService(PausedQueues.names, RecordStore, store.records),
    lanes: yield* store.laneCounts({ limit: 100 }),
    lane: yield* store.laneCounts({ limit: 1, after: { queue: "x", type: "a" } }),
    stranded: (yield* store.stranded([{ types: ["a"], queues: ["y"] }], 100)).map(({ queue, since, type }) =>
      `${queue} ${type} ${since}`
    ).toSorted()
  }
})

const agree = (what: string, actual: unknown, expected: unknown): void => {
  if (!isDeepStrictEqual(plain(actual), plain(expected))) {
    assert.fail(`${what}: the driver has ${JSON.stringify(actual)}, memory has ${JSON.stringify(expected)}`)
  }
}

/** As it looks in JSON, with what is undefined kept apart from what is null. */
const plain = (value: unknown): unknown =>
  value === undefined
    ? undefined
    : JSON.parse(JSON.stringify(value, (_, field) => field === undefined ? "undefined" : field))
