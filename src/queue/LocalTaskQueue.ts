/** The queue on the store that is provided. Everything that runs tasks is on the other side of the store. */
import { Duration, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import * as Bounds from "../domain/Bounds.ts"
import { TaskNotFound } from "../domain/Errors.ts"
import * as QueueLimits from "../domain/QueueLimits.ts"
import * as Explain from "../explain/Explain.ts"
import * as Verdict from "../explain/Verdict.ts"
import * as TaskLogs from "../logs/TaskLogs.ts"
import * as Metrics from "../observability/Metrics.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { removing } from "../operation/Changing.ts"
import { InstanceStore } from "../store/InstanceStore.ts"
import { Notifier } from "../store/Notifier.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import * as Batches from "./Batches.ts"
import * as Branches from "./Branches.ts"
import * as DeadLetters from "./DeadLetters.ts"
import * as Instances from "./Instances.ts"
import * as Intake from "./Intake.ts"
import * as Limits from "./Limits.ts"
import { listOf } from "./Listing.ts"
import * as LogLevels from "./LogLevels.ts"
import * as OneOrMany from "./OneOrMany.ts"
import * as Operations from "./Operations.ts"
import * as Queues from "./Queues.ts"
import * as Reschedule from "./Reschedule.ts"
import * as ResultWaiter from "./ResultWaiter.ts"
import * as Scaling from "./Scaling.ts"
import { fromOutcome, fromRecord } from "./StoredTask.ts"
import { TaskQueue } from "./TaskQueue.ts"

/** How a queue works. Every field has a default. */
export interface Options {
  /** Retries of tasks whose definition and enqueue name none. Default 3. */
  readonly maxRetries?: number | undefined
  /** How often awaited results are looked up when no hint comes. Default 1 s. */
  readonly pollInterval?: Duration.Input | undefined
  /**
   * Limits of queues, shared by all their tasks: `{ mail: [Limit.concurrency({ max: 5 })] }`. They are in the gates of the tasks
   * that this process enqueues, so give them to all processes alike.
   */
  readonly limits?: QueueLimits.QueueLimits | undefined
}

/** The retries of a task that names none. */
export const defaultMaxRetries = 3

/**
 * The queue on whichever store is provided. `Engine.layer` and `Engine.layerProducer` have it already.
 *
 * @example
 * ```ts
 * const QueueLive = LocalTaskQueue.layer({ maxRetries: 5 })
 * ```
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  TaskQueue,
  never,
  TaskStore | RecordStore | Notifier | InstanceStore | Supervisor | SecureRandom.SecureRandom
> => Layer.effect(TaskQueue, make(options))

const make = Effect.fnUntraced(function*(options: Options) {
  const store = yield* TaskStore
  const records = yield* RecordStore
  const instances = yield* InstanceStore
  const notifier = yield* Notifier
  const random = yield* SecureRandom.SecureRandom
  const supervisor = yield* Supervisor
  const recorder = new Metrics.Recorder(yield* Effect.context<never>())
  Bounds.demand("queue.maxRetries", Bounds.retries, options.maxRetries)
  Bounds.demand("queue.pollInterval", Bounds.timeout, options.pollInterval)
  const limits = QueueLimits.rulesOf(options.limits)
  const defaults = { maxRetries: options.maxRetries ?? defaultMaxRetries, limits }
  const outcome = yield* ResultWaiter.make({
    store,
    notifier,
    supervisor,
    pollInterval: options.pollInterval ?? Duration.seconds(1)
  })
  const intake = Intake.make(store, random.uuidV7(), defaults, recorder)
  const { asStored, enqueue } = intake

  const recordOf = Effect.fnUntraced(function*(id: string) {
    const record = Bounds.isStorable(id) ? yield* store.get(id) : undefined
    return record ?? (yield* new TaskNotFound({ id }))
  })

  const get = (id: string) => Effect.map(recordOf(id), fromRecord)

  const remove = removing(store, records)

  return TaskQueue.of({
    submit: (submissions, whenFull) => Effect.map(enqueue(submissions, whenFull), ({ accepted }) => accepted),
    create: (submissions, whenFull) => Effect.flatMap(enqueue(submissions, whenFull), asStored),
    newId: random.uuidV7(),
    // No store is asked for a text that it cannot keep: one of them would fail, and with it the callers in the same batch
    outcome: (id) => Bounds.isStorable(id) ? outcome([id]) : Effect.fail(new TaskNotFound({ id })),
    firstOutcome: (ids) => {
      const id = ids.find((id) => !Bounds.isStorable(id))
      return id === undefined ? outcome(ids) : Effect.fail(new TaskNotFound({ id }))
    },
    results: (ids, maxBytes) => {
      const asked = [...new Set(ids)].filter(Bounds.isStorable)
      const read = Effect.map(
        store.results(asked, maxBytes),
        (outcomes) => outcomes.map((one) => one && fromOutcome(one))
      )
      if (asked.length === ids.length) return read
      return Effect.map(read, (outcomes) => {
        const byId = new Map(outcomes.map((outcome, index) => [asked[index]!, outcome]))
        const end = ids.findIndex((id) => Bounds.isStorable(id) && !byId.has(id))
        return ids.slice(0, end < 0 ? ids.length : end).map((id) => Bounds.isStorable(id) ? byId.get(id) : null)
      })
    },
    get,
    explain: (id) =>
      Bounds.isStorable(id)
        ? Explain.explain({ tasks: store, records, instances }, id)
        : Effect.fail(new TaskNotFound({ id })),
    logs: (id) =>
      Effect.flatMap(recordOf(id), (task) => Effect.provideService(TaskLogs.read(task), RecordStore, records)),
    batches: Batches.make({ tasks: store, records }, random.uuidV7(), intake),
    branches: Branches.make(store),
    deadLetters: DeadLetters.make(store, remove),
    operations: Operations.make(store, records, random.uuidV7()),
    list: listOf(store),
    cancel: OneOrMany.cancel(OneOrMany.each(Bounds.isStorable, "unknown", store.cancel)),
    rerun: OneOrMany.rerun(OneOrMany.each(Bounds.isStorable, { _tag: "unknown" }, store.rerun)),
    reschedule: Reschedule.make(store, limits),
    remove: OneOrMany.remove(
      OneOrMany.each(Bounds.isStorable, "unknown", remove),
      (id) => Effect.map(get(id), ({ state }) => state)
    ),
    ...Queues.make(store, records),
    ...Limits.make(store, records, instances),
    ...Instances.make(instances, records),
    ...LogLevels.make(instances, records),
    ...Scaling.make(store, records, instances),
    ...Verdict.make({ tasks: store, records, instances }),
    counts: store.counts
  })
})
