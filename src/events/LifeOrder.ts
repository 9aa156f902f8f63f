/**
 * Keeps the events of each task in the order of its life, whichever instances they happen in. Every instance appends to
 * the log in batches, so one may log what follows before another has logged what came first. An event that names the step
 * it comes after is held until that step has been told here or was read in the log, and so are the task's later events.
 *
 * Nothing is held for ever: an instance that died never logs what the others wait for. After {@link maxHeldMs} an event
 * goes on without it, and all go on when too many are held.
 */
import type { NewTaskEvent, TaskEventName } from "../domain/TaskEvent.ts"
import { keptBytes, keptEvents, sizeOf } from "../store/EventLog.ts"

/** How long an event is held at most. */
export const maxHeldMs = 2000

/** Tasks whose latest step is remembered: between so many and twice as many. */
const rememberedTasks = 20_000

/**
 * What a task may be since its latest claim, in the order in which it may become that. It has `ended` for good or is
 * `waiting` again; one that was cancelled while it waited, or has expired, is `dropped`.
 */
const phases = ["running", "stopping", "ended", "waiting", "dropped"] as const

/** A place in the life of a task that has been claimed so often. */
export const stepOf = (claims: number, phase: typeof phases[number]): number =>
  claims * phases.length + phases.indexOf(phase)

const created = stepOf(0, "waiting")
const removed = -1

/** Whether a task that has come to a step has been at another. One that was dropped has yet to wait again. */
const hasBeenAt = (latest: number, step: number): boolean =>
  latest >= step && !(phases[step % phases.length] === "waiting" && latest === step + 1)

/** Takes down events, in their order. */
type Record = (events: ReadonlyArray<NewTaskEvent>) => void

interface Held {
  readonly event: NewTaskEvent
  readonly until: number
}

/** A record that holds back what comes too early. */
export class LifeOrder {
  readonly #record: Record
  readonly #now: () => number
  /** Events that are held, by the task. */
  readonly #held = new Map<string, Array<Held>>()
  #heldEvents = 0
  #heldBytes = 0
  /** The latest steps that were told, by the task. */
  #latest = new Map<string, number>()
  #latestBefore: ReadonlyMap<string, number> = new Map()

  /** The clock measures, in milliseconds. */
  constructor(record: Record, now: () => number) {
    this.#record = record
    this.#now = now
  }

  /** Whether anything has been held for so long. */
  holdsFor(ms: number): boolean {
    for (const [first] of this.#held.values()) return first!.until - maxHeldMs + ms <= this.#now()
    return false
  }

  /** Takes down what has happened here, but for what is held. */
  record(events: ReadonlyArray<NewTaskEvent>): void {
    const free: Array<NewTaskEvent> = []
    for (const event of events) {
      const first = this.#held.get(event.id)?.[0]
      if (first === undefined ? this.#isNext(event) : isBefore(event, first.event)) {
        free.push(event)
        this.#tell(event, free)
      } else this.#hold(event)
    }
    if (this.#heldEvents > keptEvents || this.#heldBytes > keptBytes) this.#release(free, Infinity)
    this.#record(free)
  }

  /** Learns what is in the log. */
  read(events: ReadonlyArray<NewTaskEvent>): void {
    const free: Array<NewTaskEvent> = []
    for (const event of events) this.#tell(event, free)
    this.#record(free)
  }

  /** Takes down what has been held for long enough, or all that is held. */
  expire(all = false): void {
    const free: Array<NewTaskEvent> = []
    this.#release(free, all ? Infinity : this.#now())
    this.#record(free)
  }

  #isNext({ after, id }: NewTaskEvent): boolean {
    return after === undefined || hasBeenAt(this.#latestOf(id), after)
  }

  #latestOf(id: string): number {
    return this.#latest.get(id) ?? this.#latestBefore.get(id) ?? removed
  }

  #hold(event: NewTaskEvent): void {
    const held = { event, until: this.#now() + maxHeldMs }
    const others = this.#held.get(event.id)
    if (others === undefined) this.#held.set(event.id, [held])
    else others.push(held)
    this.#heldEvents++
    this.#heldBytes += sizeOf(event)
  }

  /** An event is told, which frees what has waited for it. */
  #tell(event: NewTaskEvent, free: Array<NewTaskEvent>): void {
    this.#remember(event)
    const held = this.#held.get(event.id)
    if (held !== undefined) this.#releaseTask(event.id, held, free, -Infinity)
  }

  #remember(event: NewTaskEvent): void {
    const step = stepIn(event)
    if (step === undefined) return
    const latest = this.#latestOf(event.id)
    if (this.#latest.size >= rememberedTasks) {
      this.#latestBefore = this.#latest
      this.#latest = new Map()
    }
    this.#latest.set(event.id, goesBack.has(event.event) ? step : Math.max(step, latest))
  }

  #release(free: Array<NewTaskEvent>, by: number): void {
    for (const [id, held] of this.#held) this.#releaseTask(id, held, free, by)
  }

  #releaseTask(id: string, held: Array<Held>, free: Array<NewTaskEvent>, by: number): void {
    while (held.length > 0 && (held[0]!.until <= by || this.#isNext(held[0]!.event))) {
      const { event } = held.shift()!
      this.#heldEvents--
      this.#heldBytes -= sizeOf(event)
      free.push(event)
      this.#remember(event)
    }
    if (held.length === 0) this.#held.delete(id)
  }
}

/** What happens to tasks that have been further. */
const goesBack: ReadonlySet<TaskEventName> = new Set(["created", "rerun", "removed"])

/** The step that an event tells of, as far as it says. */
const stepIn = ({ event, step }: NewTaskEvent): number | undefined =>
  event === "created" ? created : event === "removed" ? removed : step

/** Whether an event comes before one that is held: it tells of what that waits for, and does not itself come after it. */
const isBefore = (event: NewTaskEvent, held: NewTaskEvent): boolean => {
  const step = stepIn(event) ?? removed
  return step !== removed && step <= (held.after ?? removed) && (event.after ?? removed) < (held.step ?? Infinity)
}
