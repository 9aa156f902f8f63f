/**
 * Stands outside the engine and writes down what happens: at the store, in the order in which it applies operations,
 * and at each process, when an answer has reached it.
 */
import { Effect, Exit, Result } from "effect"
import { idOf } from "../../src/domain/Seen.ts"
import type { InstanceStore } from "../../src/store/InstanceStore.ts"
import type { RecordStore, Together, Written } from "../../src/store/RecordStore.ts"
import type { ClaimAnswer, ClaimRequest, TaskStore } from "../../src/store/TaskStore.ts"
import type { Machine, World } from "../../src/testing/Simulation.ts"
import { describe, type Event, type Operation } from "./History.ts"

type Store = TaskStore["Service"]
type Instances = InstanceStore["Service"]
type Records = RecordStore["Service"]

/** An operation that has reached the store. */
interface Arrived {
  /** What to do once it is its turn to be written down; `undefined` until the store has answered. */
  answered: (() => void) | undefined
}

/** The witness of one run. */
export class Witness {
  private readonly world: World
  private readonly server: Machine
  private readonly listeners: Array<(event: Event) => void> = []
  private readonly arrived: Array<Arrived> = []
  private waiting: Array<() => void> = []
  private pruning = false
  /** By task, the token of the signal that it waits for, as it has told those who are to complete it. */
  readonly tokens = new Map<string, string>()
  /** By nonce, what was written together. */
  private readonly written = new Map<string, Written>()
  private readonly measured: () => number
  /** Explains, at the store, the tasks that a claim has left; `undefined` where there are none. */
  explain: (request: ClaimRequest, answer: ClaimAnswer) => Event | undefined = () => undefined

  /** Looks, at the store, at tasks that have been told of the ends of others; `undefined` where there are none. */
  lookAtDependents: () => Event | undefined = () => undefined

  /** `measured` is the clock by which the store measures. */
  constructor(world: World, server: Machine, measured: () => number) {
    this.world = world
    this.server = server
    this.measured = measured
  }

  /** What the store's wall clock shows. */
  get storeNow(): number {
    return this.server.wallMs
  }

  /** Calls a listener with each event, before anything else happens. */
  onEvent(listener: (event: Event) => void): void {
    this.listeners.push(listener)
  }

  /** Writes an event down. */
  saw(event: Event): void {
    for (const listener of this.listeners) listener(event)
    if (isWorthALine(event)) this.world.log(describe(event))
  }

  /** The store, seen from its own side: `finished` are the tasks that pruning may have taken. */
  atTheStore(store: Store, from: string, finished: () => ReadonlyArray<string>): Store {
    const watch = <A, E>(effect: Effect.Effect<A, E>, operation: (answer: A) => Operation) =>
      this.inOrder(effect, from, operation)
    return {
      ...store,
      enqueue: (groups) => watch(store.enqueue(groups), (answers) => ({ op: "enqueue", groups, answers })),
      claim: (request) => watch(store.claim(request), (answer) => ({ op: "claim", request, answer })),
      extend: (refs, leaseForMs) =>
        watch(store.extend(refs, leaseForMs), (answers) => ({ op: "extend", refs, leaseForMs, answers })),
      settle: (settlements) => watch(store.settle(settlements), (answers) => ({ op: "settle", settlements, answers })),
      report: (reports) => watch(store.report(reports), () => ({ op: "report", reports })),
      rescue: (request) => watch(store.rescue(request), ({ rescued }) => ({ op: "rescue", request, rescued })),
      expire: (limit) => watch(store.expire(limit), (expired) => ({ op: "expire", limit, expired })),
      cancel: (ids) => watch(store.cancel(ids), (answers) => ({ op: "cancel", ids: ids.map(idOf), answers })),
      rerun: (ids) => watch(store.rerun(ids), (answers) => ({ op: "rerun", ids: ids.map(idOf), answers })),
      reschedule: (requests) =>
        watch(store.reschedule(requests), (answers) => ({ op: "reschedule", requests, answers })),
      remove: (ids) => watch(store.remove(ids), (answers) => ({ op: "remove", ids: ids.map(idOf), answers })),
      prune: (retention, limit) =>
        this.alone(Effect.flatMap(store.prune(retention, limit), (count) => {
          const ids = count === 0 ? [] : finished()
          return Effect.map(ids.length === 0 ? Effect.succeed([]) : store.results(ids), (results) => {
            const gone = ids.filter((_, index) => results[index] === null)
            this.stored(from, { op: "prune", retention, gone })
            return count
          })
        }))
    }
  }

  /** The same for what instances know of each other. */
  instancesAtTheStore(store: Instances, from: string): Instances {
    return {
      ...store,
      leave: (id) => this.inOrder(store.leave(id), from, () => ({ op: "leave", id })),
      lead: (chore, id, forMs) =>
        this.inOrder(store.lead(chore, id, forMs), from, (leads) => ({ op: "lead", chore, id, forMs, leads }))
    }
  }

  /** The same for records. */
  recordsAtTheStore(store: Records, from: string): Records {
    return {
      ...store,
      put: (changes, nonce) =>
        this.inOrder(store.put(changes, nonce), from, (version) => ({ op: "put records", changes, nonce, version })),
      atomically: (nonce, parts) =>
        Effect.flatMap(
          this.inOrder(
            Effect.result(store.atomically(nonce, parts)),
            from,
            (result) => this.together(nonce, parts, result)
          ),
          Effect.fromResult
        ),
      take: (kind, limit, leaseForMs) =>
        this.inOrder(store.take(kind, limit, leaseForMs), from, (answer) => ({
          op: "take records",
          kind,
          leaseForMs,
          answer
        }))
    }
  }

  /** The store, seen from a process: what its engine comes to know. */
  atTheProcess(store: Store, process: string): Store {
    const told = (news: "claimed" | "lost" | "cancel", refs: ReadonlyArray<{ id: string; claim: number }>): void => {
      if (refs.length > 0) {
        this.saw({
          _tag: "Told",
          at: this.world.now,
          process,
          news,
          refs: refs.map(({ claim, id }) => ({ id, claim }))
        })
      }
    }
    return {
      ...store,
      claim: (request) =>
        Effect.map(store.claim(request), (answer) => {
          this.saw({ _tag: "Claimed", at: this.world.now, process, limit: request.limit })
          told("claimed", answer.tasks)
          return answer
        }),
      extend: (refs, leaseForMs) =>
        Effect.map(store.extend(refs, leaseForMs), (answers) => {
          told("lost", refs.filter((_, index) => answers[index] === "lost"))
          told("cancel", refs.filter((_, index) => answers[index] === "cancel"))
          return answers
        })
    }
  }

  /** What was written together, as the single operations that it is: a task that ends makes room for one that begins. */
  private together(
    nonce: string,
    { changes = [], settlements = [], tasks = [] }: Together,
    result: Result.Result<Written, { readonly _tag: string }>
  ): ReadonlyArray<Operation> {
    const before = this.written.get(nonce)
    if (Result.isFailure(result)) {
      const { _tag } = result.failure
      return before === undefined || _tag === "StoreError"
        ? []
        : [{ op: "write together again", nonce, before, answer: _tag }]
    }
    const written = result.success
    if (before !== undefined) return [{ op: "write together again", nonce, before, answer: written }]
    this.written.set(nonce, written)
    const { now, version } = written
    return [
      { op: "settle", settlements, answers: settlements.map(() => "applied") },
      { op: "enqueue", groups: [tasks], answers: [{ _tag: "Accepted", tasks: written.tasks, now }] },
      { op: "put records", changes, nonce, version }
    ]
  }

  private stored(from: string, operation: Operation): void {
    this.sawStored(from, operation)
    if (operation.op !== "claim" || operation.answer.tasks.length >= operation.request.limit) return
    // what has arrived since has changed the store, and is not written down yet
    const event = this.arrived.length === 0 ? this.explain(operation.request, operation.answer) : undefined
    if (event !== undefined) this.saw(event)
  }

  private sawStored(from: string, operation: Operation): void {
    this.saw({
      _tag: "Stored",
      at: this.world.now,
      now: this.server.wallMs,
      measured: this.measured(),
      from,
      ...operation
    })
  }

  /**
   * A store may commit operations together and answer them in another order. It applies them in the order in which they
   * arrive: in that order they are written down, and nobody gets an answer before that.
   */
  private inOrder<A, E>(
    effect: Effect.Effect<A, E>,
    from: string,
    operation: (answer: A) => Operation | ReadonlyArray<Operation>
  ): Effect.Effect<A, E> {
    return this.when(() => !this.pruning, () => {
      const entry: Arrived = { answered: undefined }
      this.arrived.push(entry)
      return Effect.flatMap(Effect.exit(effect), (exit) =>
        Effect.callback<A, E>((resume) => {
          entry.answered = () => {
            if (Exit.isSuccess(exit)) { for (const one of [operation(exit.value)].flat()) this.stored(from, one) }
            // what has arrived since has changed the store, and is not written down yet
            const event = this.arrived.length === 0 ? this.lookAtDependents() : undefined
            if (event !== undefined) this.saw(event)
            resume(exit)
          }
          while (this.arrived[0]?.answered !== undefined) this.arrived.shift()!.answered!()
          this.wake()
        }))
    })
  }

  /** An operation beside which the store has no other: nobody else has changed what is seen after it. */
  private alone<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return this.when(() => !this.pruning && this.arrived.length === 0, () => {
      this.pruning = true
      return Effect.ensuring(
        effect,
        Effect.sync(() => {
          this.pruning = false
          this.wake()
        })
      )
    })
  }

  private when<A, E>(condition: () => boolean, effect: () => Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() =>
      condition() ? effect() : Effect.andThen(
        Effect.callback<void>((resume) => {
          this.waiting.push(() => resume(Effect.void))
        }),
        this.when(condition, effect)
      )
    )
  }

  private wake(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const resume of waiting) resume()
  }
}

/** Idle polling would fill the trace. */
const isWorthALine = (event: Event): boolean => {
  if (event._tag !== "Stored") return event._tag !== "Claimed" && event._tag !== "Explained"
  switch (event.op) {
    case "claim":
      return event.answer.tasks.length > 0 || (event.answer.expired ?? []).length > 0
    case "expire":
      return event.expired.length > 0
    case "rescue":
      return event.rescued.length > 0
    case "prune":
      return event.gone.length > 0
    case "take records":
      return event.answer.records.length > 0
    case "lead":
      return false
    default:
      return true
  }
}
