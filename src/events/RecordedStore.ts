/**
 * The store of an engine: its tasks have versions, hints tell of what is changed in it, and there is a record of what happens. Events are made where
 * the store has acknowledged what they tell of, so a caller need not think of them. What happens in an application's
 * transaction has happened when that is committed.
 */
import { Clock, Context, Effect, Layer } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import { idOf, type TaskRef } from "../domain/Seen.ts"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import type { NewTaskEvent } from "../domain/TaskEvent.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import * as StoreMetrics from "../observability/StoreMetrics.ts"
import { tallied } from "../observability/StoreTally.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import { CurrentTally } from "../observability/Tally.ts"
import { noConsequences } from "../store/Dependencies.ts"
import { EventLog } from "../store/EventLog.ts"
import { announcing, announcingRecords, Notifier } from "../store/Notifier.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { type ClaimAnswer, type EnqueueAnswer, type Rescued, TaskStore } from "../store/TaskStore.ts"
import * as EventRecorder from "./EventRecorder.ts"
import { stepOf } from "./LifeOrder.ts"
import {
  afterIf,
  createdOf,
  droppedAs,
  droppedOf,
  endOf,
  expiredOf,
  isRecent,
  lastStepOf,
  mergedIn,
  recentMs,
  stopped,
  type Subject,
  subjectOf
} from "./TaskEvents.ts"
import { versioned, versionedRecords } from "./VersionedStore.ts"

/** Running attempts remembered at most. */
const maxKnown = 20_000

/** Tells of changes through the notifier, and records into the log of events of the store. */
export const layer: Layer.Layer<
  TaskStore | RecordStore,
  never,
  TaskStore | RecordStore | Notifier | Supervisor | EventLog
> = Layer.effectContext(
  Effect.gen(function*() {
    const store = yield* TaskStore
    const log = yield* EventLog
    const { publish } = yield* Notifier
    const measured = yield* StoreMetrics.measured({
      tasks: versioned(store),
      records: versionedRecords(yield* RecordStore)
    })
    const tally = yield* CurrentTally
    const own = tally === undefined ? measured : tallied(measured, tally)
    const { records, tasks } = log === EventLog.none
      ? own
      : recorded(own, yield* EventRecorder.make(log), yield* Clock.Clock)
    return Context.make(TaskStore, announcing(tasks, publish)).pipe(
      Context.add(RecordStore, announcingRecords(records, publish, tasks.consequences))
    )
  })
)

/** The same of a task that has been claimed. */
type Running = Subject & { readonly attempt: number }

/** What changes tasks. */
interface Stores {
  readonly tasks: TaskStore["Service"]
  readonly records: RecordStore["Service"]
}

const recorded = (
  { records, tasks: store }: Stores,
  recorder: EventRecorder.Recorder,
  clock: Clock.Clock
): Stores => {
  /** The attempts that were claimed here and have not been settled, by their claim numbers. */
  const known = new Map<number, Running>()

  /** Does it now, or when the transaction that the fiber is in has been committed. */
  const whenFinal = (action: () => void): Effect.Effect<void> => store.afterCommit(Effect.sync(action))

  /** The same effect, and its events once it has succeeded. Costs a comparison while no reader attends. */
  const recording = <A>(
    effect: Effect.Effect<A, StoreError>,
    events: (value: A) => ReadonlyArray<NewTaskEvent>
  ): Effect.Effect<A, StoreError> =>
    Effect.tap(
      effect,
      (value) => recorder.isAttended() ? whenFinal(() => recorder.record(events(value))) : Effect.void
    )

  /** The same for events that need what the store knows of their tasks. It is asked only where a reader attends. */
  const recordingAfterwards = <A>(
    effect: Effect.Effect<ReadonlyArray<A>, StoreError>,
    events: (value: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<NewTaskEvent>, StoreError>
  ): Effect.Effect<ReadonlyArray<A>, StoreError> =>
    Effect.tap(effect, (value) =>
      value.length === 0 || !recorder.isAttended()
        ? Effect.void
        : Effect.matchEffect(events(value), {
          onFailure: () => Effect.sync(recorder.lost),
          onSuccess: (made) => whenFinal(() => recorder.record(made))
        }))

  /** What is done to tasks from outside. How they were before says what that comes after, and who they are. */
  const operating = <A>(
    refs: ReadonlyArray<TaskRef>,
    operation: Effect.Effect<ReadonlyArray<A>, StoreError>,
    eventOf: (answer: A, before: TaskRecord, isRecent: boolean) => Omit<NewTaskEvent, keyof Subject> | undefined
  ): Effect.Effect<ReadonlyArray<A>, StoreError> =>
    Effect.suspend(() => {
      if (!recorder.isAttended()) return operation
      return Effect.matchEffect(Effect.forEach(refs, (ref) => store.get(idOf(ref))), {
        onFailure: () => Effect.tap(operation, () => Effect.sync(recorder.lost)),
        onSuccess: (before) => {
          const recent = before.map((task) => task !== undefined && isRecent(task, clock.currentTimeMillisUnsafe()))
          return recording(operation, (answers) =>
            answers.flatMap((answer, index) => {
              const task = before[index]
              const event = task && eventOf(answer, task, recent[index]!)
              return event === undefined ? [] : [{ ...subjectOf(task!), ...event }]
            }))
        }
      })
    })

  const claimed = ({ now, tasks }: ClaimAnswer, instance: string): ReadonlyArray<NewTaskEvent> =>
    tasks.map((task) => {
      const { attempt, claim, dueAt } = task
      const subject = { ...subjectOf(task), attempt, instance }
      if (known.size >= maxKnown) known.clear()
      known.set(claim, subject)
      return {
        event: "started",
        ...subject,
        step: stepOf(attempt, "running"),
        ...afterIf(attempt > 1 || dueAt > now - recentMs, stepOf(attempt - 1, "waiting"))
      }
    })

  /** Who the end of an attempt is about that was claimed while no reader attended. */
  const knownOf = Effect.fnUntraced(
    function*({ claim, id }: Settlement): Effect.fn.Return<Running | undefined, StoreError> {
      const task = yield* store.get(id)
      // Another instance may have claimed it again
      return task && { ...subjectOf(task), attempt: task.claims - (task.claim === claim ? 0 : 1) }
    }
  )

  const settled = Effect.fnUntraced(function*(
    settlements: ReadonlyArray<Settlement>,
    answers: ReadonlyArray<SettleAnswer>
  ) {
    // What was settled before has been told before, unless the answer was lost then
    const ended = settlements.filter(({ claim }, index) =>
      answers[index] === "applied" || (answers[index] === "already" && known.has(claim))
    )
    const again = ended.filter(({ _tag }) => _tag === "Retry" || _tag === "Snooze" || _tag === "Release")
    // With a cancel requested, what would run again has been cancelled, and it has expired if it would run too late
    const outcomes = again.length === 0 ? [] : yield* store.results(again.map(({ id }) => id))
    const instead = new Map(again.map((settlement, index) => [settlement, outcomes[index]?.state]))
    const events: Array<NewTaskEvent> = []
    for (const settlement of ended) {
      const subject = known.get(settlement.claim) ?? (yield* knownOf(settlement))
      if (subject === undefined) continue
      events.push({ ...subject, ...endOf(settlement, instead.get(settlement), subject.attempt) })
    }
    yield* whenFinal(() => {
      for (const { claim } of ended) known.delete(claim)
    })
    return events
  })

  const rescued = Effect.fnUntraced(function*(tasks: ReadonlyArray<Rescued>) {
    // A process has died, and what it had not appended with it
    if (tasks.length > 0) recorder.lost()
    const events: Array<NewTaskEvent> = []
    for (const { attempt, id, state } of tasks) {
      const task = yield* store.get(id)
      if (task === undefined) continue
      const subject = { ...subjectOf(task), attempt }
      events.push(
        state === "cancelled"
          ? { ...subject, ...stopped(attempt) }
          : state === "expired"
          ? { ...subject, ...droppedAs("expired", attempt) }
          : state === "failed"
          ? { ...subject, event: "failed", step: stepOf(attempt, "ended") }
          : { ...subject, event: "crashed", step: stepOf(attempt, "waiting") }
      )
    }
    return events
  })

  /** Tasks that waited when they were changed, which was just now. */
  const revised = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
    const events: Array<NewTaskEvent> = []
    for (const id of ids) {
      const task = yield* store.get(id)
      if (task === undefined) continue
      const claims = task.state === "running" ? task.claims - 1 : task.claims
      events.push({ event: "rescheduled", ...subjectOf(task), step: stepOf(claims, "waiting") })
    }
    return events
  })

  const tasks: TaskStore["Service"] = {
    ...store,
    enqueue: (groups) =>
      recordingAfterwards(
        recording(store.enqueue(groups), (answers) => createdOf(groups, answers)),
        (answers) => revised(mergedIn(answers))
      ),
    // Idle instances ask again and again: what gives nothing is no reason to look whether a reader attends
    claim: (request) =>
      Effect.map(store.claim(request), (answer) => {
        const { expired = [], tasks } = answer
        if (expired.length + tasks.length > 0 && recorder.isAttended()) {
          recorder.record([...expired.map(expiredOf), ...claimed(answer, request.instance)])
        }
        return answer
      }),
    // Who tells others of what has come of a write asks for it right after
    consequences: () => {
      const consequences = store.consequences()
      if (consequences !== noConsequences && recorder.isAttended()) {
        if (consequences.more) recorder.lost()
        recorder.record(consequences.dropped.map(droppedOf))
      }
      return consequences
    },
    // The expirer asks each second, and mostly for nothing
    expire: (limit) =>
      Effect.map(store.expire(limit), (expired) => {
        if (expired.length > 0 && recorder.isAttended()) recorder.record(expired.map(expiredOf))
        return expired
      }),
    settle: (settlements) => recordingAfterwards(store.settle(settlements), (answers) => settled(settlements, answers)),
    report: (reports) =>
      recording(store.report(reports), () =>
        reports.flatMap(({ claim, progress }) => {
          const subject = known.get(claim)
          return subject === undefined ? [] : [{ event: "progress", ...subject, progress }]
        })),
    rescue: (request) =>
      Effect.tap(store.rescue(request), (answer) => recordingAfterwards(Effect.succeed(answer.rescued), rescued)),
    cancel: (ids) =>
      operating(ids, store.cancel(ids), (answer, { claims, state }, isRecent) => {
        if (answer === "cancelled") {
          return { ...droppedAs("cancelled", claims), ...afterIf(isRecent, stepOf(claims, "waiting")) }
        }
        if (answer !== "requested") return undefined
        // It may have been claimed since it was read
        const now = state === "running" ? claims : claims + 1
        return { event: "cancelling", step: stepOf(now, "stopping"), ...afterIf(isRecent, stepOf(now, "running")) }
      }),
    rerun: (ids) =>
      operating(ids, store.rerun(ids), ({ _tag }, before, isRecent) =>
        _tag === "rerun"
          ? { event: "rerun", step: stepOf(before.claims, "waiting"), ...afterIf(isRecent, lastStepOf(before)) }
          : undefined),
    reopen: (ids, options) =>
      operating(ids, store.reopen(ids, options), ({ _tag }, before, isRecent) =>
        _tag === "rerun"
          ? { event: "rerun", step: stepOf(before.claims, "waiting"), ...afterIf(isRecent, lastStepOf(before)) }
          : undefined),
    reschedule: (requests) =>
      operating(
        requests.map(({ id }) => id),
        store.reschedule(requests),
        ({ _tag }, { claims }, isRecent) =>
          _tag === "rescheduled"
            ? {
              event: "rescheduled",
              step: stepOf(claims, "waiting"),
              ...afterIf(isRecent, stepOf(claims, "waiting"))
            }
            : undefined
      ),
    remove: (ids) =>
      operating(
        ids,
        store.remove(ids),
        (answer, before, isRecent) =>
          answer === "removed" ? { event: "removed", ...afterIf(isRecent, lastStepOf(before)) } : undefined
      )
  }

  const atomically: RecordStore["Service"]["atomically"] = (nonce, parts) =>
    Effect.tap(records.atomically(nonce, parts), ({ now, tasks: accepted }) => {
      const { settlements = [], tasks = [] } = parts
      const stored: EnqueueAnswer = { _tag: "Accepted", tasks: accepted, now }
      return Effect.andThen(
        recordingAfterwards(
          recording(Effect.succeed([stored]), (answers) => createdOf([tasks], answers)),
          (answers) => revised(mergedIn(answers))
        ),
        recordingAfterwards(
          Effect.succeed(settlements.map((): SettleAnswer => "applied")),
          (answers) => settled(settlements, answers)
        )
      )
    })
  return { tasks, records: { ...records, atomically } }
}
