/**
 * A store that misbehaves on demand. It decorates a driver's layer, so that tests can take the store down, slow it
 * down, lose its replies or silence its hints while an engine runs on it.
 */
import { Context, type Duration, Effect, Latch, Layer } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import { EventLog } from "../../src/store/EventLog.ts"
import { InstanceStore } from "../../src/store/InstanceStore.ts"
import { type Hint, Notifier } from "../../src/store/Notifier.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"

/** What a store can be asked to do. */
export type Operation = keyof TaskStore["Service"] | keyof InstanceStore["Service"]

type Fault =
  | { readonly _tag: "Down" }
  /** The operation is applied, but its answer never arrives. */
  | { readonly _tag: "LosesReplies" }
  | { readonly _tag: "Slow"; readonly by: Duration.Input }
  /** The operation is applied at once, but its answer takes that long. */
  | { readonly _tag: "AnswersLate"; readonly by: Duration.Input }
  | { readonly _tag: "Hangs" }

/** The switches of a misbehaving store. */
export class TestStore extends Context.Service<TestStore, Faults>()("taskforge/test/TestStore") {
  /** A driver under the control of the test. */
  static readonly around = <E, R>(
    driver: Layer.Layer<TaskStore | RecordStore | Notifier | InstanceStore, E, R>
  ): Layer.Layer<TaskStore | RecordStore | Notifier | InstanceStore | EventLog | TestStore, E, R> =>
    Layer.effectContext(Effect.gen(function*() {
      const faults = new Faults()
      const notifier = yield* Notifier
      return Context.make(TestStore, faults).pipe(
        Context.add(TaskStore, decorate(yield* TaskStore, faults)),
        Context.add(RecordStore, yield* RecordStore),
        Context.add(EventLog, EventLog.none),
        Context.add(InstanceStore, decorateInstances(yield* InstanceStore, faults)),
        Context.add(Notifier, {
          ...notifier,
          publish: (hint) => faults.isSilent(hint) ? Effect.void : notifier.publish(hint)
        })
      )
    })).pipe(Layer.provide(driver))
}

class Faults {
  private readonly faults = new Map<Operation | "all", Fault>()
  private readonly counts = new Map<Operation, number>()
  private readonly hanging = new Set<Latch.Latch>()
  private readonly silenced = new Set<Hint["_tag"]>()
  /** How far the time that claims answer is ahead of the machine's. */
  aheadMs = 0

  /** From now on these operations fail, or all of them. */
  down(...operations: ReadonlyArray<Operation>): void {
    this.set(operations, { _tag: "Down" })
  }

  /** These operations are applied, and then fail. */
  losesReplies(...operations: ReadonlyArray<Operation>): void {
    this.set(operations, { _tag: "LosesReplies" })
  }

  /** These operations take that long before they happen. */
  slow(by: Duration.Input, ...operations: ReadonlyArray<Operation>): void {
    this.set(operations, { _tag: "Slow", by })
  }

  /** These operations happen at once, and answer that much later. */
  answersLate(by: Duration.Input, ...operations: ReadonlyArray<Operation>): void {
    this.set(operations, { _tag: "AnswersLate", by })
  }

  /** These operations do not answer, and fail when everything works again. */
  hangs(...operations: ReadonlyArray<Operation>): void {
    this.set(operations, { _tag: "Hangs" })
  }

  /** New calls of these operations work; those that hang still do. */
  forget(...operations: ReadonlyArray<Operation>): void {
    for (const operation of operations) this.faults.delete(operation)
  }

  /** Everything works again. */
  up(): void {
    this.faults.clear()
    for (const latch of this.hanging) latch.openUnsafe()
    this.hanging.clear()
  }

  /** Hints of these kinds are lost. */
  silence(...hints: ReadonlyArray<Hint["_tag"]>): void {
    for (const hint of hints) this.silenced.add(hint)
  }

  /** How often an operation was called, whatever came of it. */
  calls(operation: Operation): number {
    return this.counts.get(operation) ?? 0
  }

  readonly hang: Effect.Effect<void> = Effect.suspend(() => {
    const latch = Latch.makeUnsafe(false)
    this.hanging.add(latch)
    return latch.await
  })

  isSilent({ _tag }: Hint): boolean {
    return this.silenced.has(_tag)
  }

  called(operation: Operation): Fault | undefined {
    this.counts.set(operation, this.calls(operation) + 1)
    return this.faults.get(operation) ?? this.faults.get("all")
  }

  private set(operations: ReadonlyArray<Operation>, fault: Fault): void {
    for (const operation of operations.length === 0 ? ["all" as const] : operations) this.faults.set(operation, fault)
  }
}

/** An operation under the control of the test. */
const guardWith =
  (faults: Faults) => <A, E>(operation: Operation, effect: Effect.Effect<A, E>): Effect.Effect<A, E | StoreError> =>
    Effect.suspend(() => {
      const fault = faults.called(operation)
      // An error notes where it was made, which takes longer than most operations: only those that fail make one
      const failure = Effect.suspend(() =>
        Effect.fail(new StoreError({ operation, reason: "the test has taken it down" }))
      )
      switch (fault?._tag) {
        case undefined:
          return effect
        case "Down":
          return failure
        case "LosesReplies":
          return Effect.andThen(effect, failure)
        case "AnswersLate":
          return Effect.tap(effect, () => Effect.sleep(fault.by))
        case "Slow":
          return Effect.andThen(Effect.sleep(fault.by), effect)
        case "Hangs":
          return Effect.andThen(faults.hang, failure)
      }
    })

const decorateInstances = (store: InstanceStore["Service"], faults: Faults): InstanceStore["Service"] => {
  const guard = guardWith(faults)
  return {
    beat: (beat, keepForMs) => guard("beat", store.beat(beat, keepForMs)),
    leave: (id) => guard("leave", store.leave(id)),
    list: guard("list", store.list),
    lead: (chore, id, forMs) => guard("lead", store.lead(chore, id, forMs))
  }
}

const decorate = (store: TaskStore["Service"], faults: Faults): TaskStore["Service"] => {
  const guard = guardWith(faults)
  return {
    inTransaction: store.inTransaction,
    afterCommit: store.afterCommit,
    enqueue: (groups) => guard("enqueue", store.enqueue(groups)),
    claim: (request) =>
      guard("claim", Effect.map(store.claim(request), (answer) => ({ ...answer, now: answer.now + faults.aheadMs }))),
    extend: (refs, leaseForMs) => guard("extend", store.extend(refs, leaseForMs)),
    settle: (settlements) => guard("settle", store.settle(settlements)),
    report: (reports) => guard("report", store.report(reports)),
    passes: (passes) => guard("passes", store.passes(passes)),
    charge: (charges) => guard("charge", store.charge(charges)),
    letGo: (passes) => guard("letGo", store.letGo(passes)),
    rescue: (request) => guard("rescue", store.rescue(request)),
    expire: (limit) => guard("expire", store.expire(limit)),
    cancel: (ids) => guard("cancel", store.cancel(ids)),
    rerun: (ids) => guard("rerun", store.rerun(ids)),
    reopen: (ids, options) => guard("rerun", store.reopen(ids, options)),
    reschedule: (requests) => guard("reschedule", store.reschedule(requests)),
    remove: (ids) => guard("remove", store.remove(ids)),
    prune: (retention, limit) => guard("prune", store.prune(retention, limit)),
    get: (id) => guard("get", store.get(id)),
    results: (ids) => guard("results", store.results(ids)),
    awaitResults: (ids) => guard("awaitResults", store.awaitResults(ids)),
    list: (request) => guard("list", store.list(request)),
    stranded: (runnable, limit) => guard("stranded", store.stranded(runnable, limit)),
    edges: (id) => guard("edges", store.edges(id)),
    links: (request) => guard("links", store.links(request)),
    tell: guard("tell", store.tell),
    consequences: store.consequences,
    counts: guard("counts", store.counts),
    laneCounts: (range) => guard("laneCounts", store.laneCounts(range))
  }
}
