/**
 * Runs tasks: claims as many as there are free slots, runs each in a fiber of its own, and settles how they end.
 *
 * ```text
 * Claimer ─► Runner: a fiber per attempt ─► Endings: a bounded list ─► Settler ─► store
 *    ▲            ▲ Heartbeat: leases, lost, cancel          │
 *    │            ▲ Deadlines: timeouts, attempts that       │
 *    │              do not stop                              │
 *    └──────────────── Slots: permits with numbers ◄─────────────────────┘
 *                        ▲ PoolSizer: how many there are
 * ```
 *
 * Closing the scope stops claiming, gives running tasks the grace period, releases the rest, and flushes the settler.
 */
import { Clock, Context, Duration, Effect, Latch, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import * as LogLevels from "../domain/LogLevels.ts"
import * as LogModule from "../domain/LogModule.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import * as QueueLimits from "../domain/QueueLimits.ts"
import * as JointPuts from "../flow/JointPuts.ts"
import * as Metrics from "../observability/Metrics.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { Instance, InstanceStore, type Sizing } from "../store/InstanceStore.ts"
import { Notifier, work as someWork } from "../store/Notifier.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import type { Attempt } from "./Attempt.ts"
import * as AttemptLimits from "./AttemptLimits.ts"
import * as AttemptLog from "./AttemptLog.ts"
import { Attempts } from "./Attempts.ts"
import * as Claimer from "./Claimer.ts"
import * as Deadlines from "./Deadlines.ts"
import { endedBefore } from "./EarlierTasks.ts"
import { Endings } from "./Endings.ts"
import * as Executor from "./Executor.ts"
import { Gathering } from "./Gathering.ts"
import { HandlerRegistry } from "./HandlerRegistry.ts"
import * as Heartbeat from "./Heartbeat.ts"
import * as LimitRegistrar from "./LimitRegistrar.ts"
import * as LogKeeper from "./LogKeeper.ts"
import { PoolBreakers } from "./PoolBreakers.ts"
import { PoolLoad } from "./PoolLoad.ts"
import { defaults, demandBounds, type Options } from "./PoolOptions.ts"
import * as PoolSizer from "./PoolSizer.ts"
import * as PoolTally from "./PoolTally.ts"
import * as ProgressReporter from "./ProgressReporter.ts"
import * as Registrar from "./Registrar.ts"
import * as Runner from "./Runner.ts"
import type { RunningStack } from "./RunningStack.ts"
import * as Settler from "./Settler.ts"
import { demandShares, Shares } from "./Shares.ts"
import { Slots } from "./Slots.ts"
import { runningOf, slotsOf, type SlotView } from "./SlotView.ts"

export { defaults, ofEngine, type Options } from "./PoolOptions.ts"

/** The running pool. */
export class WorkerPool extends Context.Service<WorkerPool, {
  readonly instance: string
  /** How many slots it has now. */
  readonly concurrency: Effect.Effect<number>
  /** What decides that. */
  readonly sizing: Effect.Effect<Sizing>
  /** All of them, and those that are taken away once their task has ended. */
  readonly slots: Effect.Effect<ReadonlyArray<SlotView>>
  /** How many slots run a task now. */
  readonly active: Effect.Effect<number>
  /** Where the handler of a task is now, if this pool runs it. */
  readonly stackOf: (task: string) => Effect.Effect<RunningStack | undefined>
}>()("taskforge/worker/WorkerPool") {
  /** Starts a pool; it works until the layer's scope closes. */
  static readonly layer = (
    options: Options = {}
  ): Layer.Layer<
    WorkerPool,
    never,
    | TaskStore
    | RecordStore
    | Notifier
    | InstanceStore
    | Instance
    | HandlerRegistry
    | Supervisor
    | SecureRandom.SecureRandom
  > => Layer.effect(WorkerPool, LogModule.within("pool")(make(options)))

  /** The pool of a process that only enqueues: it has no slots. */
  static readonly layerNone: Layer.Layer<WorkerPool> = Layer.succeed(WorkerPool, {
    instance: "",
    concurrency: Effect.succeed(0),
    sizing: Effect.succeed<Sizing>({ by: "start", min: null, max: 0, draining: false }),
    slots: Effect.succeed([]),
    active: Effect.succeed(0),
    stackOf: () => Effect.undefined
  })
}

/** The parts start from the end of a task's way: they stop in the opposite order, when nothing comes from before them any more. */
const make = Effect.fnUntraced(function*(options: Options) {
  demandBounds(options)
  const pool = yield* setUp(options)
  // Stops after the settler: what tasks have logged is worth less than how they ended
  const logger = yield* LogModule.within("logs")(startKeepingLogs(pool, options))
  yield* LogModule.within("settler")(startSettling(pool))
  const watch = yield* startWatching(pool)
  const sizing = yield* startSizing(pool)
  // Stops after the attempts: an instance that still runs tasks is listed
  pool.news.tell = yield* startRegistering(pool, sizing)
  yield* Effect.addFinalizer(() => Effect.interruptible(drain(pool, watch, options)))
  const begin = yield* makeRunner(pool, watch, logger)
  yield* LogModule.within("claimer")(startClaiming(pool, begin, watch))
  return WorkerPool.of({
    instance: pool.instance.id,
    concurrency: Effect.sync(() => pool.slots.size),
    sizing: Effect.sync(sizing),
    slots: Effect.sync(() => slotsOf(pool.slots.size, runningOf(pool.attempts, pool.now()))),
    active: Effect.sync(() => pool.attempts.active),
    stackOf: (task) => Effect.sync(() => pool.attempts.find(task)?.stackAt(pool.now()))
  })
})

/** What the parts of a pool share: its settings, the store, and where its tasks are on their way. */
const setUp = Effect.fnUntraced(function*(options: Options) {
  const store = yield* TaskStore
  const clock = yield* Clock.Clock
  const { ceiling, min, size } = PoolSizer.demandSizes(options, defaults)
  const queues = options.queues ?? []
  if (options.shares !== undefined) demandShares(options.shares, queues, min ?? size)
  const work = Latch.makeUnsafe(true)
  const shares = options.shares && new Shares(options.shares, queues, () => work.openUnsafe())
  const slots = new Slots(size, shares)
  const load = new PoolLoad()
  const attempts = new Attempts(load)
  const now = () => MonotonicClock.exactMillis(clock)
  return {
    store,
    clock,
    notifier: yield* Notifier,
    registry: yield* HandlerRegistry,
    supervisor: yield* Supervisor,
    instance: yield* Instance,
    leaseForMs: Math.ceil(Duration.toMillis(options.lease ?? defaults.lease)),
    pollMs: Duration.toMillis(options.pollInterval ?? defaults.pollInterval),
    timeoutMs: Duration.toMillis(options.timeout ?? defaults.timeout),
    flushPeriod: Duration.fromInputUnsafe(options.flushPeriod ?? defaults.flushPeriod),
    queues,
    limitsOfQueues: QueueLimits.rulesOf(options.limitsOfQueues),
    shares,
    min,
    max: ceiling,
    load,
    /** Says to the others at once that the pool is another one. */
    news: { tell: () => {} },
    recorder: new Metrics.Recorder(yield* Effect.context<never>()),
    tally: yield* PoolTally.attached(attempts, slots, now),
    breakers: yield* PoolBreakers.make,
    log: yield* AttemptLog.make(options.logCompletions ?? defaults.logCompletions),
    now,
    // A task's way through the pool: claimed for a free slot, attempted, and its ending kept to be settled
    work,
    /** There may be work that was not there before. */
    lookForWork: () => {
      shares?.renew()
      work.openUnsafe()
    },
    slots,
    attempts,
    gathering: new Gathering({
      isFull: (waiting) => slots.isHeld || (slots.free === 0 && waiting >= attempts.active),
      freeTogether: (free) => slots.freeTogether(free)
    }),
    endings: new Endings(attempts, slots, store.answersAtOnce === true)
  }
})

type Pool = Effect.Success<ReturnType<typeof setUp>>

/** Claims tasks for free slots whenever there is work, and begins them. */
const startClaiming = Effect.fnUntraced(
  function*(pool: Pool, begin: Effect.Success<ReturnType<typeof makeRunner>>, { beatNow }: Watch) {
    const { attempts, flushPeriod, instance, leaseForMs, now, pollMs, queues, recorder, registry, work } = pool
    const random = yield* SecureRandom.SecureRandom
    yield* pool.notifier.listen((hint) => {
      if (hint._tag === "Work") pool.lookForWork()
      // A hint may be late, and the attempt that runs now a later one, which is not to be cancelled: the store is asked
      else if (hint._tag === "Cancel" && attempts.hasAny(hint.ids)) beatNow()
    })
    recorder.expects(registry.types())
    yield* registry.onChange(() => {
      recorder.expects(registry.types())
      pool.lookForWork()
    })
    yield* Claimer.start({
      store: pool.store,
      supervisor: pool.supervisor,
      registry,
      recorder,
      tally: pool.tally,
      load: pool.load,
      slots: pool.slots,
      work,
      request: { instance: instance.id, leaseForMs, queues: queues.length === 0 ? undefined : queues },
      shares: pool.shares,
      // From anywhere: an instance with a fixed name must not repeat a nonce of the process before it.
      firstNonce: yield* random.intBetween(0, 2 ** 31),
      pollMs,
      monotonicMs: now,
      clock: pool.clock,
      answerFor: flushPeriod,
      beforeClaim: LimitRegistrar.make(registry, yield* RecordStore, pool.limitsOfQueues),
      begin
    })
  }
)

/** Runs each claimed task in a fiber of its own. */
const makeRunner = Effect.fnUntraced(function*(pool: Pool, { deadlines }: Watch, logger: Runner.PoolLogger) {
  const { attempts, breakers, gathering, instance, recorder, slots, store, supervisor } = pool
  const records = yield* RecordStore
  const random = yield* SecureRandom.SecureRandom
  return yield* Runner.make({
    ...pool,
    deadlines,
    onStarted: () => recorder.slots(slots.size, attempts.active),
    logger,
    host: {
      instance: instance.id,
      report: yield* ProgressReporter.make({ store, supervisor }),
      settle: (settlement) => Effect.map(store.settle([settlement]), ([answer]) => answer),
      whenFinal: store.afterCommit,
      gathering,
      breakers,
      charge: store.charge,
      holdBack: AttemptLimits.holdBack(records),
      steps: {
        records,
        put: yield* JointPuts.make(records, store.inTransaction),
        read: store.get,
        random: random.uuidV4(),
        inTransaction: store.inTransaction
      },
      earlier: (id) => endedBefore(store, id)
    }
  })
})

/** Keeps what handlers log with their attempts. */
const startKeepingLogs = Effect.fnUntraced(function*(pool: Pool, { keepLogs = defaults.keepLogs }: Options) {
  const flushForMs = Duration.toMillis(pool.flushPeriod) * LogKeeper.shareOfFlush
  return yield* LogKeeper.start({ ...pool, records: yield* RecordStore, keepLogs, flushForMs })
})

/** Looks after attempts while they run: ends those whose time is up, and keeps their leases. */
const startWatching = Effect.fnUntraced(function*({ attempts, clock, leaseForMs, store, supervisor, ...pool }: Pool) {
  /** Ends an attempt without waiting for its fiber any longer. */
  const abandon = Effect.fnUntraced(function*(attempt: Attempt) {
    pool.recorder.abandoned()
    const settlement = pool.breakers.tellLater(attempt, yield* Executor.decideInterrupted(attempt))
    yield* pool.endings.end(attempt, settlement, pool.now()) ?? Effect.void
    yield* pool.log.abandoned(attempt)
  })
  const deadlines = yield* Deadlines.start({ supervisor, clock, attempts, abandon })
  const beatNow = yield* Heartbeat.start({ ...pool, store, supervisor, attempts, deadlines, leaseForMs })
  return { abandon, deadlines, beatNow }
})

type Watch = Effect.Success<ReturnType<typeof startWatching>>

/** Writes the ends of attempts to the store, in batches. */
const startSettling = (pool: Pool) => {
  const { attempts, endings, flushPeriod, leaseForMs, limitsOfQueues, log, notifier, now } = pool
  const { recorder, slots, store, supervisor, tally } = pool
  return Settler.start({
    store,
    supervisor,
    attempts,
    endings,
    retryWithinMs: Math.min(5000, leaseForMs / 3),
    monotonicMs: now,
    flushForMs: Duration.toMillis(flushPeriod) * (1 - LogKeeper.shareOfFlush),
    onSettled: (batch, answers) => {
      recorder.settled(Settler.endsOf(batch, answers))
      Settler.endSpans(batch, answers)
      if (tally !== undefined) PoolTally.add(tally, batch, answers)
      recorder.slots(slots.size, attempts.active)
      const settled = log.settled(batch, answers)
      return store.announcesRoom !== true && LimitRegistrar.haveMadeRoom(batch, limitsOfQueues)
        ? Effect.andThen(settled, notifier.publish(someWork))
        : settled
    }
  })
}

/** Gives the pool the number of slots that it is to have. */
const startSizing = Effect.fnUntraced(function*(pool: Pool) {
  const { attempts, instance, recorder, slots } = pool
  return yield* PoolSizer.start({
    ...pool,
    records: yield* RecordStore,
    instance: instance.id,
    onChanged: () => {
      recorder.slots(slots.size, attempts.active)
      pool.news.tell()
      pool.gathering.look()
    }
  })
})

/** Says to the other instances what this one is, and what it runs. */
const startRegistering = Effect.fnUntraced(function*(pool: Pool, sizing: () => Sizing) {
  const { attempts, load, now, queues, registry, shares, slots } = pool
  const levels = yield* LogLevels.Current
  return yield* Registrar.start({
    ...pool,
    instances: yield* InstanceStore,
    answerFor: pool.flushPeriod,
    describe: () => ({
      capacity: slots.size,
      queues,
      ...LimitRegistrar.described(registry, pool.limitsOfQueues),
      running: runningOf(attempts, now()),
      sizing: sizing(),
      load: load.since(now()),
      ...shares !== undefined && { shares: shares.views() },
      ...levels !== undefined && { logLevels: levels.held }
    })
  })
})

/** At shutdown: batches go, and running tasks may go on for the grace period; then they are interrupted, and at last given up. */
const drain = Effect.fnUntraced(function*(
  { attempts, gathering }: Pool,
  { abandon, deadlines }: Watch,
  { gracePeriod = defaults.gracePeriod, resistPeriod = defaults.resistPeriod }: Options
) {
  gathering.close()
  if (yield* attempts.idleWithin(gracePeriod)) return
  for (const attempt of attempts) deadlines.stop(attempt, "shutdown")
  if (yield* attempts.idleWithin(resistPeriod)) return
  yield* Effect.forEach([...attempts].filter((attempt) => !attempt.ended), abandon, { discard: true })
})
