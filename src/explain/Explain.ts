/**
 * Why a task waits: the reasons for which a claim would not take it now, in codes for programs and in words for people. They are
 * read from what the claim itself reads, so that one that is named is true.
 *
 * | code | the claim takes the task when |
 * |---|---|
 * | `dependency_open` | the tasks that it depends on have ended, or the members of the batch that it is |
 * | `not_due` | its time has come |
 * | `asleep` | its handler's sleep is over |
 * | `waits_for_signal` | the signal is completed, or the time for it has passed |
 * | `waits_for_deferred` | the deferred is completed, or a sleep is over |
 * | `waits_for_child` | the other execution has ended, or a sleep is over |
 * | `waits_for_resume` | the execution is resumed, or interrupted |
 * | `queue_paused` | its queue is resumed, or the pause has ended |
 * | `type_paused` | its type is resumed, or the pause has ended |
 * | `key_paused` | the key is resumed, or the pause has ended |
 * | `limit_full` | a task that runs with the key has ended, or the limit is raised |
 * | `breaker_open` | the dependency may be tried and no other task tries it, or the breaker is closed |
 * | `rate_spent` | the bucket of the key has what the task costs |
 * | `key_blocked` | the task before it has ended, or the key is let go |
 * | `no_handler` | an instance works on its queue and handles its type |
 * | `share_full` | an instance has a free slot that its queue may have |
 * | `behind` | an instance has a free slot, and the due tasks before it have been taken |
 */
import { DateTime, Duration, Effect, Option } from "effect"
import * as DurationText from "../domain/DurationText.ts"
import { type StoreError, TaskNotFound } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import { versionsIn } from "../domain/StoredType.ts"
import { retryCount, type TaskRecord } from "../domain/TaskRecord.ts"
import { isFinished, type TaskState } from "../domain/TaskState.ts"
import type { InstanceRecord, InstanceStore, Roll } from "../store/InstanceStore.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import { batchReason, type DependencyReason, dependencyReason } from "./DependencyReasons.ts"
import { type GateReason, gateReasons, type PauseFacts, pauseFacts, sentence, timeText } from "./GateReasons.ts"
import { canRun, roomOf, shareOf } from "./Instances.ts"
import { type StepReason, stepReason } from "./StepReasons.ts"

/** A reason for which no claim takes a task now. */
export type Reason =
  | DependencyReason
  | { readonly code: "not_due"; readonly text: string; readonly dueAt: DateTime.Utc }
  | StepReason
  | PauseFacts & { readonly code: "queue_paused" }
  | GateReason
  | { readonly code: "no_handler"; readonly text: string; readonly instances: number }
  | {
    readonly code: "share_full"
    readonly text: string
    /** Slots of the instances that can run it, how many of them run something, and how many run a task of its queue's share. */
    readonly slots: number
    readonly busy: number
    readonly running: number
  }
  | {
    readonly code: "behind"
    readonly text: string
    /** Due tasks of its queue and type, this one among them. */
    readonly pending: number
    /** Slots of the instances that can run it, and how many of them ran something when they were last heard of. */
    readonly slots: number
    readonly busy: number
  }

/** What holds a task up. Times are by the store's clock. */
export interface Explanation {
  readonly id: string
  readonly state: TaskState
  /** One sentence: what the task does now, or what it waits for first. */
  readonly summary: string
  /** All that has to change before it starts, the first first; none where it runs or has finished. */
  readonly reasons: ReadonlyArray<Reason>
  /** When it should start; `null` where it has no `startWithin`, has started before, or does not wait. */
  readonly deadline: Deadline | null
  /** When it may start, as far as that is known: `None` where it waits for a person, a handler or a free slot. */
  readonly mayStartAt: Option.Option<DateTime.Utc>
  readonly now: DateTime.Utc
}

/** Until when a task that waits should start. */
export interface Deadline {
  /** A sentence for people: how late it is, or how long until then. */
  readonly text: string
  readonly startBy: DateTime.Utc
  /** How late it is, in milliseconds; less than 0 as long as there is time. */
  readonly lateMs: number
}

/** The stores that know. */
interface Stores {
  readonly tasks: TaskStore["Service"]
  readonly records: RecordStore["Service"]
  readonly instances: InstanceStore["Service"]
}

/** Explains one task. It costs a few reads, the same however many tasks wait. */
export const explain = Effect.fnUntraced(function*(
  { instances, records, tasks }: Stores,
  id: string
): Effect.fn.Return<Explanation, TaskNotFound | StoreError> {
  const task = yield* tasks.get(id)
  if (task === undefined) return yield* new TaskNotFound({ id })
  const roll = yield* instances.list
  const now = utc(roll.now)
  const { state } = task
  if (state === "running" || isFinished(state)) {
    return { id, state, summary: ongoing(task, roll), reasons: [], deadline: null, mayStartAt: Option.none(), now }
  }
  const able = roll.instances.filter((instance) => canRun(instance, task))
  const pause = yield* Effect.provideService(PausedQueues.pauseOf(task.queue), RecordStore, records)
  const dependency = yield* dependencyReason(tasks, task)
  const reasons: Array<Reason> = dependency === undefined ? [] : [dependency]
  if (state === "scheduled" && task.dueAt > roll.now) {
    const batch = yield* Effect.provideService(batchReason(task), RecordStore, records)
    const step = yield* Effect.provideService(stepReason(task, roll.now), RecordStore, records)
    reasons.push(batch ?? step ?? notDue(task, now))
  }
  if (pause !== null) {
    const facts = pauseFacts(`Its queue ${JSON.stringify(pause.queue)}`, pause, roll.now)
    reasons.push({ code: "queue_paused", ...facts })
  }
  reasons.push(...yield* Effect.provideService(gateReasons(tasks, task, roll.now), RecordStore, records))
  if (able.length === 0) reasons.push(noHandler(task, roll.instances))
  if (reasons.length === 0) reasons.push(yield* behind(tasks, task, able))
  const deadline = deadlineOf(task, roll.now)
  return { id, state, summary: reasons[0]!.text, reasons, deadline, mayStartAt: mayStartAt(reasons, now), now }
})

const ongoing = (task: TaskRecord, roll: Roll): string => {
  switch (task.state) {
    case "completed":
      return "It has completed."
    case "cancelled":
      return task.failure?.kind === "dependency"
        ? `It was cancelled: ${sentence(task.failure.message)} A rerun starts it again.`
        : "It was cancelled. A rerun starts it again."
    case "expired":
      return `It expired at ${timeText(task.expiresAt ?? task.completedAt!)}, before it could start${
        task.claims === 0 ? "" : " again"
      }. A rerun starts it, without an expiry.`
    case "failed":
      return `It failed: ${sentence(task.failure?.message ?? "no reason is known")} A rerun starts it again.`
    default:
      return running(task, roll)
  }
}

const running = ({ cancelRequested, instance, leaseUntil, startedAt }: TaskRecord, { instances }: Roll): string => {
  const asked = cancelRequested ? ", and was asked to stop" : ""
  const text = `It runs on ${instance} since ${timeText(startedAt!)}${asked}.`
  return instances.some(({ id }) => id === instance)
    ? text
    : `${text} That instance gives no sign of life: the task is taken from it when its lease ends, at ${
      timeText(leaseUntil!)
    }.`
}

const notDue = (task: TaskRecord, now: DateTime.Utc): Reason => {
  const dueAt = utc(task.dueAt)
  const wait = DurationText.format(Duration.seconds(Math.ceil(Duration.toSeconds(DateTime.distance(now, dueAt)))))
  const last = task.failures > 0 ? task.history.at(-1)?.outcome : undefined
  const why = last === "failed" ? `Its retry ${retryCount(task)} is due` : "It is due"
  return { code: "not_due", text: `${why} in ${wait}, at ${DateTime.formatIso(dueAt)}.`, dueAt }
}

const deadlineOf = ({ startBy }: TaskRecord, now: number): Deadline | null => {
  if (startBy === null) return null
  const lateMs = now - startBy
  const amount = DurationText.format(Duration.millis(Math.abs(lateMs)))
  const text = lateMs > 0
    ? `It should have started by ${timeText(startBy)}, and is ${amount} late.`
    : `It should start within ${amount}, by ${timeText(startBy)}.`
  return { text, startBy: utc(startBy), lateMs }
}

const noHandler = ({ queue, type, version }: TaskRecord, living: ReadonlyArray<InstanceRecord>): Reason => {
  const instances = living.length
  const earlier = versionsOf(living, type)
  const ofType = `the type ${JSON.stringify(type)} in the queue ${JSON.stringify(queue)}`
  const name = version === undefined ? ofType : `version ${version} of ${ofType}`
  const text = instances === 0
    ? `No instance is running, so nothing handles ${name}.`
    : instances === 1
    ? `The one running instance does not handle ${name}${earlier}.`
    : `None of ${instances} running instances handles ${name}${earlier}.`
  return { code: "no_handler", text, instances }
}

/** What the instances know that handle a type, but not the version of a task. */
const versionsOf = (living: ReadonlyArray<InstanceRecord>, type: string): string => {
  const newest = living.map(({ types }) => versionsIn(types, type).at(-1)).filter((version) => version !== undefined)
  return newest.length === 0
    ? ""
    : `: the newest that one handles is ${Math.max(...newest)}. The task waits for a program that knows its version`
}

const behind = Effect.fnUntraced(function*(
  tasks: TaskStore["Service"],
  { gate, queue, state, type, version }: TaskRecord,
  able: ReadonlyArray<InstanceRecord>
): Effect.fn.Return<Reason, StoreError> {
  const { lanes } = yield* tasks.laneCounts({ queue, limit: maxTypes })
  // One that has become due counts as scheduled until the next claim, and what was pending may run by now
  const due = lanes.find((lane) => lane.type === type && (lane.version ?? 1) === (version ?? 1))?.pending ?? 0
  const pending = state === "scheduled" ? due + 1 : Math.max(1, due)
  const taking = able.filter(({ sizing }) => sizing?.draining !== true)
  const slots = taking.reduce((sum, { capacity }) => sum + capacity, 0)
  const busy = taking.reduce((sum, { running }) => sum + running.length, 0)
  if (busy < slots && taking.every((instance) => roomOf(instance, queue) <= 0)) {
    const running = taking.reduce((sum, instance) => sum + (shareOf(instance, queue)?.running ?? 0), 0)
    const text = `It is due, and waits for a slot that its queue may have: ${
      busy === 1 ? "1 slot is" : `${busy} slots are`
    } busy, ${running} of them with its queue's share, and the other ${
      slots - busy
    } are kept from it by the shares of the pool.`
    return { code: "share_full", text, slots, busy, running }
  }
  const text = taking.length === 0
    ? `It is due, but ${
      able.length === 1
        ? "the one instance that handles it drains"
        : `all ${able.length} instances that handle it drain`
    }: an operator has to resume one, or to start another.`
    : busy < slots
    ? gate === null
      ? "It is due, and starts when an instance asks for work."
      : "It is due, and starts when an instance asks for work, after those before it that share all its limits."
    : `It is due, and waits for ${
      slots === 1 ? "the one slot, which is" : `one of ${slots} slots, which are all`
    } busy; ` +
      `${pending === 1 ? "no other due task" : `${pending} due tasks`} of its queue and type ${
        pending === 1 ? "waits" : "wait"
      }.`
  return { code: "behind", text, pending, slots, busy }
})

/** Types of a queue that are looked through for the task's own. */
const maxTypes = 10_000

/** Known only where nothing but time is missing; not in the past. */
const mayStartAt = (reasons: ReadonlyArray<Reason>, now: DateTime.Utc): Option.Option<DateTime.Utc> => {
  const times = reasons.map((reason) =>
    reason.code === "not_due" ? reason.dueAt : "until" in reason ? reason.until : null
  )
  return times.reduce<Option.Option<DateTime.Utc>>(
    (latest, time) =>
      Option.flatMap(latest, (known) => time === null ? Option.none() : Option.some(DateTime.max(known, time))),
    Option.some(now)
  )
}
