/**
 * Lends tasks to workers in other processes, which speak HTTP instead of running handlers here:
 *
 * ```text
 * claim ─► a token per task ─► extend · report · log ─► settle
 * ```
 *
 * A claim is the store's own, as for an instance: limits, order, fairness, breakers and pauses are decided in it, and every write of the
 * attempt is fenced by its number. The server keeps nothing that another one needs: what it has to know of a claim is in its token.
 */
import { Clock, Context, Effect, Exit, Layer, type Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { hash } from "node:crypto"
import { type StoreError, UnknownTaskType } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { TooManyWorkers } from "../domain/RemoteErrors.ts"
import type { Settlement } from "../domain/Settlement.ts"
import * as StoredType from "../domain/StoredType.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { ClaimedTask } from "../domain/TaskRecord.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { InstanceStore } from "../store/InstanceStore.ts"
import { Notifier } from "../store/Notifier.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { promotion, TaskStore } from "../store/TaskStore.ts"
import * as LimitRegistrar from "../worker/LimitRegistrar.ts"
import * as ClaimSecret from "./ClaimSecret.ts"
import * as ClaimToken from "./ClaimToken.ts"
import { ClaimFacts } from "./ClaimToken.ts"
import { RemoteAttempt } from "./RemoteAttempt.ts"
import * as RemoteEnds from "./RemoteEnds.ts"
import * as RemoteLogs from "./RemoteLogs.ts"
import * as RemoteOptions from "./RemoteOptions.ts"
import * as RemoteSettler from "./RemoteSettler.ts"
import type { ClaimOrder, ExtendState, Find, RemoteClaim, RemoteEnd, RemoteLine, Settled } from "./RemoteTask.ts"
import * as RemoteWorkers from "./RemoteWorkers.ts"
import { maxWaiting, Waiting } from "./Waiting.ts"

/** Lends tasks to workers in other processes. Definitions of types are handed over with each call: they may change. */
export class RemoteClaims extends Context.Service<RemoteClaims, {
  /** How long a claim holds unless its worker says otherwise, and at most, in milliseconds. */
  readonly lease: { readonly defaultMs: number; readonly maxMs: number }
  /** Claims tasks, and waits for some if need be. Each is held until its lease has run out. */
  readonly claim: (
    find: Find,
    order: ClaimOrder
  ) => Effect.Effect<ReadonlyArray<RemoteClaim>, UnknownTaskType | TooManyWorkers | StoreError>
  /** Makes claims hold for longer; one answer each. */
  readonly extend: (
    find: Find,
    tokens: ReadonlyArray<string>,
    leaseMs: number | undefined
  ) => Effect.Effect<ReadonlyArray<ExtendState>, StoreError>
  /** Stores how far attempts are, from 0 to 1. Answers for each whether its token is one; what a lost attempt reports is ignored. */
  readonly report: (
    reports: ReadonlyArray<{ readonly token: string; readonly progress: number }>
  ) => Effect.Effect<ReadonlyArray<boolean>, StoreError>
  /** Keeps lines with an attempt. Answers for each whether its token is one. */
  readonly log: (
    logs: ReadonlyArray<{ readonly token: string; readonly lines: ReadonlyArray<RemoteLine> }>
  ) => Effect.Effect<ReadonlyArray<boolean>, StoreError>
  /** Ends attempts; one answer each. The first end of an attempt counts. */
  readonly settle: (
    find: Find,
    ends: ReadonlyArray<{ readonly token: string; readonly end: RemoteEnd }>
  ) => Effect.Effect<ReadonlyArray<Settled>, StoreError>
  /** Sends those away who wait: the server stops. */
  readonly close: Effect.Effect<void>
}>()("taskforge/remote/RemoteClaims") {
  /** On whichever store is provided. */
  static readonly layer = (
    options: RemoteOptions.Options = {}
  ): Layer.Layer<
    RemoteClaims,
    never,
    TaskStore | RecordStore | Notifier | InstanceStore | Supervisor | SecureRandom.SecureRandom
  > => Layer.effect(RemoteClaims, make(options))
}

const make = Effect.fnUntraced(function*(options: RemoteOptions.Options) {
  const { lease, limitsOfQueues, pollMs, timeoutMs } = RemoteOptions.resolve(options)
  const store = yield* TaskStore
  const records = yield* RecordStore
  const random = yield* SecureRandom.SecureRandom
  const clock = yield* Clock.Clock
  const now = () => MonotonicClock.exactMillis(clock)
  const workers = yield* RemoteWorkers.start({ ...(yield* RemoteOptions.services), clock, keepForMs: lease.instanceMs })
  const settler = yield* RemoteSettler.make(limitsOfQueues)
  const waiting = new Waiting(now)
  yield* (yield* Notifier).listen((hint) => {
    if (hint._tag === "Work") waiting.wake()
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => waiting.close()))

  let known: Uint8Array | undefined
  const secret = Effect.suspend(() =>
    known === undefined
      ? Effect.tap(
        ClaimSecret.load.pipe(
          Effect.provideService(RecordStore, records),
          Effect.provideService(SecureRandom.SecureRandom, random)
        ),
        (loaded) => Effect.sync(() => known = loaded)
      )
      : Effect.succeed(known)
  )

  /** How far the store's clock is ahead of this machine's, as its last answer showed. */
  let offMs = 0
  const storeNow = (): number => Math.round(clock.currentTimeMillisUnsafe() + offMs)
  const noteClock = (storeMs: number): number => {
    offMs = storeMs - clock.currentTimeMillisUnsafe()
    return storeMs
  }

  /** Definitions whose limits are stored. */
  const registered = new WeakSet<AnyTaskDefinition>()
  const register = (definitions: ReadonlyArray<AnyTaskDefinition>): Effect.Effect<void, StoreError> => {
    const added = definitions.filter((definition) => !registered.has(definition))
    if (added.length === 0) return Effect.void
    return Effect.andThen(
      LimitRegistrar.make(knownOf(added), records, limitsOfQueues),
      Effect.sync(() => added.forEach((definition) => registered.add(definition)))
    )
  }

  const leaseOf = (leaseMs: number | undefined): number =>
    Math.min(lease.maxMs, Math.max(RemoteOptions.minLeaseMs, Math.ceil(leaseMs ?? lease.defaultMs)))

  /** Gives back what was claimed for a worker that is gone. */
  const giveBack = (claims: ReadonlyArray<ClaimToken.ClaimFacts>) => {
    const releases = claims.map(({ claim, id }): Settlement => ({ _tag: "Release", id, claim }))
    claims.forEach(workers.letsGo)
    return releases.length === 0 ? Effect.void : Effect.ignore(store.settle(releases))
  }

  /** One claim. It is never interrupted on its way: what it has taken would be lost for as long as its lease. */
  const lookOnce = Effect.fnUntraced(function*(find: Find, order: ClaimOrder, nonce: number) {
    const key = yield* secret
    const { max, queues, types, worker } = order
    const leaseForMs = leaseOf(order.leaseMs)
    const instance = RemoteWorkers.instanceOf(worker)
    const answer = yield* store.claim({
      types: types.flatMap((type) => StoredType.upTo(type, find(type)?.version ?? 1)),
      queues: queues.length === 0 ? undefined : queues,
      limit: max,
      instance,
      leaseForMs,
      nonce
    })
    noteClock(answer.now)
    const slots = workers.freeSlots(worker, answer.tasks.length)
    const found: Array<{ readonly facts: ClaimFacts; readonly claim: RemoteClaim }> = []
    const returned: Array<Settlement> = []
    for (const [index, task] of answer.tasks.entries()) {
      const limitMs = task.timeoutMs ?? timeoutMs
      const facts: ClaimFacts = ClaimFacts.make({
        id: task.id,
        claim: task.claim,
        type: task.type,
        queue: task.queue,
        attempt: task.attempt,
        failures: task.failures,
        maxRetries: task.maxRetries,
        claimedAt: answer.now,
        timeoutMs: Number.isFinite(limitMs) ? limitMs : null,
        gate: task.gate,
        instance,
        slot: slots[index]!
      })
      const definition = find(task.type)
      if (definition === undefined) {
        returned.push({ _tag: "Release", id: task.id, claim: task.claim })
        continue
      }
      const payload = payloadOf(definition, task)
      if (Exit.isFailure(payload)) {
        returned.push(RemoteEnds.withUnfitPayload(new RemoteAttempt(facts, definition, answer.now), payload.cause))
        continue
      }
      const token = ClaimToken.make(facts, key)
      found.push({ facts, claim: claimOf(task, facts, token, payload.value, leaseForMs) })
      workers.holds(facts, leaseForMs)
      settler.started(task, answer.now)
    }
    if (returned.length > 0) yield* store.settle(returned)
    const quietMs = answer.nextDueAt === null ? pollMs : Math.min(pollMs, answer.nextDueAt - answer.now)
    return { found, quietMs }
  })

  const claim = Effect.fnUntraced(function*(find: Find, order: ClaimOrder) {
    const definitions: Array<AnyTaskDefinition> = []
    for (const [index, type] of order.types.entries()) {
      const definition = find(type)
      if (definition === undefined) return yield* new UnknownTaskType({ type, known: [], index })
      definitions.push(definition)
    }
    yield* register(definitions)
    yield* workers.asks(order.worker, { ...worksOf(definitions, limitsOfQueues), queues: order.queues })
    const nonce = order.request === undefined
      ? yield* random.intBetween(0, 2 ** 31)
      : Number.parseInt(hash("sha256", order.request, "hex").slice(0, 13), 16)
    const look = lookOnce(find, order, nonce)
    const found = yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const first = yield* look
        if (first.found.length > 0 || order.waitMs <= 0) return first.found
        if (waiting.isFull) return yield* new TooManyWorkers({ max: maxWaiting })
        const line = JSON.stringify([order.types.toSorted(), order.queues.toSorted()])
        const inLine = waiting.until(line, order.waitMs, Effect.uninterruptible(look))
        return yield* workers.waits(order.worker, restore(inLine))
      })
    )
    const claims = found.map((one) => one.claim)
    // The one that asked may be gone
    return yield* Effect.onInterrupt(
      Effect.as(Effect.yieldNow, claims),
      () => giveBack(found.map(({ facts }) => facts))
    )
  })

  /** Whether the attempt has had its time. Asks the store where it seems so. */
  const isOverdue = ({ claimedAt, timeoutMs }: ClaimFacts, at: number): boolean =>
    timeoutMs !== null && at >= claimedAt + timeoutMs

  const extend = Effect.fnUntraced(function*(
    find: Find,
    tokens: ReadonlyArray<string>,
    leaseMs: number | undefined
  ) {
    const key = yield* secret
    const claims = tokens.map((token) => ClaimToken.read(token, key))
    const states: Array<ExtendState> = claims.map(() => "unknown")
    const seemsLate = claims.some((facts) => facts !== undefined && isOverdue(facts, storeNow()))
    const at = seemsLate ? noteClock((yield* store.claim(promotion)).now) : storeNow()
    const late: Array<readonly [index: number, facts: ClaimFacts]> = []
    const held: Array<readonly [index: number, facts: ClaimFacts]> = []
    claims.forEach((facts, index) => {
      if (facts !== undefined) (seemsLate && isOverdue(facts, at) ? late : held).push([index, facts])
    })
    const leaseForMs = leaseOf(leaseMs)
    const answers = held.length === 0
      ? []
      : yield* store.extend(held.map(([, { claim, id }]) => ({ id, claim })), leaseForMs)
    held.forEach(([index, facts], place) => {
      states[index] = answers[place] ?? "lost"
      if (answers[place] === "lost") workers.letsGo(facts)
      else workers.holds(facts, leaseForMs)
    })
    const ends = yield* settler.settle(
      late.map(([, facts]) => ({ facts, definition: find(facts.type), end: "timeout" })),
      at
    )
    late.forEach(([index, facts], place) => {
      states[index] = ends[place]!.state === "lost" ? "lost" : "timeout"
      workers.letsGo(facts)
    })
    return states
  })

  return RemoteClaims.of({
    lease,
    claim,
    extend,
    report: Effect.fnUntraced(function*(reports) {
      const key = yield* secret
      const claims = reports.map(({ token }) => ClaimToken.read(token, key))
      const told = claims.flatMap((facts, index) =>
        facts === undefined ? [] : [{ id: facts.id, claim: facts.claim, progress: reports[index]!.progress }]
      )
      if (told.length > 0) yield* store.report(told)
      return claims.map((facts) => facts !== undefined)
    }),
    log: Effect.fnUntraced(function*(logs) {
      const key = yield* secret
      const claims = logs.map(({ token }) => ClaimToken.read(token, key))
      if (options.keepsLogs === false) return claims.map((facts) => facts !== undefined)
      const lines = claims.flatMap((facts, index) => facts === undefined ? [] : [{ facts, lines: logs[index]!.lines }])
      yield* Effect.provideService(RemoteLogs.append(lines, storeNow()), RecordStore, records)
      return claims.map((facts) => facts !== undefined)
    }),
    settle: Effect.fnUntraced(function*(find, ends) {
      const key = yield* secret
      const claims = ends.map(({ token }) => ClaimToken.read(token, key))
      const known = claims.flatMap((facts, index) =>
        facts === undefined ? [] : [{ facts, definition: find(facts.type), end: ends[index]!.end }]
      )
      const answers = yield* settler.settle(known, storeNow())
      known.forEach(({ facts }) => workers.letsGo(facts))
      let place = 0
      return claims.map((facts): Settled => facts === undefined ? { state: "unknown" } : answers[place++]!)
    }),
    close: Effect.sync(() => waiting.close())
  })
})

const knownOf = (definitions: ReadonlyArray<AnyTaskDefinition>): LimitRegistrar.Known => {
  const byType = new Map(definitions.map((definition) => [definition.type, { definition }]))
  const types = definitions.flatMap(({ type, version }) => StoredType.upTo(type, version))
  return { types: () => types, find: (type) => byType.get(type) }
}

const worksOf = (definitions: ReadonlyArray<AnyTaskDefinition>, limits: RemoteOptions.Resolved["limitsOfQueues"]) => {
  const described = LimitRegistrar.described(knownOf(definitions), limits)
  return { types: described.types, limits: described.limits ?? [] }
}

/** The payload as the worker gets it: of the version that its type has now, as it is stored where it is of that already. */
const payloadOf = (definition: AnyTaskDefinition, task: ClaimedTask): Exit.Exit<Schema.Json, Schema.SchemaError> => {
  const version = task.version ?? 1
  const decoded = definition.codec.decodePayload(task.payload, version)
  if (Exit.isFailure(decoded)) return Exit.failCause(decoded.cause)
  if (version === definition.version) return Exit.succeed(JSON.parse(task.payload) as Schema.Json)
  return Exit.map(definition.codec.encodePayload(decoded.value), (text) => JSON.parse(text) as Schema.Json)
}

const claimOf = (
  task: ClaimedTask,
  { timeoutMs }: ClaimFacts,
  token: string,
  payload: Schema.Json,
  leaseMs: number
): RemoteClaim => ({
  token,
  id: task.id,
  type: task.type,
  queue: task.queue,
  payload,
  priority: task.priority,
  attempt: task.attempt,
  failures: task.failures,
  crashes: task.crashes,
  maxRetries: task.maxRetries,
  leaseMs,
  timeoutMs,
  dueAt: task.dueAt,
  trace: task.trace
})
