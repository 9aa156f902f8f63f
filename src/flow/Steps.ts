/**
 * The steps of one attempt. A step that has ended is not run again: its end is kept in a record before the handler goes on, and every
 * later attempt is given that.
 *
 * ```text
 * run ─► ended before? ─yes─► what it gave
 *          │ no
 *          ▼
 *        the steps have changed? ─yes─► StepsChanged, and nothing is run
 *          │ no
 *          ▼
 *        take over: the record names this attempt's claim from now on
 *          ▼
 *        the effect ─► its end is put, in place of the version that was read ─► what it gave
 * ```
 *
 * The version is the fence: an attempt that lost its task finds another one, and a later claim in the record. A crash between an effect
 * and its put runs the effect again in the next attempt. A task without steps pays nothing for any of this.
 */
import { Clock, Context, Duration, Effect, type Exit, Latch, Semaphore } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { LeaseLost, type StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { StepRefused, StepsChanged } from "../domain/StepErrors.ts"
import type { StepOptions } from "../domain/StepOptions.ts"
import type { ClaimedTask, TaskRecord } from "../domain/TaskRecord.ts"
import { absent, RecordStore } from "../store/RecordStore.ts"
import type { StepCodec } from "./StepCodec.ts"
import * as StepRecords from "./StepRecords.ts"

/** What steps ask of the attempt's pool. */
export interface StepHost {
  readonly records: RecordStore["Service"]
  readonly read: (id: string) => Effect.Effect<TaskRecord | undefined, StoreError>
}

/** What runs the steps of a task. */
export interface StepRunner {
  /** Runs a step, or gives what it gave in an earlier attempt. */
  readonly run: <A, E, R, B, E2>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    codec: StepCodec<B, E2>
  ) => Effect.Effect<B, E | E2, R>
}

/** Where there is no store for steps. */
export const without = (reason: string): StepRunner => ({ run: () => Effect.die(new Error(reason)) })

/** Runs steps through their codecs, and keeps nothing. */
export const unkept: StepRunner = {
  run: (name, effect, codec) =>
    Effect.flatMap(Effect.exit(effect), (exit): Effect.Effect<any, any> => {
      const end = codec.encode(exit)
      return end === undefined ? exit : codec.decode("performed", name, end)
    })
}

/** The step whose effect a fiber runs. */
export const CurrentStep: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "taskforge/flow/CurrentStep",
  { defaultValue: () => undefined }
)

/** Bytes of ends that are put together, unless a single one has more. */
const maxPutBytes = 64 * 1024

/** Bytes of names that are kept of the steps that run. */
const maxRunningBytes = 16 * 1024

/** How long a step that looks new waits for those that run at the same time, while they may still ask for what has ended. */
const patience = Duration.seconds(1)

/** Names that an error lists. */
const maxNamed = 10

/** The first wait before a store that failed is asked again, and the longest; each is twice the one before. */
const firstWaitMs = 50
const maxWaitMs = 2000

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** The steps of one attempt. */
export class Steps implements StepRunner {
  private readonly task: ClaimedTask
  private readonly options: StepOptions
  private readonly host: StepHost
  /** What has ended, by name. */
  private ends = new Map<string, StepRecords.End>()
  /** Those that ended in earlier attempts, and that this one has not asked for. */
  private unasked = new Set<string>()
  private readonly allAsked = Latch.makeUnsafe(true)
  /** What this attempt has asked for, and is not to ask for again. */
  private readonly asked = new Set<string>()
  private readonly running = new Set<string>()
  /** What ran in an earlier attempt when it last kept an end. */
  private ranBefore: ReadonlySet<string> = new Set()
  /** Ends that are not kept yet. */
  private pending: Array<StepRecords.Entry> = []
  /** One reads or writes the record at a time. */
  private readonly lock = Semaphore.makeUnsafe(1)
  private mustRead: boolean
  /** Whether the record, if there is one, is this attempt's. */
  private isOwner: boolean
  private version = absent
  private head = StepRecords.empty

  constructor(task: ClaimedTask, options: StepOptions, host: StepHost) {
    this.task = task
    this.options = options
    this.host = host
    // Nothing is kept before the first attempt. If it is, of a removed task, the first put finds out.
    this.mustRead = task.attempt > 1
    this.isOwner = task.attempt === 1
  }

  /** Runs a step, or gives what it gave in an earlier attempt. */
  run<A, E, R, B, E2>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    codec: StepCodec<B, E2>
  ): Effect.Effect<B, E | E2, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const known = yield* restore(this.begin(name))
        if (known !== undefined) return yield* codec.decode(this.task.id, name, known)
        const clock = yield* Clock.Clock
        const startedAt = clock.currentTimeMillisUnsafe()
        const begin = MonotonicClock.exactMillis(clock)
        this.running.add(name)
        const exit = yield* Effect.exit(restore(Effect.provideService(effect, CurrentStep, name)))
        this.running.delete(name)
        const end = codec.encode(exit)
        if (end === undefined) {
          this.asked.delete(name)
          return yield* exit as Exit.Exit<never, E>
        }
        const ms = Math.round((MonotonicClock.exactMillis(clock) - begin) * 1000) / 1000
        yield* this.keep({ name, attempt: this.task.attempt, startedAt, ms, end }, restore)
        return yield* codec.decode(this.task.id, name, end)
      })
    )
  }

  /** At the end of a handler that succeeded: says so where steps have ended that it did not ask for. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (this.unasked.size === 0) return Effect.void
    const unasked = [...this.unasked].slice(0, maxNamed)
    const warning = Effect.logWarning(
      `The handler did not ask for steps that ended in an earlier attempt: ${
        unasked.map((name) => JSON.stringify(name)).join(", ")
      }`
    )
    return Effect.andThen(warning, Effect.ignore(this.lock.withPermit(this.put([], unasked))))
  })

  /** What a step gave before; nothing when it may run now. */
  private begin(name: string): Effect.Effect<StepRecords.End | undefined> {
    return Effect.gen({ self: this }, function*() {
      const invalid = Bounds.refuse("step", StepRecords.name, name ?? "")
      if (invalid !== undefined) return yield* Effect.die(invalid)
      const outer = yield* CurrentStep
      if (outer !== undefined) {
        return yield* this.refuse(name, `is inside step ${JSON.stringify(outer)}, and steps hold no others`)
      }
      if (this.asked.has(name)) {
        return yield* this.refuse(
          name,
          "was asked for before in this attempt: give each step a name of its own, and put what repeats a step inside it"
        )
      }
      this.asked.add(name)
      return yield* Effect.onError(this.permit(name), () => Effect.sync(() => this.asked.delete(name)))
    })
  }

  private permit(name: string): Effect.Effect<StepRecords.End | undefined> {
    return Effect.gen({ self: this }, function*() {
      if (this.mustRead) {
        yield* this.insist(Effect.suspend(() => this.mustRead ? this.read : Effect.void), (sleep) => sleep)
      }
      this.unasked.delete(name)
      if (this.unasked.size === 0) this.allAsked.openUnsafe()
      if (this.ends.has(name)) return this.ends.get(name)
      if (!this.ranBefore.has(name)) yield* this.demandUnchanged(name)
      if (this.head.count + this.pending.length >= StepRecords.maxSteps) {
        return yield* this.refuse(name, `is one too many: a task has ${StepRecords.maxSteps} steps at most`)
      }
      if (this.head.bytes >= StepRecords.maxTaskBytes) {
        return yield* this.refuse(
          name,
          `has no room: the ends of a task's steps have ${StepRecords.maxTaskBytes} bytes at most`
        )
      }
      if (!this.isOwner) {
        yield* this.insist(Effect.suspend(() => this.isOwner ? Effect.void : this.put([])), (sleep) => sleep)
      }
      // An attempt that did not know that it had lost the task may have ended it until then
      return this.ends.get(name)
    })
  }

  /** A step that nothing knows, while others have ended that this attempt has not asked for, may be one of these under another name. */
  private demandUnchanged(name: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.options.onChanged === "run" || this.unasked.size === 0) return Effect.void
      this.allAsked.closeUnsafe()
      return Effect.flatMap(Effect.timeoutOption(this.allAsked.await, patience), () => {
        const unasked = [...this.unasked].slice(0, maxNamed)
        return unasked.length === 0
          ? Effect.void
          : Effect.die(new StepsChanged({ id: this.task.id, step: name, unasked }))
      })
    })
  }

  private refuse(step: string, reason: string): Effect.Effect<never> {
    return Effect.die(new StepRefused({ id: this.task.id, step, reason }))
  }

  /** Returns once an end is kept. What has been done is not forgotten because the process stops, unless the store cannot be reached. */
  private keep(entry: StepRecords.Entry, restore: Restore): Effect.Effect<void> {
    this.pending.push(entry)
    return this.insist(
      // Another step may have put it with its own
      Effect.suspend(() => this.pending.includes(entry) ? this.put(this.nextPart(entry)) : Effect.void),
      restore
    )
  }

  /** The end, and others that wait, as far as they fit into a put. */
  private nextPart(entry: StepRecords.Entry): ReadonlyArray<StepRecords.Entry> {
    const part = [entry]
    let bytes = StepRecords.sizeOf(entry)
    for (const other of this.pending) {
      if (other === entry || (bytes += StepRecords.sizeOf(other)) > maxPutBytes) continue
      part.push(other)
    }
    return part
  }

  /** Does something on the record until the store has answered. Between the tries it may be interrupted. */
  private insist(once: Effect.Effect<void, StoreError>, restore: Restore): Effect.Effect<void> {
    const locked = this.lock.withPermit(once)
    const attempt = (waitMs: number): Effect.Effect<void> =>
      Effect.catchTag(locked, "StoreError", (error) =>
        error.refused === true
          ? Effect.die(error)
          : Effect.andThen(restore(Effect.sleep(waitMs)), attempt(Math.min(2 * waitMs, maxWaitMs))))
    return attempt(firstWaitMs)
  }

  /** Puts ends, and the claim with them. Whether that was done is not known where the store fails, so it is read before the next. */
  private put(
    entries: ReadonlyArray<StepRecords.Entry>,
    unasked: ReadonlyArray<string> = []
  ): Effect.Effect<void, StoreError> {
    return Effect.gen({ self: this }, function*() {
      if (this.mustRead) {
        yield* this.read
        if (entries.length > 0 && entries.every((entry) => !this.pending.includes(entry))) return
      }
      const { attempt, claim, id } = this.task
      const head = { ...this.head, claim, attempt, running: this.runningNow(entries), unasked }
      const left = this.pending.filter((entry) => entries.includes(entry))
      const added = StepRecords.added(id, this.version, head, left)
      this.mustRead = true
      this.version = yield* this.host.records.put(added.changes)
      this.mustRead = false
      this.isOwner = true
      this.head = added.head
      for (const { end, name } of left) this.ends.set(name, end)
      this.pending = this.pending.filter((entry) => !left.includes(entry))
    }).pipe(
      Effect.catchTags({
        InvalidOption: Effect.die,
        // Another attempt, or the look whether the task is still there: the next read tells
        RecordConflict: () => this.put(entries, unasked)
      })
    )
  }

  /** Those that run now, and those that ran before, as far as there is room. */
  private runningNow(entries: ReadonlyArray<StepRecords.Entry>): ReadonlyArray<string> {
    const ended = new Set(entries.map(({ name }) => name))
    let bytes = 0
    return [...new Set([...this.running, ...this.ranBefore])].filter((name) =>
      !ended.has(name) && !this.ends.has(name) && (bytes += Buffer.byteLength(name) + 3) <= maxRunningBytes
    )
  }

  /** Reads the record, and dies where a later attempt has it. */
  private readonly read: Effect.Effect<void, StoreError> = Effect.gen({ self: this }, function*() {
    const { claim, id } = this.task
    const lost = Effect.die(new LeaseLost({ id, claim }))
    const kept = yield* Effect.provideService(StepRecords.read(id), RecordStore, this.host.records)
    if (kept === undefined) {
      // It goes with its task only
      if (this.version !== absent) return yield* lost
      this.mustRead = false
      this.isOwner = true
      return
    }
    if (kept.head.claim > claim) return yield* lost
    let isOurs = kept.head.claim === claim
    if (!isOurs && this.task.attempt > 1) {
      const task = yield* this.host.read(id)
      if (task === undefined) return yield* lost
      isOurs = StepRecords.areOf(kept, task)
    }
    // A removed task had the same id
    if (!isOurs) yield* Effect.provideService(StepRecords.removePages(id, kept.head), RecordStore, this.host.records)
    this.version = kept.version
    this.isOwner = kept.head.claim === claim
    this.head = isOurs ? kept.head : StepRecords.empty
    this.ends = new Map(isOurs ? kept.entries.map(({ end, name }) => [name, end]) : [])
    this.ranBefore = new Set(this.head.running)
    this.unasked = new Set(
      [...this.ends.keys()].filter((name) => !this.asked.has(name) && !this.options.retired.includes(name))
    )
    this.pending = this.pending.filter(({ name }) => !this.ends.has(name))
    this.mustRead = false
  })
}
