/**
 * The store of an engine with a record of what happens in it. Events are made where the store has acknowledged what they
 * tell of, so a caller need not think of them. What happens in an application's transaction has happened when
 * that is committed.
 */
import { type Context, Effect, Layer, Option } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import type { NewTaskEvent, TaskEventName } from "../domain/TaskEvent.ts"
import type { NewTask, TaskFailure } from "../domain/TaskRecord.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import { EventLog } from "../store/EventLog.ts"
import type { Notifier } from "../store/Notifier.ts"
import { type ClaimAnswer, type EnqueueAnswer, type Rescued, TaskStore } from "../store/TaskStore.ts"
import { BirthOrder } from "./BirthOrder.ts"
import * as EventRecorder from "./EventRecorder.ts"

/** Running attempts remembered at most. */
const maxKnown = 20_000

/** Records into the log of events of the store, if there is one. */
export const layer: Layer.Layer<TaskStore, never, TaskStore | Notifier | Supervisor> = Layer.effect(
  TaskStore,
  Effect.gen(function*() {
    const store = yield* TaskStore
    const log = yield* Effect.serviceOption(EventLog)
    return Option.isNone(log) ? store : recorded(store, yield* EventRecorder.make(log.value))
  })
)

/** What an event says about its task. */
type Subject = Pick<NewTaskEvent, "id" | "type" | "queue" | "attempt" | "instance">

type Store = Context.Service.Shape<typeof TaskStore>

const recorded = (store: Store, recorder: EventRecorder.Recorder): Store => {
  const order = new BirthOrder(recorder.record)
  /** The attempts that were claimed here and have not been settled, by their claim numbers. */
  const known = new Map<number, Subject>()

  const { afterCommit } = store

  /** Does it now, or when the transaction that the fiber is in has been committed. */
  const whenFinal = (action: () => void): Effect.Effect<void> =>
    afterCommit === undefined ? Effect.sync(action) : afterCommit(Effect.sync(action))

  /** The same effect, and its events once it has succeeded. Costs a comparison while no reader attends. */
  const recording = <A>(
    effect: Effect.Effect<A, StoreError>,
    events: (value: A) => ReadonlyArray<NewTaskEvent>
  ): Effect.Effect<A, StoreError> =>
    Effect.tap(
      effect,
      (value) => recorder.isAttended() ? whenFinal(() => order.record(events(value))) : Effect.void
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
          onSuccess: (made) => whenFinal(() => order.record(made))
        }))

  /** What is claimed before the answer is here waits for it; in a transaction, nothing is claimed before the commit. */
  const enqueue = (groups: ReadonlyArray<ReadonlyArray<NewTask>>) => {
    order.expect(idsOf(groups))
    return store.enqueue(groups).pipe(
      Effect.onError(() => Effect.sync(() => order.release(idsOf(groups)))),
      Effect.tap((answers) => {
        const created = createdOf(groups, answers)
        const isNew = new Set(created.map(({ id }) => id))
        order.release(idsOf(groups).filter((id) => !isNew.has(id)))
        return created.length === 0 ? Effect.void : whenFinal(() => order.created(created))
      })
    )
  }

  const subjectOf = (id: string): Effect.Effect<Subject | undefined, StoreError> =>
    Effect.map(store.get(id), (task) => task && { id, type: task.type, queue: task.queue })

  /** One event per id whose answer makes one. */
  const ofIds = Effect.fnUntraced(function*<A>(
    ids: ReadonlyArray<string>,
    answers: ReadonlyArray<A>,
    name: (answer: A) => TaskEventName | undefined
  ) {
    const events: Array<NewTaskEvent> = []
    for (const [index, id] of ids.entries()) {
      const event = name(answers[index]!)
      const subject = event === undefined ? undefined : yield* subjectOf(id)
      if (event !== undefined && subject !== undefined) events.push({ event, ...subject })
    }
    return events
  })

  const claimed = ({ tasks }: ClaimAnswer, instance: string): ReadonlyArray<NewTaskEvent> =>
    tasks.map(({ attempt, claim, id, queue, type }) => {
      const subject = { id, type, queue, attempt, instance }
      if (known.size >= maxKnown) known.clear()
      known.set(claim, subject)
      return { event: "started", ...subject }
    })

  const settled = Effect.fnUntraced(function*(
    settlements: ReadonlyArray<Settlement>,
    answers: ReadonlyArray<SettleAnswer>
  ) {
    // What was settled before has been told before, unless the answer was lost then
    const ended = settlements.filter(({ claim }, index) =>
      answers[index] === "applied" || (answers[index] === "already" && known.has(claim))
    )
    const again = ended.filter(({ _tag }) => _tag === "Retry" || _tag === "Snooze" || _tag === "Release")
    // With a cancel requested, what would run again has been cancelled
    const outcomes = again.length === 0 ? [] : yield* store.results(again.map(({ id }) => id))
    const cancelled = new Set(again.filter((_, index) => outcomes[index]?.state === "cancelled"))
    const events: Array<NewTaskEvent> = []
    for (const settlement of ended) {
      const subject = known.get(settlement.claim) ?? (yield* subjectOf(settlement.id))
      if (subject === undefined) continue
      events.push(cancelled.has(settlement) ? { event: "cancelled", ...subject } : endOf(settlement, subject))
    }
    yield* whenFinal(() => {
      for (const { claim } of ended) known.delete(claim)
    })
    return events
  })

  const rescued = Effect.fnUntraced(function*(tasks: ReadonlyArray<Rescued>) {
    // A process has died, and what it had not appended with it
    if (tasks.length > 0) recorder.lost()
    return yield* ofIds(
      tasks.map(({ id }) => id),
      tasks,
      ({ state }) => state === "failed" || state === "cancelled" ? state : "crashed"
    )
  })

  return {
    ...store,
    enqueue: (groups) => Effect.suspend(() => recorder.isAttended() ? enqueue(groups) : store.enqueue(groups)),
    // Idle instances ask again and again: what gives nothing is no reason to look whether a reader attends
    claim: (request) =>
      Effect.map(store.claim(request), (answer) => {
        if (answer.tasks.length > 0 && recorder.isAttended()) order.record(claimed(answer, request.instance))
        return answer
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
      recordingAfterwards(
        store.cancel(ids),
        (answers) =>
          ofIds(ids, answers, (answer) =>
            answer === "cancelled" ? "cancelled" : answer === "requested" ? "cancelling" : undefined)
      ),
    rerun: (ids) =>
      recordingAfterwards(
        store.rerun(ids),
        (answers) => ofIds(ids, answers, ({ _tag }) => _tag === "rerun" ? "rerun" : undefined)
      ),
    remove: (ids) =>
      Effect.suspend(() => {
        if (!recorder.isAttended()) return store.remove(ids)
        // They cannot be asked for afterwards
        return Effect.flatMap(Effect.forEach(ids, subjectOf), (subjects) =>
          recording(store.remove(ids), (answers) =>
            subjects.flatMap((subject, index) =>
              subject !== undefined && answers[index] === "removed" ? [{ event: "removed", ...subject }] : []
            )))
      })
  }
}

const idsOf = (groups: ReadonlyArray<ReadonlyArray<NewTask>>): ReadonlyArray<string> =>
  groups.flatMap((tasks) => tasks.map(({ id }) => id))

const createdOf = (
  groups: ReadonlyArray<ReadonlyArray<NewTask>>,
  answers: ReadonlyArray<EnqueueAnswer>
): ReadonlyArray<NewTaskEvent> => {
  const events: Array<NewTaskEvent> = []
  for (const [index, answer] of answers.entries()) {
    if (answer._tag !== "Accepted") continue
    for (const [place, { duplicate }] of answer.tasks.entries()) {
      const { id, queue, type } = groups[index]![place]!
      if (!duplicate) events.push({ event: "created", id, type, queue })
    }
  }
  return events
}

const endOf = (settlement: Settlement, subject: Subject): NewTaskEvent => {
  switch (settlement._tag) {
    case "Complete":
      return { event: "completed", ...subject }
    case "Fail":
      return { event: "failed", ...subject, error: reasonOf(settlement.failure) }
    case "Cancel":
      return { event: "cancelled", ...subject }
    case "Retry":
      return { event: "retrying", ...subject, delayMs: settlement.delayMs, error: reasonOf(settlement.failure) }
    case "Snooze":
      return { event: "snoozed", ...subject, delayMs: settlement.delayMs }
    case "Release":
      return { event: "released", ...subject }
  }
}

/** Without the stack, which stays in the log. */
const reasonOf = ({ kind, message, tag }: TaskFailure) => ({ kind, tag, message })
