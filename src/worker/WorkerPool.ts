/**
 * Runs tasks: claims as many as there are idle workers, runs each in a fiber of its own, and settles how they end.
 *
 * ```text
 * idle workers ─► claim ─► Executor (a fiber per attempt) ─► Settler ─► store
 *                              ▲ Heartbeat: leases, lost, cancel
 *                              ▲ Deadlines: timeouts, attempts that do not stop
 * ```
 *
 * Closing the scope stops claiming, gives running tasks the grace period, releases the rest, and flushes the settler.
 */
import { Clock, Context, Duration, Effect, Exit, identity, Latch, Layer, Option } from "effect"
import { SecureRandom } from "effect/crypto"
import * as Bounds from "../domain/Bounds.ts"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import type { ClaimedTask } from "../domain/TaskRecord.ts"
import * as Metrics from "../observability/Metrics.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { Instance } from "../store/Instance.ts"
import { InstanceStore, type RunningTask } from "../store/InstanceStore.ts"
import { Notifier, type Signal, work as announcedWork } from "../store/Notifier.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { Attempt, type AttemptHost, type InterruptReason } from "./Attempt.ts"
import * as AttemptLog from "./AttemptLog.ts"
import * as Claimer from "./Claimer.ts"
import * as Deadlines from "./Deadlines.ts"
import * as Executor from "./Executor.ts"
import { type Handler, HandlerRegistry } from "./HandlerRegistry.ts"
import * as Heartbeat from "./Heartbeat.ts"
import * as ProgressReporter from "./ProgressReporter.ts"
import * as Registrar from "./Registrar.ts"
import * as Settler from "./Settler.ts"
import { TaskContext } from "./TaskContext.ts"
import { WorkerSlots } from "./WorkerSlots.ts"

/** How a pool works. Every field has a default. */
export interface Options {
  /** Tasks run at the same time. Default 10. */
  readonly concurrency?: number | undefined
  /** Queues to work on. Default, and when none is named: all, whatever they are called. */
  readonly queues?: ReadonlyArray<string> | undefined
  /** How long a claim holds without a heartbeat; a crashed process's tasks come back after it. Default 15 s. */
  readonly lease?: Duration.Input | undefined
  /** How often an idle pool looks for work that no hint announced. Default 1 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** Time limit of attempts whose task has none. Default 5 minutes. */
  readonly timeout?: Duration.Input | undefined
  /** How long running tasks may go on after shutdown began. Default 20 s. */
  readonly gracePeriod?: Duration.Input | undefined
  /** How long they may take to stop when they are interrupted after that. Default 5 s. */
  readonly resistPeriod?: Duration.Input | undefined
  /** How long finished attempts may take to be settled at shutdown. Default 3 s. */
  readonly flushPeriod?: Duration.Input | undefined
  /** The level of the line per completed task. Default `Debug`; the server uses `Info`. */
  readonly logCompletions?: "Info" | "Debug" | undefined
}

/** The defaults of {@link Options}. */
export const defaults = {
  concurrency: 10,
  lease: Duration.seconds(15),
  pollInterval: Duration.seconds(1),
  timeout: Duration.minutes(5),
  gracePeriod: Duration.seconds(20),
  resistPeriod: Duration.seconds(5),
  flushPeriod: Duration.seconds(3),
  logCompletions: "Debug"
} as const

/** Tasks that one pool runs at the same time. */
const maxConcurrency = 10_000

/** A worker as people see it. */
export interface WorkerView {
  readonly id: number
  /** The task that it runs. */
  readonly task: { readonly id: string; readonly type: string; readonly runningForMs: number } | undefined
}

/** The running pool. */
export class WorkerPool extends Context.Service<WorkerPool, {
  readonly instance: string
  readonly concurrency: number
  readonly workers: Effect.Effect<ReadonlyArray<WorkerView>>
  /** How many workers run a task now. */
  readonly active: Effect.Effect<number>
}>()("taskforge/worker/WorkerPool") {
  /** Starts a pool; it works until the layer's scope closes. */
  static readonly layer = (
    options: Options = {}
  ): Layer.Layer<
    WorkerPool,
    never,
    TaskStore | Notifier | InstanceStore | Instance | HandlerRegistry | Supervisor | SecureRandom.SecureRandom
  > => Layer.effect(WorkerPool, make(options))
}

/** An option outside of its bound is a mistake in the program: the layer dies of it, and says which it is. */
const demandBounds = (options: Options): void => {
  Bounds.demand("worker.concurrency", Bounds.whole(1, maxConcurrency), options.concurrency)
  for (const queue of options.queues ?? []) Bounds.demand("worker.queues", Bounds.name, queue)
  Bounds.demand("worker.lease", Bounds.timeout, options.lease)
  Bounds.demand("worker.pollInterval", Bounds.timeout, options.pollInterval)
  Bounds.demand("worker.timeout", Bounds.timeoutOrNone, options.timeout)
  Bounds.demand("worker.gracePeriod", Bounds.delay, options.gracePeriod)
  Bounds.demand("worker.resistPeriod", Bounds.delay, options.resistPeriod)
  Bounds.demand("worker.flushPeriod", Bounds.delay, options.flushPeriod)
}

const make = Effect.fnUntraced(function*(options: Options) {
  demandBounds(options)
  const store = yield* TaskStore
  const notifier = yield* Notifier
  const registry = yield* HandlerRegistry
  const supervisor = yield* Supervisor
  const random = yield* SecureRandom.SecureRandom
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const log = yield* AttemptLog.make(options.logCompletions ?? defaults.logCompletions)
  const instance = yield* Instance
  const leaseForMs = Math.ceil(Duration.toMillis(options.lease ?? defaults.lease))
  const pollMs = Duration.toMillis(options.pollInterval ?? defaults.pollInterval)
  const timeoutMs = Duration.toMillis(options.timeout ?? defaults.timeout)
  const gracePeriod = options.gracePeriod ?? defaults.gracePeriod
  const resistPeriod = options.resistPeriod ?? defaults.resistPeriod
  const flushPeriod = options.flushPeriod ?? defaults.flushPeriod
  const slots = new WorkerSlots(options.concurrency ?? defaults.concurrency)
  const recorder = new Metrics.Recorder(context)
  const attempts = new Set<Attempt>()
  const work = Latch.makeUnsafe(true)
  const idle = Latch.makeUnsafe(true)
  const run = Effect.runForkWith(context)
  const services = new WeakMap<Handler, Context.Context<never>>()
  const now = () => Deadlines.monotonicMillis(clock)
  let running = 0

  const onSettled = (batch: ReadonlyArray<Settler.Ending>, answers: ReadonlyArray<SettleAnswer>) => {
    const finished: Array<string> = []
    const hints = new Set<Signal>()
    for (let index = 0; index < batch.length; index++) {
      const ending = batch[index]!
      const { attempt, settlement } = ending
      attempts.delete(attempt)
      if (answers[index] === "stale") continue
      const kept = Settler.kept(ending, answers[index])
      recorder.settled(attempt.type, kept, attempt.endedAt - attempt.startedAt)
      if (finishes(kept)) finished.push(attempt.id)
      else if (runsAgainWithin(pollMs, settlement)) hints.add(announcedWork)
    }
    if (finished.length > 0) hints.add({ _tag: "Finished", ids: finished })
    recorder.workers(slots.size, running)
    return Effect.andThen(Effect.forEach(hints, notifier.publish, { discard: true }), log.settled(batch, answers))
  }

  const settler = yield* Settler.make({
    store,
    supervisor,
    retryWithinMs: Math.min(5000, leaseForMs / 3),
    flushForMs: Duration.toMillis(flushPeriod),
    onSettled
  })

  /** The end of an attempt, whether its fiber ended or was given up: hands it to the settler and frees the worker. */
  const end = (attempt: Attempt, settlement: Settlement | undefined): void => {
    attempt.settled = true
    attempt.endedAt = now()
    running--
    if (settlement === undefined) attempts.delete(attempt)
    else settler.add({ attempt, settlement })
    slots.release(attempt.worker)
    if (running === 0) idle.openUnsafe()
  }

  const endWhenRoom = (attempt: Attempt, settlement: Settlement | undefined): Effect.Effect<void> =>
    Effect.map(settler.awaitRoom, () => attempt.settled ? undefined : end(attempt, settlement))

  /** Called when an attempt's fiber has ended. Nearly all succeed and find room: they need no further fiber. */
  const conclude = (attempt: Attempt, exit: Exit.Exit<string, unknown>): void => {
    if (attempt.settled) return
    if (Exit.isSuccess(exit) && settler.hasRoom()) end(attempt, Executor.complete(attempt, exit.value))
    else run(Effect.flatMap(Executor.decide(attempt, exit), (settlement) => endWhenRoom(attempt, settlement)))
  }

  const abandon = Effect.fnUntraced(function*(attempt: Attempt) {
    recorder.abandoned()
    yield* endWhenRoom(attempt, yield* Executor.decideInterrupted(attempt))
    yield* log.abandoned(attempt)
  })

  const deadlines = yield* Deadlines.start({ supervisor, clock, attempts, abandon })

  const stop = (attempt: Attempt, reason: InterruptReason): void => {
    attempt.interrupt(reason, now())
    deadlines.watch(attempt)
  }

  const host: AttemptHost = {
    report: yield* ProgressReporter.make({ store, supervisor }),
    settle: (settlement) => Effect.map(store.settle([settlement]), ([answer]) => answer),
    whenFinal: store.afterCommit ?? identity
  }
  const beatNow = yield* Heartbeat.start({ store, supervisor, attempts, leaseForMs, stop })

  /** What a handler's fibers run with: the pool's context and the services of the handler's layer. */
  const servicesOf = (handler: Handler): Context.Context<never> => {
    let known = services.get(handler)
    if (known === undefined) services.set(handler, known = Context.merge(context, handler.services))
    return known
  }

  const start = (task: ClaimedTask, claimedAt: number, handler: Handler): void => {
    recorder.claimed(task.type, claimedAt - task.dueAt)
    const attempt = new Attempt(task, handler.definition, slots.take(), now(), task.timeoutMs ?? timeoutMs, host)
    attempts.add(attempt)
    if (++running === 1) idle.closeUnsafe()
    const runAttempt = Effect.runForkWith(Context.add(servicesOf(handler), TaskContext, attempt))
    const fiber = runAttempt(Effect.suspend(() => Executor.perform(handler, attempt)))
    attempt.runsIn(fiber)
    fiber.addObserver((exit) => conclude(attempt, exit))
    if (attempt.settled) return
    recorder.workers(slots.size, running)
    deadlines.watch(attempt)
  }

  yield* notifier.listen((signal) => {
    switch (signal._tag) {
      case "Work":
        work.openUnsafe()
        break
      case "Cancel": {
        // A hint may be late, and the attempt that runs now a later one, which nobody cancelled: the store is asked
        const ids = new Set(signal.ids)
        for (const attempt of attempts) if (ids.has(attempt.id)) return beatNow()
      }
    }
  })
  yield* registry.onChange(() => work.openUnsafe())

  const runningTasks = (): ReadonlyArray<RunningTask> => {
    const at = now()
    return [...attempts].filter((attempt) => !attempt.settled).map(({ id, startedAt, type, worker }) => ({
      worker,
      id,
      type,
      forMs: Math.round(at - startedAt)
    }))
  }

  const queues = options.queues ?? []

  // Begun before the drain, so it ends after it: whoever still runs tasks is still listed
  yield* Registrar.start({
    instances: yield* InstanceStore,
    instance,
    supervisor,
    clock,
    leaseForMs,
    answerFor: flushPeriod,
    describe: () => ({ capacity: slots.size, queues, types: registry.types(), running: runningTasks() })
  })

  const idleWithin = (duration: Duration.Input) => Effect.map(Effect.timeoutOption(idle.await, duration), Option.isSome)

  /** Running tasks may go on for the grace period; then they are interrupted, and at last given up. */
  const drain = Effect.gen(function*() {
    if (yield* idleWithin(gracePeriod)) return
    for (const attempt of attempts) stop(attempt, "shutdown")
    if (yield* idleWithin(resistPeriod)) return
    yield* Effect.forEach([...attempts].filter((attempt) => !attempt.settled), abandon, { discard: true })
  }).pipe(Effect.interruptible)
  yield* Effect.addFinalizer(() => Effect.andThen(Effect.sync(settler.drain), drain))

  yield* Claimer.start({
    store,
    supervisor,
    registry,
    slots,
    work,
    request: { worker: instance.id, leaseForMs, queues: queues.length === 0 ? undefined : queues },
    // From anywhere: an instance with a fixed name must not repeat a nonce of the process before it.
    firstNonce: yield* random.intBetween(0, 2 ** 31),
    pollMs,
    monotonicMs: now,
    answerFor: flushPeriod,
    onClaimed: start
  })

  return WorkerPool.of({
    instance: instance.id,
    concurrency: slots.size,
    workers: Effect.sync(() => {
      const busy = new Map(runningTasks().map((task) => [task.worker, task]))
      return Array.from({ length: slots.size }, (_, index): WorkerView => {
        const task = busy.get(index + 1)
        return { id: index + 1, task: task && { id: task.id, type: task.type, runningForMs: task.forMs } }
      })
    }),
    active: Effect.sync(() => running)
  })
})

const finishes = (kept: Settlement["_tag"]): boolean => kept === "Complete" || kept === "Fail" || kept === "Cancel"

/** Whether the task is due again before a pool would look by itself. */
const runsAgainWithin = (pollMs: number, settlement: Settlement): boolean =>
  settlement._tag === "Release" ||
  ((settlement._tag === "Retry" || settlement._tag === "Snooze") && settlement.delayMs < pollMs)
