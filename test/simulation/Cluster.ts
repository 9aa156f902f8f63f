/**
 * The cluster of one run: a store on a machine of its own, and instances of the real engine that reach it through a
 * faulty network, each a process that may die, stand still, be deployed, and come back.
 */
import { Cause, Context, Effect, Exit, Fiber, Layer, Logger, References, Scope } from "effect"
import type { WorkflowEngine } from "effect/workflow"
import { StoreError } from "../../src/domain/Errors.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { gateReasons } from "../../src/explain/GateReasons.ts"
import { type Signals } from "../../src/flow/Signals.ts"
import { type TaskQueue } from "../../src/queue/TaskQueue.ts"
import { type Schedules } from "../../src/schedule/Schedules.ts"
import { EventLog } from "../../src/store/EventLog.ts"
import { InstanceStore } from "../../src/store/InstanceStore.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { Notifier } from "../../src/store/Notifier.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import type { Machine, World } from "../../src/testing/Simulation.ts"
import { type WorkerPool } from "../../src/worker/WorkerPool.ts"
import { TaskForgeWorkflows } from "../../src/workflow/index.ts"
import * as Clients from "./Clients.ts"
import { FaultyNetwork } from "./FaultyNetwork.ts"
import type { Event } from "./History.ts"
import type { Known } from "./Known.ts"
import { Ledger } from "./Ledger.ts"
import type { Mutant } from "./Mutant.ts"
import * as Records from "./Records.ts"
import { type Fault, leaseMs, pollMs, type Scenario } from "./Scenario.ts"
import { handlers, unlucky } from "./Tasks.ts"
import { Witness } from "./Witness.ts"

type Store = TaskStore["Service"]

/** Tasks that are explained after a claim, at most. */
const maxExplained = 10

/** How long the store's clock is left alone after a step. */
const minStepMs = 3000

/** What an instance's process has once its engine has started. */
export type EngineServices = TaskQueue | Schedules | Signals | WorkerPool | RecordStore | WorkflowEngine.WorkflowEngine

/** One process of an instance, from its start to its end. */
export interface Process {
  readonly instance: number
  readonly name: string
  readonly machine: Machine
  readonly scope: Scope.Closeable
  context: Context.Context<EngineServices> | undefined
  /** Shuts down in order, or has done so. */
  closing: boolean
  closed: boolean
  /** Calls of clients that have not returned. */
  readonly calls: Set<string>
}

/** Builds the driver on the store's machine and keeps it until the scope closes. */
const buildStore = Effect.fnUntraced(function*(server: Machine, scenario: Scenario, mutant: Mutant | undefined) {
  const settings = {
    capacity: scenario.capacity,
    headStart: scenario.headStartMs,
    maxCrashes: scenario.maxCrashes,
    ...mutant?.settings
  }
  const driver = scenario.store === "memory"
    ? MemoryStore.layer(settings)
    : SqliteStore.layer({ ...settings, path: ":memory:" })
  const scope = yield* Scope.make()
  const built = server.run(Layer.buildWithScope(driver, scope), Context.empty())
  yield* Effect.addFinalizer(() => Fiber.await(server.run(Scope.close(scope, Exit.void), Context.empty())))
  return yield* Effect.orDie(Fiber.join(built))
})

/** The same store with something that it cannot keep: a call that brings it is refused, and nothing of it is done. */
const refusingUnlucky = (store: Store): Store => ({
  ...store,
  settle: (settlements) =>
    settlements.some((settlement) => settlement._tag === "Complete" && settlement.result.includes(unlucky))
      ? Effect.fail(new StoreError({ operation: "settle", reason: "it cannot keep this text", refused: true }))
      : store.settle(settlements)
})

/** All processes of all instances. */
export class Cluster {
  readonly witness: Witness
  readonly ledger: Ledger
  readonly processes: Array<Process> = []
  readonly network: FaultyNetwork
  /** The driver itself, with nothing between. */
  readonly store: Store
  readonly records: RecordStore["Service"]
  private readonly scenario: Scenario
  private readonly world: World
  private readonly mutant: Mutant | undefined
  private readonly inside: Store
  private readonly recordsInside: RecordStore["Service"]
  private readonly server: Machine
  private readonly instances: InstanceStore["Service"]
  private readonly attempts = new Map<string, number>()
  private asleep:
    | { readonly processes: Set<Process>; readonly sleep: (machine: Machine) => void; readonly since: number }
    | undefined
  private sleptMs = 0
  private nextStepAt = 0
  private healed = false
  private calls = 0

  /** A cluster without instances. */
  static readonly make = Effect.fnUntraced(function*(scenario: Scenario, world: World, mutant: Mutant | undefined) {
    const server = world.machine("store")
    return new Cluster(scenario, world, server, yield* buildStore(server, scenario, mutant), mutant)
  })

  private constructor(
    scenario: Scenario,
    world: World,
    server: Machine,
    driver: Context.Context<TaskStore | RecordStore | InstanceStore>,
    mutant: Mutant | undefined
  ) {
    this.scenario = scenario
    this.world = world
    this.server = server
    this.mutant = mutant
    this.store = Context.get(driver, TaskStore)
    this.records = Context.get(driver, RecordStore)
    this.recordsInside = mutant?.records?.(this.records) ?? this.records
    const instances = Context.get(driver, InstanceStore)
    this.instances = mutant?.instances?.(instances) ?? instances
    const refusing = refusingUnlucky(this.store)
    this.inside = mutant?.store?.(refusing) ?? refusing
    this.ledger = new Ledger(scenario)
    this.witness = new Witness(
      world,
      server,
      () => scenario.store === "memory" ? world.startsAt + Math.floor(server.monotonicMs) : server.wallMs
    )
    // SQLite answers later, when more may have changed; explanations are read in the same way there
    if (scenario.store === "memory") {
      this.witness.explain = ({ queues, types }, { now }) => this.explained(this.ledger.due(queues, types, now), now)
      this.witness.lookAtDependents = () => this.dependents()
    }
    this.network = new FaultyNetwork(world, server, scenario.network)
  }

  /** What explanations say of tasks that a claim has left although it might have given more. */
  private explained(left: ReadonlyArray<Known>, now: number): Event | undefined {
    if (left.length === 0) return undefined
    const codesOf = ({ task: { id } }: Known) =>
      this.store.get(id).pipe(
        Effect.flatMap((task) => gateReasons(this.inside, task!, now)),
        Effect.map((reasons) => ({ id, codes: reasons.map(({ code }) => code) })),
        Effect.provideService(RecordStore, this.records)
      )
    // what the claim has released itself comes next
    const waiting = left.filter((known) => !this.ledger.dependencies.hasChanged(known))
    const tasks = Effect.runSync(Effect.forEach(waiting.slice(0, maxExplained), codesOf))
    return { _tag: "Explained", at: this.world.now, now, tasks }
  }

  /** What the store says of tasks that were told of the ends of others. */
  private dependents(): Event | undefined {
    const changed = this.ledger.dependencies.takeChanged()
    if (changed.length === 0) return undefined
    const tasks = Effect.runSync(Effect.forEach(changed, ({ task: { id } }) => this.store.get(id)))
    return {
      _tag: "Told on",
      at: this.world.now,
      tasks: tasks.flatMap((task) =>
        task === undefined ? [] : [{ id: task.id, state: task.state, waitsFor: task.waitsFor }]
      )
    }
  }

  /** The process of an instance, unless it is dead or closed. */
  running(instance: number): Process | undefined {
    return this.processes.findLast((process) =>
      process.instance === instance && process.machine.isAlive && !process.closed
    )
  }

  /** Starts an instance that does not run, or one more process of it. */
  start(instance: number): Process {
    const { scenario, witness, world } = this
    const generation = this.processes.filter((process) => process.instance === instance).length
    const name = `i${instance}.${generation}`
    const options = scenario.instances[instance]!
    const machine = world.machine(name, options)
    const process: Process = {
      instance,
      name,
      machine,
      scope: Scope.makeUnsafe(),
      context: undefined,
      closing: false,
      closed: false,
      calls: new Set()
    }
    this.processes.push(process)
    const remote = this.network.storeFor(machine, witness.atTheStore(this.inside, name, () => this.ledger.finished()))
    const seen = witness.atTheProcess(remote, name)
    const store = this.mutant?.engine?.(seen) ?? seen
    const hasExecutions = scenario.steps.some(({ action }) => action.do === "execute")
    const tasks = handlers({
      witness,
      process: name,
      now: () => world.now,
      attempts: this.attempts,
      hasBreaker: scenario.hasBreaker,
      hasExecutions,
      hasBatches: scenario.steps.some(({ action }) => action.do === "batch"),
      die: () => this.kill(process, 700)
    })
    const engine = Engine.layer(tasks, {
      worker: {
        concurrency: options.concurrency,
        lease: leaseMs,
        pollInterval: pollMs,
        timeout: scenario.timeoutMs
      },
      instance: name,
      rescuer: { interval: pollMs },
      queue: { pollInterval: pollMs },
      retention: {
        keepFinished: scenario.keepFinishedMs,
        keepFailed: scenario.keepFailedMs,
        maxFinished: scenario.maxFinished,
        interval: "1500 millis"
      },
      shutdown: "4 seconds"
    }).pipe(Layer.provide(Layer.mergeAll(
      Layer.succeed(TaskStore, store),
      EventLog.layerNone,
      Layer.succeed(
        InstanceStore,
        this.network.instancesFor(machine, witness.instancesAtTheStore(this.instances, name))
      ),
      Layer.succeed(
        Notifier,
        this.mutant?.notifier?.(this.network.notifierFor(machine)) ??
          this.network.notifierFor(machine)
      )
    )))
    // Where nobody makes reminders, nobody looks for them
    const reminded = scenario.steps.some(({ action }) => action.do === "remind") ? Records.layer(name) : Layer.empty
    const reached = this.network.recordsFor(machine, witness.recordsAtTheStore(this.recordsInside, name))
    const records = this.mutant?.sends?.(reached) ?? reached
    const client = hasExecutions
      ? Layer.provide(TaskForgeWorkflows.layerClient, Layer.merge(engine, Layer.succeed(TaskStore, store)))
      : Layer.empty
    const parts = Layer.provideMerge(Layer.mergeAll(engine, reminded, client), Layer.succeed(RecordStore, records))
    this.event(process, "started")
    if (this.asleep !== undefined) {
      this.asleep.sleep(machine)
      this.asleep.processes.add(process)
      this.event(process, "froze")
    }
    machine.run(
      Layer.buildWithMemoMap(parts, Layer.makeMemoMapUnsafe(), process.scope).pipe(
        Effect.map((context) => {
          // there is an engine of workflows where clients execute some
          process.context = context as Context.Context<EngineServices>
          this.event(process, "ready")
        })
      ),
      logsTo(world, name)
    )
    return process
  }

  /** Ends a process between two of its operations; another takes its place after a while. */
  kill(process: Process, backAfterMs: number): void {
    if (!process.machine.isAlive || process.closed) return
    process.machine.kill()
    this.event(process, "died")
    this.restart(process.instance, backAfterMs)
  }

  private restart(instance: number, afterMs: number): void {
    this.world.after(afterMs, () => this.running(instance) ?? this.start(instance))
  }

  /** Shuts a process down in order. */
  close(process: Process, then: () => void = () => {}): void {
    if (!process.machine.isAlive || process.closing) return
    process.closing = true
    this.event(process, "closing")
    process.machine.run(Scope.close(process.scope, Exit.void), Context.empty()).addObserver(() => {
      process.closed = true
      this.event(process, "closed")
      then()
    })
  }

  /** Makes something go wrong now. */
  inflict(fault: Fault): void {
    const { network, world } = this
    if (fault.do === "outage") return network.outage(fault.duration)
    if (fault.do === "suspend") return this.suspend(fault.duration, fault.monotonic === "stops")
    if (fault.do === "store clock") {
      return this.setStoreClock(fault.byMs, fault.rightAfter)
    }
    // Those that a small cluster has no instance for hit another one
    const instance = fault.instance % this.scenario.instances.length
    const process = this.running(instance)
    if (process === undefined) return
    const { machine } = process
    switch (fault.do) {
      case "crash":
        machine.interject(fault.turns, () => this.healed || this.kill(process, fault.backAfter))
        break
      case "deploy":
        this.close(process, () => this.restart(instance, fault.backAfter))
        break
      case "freeze":
        machine.interject(fault.turns, () => {
          if (this.healed) return
          machine.freeze()
          this.event(process, "froze")
          world.after(fault.duration, () => this.thaw(process))
        })
        break
      case "clock":
        machine.stepClock(fault.byMs)
        break
      case "cut":
        network.cut(machine, fault.duration)
    }
  }

  /** Makes everything work again, for good. */
  heal(): void {
    this.healed = true
    this.network.heal(this.scenario.silent)
    this.wake()
    for (const process of this.processes) this.thaw(process)
    for (let instance = 0; instance < this.scenario.instances.length; instance++) {
      if (this.running(instance) === undefined) this.start(instance)
    }
    this.witness.saw({ _tag: "Healed", at: this.world.now })
  }

  /** Runs a client's call on an instance that is up; it is lost when none is. */
  call(instance: number, action: Clients.Action): void {
    const process = [0, 1, 2]
      .map((offset) => this.running((instance + offset) % this.scenario.instances.length))
      .find((process) => process?.context !== undefined && !process.closing)
    if (process?.context === undefined) return
    const name = `call ${++this.calls}: ${action.do} ${"id" in action ? action.id : ""}`
    process.calls.add(name)
    process.machine.run(Clients.perform(action, name, this.witness, process, () => this.world.now), process.context)
      .addObserver((exit) => {
        process.calls.delete(name)
        if (!Exit.isFailure(exit) || !Cause.hasDies(exit.cause)) return
        const call = { do: "die", name, of: String(Cause.squash(exit.cause)) } as const
        this.witness.saw({ _tag: "Answered", at: this.world.now, process: process.name, call })
      })
  }

  /** The machine that all of it runs on stands still: the store and every process. One sleep at a time. */
  private suspend(duration: number, stopsMonotonic: boolean): void {
    if (this.asleep !== undefined) return
    const processes = this.processes.filter(({ closed, machine }) => machine.isAlive && !machine.isFrozen && !closed)
    const sleep = (machine: Machine) => stopsMonotonic ? machine.suspend() : machine.freeze()
    for (const machine of [this.server, ...processes.map(({ machine }) => machine)]) sleep(machine)
    for (const process of processes) this.event(process, "froze")
    const asleep = this.asleep = { processes: new Set(processes), sleep, since: this.world.now }
    this.world.after(duration, () => this.asleep === asleep && this.wake())
  }

  private wake(): void {
    const { asleep } = this
    if (asleep === undefined) return
    this.asleep = undefined
    this.sleptMs += this.world.now - asleep.since
    this.server.thaw()
    for (const process of asleep.processes) this.thaw(process)
  }

  /** One step at a time: a clock that is set and reset between two looks at it is not promised to harm nobody. */
  private setStoreClock(byMs: number, rightAfterMs: number): void {
    if (this.world.now < this.nextStepAt) return
    this.stepStoreClock(byMs)
    this.nextStepAt = Infinity
    this.afterAwake(rightAfterMs, () => {
      if (byMs < 0) this.stepStoreClock(-byMs)
      this.nextStepAt = this.world.now + minStepMs
    })
  }

  /** Does something after a time in which the machine was awake: while it sleeps, nothing looks at the clock. */
  private afterAwake(forMs: number, action: () => void): void {
    const slept = this.sleptMs
    this.world.after(forMs, () => {
      const since = this.asleep === undefined ? 0 : this.world.now - this.asleep.since
      const missedMs = this.sleptMs - slept + since
      if (missedMs === 0 && this.asleep === undefined) action()
      else this.afterAwake(Math.max(1, missedMs), action)
    })
  }

  private stepStoreClock(byMs: number): void {
    const before = this.server.wallMs
    this.server.stepClock(byMs)
    this.witness.saw({ _tag: "Stepped", at: this.world.now, byMs, before })
  }

  private thaw(process: Process): void {
    if (!process.machine.isFrozen || this.asleep?.processes.has(process) === true) return
    process.machine.thaw()
    this.event(process, "thawed")
  }

  private event(
    process: Process,
    what: "started" | "ready" | "closing" | "closed" | "died" | "froze" | "thawed"
  ): void {
    this.witness.saw({ _tag: "Process", at: this.world.now, process: process.name, what })
  }
}

/** What the engine logs is part of the trace. */
const logsTo = (world: World, process: string) =>
  Context.make(
    References.CurrentLoggers,
    new Set([
      Logger.make<unknown, void>(({ logLevel, message }) =>
        world.log(`${process} logs ${logLevel}: ${[message].flat().map(String).join(" ").slice(0, 200)}`)
      )
    ])
  )
