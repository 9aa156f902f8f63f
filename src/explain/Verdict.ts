/**
 * What holds up a queue, or all of them: one sentence, the causes with the most tasks first, and the one action that would help. What
 * is said of queues, types and instances is counted over all waiting tasks. Why gates are closed is read from the newest ones.
 */
import { type DateTime, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import type { InstanceRecord, InstanceStore } from "../store/InstanceStore.ts"
import type { LaneCounts } from "../store/Lanes.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import type { Paused } from "../store/PausedRecords.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { promotion, type TaskStore } from "../store/TaskStore.ts"
import { type GateReason, gateReasons, pauseFacts } from "./GateReasons.ts"
import { canRun, hasBeenFree, roomOf } from "./Instances.ts"
import { lateText, type Starts, startsOf } from "./Starts.ts"

/** Something that waiting tasks wait for. */
export interface Cause {
  /** As for a single task; `draining` where all instances that could run the tasks drain, `unclaimed` where nothing is in the way. */
  readonly code: "queue_paused" | "no_handler" | "draining" | "share_full" | "behind" | "unclaimed" | GateReason["code"]
  /** A sentence for people. */
  readonly text: string
  /** How many of the waiting tasks it holds up. Of closed gates, as many as the newest tasks suggest. */
  readonly tasks: number
  /** What would help; `null` where only time does. */
  readonly action: string | null
}

/** How a queue does, or all of them. Times are by the store's clock. */
export interface Verdict {
  /** `null` for all. */
  readonly queue: string | null
  /** One sentence: what waits, and why. */
  readonly summary: string
  /** The one action that would help; `null` where nothing has to be done. */
  readonly action: string | null
  /** What holds tasks up, the most tasks first: at most {@link maxCauses}. */
  readonly causes: ReadonlyArray<Cause>
  readonly scheduled: number
  /** Tasks that are due and wait. */
  readonly pending: number
  readonly running: number
  /** When the first of them in the order of work became due; `null` when none waits. */
  readonly waitingSince: DateTime.Utc | null
  /** Of the newest tasks that run or wait, those that should start within a time. */
  readonly starts: Starts
  /** Slots of the living instances that work on it and do not drain, and how many of them ran something when they were last heard of. */
  readonly slots: number
  readonly busy: number
  readonly now: DateTime.Utc
}

/** The part of `TaskQueue` that says how queues do. */
export interface Verdicts {
  /**
   * What holds up a queue, or all of them when none is named: why tasks wait, and what would help.
   *
   * @example
   * ```ts
   * const why = TaskQueue.use((queue) => Effect.map(queue.verdict("mail"), ({ action, summary }) => `${summary} ${action ?? ""}`))
   * ```
   */
  readonly verdict: (queue?: string) => Effect.Effect<Verdict, InvalidOption | StoreError>
}

/** Causes that are named at most. */
export const maxCauses = 10

/** Waiting tasks whose gates are looked at. */
const maxLooked = 20

/** Pages of so many that are looked at for one that no instance claims. */
const maxPages = 5

/** Types of a queue whose tasks are looked at. */
const maxTypes = 100

/** Queues and types that are counted at once; a store may answer fewer. */
const chunk = 10_000

/** How long a task may wait for an instance to ask, and a slot be free, before that is a cause, in milliseconds. */
const maxUnclaimedMs = 15_000

/** The stores that know. */
interface Stores {
  readonly tasks: TaskStore["Service"]
  readonly records: RecordStore["Service"]
  readonly instances: InstanceStore["Service"]
}

/** What is known of the tasks that wait for one thing. */
interface Found extends Cause {
  readonly id: string
}

/** These operations on a store. */
export const make = (stores: Stores): Verdicts => ({
  verdict: Effect.fnUntraced(function*(queue) {
    yield* Bounds.check("queue", Bounds.name, queue)
    return yield* verdictOn(stores, queue)
  })
})

const verdictOn = Effect.fnUntraced(
  function*(
    { instances, records, tasks }: Stores,
    queue: string | undefined
  ): Effect.fn.Return<Verdict, StoreError> {
    const onRecords = Effect.provideService(RecordStore, records)
    // Where no instance lives, nothing else would make tasks that have become due count as waiting
    const { now } = yield* tasks.claim(promotion)
    const { instances: living } = yield* instances.list
    const paused = new Map((yield* onRecords(PausedQueues.paused)).map((pause) => [pause.queue, pause]))
    const pausedTypes = new Map((yield* onRecords(PausedQueues.types.paused)).map((pause) => [pause.id, pause]))
    const found = new Map<string, Found>()
    const add = (id: string, tasks: number, cause: () => Pick<Found, "code" | "text" | "action">) => {
      const known = found.get(id)
      found.set(id, known === undefined ? { id, tasks, ...cause() } : { ...known, tasks: known.tasks + tasks })
    }
    const sums = { scheduled: 0, pending: 0, running: 0 }
    let since: number | null = null
    /** Those that have free slots, and wait all the same. */
    const held: Array<LaneCounts> = []
    let after: LaneCounts | undefined
    for (let more = true; more;) {
      const page = yield* tasks.laneCounts({ queue, after, limit: chunk })
      for (const lane of page.lanes) {
        sums.scheduled += lane.scheduled
        sums.pending += lane.pending
        sums.running += lane.running
        if (lane.waitingSince !== null) since = Math.min(since ?? Infinity, lane.waitingSince)
        if (lane.pending === 0) continue
        const pause = paused.get(lane.queue)
        const typePause = pausedTypes.get(lane.type)
        if (pause !== undefined) add(`queue ${lane.queue}`, lane.pending, () => queuePaused(lane.queue, pause, now))
        else if (typePause !== undefined) {
          add(`type ${lane.type}`, lane.pending, () => typePaused(lane.type, typePause, now))
        } else if (!noteSlots(living, lane, add)) held.push(lane)
      }
      after = page.lanes.at(-1)
      more = page.more && after !== undefined
    }
    if (held.length > 0) yield* noteGates(tasks, records, held, living, now, add)
    const causes = [...found.values()].sort((a, b) => b.tasks - a.tasks).slice(0, maxCauses)
    const slots = slotsOf(living, queue)
    const starts = yield* startsOf(tasks, queue, sums, now)
    return {
      queue: queue ?? null,
      summary: summaryOf(sums, causes, living.length) + lateText(starts),
      action: causes[0]?.action ?? null,
      causes: causes.map(({ id: _, ...cause }) => cause),
      ...sums,
      waitingSince: utcOrNull(since),
      starts,
      ...slots,
      now: utc(now)
    }
  }
)

type Add = (id: string, tasks: number, cause: () => Pick<Found, "code" | "text" | "action">) => void

const quoted = (name: string): string => JSON.stringify(name)

/** A name as a shell takes it. */
const argument = (name: string): string => /^[\w.:/@-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`

const queuePaused = (queue: string, pause: Omit<Paused, "id">, now: number) => ({
  code: "queue_paused" as const,
  text: pauseFacts(`The queue ${quoted(queue)}`, pause, now).text,
  action: `Resume it: taskforge resume ${argument(queue)}`
})

const typePaused = (type: string, pause: Paused, now: number) => ({
  code: "type_paused" as const,
  text: pauseFacts(`The type ${quoted(type)}`, pause, now).text,
  action: `Resume it: taskforge resume --type ${argument(type)}`
})

/** Notes what keeps a queue's tasks of a type from the slots of instances. Answers whether anything does. */
const noteSlots = (living: ReadonlyArray<InstanceRecord>, lane: LaneCounts, add: Add): boolean => {
  const { pending, queue, type, version = 1 } = lane
  const able = living.filter((instance) => canRun(instance, lane))
  if (able.length === 0) {
    const shown = version === 1 ? quoted(type) : `${quoted(type)} in version ${version}`
    add(`handler ${type} ${version}`, pending, () => ({
      code: "no_handler",
      text: living.length === 0
        ? "No instance is running."
        : `No running instance handles the type ${shown} in the queue ${quoted(queue)}.`,
      action: living.length === 0
        ? "Start an instance: taskforge work"
        : `Start an instance that handles ${shown}, and works on ${quoted(queue)}`
    }))
    return true
  }
  const taking = able.filter(({ sizing }) => sizing?.draining !== true)
  if (taking.length === 0) {
    add("draining", pending, () => ({
      code: "draining",
      text: able.length === 1
        ? `The one instance that handles them, ${able[0]!.id}, drains.`
        : `All ${able.length} instances that handle them drain.`,
      action: `Let one take tasks again: taskforge instances resume ${argument(able[0]!.id)}`
    }))
    return true
  }
  if (taking.some((instance) => roomOf(instance, queue) > 0)) return false
  const slots = taking.reduce((sum, { capacity }) => sum + capacity, 0)
  const busy = taking.reduce((sum, { running }) => sum + running.length, 0)
  if (busy < slots) {
    add(`share ${queue}`, pending, () => ({
      code: "share_full",
      text: `The queue ${quoted(queue)} has its share of the slots: the ${
        slots - busy
      } that are free are kept from it.`,
      action: `Give the queue a larger share, or start another instance`
    }))
  } else {
    add("behind", pending, () => ({
      code: "behind",
      text: slots === 1 ? "The one slot is busy." : `All ${slots} slots are busy.`,
      action: "Add slots or instances: taskforge scaling says how many"
    }))
  }
  return true
}

/** Notes why tasks wait although there are slots for them: what closes the gates of the newest. */
const noteGates = Effect.fnUntraced(function*(
  tasks: TaskStore["Service"],
  records: RecordStore["Service"],
  held: ReadonlyArray<LaneCounts>,
  living: ReadonlyArray<InstanceRecord>,
  now: number,
  add: Add
): Effect.fn.Return<void, StoreError> {
  const oldest = held.reduce((first, lane) =>
    (lane.waitingSince ?? Infinity) < (first.waitingSince ?? Infinity) ? lane : first
  )
  const types = [...new Set(held.filter(({ queue }) => queue === oldest.queue).map(({ type }) => type))].slice(
    0,
    maxTypes
  )
  const read = (before: number | undefined) =>
    tasks.list({ states: ["pending"], queues: [oldest.queue], types, before, limit: maxLooked })
  const reasonsOf = (task: TaskRecord) => Effect.provideService(gateReasons(tasks, task, now), RecordStore, records)
  /** Whether an instance that runs its type had a free slot for all of the time that is given to it. */
  const isUnclaimed = (task: TaskRecord): boolean =>
    now - task.dueAt >= maxUnclaimedMs &&
    living.some((instance) =>
      canRun(instance, task) && instance.sizing?.draining !== true && roomOf(instance, task.queue) > 0 &&
      hasBeenFree(instance, maxUnclaimedMs)
    )
  let page = yield* read(undefined)
  const pending = held.reduce((sum, lane) => lane.queue === oldest.queue ? sum + lane.pending : sum, 0)
  const each = Math.max(1, Math.round(pending / Math.max(1, page.tasks.length)))
  let open = 0
  for (const task of page.tasks) {
    const [first] = yield* reasonsOf(task)
    if (first !== undefined) {
      add(gateOf(first), each, () => ({ code: first.code, text: first.text, action: actionOf(first) }))
    } else if (isUnclaimed(task)) open++
  }
  // The newest have not waited for long: those that have come later
  const pages = now - (oldest.waitingSince ?? now) >= maxUnclaimedMs ? maxPages : 1
  for (let looked = 1; open === 0 && page.next !== undefined && looked < pages; looked++) {
    page = yield* read(page.next)
    for (const task of page.tasks) if (isUnclaimed(task) && (yield* reasonsOf(task)).length === 0) open++
  }
  if (open === 0) return
  add("unclaimed", open * each, () => ({
    code: "unclaimed",
    text: "Slots are free and nothing keeps tasks from starting, but no instance asks for work.",
    action: "Look at the health of the instances: GET /health on each"
  }))
})

/** What a reason is about: what has the same holds up one task as the other. */
const gateOf = (reason: GateReason): string => {
  if (reason.code === "breaker_open") return `gate ${reason.code} ${reason.breaker}=${reason.key}`
  return "limit" in reason ? `gate ${reason.code} ${reason.limit}=${reason.key}` : `gate ${reason.code}`
}

/** What helps where a gate is closed. */
const actionOf = (reason: GateReason): string | null => {
  if (reason.code === "breaker_open") {
    const key = reason.key === "" ? "" : ` --key ${argument(reason.key)}`
    const first = reason.by === null ? "Bring back what failed; once it works, tasks start" : "Tasks start"
    return `${first} at once with taskforge breakers reset ${argument(reason.breaker)}${key}`
  }
  if (!("limit" in reason)) return null
  const limit = argument(reason.limit)
  const key = reason.key === "" ? "" : ` --key ${argument(reason.key)}`
  switch (reason.code) {
    case "key_paused":
      return `Resume it: taskforge resume --limit ${limit}${key}`
    case "limit_full":
      return `Raise the limit, if what it protects bears it: taskforge limits set ${limit}${key} --max ${
        reason.max + 1
      }`
    case "rate_spent":
      return `Raise the rate, if what it protects bears it: taskforge limits set ${limit}${key} --max N`
    case "key_blocked":
      return reason.holder.state === "failed"
        ? `Run the failed task again, taskforge rerun ${reason.holder.id}, or let the others go: taskforge limits release ${limit}${key}`
        : null
    default:
      return null
  }
}

/** Slots of those that work on a queue, or on any. */
const slotsOf = (living: ReadonlyArray<InstanceRecord>, queue: string | undefined) => {
  const taking = living.filter(({ queues, sizing }) =>
    sizing?.draining !== true && (queue === undefined || queues.length === 0 || queues.includes(queue))
  )
  return {
    slots: taking.reduce((sum, { capacity }) => sum + capacity, 0),
    busy: taking.reduce((sum, { running }) => sum + running.length, 0)
  }
}

const counted = (count: number, one: string, many: string): string =>
  count === 1 ? `1 task ${one}` : `${count === 0 ? "No" : count} task${count === 0 ? ` ${one}` : `s ${many}`}`

const summaryOf = (
  { pending, running, scheduled }: Pick<Verdict, "pending" | "running" | "scheduled">,
  causes: ReadonlyArray<Cause>,
  living: number
): string => {
  const runs = running === 0 ? "none runs" : `${running} run${running === 1 ? "s" : ""}`
  const later = scheduled === 0 ? "" : `, and ${scheduled} ${scheduled === 1 ? "is" : "are"} due later`
  if (pending === 0) {
    const none = living === 0 ? " No instance is running." : ""
    return `No task waits; ${runs}${later}.${none}`
  }
  const waits = `${counted(pending, "waits", "wait")}; ${runs}${later}.`
  const [first] = causes
  return first === undefined ? `${waits} They start as instances ask for work.` : `${waits} ${first.text}`
}
