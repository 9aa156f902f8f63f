/**
 * Why a task waits: the reasons for which a claim would not take it now, in codes for programs and in words for people. They are
 * read from what the claim itself reads, so that one that is named is true.
 *
 * | code | the claim takes the task when |
 * |---|---|
 * | `not_due` | its time has come |
 * | `queue_paused` | its queue is resumed, or the pause has ended |
 * | `no_handler` | an instance works on its queue and handles its type |
 * | `behind` | an instance has a free slot, and the due tasks before it have been taken |
 */
import { DateTime, Duration, Effect, Option } from "effect"
import { type StoreError, TaskNotFound } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import { retryCount, type TaskRecord } from "../domain/TaskRecord.ts"
import { isFinished, type TaskState } from "../domain/TaskState.ts"
import type { InstanceRecord, InstanceStore } from "../store/InstanceStore.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** A reason for which no claim takes a task now. */
export type Reason =
  | { readonly code: "not_due"; readonly text: string; readonly dueAt: DateTime.Utc }
  | {
    readonly code: "queue_paused"
    readonly text: string
    readonly by: string | null
    readonly reason: string | null
    readonly since: DateTime.Utc
    readonly until: DateTime.Utc | null
  }
  | { readonly code: "no_handler"; readonly text: string; readonly instances: number }
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
  /** When it may start, as far as that is known: `None` where it waits for a person, a handler or a free slot. */
  readonly mayStartAt: Option.Option<DateTime.Utc>
  readonly now: DateTime.Utc
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
    return { id, state, summary: ongoing(task), reasons: [], mayStartAt: Option.none(), now }
  }
  const able = roll.instances.filter((instance) => canRun(instance, task))
  const pause = yield* Effect.provideService(PausedQueues.pauseOf(task.queue), RecordStore, records)
  const reasons: Array<Reason> = []
  if (state === "scheduled" && task.dueAt > roll.now) reasons.push(notDue(task, now))
  if (pause !== null) reasons.push(paused(pause))
  if (able.length === 0) reasons.push(noHandler(task, roll.instances.length))
  if (reasons.length === 0) reasons.push(yield* behind(tasks, task, able))
  return { id, state, summary: reasons[0]!.text, reasons, mayStartAt: mayStartAt(reasons), now }
})

const canRun = ({ queues, types }: InstanceRecord, { queue, type }: TaskRecord): boolean =>
  types.includes(type) && (queues.length === 0 || queues.includes(queue))

const ongoing = (task: TaskRecord): string => {
  switch (task.state) {
    case "completed":
      return "It has completed."
    case "cancelled":
      return "It was cancelled. A rerun starts it again."
    case "failed":
      return `It failed: ${task.failure?.message ?? "no reason is known"}. A rerun starts it again.`
    default: {
      const since = task.startedAt === null ? "" : ` since ${DateTime.formatIso(utc(task.startedAt))}`
      const ending = task.cancelRequested ? ", and was asked to stop" : ""
      return `It runs on ${task.instance ?? "an instance"}${since}${ending}.`
    }
  }
}

const notDue = (task: TaskRecord, now: DateTime.Utc): Reason => {
  const dueAt = utc(task.dueAt)
  const wait = Duration.format(DateTime.distance(now, dueAt))
  const why = task.failures > 0 ? `Its retry ${retryCount(task) + 1} is due` : "It is due"
  return { code: "not_due", text: `${why} in ${wait}, at ${DateTime.formatIso(dueAt)}.`, dueAt }
}

const paused = ({ by, queue, reason, since, until }: PausedQueues.PausedQueue): Reason => {
  const end = until === null ? "until someone resumes it" : `until ${DateTime.formatIso(utc(until))}`
  const who = by === null ? "" : ` by ${by}`
  return {
    code: "queue_paused",
    text: `Its queue ${JSON.stringify(queue)} is paused${who} ${end}${reason === null ? "" : `: ${reason}`}.`,
    by,
    reason,
    since: utc(since),
    until: until === null ? null : utc(until)
  }
}

const noHandler = ({ queue, type }: TaskRecord, instances: number): Reason => {
  const name = `type ${JSON.stringify(type)} in the queue ${JSON.stringify(queue)}`
  const text = instances === 0
    ? `No instance is running, so nothing handles the ${name}.`
    : `None of ${instances} running instances handles the ${name}.`
  return { code: "no_handler", text, instances }
}

const behind = Effect.fnUntraced(function*(
  tasks: TaskStore["Service"],
  { queue, type }: TaskRecord,
  able: ReadonlyArray<InstanceRecord>
): Effect.fn.Return<Reason, StoreError> {
  const { lanes } = yield* tasks.laneCounts({ queue, limit: maxTypes })
  const pending = lanes.find((lane) => lane.type === type)?.pending ?? 0
  const slots = able.reduce((sum, { capacity }) => sum + capacity, 0)
  const busy = able.reduce((sum, { running }) => sum + running.length, 0)
  const text = busy < slots
    ? "It is due, and starts when an instance asks for work."
    : `It is due, and waits for one of ${slots} slots, which are all busy; ${pending} due tasks of its queue and type wait.`
  return { code: "behind", text, pending, slots, busy }
})

/** Types of a queue that are looked through for the task's own. */
const maxTypes = 10_000

/** Known only where nothing but time is missing. */
const mayStartAt = (reasons: ReadonlyArray<Reason>): Option.Option<DateTime.Utc> => {
  const times = reasons.map((reason) =>
    reason.code === "not_due" ? reason.dueAt : reason.code === "queue_paused" ? reason.until : null
  )
  return times.reduce<Option.Option<DateTime.Utc>>(
    (latest, time) =>
      Option.flatMap(latest, (known) => time === null ? Option.none() : Option.some(DateTime.max(known, time))),
    Option.some(utc(0))
  )
}
