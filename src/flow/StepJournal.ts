/**
 * The record of one attempt's steps: what has ended, read once, and what ends, put one after another. See {@link Steps} for what is
 * promised, and `StepRecords` for what is stored.
 */
import { Data, Effect, Schedule, Semaphore } from "effect"
import { type InvalidOption, LeaseLost, StoreError } from "../domain/Errors.ts"
import type { ClaimedTask, TaskRecord } from "../domain/TaskRecord.ts"
import { absent, type Change, RecordStore } from "../store/RecordStore.ts"
import * as StepRecords from "./StepRecords.ts"

/** What steps ask of the attempt's pool. */
export interface StepHost {
  readonly records: RecordStore["Service"]
  /** Keeps ends; together with those of other tasks where they come at the same time. */
  readonly put: RecordStore["Service"]["put"]
  readonly read: (id: string) => Effect.Effect<TaskRecord | undefined, StoreError>
  /** Whether the fiber is inside a transaction of the application that the store's writes join. */
  readonly inTransaction: Effect.Effect<boolean>
  /** A text that cannot be guessed. */
  readonly random: Effect.Effect<string>
}

/** What is put together with ends. */
interface Also {
  /** Steps that the handler did not ask for. */
  readonly unasked?: ReadonlyArray<string>
  /** Records of other kinds. */
  readonly changes?: ReadonlyArray<Change>
}

/** A record of another kind, put together with ends, has another version than was read. Nothing was put. */
export class Overtaken extends Data.TaggedError("Overtaken")<{}> {}

/** Bytes of ends that are put together, unless a single one has more. */
const maxPutBytes = 64 * 1024

/** Notes that go along with one put at most. */
const maxNotes = 100

/** Bytes of names that are kept of the steps that run. */
const maxRunningBytes = 16 * 1024

/** How long before a task expires one that waits is looked at at the latest: a part of what is left, in milliseconds. */
const minMarginMs = 1000
const maxMarginMs = 60_000

/** The first wait before a store that failed is asked again, and the longest; each is twice the one before. */
const firstWaitMs = 50
const maxWaitMs = 2000

/** Waits before a store that failed is asked again. */
const backoff = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")])

/** Asks a store until it answers. Nearly every question is answered at once, and pays for no schedule. */
export const asking = <A>(question: Effect.Effect<A, InvalidOption | StoreError>): Effect.Effect<A> =>
  Effect.orDie(
    Effect.catchIf(question, isTransient, () =>
      Effect.andThen(
        Effect.sleep(firstWaitMs),
        Effect.retry(question, { while: isTransient, schedule: backoff })
      ))
  )

const isTransient = (error: InvalidOption | StoreError): error is StoreError =>
  error._tag === "StoreError" && error.refused !== true

/** Lets what is in it be interrupted. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const isStoreError = <E>(error: E | StoreError): error is StoreError => error instanceof StoreError

/** The record of one attempt's steps. */
export class StepJournal {
  private readonly task: Pick<ClaimedTask, "id" | "claim" | "attempt">
  private readonly host: StepHost
  private readonly onRead: () => void
  /** What is known of each step by its name, the latest. */
  ends = new Map<string, StepRecords.End>()
  /** Those that run in this attempt. */
  readonly running = new Set<string>()
  /** What ran in an earlier attempt when it last kept an end. */
  ranBefore: ReadonlySet<string> = new Set()
  /** Ends that are not kept yet. */
  private pending: Array<StepRecords.Entry> = []
  /** Those of them that are put with other records. */
  private readonly alone = new Set<StepRecords.Entry>()
  /** What is put with the next end, and not for its own sake. */
  private notes: Array<StepRecords.Entry> = []
  /** One reads or writes the record at a time. */
  private readonly lock = Semaphore.makeUnsafe(1)
  private mustRead: boolean
  /** Whether the record is this attempt's. */
  private isOwner: boolean
  private version = absent
  private head = StepRecords.empty

  /** `onRead` is called when it is known what has ended. */
  constructor(task: Pick<ClaimedTask, "id" | "claim" | "attempt">, host: StepHost, onRead: () => void) {
    this.task = task
    this.host = host
    this.onRead = onRead
    // Nothing is kept before the first attempt. If it is, of a removed task, the first put finds out.
    this.mustRead = task.attempt > 1
    this.isOwner = task.attempt === 1
  }

  /** Steps that have ended, and the bytes of their ends. */
  get size(): { readonly count: number; readonly bytes: number } {
    return { count: this.head.count + this.pending.length, bytes: this.head.bytes }
  }

  /** Knows what has ended, as far as this attempt has to know. */
  readonly loaded: Effect.Effect<void> = Effect.suspend(() =>
    this.mustRead ? this.insist<never>(Effect.suspend(() => this.mustRead ? this.read : Effect.void)) : Effect.void
  )

  /** From here on the record names this attempt's claim: an earlier one ends no step any more. */
  readonly taken: Effect.Effect<void> = Effect.suspend(() =>
    this.isOwner
      ? Effect.void
      : Effect.orDie(this.insist(Effect.suspend(() => this.isOwner ? Effect.void : this.put([]))))
  )

  /** Returns once an end is kept. What has been done is not forgotten because the process stops, unless the store cannot be reached. */
  keep(entry: StepRecords.Entry, restore: Restore): Effect.Effect<void> {
    return Effect.orDie(this.keepWith(entry, [], restore))
  }

  /** The same together with other records, or nothing of it, where one of these has another version. */
  keepWith(
    entry: StepRecords.Entry,
    changes: ReadonlyArray<Change>,
    restore: Restore
  ): Effect.Effect<void, Overtaken> {
    this.pending.push(entry)
    if (changes.length > 0) this.alone.add(entry)
    const isPending = () => this.pending.includes(entry)
    return this.insist(
      // Another step may have put it with its own
      Effect.suspend(() =>
        isPending() ? this.put(changes.length === 0 ? this.nextPart(entry) : [entry], { changes }) : Effect.void
      ),
      restore
    ).pipe(
      Effect.tapError(() =>
        Effect.sync(() => {
          this.pending = this.pending.filter((one) => one !== entry)
        })
      )
    )
  }

  /** Keeps an entry with whatever is put next. */
  note(entry: StepRecords.Entry): void {
    if (this.notes.length < maxNotes) this.notes.push(entry)
  }

  /** Names steps that have ended and that the handler did not ask for. */
  readonly noteUnasked = (unasked: ReadonlyArray<string>): Effect.Effect<void> =>
    Effect.ignore(this.lock.withPermit(this.put([], { unasked })))

  /**
   * How long the task may wait at `now`, by the store's clock, so that it is not due after it expires: a store ends one that would be at once,
   * and what it waits for may come before.
   */
  readonly untilExpiry = (waitMs: number, now: number): Effect.Effect<number> =>
    Effect.map(asking(this.host.read(this.task.id)), (task) => {
      const leftMs = (task?.expiresAt ?? Infinity) - now
      // The attempt ends a while after this
      const marginMs = Math.min(Math.max(leftMs / 10, minMarginMs), maxMarginMs)
      return leftMs <= marginMs ? waitMs : Math.min(waitMs, Math.floor(leftMs - marginMs))
    })

  /** The end, and others that wait, as far as they fit into a put. */
  private nextPart(entry: StepRecords.Entry): ReadonlyArray<StepRecords.Entry> {
    const part = [entry]
    let bytes = StepRecords.sizeOf(entry)
    for (const other of this.pending) {
      if (other === entry || this.alone.has(other) || (bytes += StepRecords.sizeOf(other)) > maxPutBytes) continue
      part.push(other)
    }
    return part
  }

  /** Does something on the record until the store has answered. Between the tries it may be interrupted. */
  insist<E>(
    once: Effect.Effect<void, E | StoreError>,
    restore: Restore = (waiting) => waiting
  ): Effect.Effect<void, E> {
    const locked = this.lock.withPermit(once)
    const attempt = (waitMs: number): Effect.Effect<void, E> =>
      Effect.catchIf(locked, isStoreError<E>, (error) =>
        error.refused === true
          ? Effect.die(error)
          : Effect.andThen(restore(Effect.sleep(waitMs)), attempt(Math.min(2 * waitMs, maxWaitMs))))
    return attempt(firstWaitMs)
  }

  /** Puts ends, and the claim with them. Whether that was done is not known where the store fails, so it is read before the next. */
  put(
    entries: ReadonlyArray<StepRecords.Entry>,
    also: Also = {}
  ): Effect.Effect<void, StoreError | Overtaken> {
    return Effect.gen({ self: this }, function*() {
      if (this.mustRead) {
        yield* this.read
        if (entries.length > 0 && entries.every((entry) => !this.pending.includes(entry))) return
      }
      const { attempt, claim, id } = this.task
      const head = { ...this.head, claim, attempt, running: this.runningNow(entries), unasked: also.unasked ?? [] }
      const notes = [...this.notes]
      const left = [...notes, ...this.pending.filter((entry) => entries.includes(entry))]
      const added = StepRecords.added(id, this.version, head, left)
      this.mustRead = true
      this.version = yield* this.host.put([...added.changes, ...also.changes ?? []])
      this.mustRead = false
      this.isOwner = true
      this.head = added.head
      for (const { end, name } of left) this.ends.set(name, end)
      this.notes = this.notes.filter((entry) => !notes.includes(entry))
      this.pending = this.pending.filter((entry) => !left.includes(entry))
    }).pipe(
      Effect.catchTags({
        InvalidOption: Effect.die,
        // Another attempt, or the look whether the task is still there: the next read tells
        RecordConflict: ({ kind }) =>
          kind === StepRecords.kind || kind === StepRecords.pageKind
            ? this.put(entries, also)
            : Effect.fail(new Overtaken())
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
      this.isOwner = this.task.attempt === 1
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
    this.onRead()
    this.pending = this.pending.filter((entry) => !StepRecords.isIn(this.ends, entry))
    this.notes = this.notes.filter(({ end, name }) => JSON.stringify(this.ends.get(name)) !== JSON.stringify(end))
    this.mustRead = false
  })
}
