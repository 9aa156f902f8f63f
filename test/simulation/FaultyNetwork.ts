/**
 * What lies between an instance and the store. Each call is a message that takes its time, may get lost on the way
 * there or back, may arrive twice, and is applied on the store's machine whatever has become of the caller meanwhile.
 */
import { Context, Effect, Exit, Scheduler } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import { withoutTransactions } from "../../src/store/Driver.ts"
import type { InstanceStore } from "../../src/store/InstanceStore.ts"
import type { Hint, Notifier } from "../../src/store/Notifier.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import type { Machine, SeededRandom, World } from "../../src/testing/Simulation.ts"
import type { Network } from "./Scenario.ts"

type Store = TaskStore["Service"]

/** What the network does once everything works. */
const calm = { latencyMs: 2, lostRequest: 0, lostReply: 0, duplicated: 0, late: 0 } as const

/** The network of one simulated cluster. */
export class FaultyNetwork {
  private readonly world: World
  private readonly server: Machine
  private readonly random: SeededRandom
  private network: Network
  private outages = 0
  private readonly cuts = new Map<Machine, number>()
  private readonly listeners = new Map<(hint: Hint) => void, Machine>()

  constructor(world: World, server: Machine, network: Network) {
    this.world = world
    this.server = server
    this.network = network
    this.random = world.random("network")
  }

  /** Nothing goes wrong from now on, except that hints may stay lost. */
  heal(silent: boolean): void {
    this.network = { ...this.network, ...calm, lostHint: silent ? 1 : 0 }
    this.outages = 0
    this.cuts.clear()
  }

  /** Nobody reaches the store for a while; calls that are under way may still arrive. */
  outage(durationMs: number): void {
    this.outages++
    this.world.after(durationMs, () => {
      this.outages = Math.max(0, this.outages - 1)
    })
  }

  /** One machine does not reach the store for a while. */
  cut(machine: Machine, durationMs: number): void {
    this.cuts.set(machine, this.world.now + durationMs)
  }

  /** The store as an instance reaches it. */
  storeFor(machine: Machine, store: Store): Store {
    const call = <A>(operation: string, effect: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> =>
      this.call(machine, operation, effect)
    return {
      ...withoutTransactions,
      enqueue: (groups) => call("enqueue", store.enqueue(groups)),
      claim: (request) => call("claim", store.claim(request)),
      extend: (refs, leaseForMs) => call("extend", store.extend(refs, leaseForMs)),
      settle: (settlements) => call("settle", store.settle(settlements)),
      report: (reports) => call("report", store.report(reports)),
      passes: (passes) => call("passes", store.passes(passes)),
      charge: (charges) => call("charge", store.charge(charges)),
      letGo: (passes) => call("letGo", store.letGo(passes)),
      rescue: (request) => call("rescue", store.rescue(request)),
      expire: (limit) => call("expire", store.expire(limit)),
      cancel: (ids) => call("cancel", store.cancel(ids)),
      rerun: (ids) => call("rerun", store.rerun(ids)),
      reopen: (ids, options) => call("rerun", store.reopen(ids, options)),
      reschedule: (requests) => call("reschedule", store.reschedule(requests)),
      remove: (ids) => call("remove", store.remove(ids)),
      prune: (retention, limit) => call("prune", store.prune(retention, limit)),
      get: (id) => call("get", store.get(id)),
      results: (ids) => call("results", store.results(ids)),
      awaitResults: (ids) => call("awaitResults", store.awaitResults(ids)),
      list: (request) => call("list", store.list(request)),
      stranded: (runnable, limit) => call("stranded", store.stranded(runnable, limit)),
      edges: (id) => call("edges", store.edges(id)),
      links: (request) => call("links", store.links(request)),
      tell: call("tell", store.tell),
      consequences: store.consequences,
      counts: call("counts", store.counts),
      laneCounts: (range) => call("laneCounts", store.laneCounts(range))
    }
  }

  /** The same for what instances know of each other. */
  instancesFor(machine: Machine, store: InstanceStore["Service"]): InstanceStore["Service"] {
    return {
      beat: (beat, keepForMs) => this.call(machine, "beat", store.beat(beat, keepForMs)),
      leave: (id) => this.call(machine, "leave", store.leave(id)),
      list: this.call(machine, "list", store.list),
      lead: (chore, id, forMs) => this.call(machine, "lead", store.lead(chore, id, forMs))
    }
  }

  /** The same for records. */
  recordsFor(machine: Machine, store: RecordStore["Service"]): RecordStore["Service"] {
    return {
      get: (kind, ids) => this.call(machine, "read records", store.get(kind, ids)),
      put: (changes, nonce) => this.call(machine, "put records", store.put(changes, nonce)),
      atomically: (nonce, parts) => this.call(machine, "write together", store.atomically(nonce, parts)),
      list: (kind, request) => this.call(machine, "list records", store.list(kind, request)),
      due: (kind, limit) => this.call(machine, "find due records", store.due(kind, limit)),
      take: (kind, limit, leaseForMs) => this.call(machine, "take records", store.take(kind, limit, leaseForMs))
    }
  }

  /** Hints between all instances, each of which may get lost for any of them. */
  notifierFor(machine: Machine): Notifier["Service"] {
    return {
      publish: (hint) =>
        Effect.sync(() => {
          for (const [listener, at] of this.listeners) {
            if (!at.isAlive) this.listeners.delete(listener)
            if (this.random.chance(this.network.lostHint)) continue
            // In its own process a hint is a call.
            if (at === machine) listener(hint)
            else this.world.after(this.latency(), () => at.post(() => this.listeners.has(listener) && listener(hint)))
          }
        }),
      listen: (listener) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() => this.listeners.set(listener, machine)),
          () => Effect.sync(() => this.listeners.delete(listener))
        ))
    }
  }

  private call<A, E>(
    machine: Machine,
    operation: string,
    effect: Effect.Effect<A, E>
  ): Effect.Effect<A, E | StoreError> {
    const { network, random, world } = this
    return Effect.callback<A, E | StoreError>((resume) => {
      let waiting = true
      let giveUp = () => {}
      const answer = (exit: Exit.Exit<A, E | StoreError>) => {
        if (!waiting) return
        waiting = false
        giveUp()
        resume(exit)
      }
      const replyAfter = (millis: number, exit: Exit.Exit<A, E>) =>
        world.after(millis, () => machine.post(() => answer(exit)))
      const failAfter = (millis: number, reason: string) =>
        world.after(millis, () => machine.post(() => answer(Exit.fail(new StoreError({ operation, reason })))))
      const deliver = (replies: boolean) => {
        if (!this.reaches(machine)) return
        const fiber = this.server.run(effect, onTheServer)
        fiber.addObserver((exit) => {
          if (replies && this.reaches(machine)) replyAfter(this.latency(), exit)
        })
      }
      if (!this.reaches(machine)) {
        failAfter(Math.min(this.latency(), network.patienceMs), "it cannot be reached")
        return
      }
      const lost = random.chance(network.lostRequest)
      const replies = !random.chance(network.lostReply)
      if (!lost) world.after(this.latency(), () => deliver(replies))
      if (random.chance(network.duplicated)) {
        world.after(this.latency() + random.pick([0, 1, 50, 1000, 5000]), () => deliver(false))
      }
      giveUp = failAfter(network.patienceMs, "it did not answer in time")
      return Effect.sync(() => {
        waiting = false
        giveUp()
      })
    })
  }

  private reaches(machine: Machine): boolean {
    return this.outages === 0 && (this.cuts.get(machine) ?? 0) <= this.world.now
  }

  private latency(): number {
    const { late, latencyMs } = this.network
    const usual = latencyMs === 0 ? 0 : this.random.int(latencyMs + 1)
    return this.random.chance(late) ? usual + this.random.int(5000) : usual
  }
}

/** The order in which the store's answers are seen is the order in which it applied the operations. */
const onTheServer = Context.make(Scheduler.PreventSchedulerYield, true)
