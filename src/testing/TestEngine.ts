/**
 * An engine for tests: the real one on a store in memory, under the `TestClock`. It runs nothing by itself, so that a
 * test can look at what was enqueued first; `drain` runs what is due, `advance` lets time pass.
 *
 * @example
 * ```ts
 * it.effect("welcomes new users", () =>
 *   Effect.gen(function*() {
 *     const engine = yield* TestEngine
 *     yield* signUp("ada@example.org")
 *     yield* engine.assertEnqueued(SendEmail, { payload: { to: "ada@example.org" } })
 *     const { completed } = yield* engine.drain
 *     assert.strictEqual(completed, 1)
 *   }).pipe(Effect.provide(TestEngine.layer(SendEmailLive))))
 * ```
 */
import { Cause, Clock, Context, type DateTime, Duration, Effect, Exit, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { InvalidPayload, StoreError } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import * as Engine from "../engine/Engine.ts"
import * as PooledRandom from "../engine/PooledRandom.ts"
import { versioned } from "../events/VersionedStore.ts"
import { unkept } from "../flow/StepRunner.ts"
import * as Expirer from "../maintenance/Expirer.ts"
import * as Resumer from "../maintenance/Resumer.ts"
import { fromPayload } from "../queue/Submission.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import * as Ticker from "../schedule/Ticker.ts"
import type { StoreSettings } from "../store/Driver.ts"
import * as MemoryStore from "../store/memory/MemoryStore.ts"
import { Notifier, work } from "../store/Notifier.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { Snoozed } from "../worker/Attempt.ts"
import { HandlerRegistry } from "../worker/HandlerRegistry.ts"
import { type HandlerContext, TaskContext } from "../worker/TaskContext.ts"
import { watch } from "./ResultNeverComes.ts"

/** How the engine is built: its options, and the settings of its store. */
export interface Options extends Engine.Options {
  readonly store?: StoreSettings | undefined
}

/** What {@link TestEngine} drained: how many tasks reached each end, and how many still wait. */
export interface Drained {
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  /** Tasks that are due later, such as those that failed and will be tried again. */
  readonly scheduled: number
  /** Tasks that are due and were not run: their queue is paused, or no handler is there. */
  readonly pending: number
}

/** A stored task with its payload decoded. */
export interface Enqueued<Payload> {
  readonly id: string
  readonly payload: Payload
  readonly queue: string
  readonly priority: number
  readonly key: string | null
  readonly dueAt: DateTime.Utc
  readonly state: string
}

/** What an expected task looks like; what is not named may be anything. */
export interface Expected<Payload> {
  readonly payload?: Partial<Payload> | undefined
  readonly queue?: string | undefined
  readonly priority?: number | undefined
  readonly key?: string | undefined
}

/** No enqueued task looks as expected. */
export class NotEnqueued extends Schema.TaggedError<NotEnqueued>()("NotEnqueued", {
  type: Schema.String,
  /** JSON text. */
  expected: Schema.String,
  /** The tasks of that type, as JSON text. */
  found: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const found = this.found.length === 0 ? "none" : this.found.join(", ")
    return `No task of type ${JSON.stringify(this.type)} looks like ${this.expected}; enqueued: ${found}`
  }
}

/** The engine of one test. */
export class TestEngine extends Context.Service<TestEngine, {
  /**
   * Runs what is due until nothing is. Handlers that wait for time get it: the clock moves on while any of them runs,
   * for ten minutes at most.
   */
  readonly drain: Effect.Effect<Drained, StoreError>
  /**
   * Lets time pass, and runs what becomes due in it in the order of its time: retries, delays, snoozes, and what these
   * lead to. Then it drains what is due at the end.
   */
  readonly advance: (duration: Duration.Input) => Effect.Effect<Drained, StoreError>
  /** Runs the handler of a task once, here and now, without storing anything. */
  readonly perform: <Task extends AnyTaskDefinition>(
    task: Task,
    payload: Task["payload"]["Type"],
    options?: { readonly attempt?: number | undefined; readonly id?: string | undefined }
  ) => Effect.Effect<Task["success"]["Type"], Task["error"]["Type"] | InvalidPayload | Snoozed>
  /** The stored tasks of a type in the order in which they were enqueued, whatever has become of them. */
  readonly enqueued: <Task extends AnyTaskDefinition>(
    task: Task
  ) => Effect.Effect<ReadonlyArray<Enqueued<Task["payload"]["Type"]>>, StoreError>
  /** Fails unless a task of this type that looks as expected was enqueued. */
  readonly assertEnqueued: <Task extends AnyTaskDefinition>(
    task: Task,
    expected?: Expected<Task["payload"]["Type"]>
  ) => Effect.Effect<Enqueued<Task["payload"]["Type"]>, NotEnqueued | StoreError>
}>()("taskforge/testing/TestEngine") {
  /** The engine with the given handlers: the layers that `Task.toLayer` gives, merged. */
  static readonly layer = <E, R>(
    handlers: Layer.Layer<never, E, R>,
    options: Options = {}
  ) => {
    const gate: Gate = { isOpen: false, isDrained: false, turns: 0 }
    const store = Layer.fresh(MemoryStore.layer(options.store))
    const gated = Layer.effect(TaskStore, Effect.map(TaskStore, (store) => guard(store, gate)))
    const watched = Layer.effect(
      TaskQueue,
      Effect.gen(function*() {
        return watch(yield* TaskQueue, yield* TaskStore, yield* HandlerRegistry, gate)
      })
    )
    return Layer.effect(TestEngine, make(gate)).pipe(
      Layer.provideMerge(watched),
      Layer.provideMerge(Layer.provide(Engine.layer(handlers, quiet(options)), unhurried)),
      Layer.provideMerge(Layer.provideMerge(gated, store))
    )
  }
}

/** The test engine ends pauses and makes the tasks of schedules itself, each at its time; claims end what has expired, and what they do not reach ends within a minute. */
const unhurried = Layer.mergeAll(
  Layer.succeed(Resumer.Interval, Duration.hours(1)),
  Layer.succeed(Expirer.Interval, Duration.minutes(1)),
  Layer.succeed(Ticker.Interval, Duration.hours(1))
)

/** The test engine tells the pool of all work: by itself it would look for it hundreds of thousands of times in a day of the test's time. */
const quiet = ({ store: _store, ...options }: Options): Engine.Options => ({
  statistics: false,
  ...options,
  worker: { pollInterval: "1 hour", lease: "15 minutes", ...options.worker },
  queue: { pollInterval: "1 hour", ...options.queue },
  rescuer: { interval: "5 minutes", ...options.rescuer },
  retention: { interval: "1 minute", ...options.retention }
})

/** Whether the pool gets any work, and whether it has seen that there is no more. */
interface Gate {
  isOpen: boolean
  isDrained: boolean
  /** How often it was opened or closed. */
  turns: number
}

const guard = (store: TaskStore["Service"], gate: Gate): TaskStore["Service"] => ({
  ...store,
  claim: (request) =>
    Effect.suspend(() => {
      if (!gate.isOpen) return store.claim({ ...request, limit: 0 })
      return Effect.map(store.claim(request), (answer) => {
        gate.isDrained = answer.tasks.length < request.limit
        return answer
      })
    })
})

/** How long a drain may let time pass, in milliseconds. */
const maxDrainMs = 600_000

/** By how much time moves on while something runs: the first step and the longest, in milliseconds. */
const firstStepMs = 10
const maxStepMs = 1000

const make = Effect.fnUntraced(function*(gate: Gate) {
  const store = versioned(yield* TaskStore)
  const notifier = yield* Notifier
  const registry = yield* HandlerRegistry
  const records = yield* RecordStore
  const resumeDue = Effect.provideService(Resumer.resumeDue, RecordStore, records)
  /** As many milliseconds as nothing more is due; a full queue is left to the loop of the engine. */
  const tickDue = Ticker.tickDue.pipe(
    Effect.catchTags({ QueueFull: () => Effect.succeed(Infinity), InvalidOption: () => Effect.succeed(Infinity) }),
    Effect.provideService(TaskStore, store),
    Effect.provideService(RecordStore, records),
    Effect.provide(PooledRandom.layer)
  )

  const turn = (isOpen: boolean) =>
    Effect.sync(() => {
      gate.isOpen = isOpen
      gate.turns++
    })

  /** Lets the pool have work while the effect lasts. */
  const whileOpen = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.acquireUseRelease(turn(true), () => effect, () => turn(false))

  /** Runs what is due as far as it comes without time; answers whether anything waits for time. */
  const runDue = Effect.gen(function*() {
    gate.isDrained = false
    yield* resumeDue
    yield* tickDue
    yield* notifier.publish(work)
    yield* everythingThatCanRun
    const { running } = yield* store.counts
    return running > 0 || !gate.isDrained
  })

  /** How long until the next scheduled task is due, or the next pause ends. */
  const untilNextDue = Effect.gen(function*() {
    const { nextDueAt, now } = yield* store.claim({
      queues: [],
      types: [],
      limit: 0,
      instance: "test",
      leaseForMs: 0,
      nonce: 0
    })
    return Math.max(1, Math.min(nextDueAt === null ? Infinity : nextDueAt - now, yield* resumeDue, yield* tickDue))
  })

  const finishDue = Effect.gen(function*() {
    let passedMs = 0
    for (let step = firstStepMs; passedMs < maxDrainMs; step = Math.min(maxStepMs, step * 2)) {
      if (!(yield* runDue)) break
      yield* TestClock.adjust(step)
      passedMs += step
    }
  })

  /** From one due time to the next; while something runs, in steps that let it end and lead to more. */
  const liveThrough = Effect.fnUntraced(function*(duration: Duration.Input) {
    const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(duration)
    let step = firstStepMs
    while (true) {
      const waits = yield* runDue
      const left = until - (yield* Clock.currentTimeMillis)
      if (left <= 0) return
      const dueIn = yield* untilNextDue
      yield* TestClock.adjust(Math.min(left, dueIn, waits ? step : Infinity))
      step = waits ? Math.min(maxStepMs, step * 2) : firstStepMs
    }
  })

  const drained = Effect.map(
    store.counts,
    ({ cancelled, completed, failed, pending, scheduled }) => ({ cancelled, completed, failed, pending, scheduled })
  )
  const drain = Effect.andThen(whileOpen(finishDue), drained)

  const ofType = (
    type: string,
    before: number | undefined
  ): Effect.Effect<ReadonlyArray<TaskRecord>, StoreError> =>
    Effect.flatMap(
      store.list({ types: [type], limit: Number.MAX_SAFE_INTEGER, maxBytes: Infinity, before }),
      ({ next, tasks }) =>
        next === undefined ? Effect.succeed(tasks) : Effect.map(ofType(type, next), (older) => [...tasks, ...older])
    )

  const enqueued = (task: AnyTaskDefinition) =>
    Effect.map(
      ofType(task.type, undefined),
      (tasks) =>
        tasks.toReversed().flatMap((record): ReadonlyArray<Enqueued<any>> => {
          const payload = task.codec.decodePayload(record.payload, record.version ?? 1)
          const { id, key, priority, queue, state } = record
          const dueAt = utc(record.dueAt)
          return Exit.isSuccess(payload) ? [{ id, payload: payload.value, queue, priority, key, dueAt, state }] : []
        })
    )

  return TestEngine.of({
    drain,
    advance: (duration) => Effect.andThen(whileOpen(Effect.andThen(liveThrough(duration), finishDue)), drained),
    enqueued,
    assertEnqueued: Effect.fnUntraced(function*(task, expected = {}) {
      const all = yield* enqueued(task)
      const found = all.find((one) => looksLike(one, expected))
      if (found !== undefined) return found
      return yield* new NotEnqueued({
        type: task.type,
        expected: JSON.stringify(expected),
        found: all.map(({ id, key, payload, priority, queue }) => JSON.stringify({ id, payload, queue, priority, key }))
      })
    }),
    perform: Effect.fnUntraced(function*(task, payload, { attempt = 1, id = "performed" } = {}) {
      const handler = registry.find(task.type)
      if (handler === undefined) return yield* Effect.die(new Error(`No handler for ${JSON.stringify(task.type)}`))
      // Through the codecs, as it would be: what does not survive them is found here.
      const submission = yield* fromPayload(task, payload, {}, 0)
      const decoded = yield* Effect.orDie(task.codec.decodePayload(submission.payload))
      const context: HandlerContext<unknown> = {
        id,
        type: task.type,
        queue: task.queue,
        attempt,
        claim: attempt,
        instance: "test",
        slot: 1,
        progress: () => Effect.void,
        snooze: Snoozed.now,
        charge: () => Effect.void,
        holdBack: Snoozed.now,
        // No breaker is open here
        protect: (_breaker, call) => call,
        // It depends on no other task
        earlier: Effect.succeed([]),
        steps: unkept,
        // Nothing is stored here, so there is nothing to complete early.
        complete: Effect.succeed
      }
      const success = yield* handler.run(decoded, context).pipe(
        Effect.provideContext(Context.add(handler.services as Context.Context<never>, TaskContext, context)),
        Effect.catchCause((cause) => {
          const defect = cause.reasons.find(Cause.isDieReason)?.defect
          return defect instanceof Snoozed ? Effect.fail(defect) : Effect.failCause(cause)
        })
      )
      const text = yield* Effect.orDie(task.codec.encodeSuccess(success))
      return yield* Effect.orDie(task.codec.decodeSuccess(text))
    })
  })
})

/** Lets everything run that can run without time passing. */
const everythingThatCanRun: Effect.Effect<void> = Effect.gen(function*() {
  for (let turn = 0; turn < 100; turn++) yield* Effect.yieldNow
})

const looksLike = (task: Enqueued<unknown>, expected: Expected<unknown>): boolean =>
  (expected.queue === undefined || task.queue === expected.queue) &&
  (expected.priority === undefined || task.priority === expected.priority) &&
  (expected.key === undefined || task.key === expected.key) &&
  Object.entries(expected.payload ?? {}).every(([name, value]) =>
    JSON.stringify((task.payload as Record<string, unknown>)[name]) === JSON.stringify(value)
  )
