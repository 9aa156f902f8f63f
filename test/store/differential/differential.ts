/**
 * Does the same to a driver and to the memory store, and compares every answer and everything that is stored. Both read
 * clocks that stand still between operations, so the answers must be equal to the last digit.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Context, Effect, Layer } from "effect"
import { isDeepStrictEqual } from "node:util"
import type { Settlement } from "../../../src/domain/Settlement.ts"
import type { NewTask, TaskFailure } from "../../../src/domain/TaskRecord.ts"
import * as MemoryStore from "../../../src/store/memory/MemoryStore.ts"
import { type ClaimRequest, type Lease, TaskStore } from "../../../src/store/TaskStore.ts"
import type { Driver } from "../conformance/driver.ts"
import { anyTime } from "../conformance/fixtures.ts"
import { groupOf, ids, type Operation, sequences } from "../model/Operation.ts"

const settings = { capacity: 4, headStart: 2000, maxCrashes: 1 }

/** Holds a driver to the memory store. Its clock must stand at the test's own, and move by `advance` alone. */
export const differential = (name: string, driver: Driver, options: { readonly runs: number }): void => {
  describe(`${name} answers like the memory store`, () => {
    it.effect("whatever is done to both, in whatever order", () =>
      Effect.gen(function*() {
        const result = yield* Arbitrary.checkEffect(sequences, (operations) => run(driver, operations), {
          runs: Number(process.env["MODEL_RUNS"] ?? options.runs),
          size: 240,
          maxShrinks: 1000,
          seed: process.env["MODEL_SEED"],
          replay: process.env["MODEL_REPLAY"]
        })
        if (result._tag !== "Passed") assert.fail(Arbitrary.formatCheckFailure(result) ?? result._tag)
      }), 600_000)
  })
}

/** One sequence on two fresh stores; fails with the first difference. */
const run = (driver: Driver, operations: ReadonlyArray<Operation>) =>
  Effect.gen(function*() {
    const begun = yield* Clock.currentTimeMillis
    const startedAt = (yield* Clock.Clock).monotonicTimeNanosUnsafe()
    let passed = 0
    // moved by hand: adjusting the test's clock would wait for whatever the driver's connection sleeps for
    const clock: Clock.Clock = Object.assign(Object.create(yield* Clock.Clock) as Clock.Clock, {
      currentTimeMillisUnsafe: () => begun + passed,
      monotonicTimeNanosUnsafe: () => startedAt + BigInt(passed) * 1_000_000n
    })
    const memory = Layer.provide(Layer.fresh(MemoryStore.layer(settings)), Layer.succeed(Clock.Clock, clock))
    const stores = [
      Context.get(yield* Layer.build(memory), TaskStore),
      Context.get(yield* Layer.build(Layer.fresh(driver.layer(settings))), TaskStore)
    ] as const
    const history = new History()
    for (const [index, operation] of operations.entries()) {
      if (operation.do === "advance") {
        passed += operation.ms
        yield* driver.advance(operation.ms)
        continue
      }
      const act = history.plan(operation, begun + passed)
      const [expected, actual] = [yield* act(stores[0]), yield* act(stores[1])]
      const step = `step ${index + 1} (${JSON.stringify(operation)})`
      agree(`the answer to ${step}`, actual, expected)
      history.learn(operation, expected)
      agree(`what is stored after ${step}`, yield* everything(stores[1]), yield* everything(stores[0]))
    }
    return true
  }).pipe(Effect.scoped)

type Store = TaskStore["Service"]
type Act = (store: Store) => Effect.Effect<unknown, unknown>

/** What later operations refer to: the leases given out, the latest first, and each worker's last claim. */
class History {
  private leases: Array<Lease> = []
  private readonly claims = new Map<string, ClaimRequest>()
  private numbers = 0

  /** An operation as a call. */
  plan(operation: Exclude<Operation, { readonly do: "advance" }>, now: number): Act {
    switch (operation.do) {
      case "enqueue": {
        const groups = operation.groups.map((group) =>
          group.map(({ runIn, ...task }): NewTask => ({
            ...task,
            maxRetries: 3,
            timeoutMs: null,
            runAt: runIn === null ? null : now + runIn
          }))
        )
        return (store) => store.enqueue(groups)
      }
      case "enqueue alike":
        return this.plan(groupOf(operation), now)
      case "claim": {
        const { do: _do, ...asked } = operation
        const request = { ...asked, nonce: ++this.numbers }
        this.claims.set(request.worker, request)
        return (store) => store.claim(request)
      }
      case "claim again": {
        const request = this.claims.get(operation.worker)
        return (store) => request === undefined ? Effect.void : store.claim(request)
      }
      case "settle": {
        const settlements = operation.items.map((item) => settlementOf(item, this.lease(item.attempt), ++this.numbers))
        return (store) => store.settle(settlements)
      }
      case "extend": {
        const leases = operation.attempts.map((attempt) => this.lease(attempt))
        return (store) => store.extend(leases, operation.leaseForMs)
      }
      case "note": {
        const lease = this.lease(operation.attempt)
        return (store) => store.note([{ ...lease, progress: operation.progress }])
      }
      case "rescue":
        // all of them: which come first is the store's choice
        return (store) =>
          Effect.map(
            store.rescue({ limit: 100, ...anyTime }),
            ({ rescued }) => rescued.toSorted((a, b) => a.id < b.id ? -1 : 1)
          )
      case "cancel":
        return (store) => store.cancel(operation.ids)
      case "retry":
        return (store) => store.retry(operation.ids)
      case "remove":
        return (store) => store.remove(operation.ids)
      case "pause":
        return (store) => store.pause(operation.queue, operation.paused)
      case "prune": {
        const { do: _do, limit: _limit, ...retention } = operation
        // all or none by number: among tasks that finished together the choice is the store's
        const maxFinished = retention.maxFinished < 100 ? 0 : 100
        const maxKeyedFinished = retention.maxKeyedFinished < 100 ? 0 : 100
        return (store) => store.prune({ ...retention, maxFinished, maxKeyedFinished }, 100)
      }
    }
  }

  /** Remembers the leases that an answer gave. */
  learn(operation: Operation, answer: unknown): void {
    if (operation.do !== "claim") return
    const { tasks } = answer as { readonly tasks: ReadonlyArray<Lease> }
    this.leases = [...tasks.map(({ claim, id }) => ({ id, claim })), ...this.leases]
  }

  private lease(attempt: number): Lease {
    return this.leases.length === 0 ? { id: "unknown", claim: 1 } : this.leases[attempt % this.leases.length]!
  }
}

const settlementOf = (
  { as, delayMs }: { readonly as: Settlement["_tag"]; readonly delayMs: number },
  lease: Lease,
  number: number
): Settlement => {
  const failure: TaskFailure = { kind: "error", tag: "Refused", message: `failure ${number}` }
  switch (as) {
    case "Complete":
      return { _tag: as, ...lease, result: String(number) }
    case "Retry":
      return { _tag: as, ...lease, delayMs, failure }
    case "Fail":
      return { _tag: as, ...lease, failure }
    case "Snooze":
      return { _tag: as, ...lease, delayMs }
    default:
      return { _tag: as, ...lease }
  }
}

/** Everything that can be seen; sequence numbers are each store's own. */
const everything = Effect.fnUntraced(function*(store: Store) {
  const listed = yield* store.list({ limit: 1000 })
  const filtered = yield* store.list({ limit: 3, states: ["pending", "failed"], types: ["a"], queues: ["x", "y"] })
  return {
    tasks: listed.tasks.map(({ seq: _seq, ...task }) => task),
    filtered: filtered.tasks.map(({ id }) => id),
    more: filtered.more,
    results: yield* store.results(ids),
    counts: yield* store.counts,
    paused: yield* store.paused,
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
