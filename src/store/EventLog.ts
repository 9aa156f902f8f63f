/**
 * What has happened to tasks lately, for those who watch. It is a convenience: the tasks stay the truth:
 * events are appended in batches after what they tell of was acknowledged, the log is bounded in events and in bytes, and
 * writers may leave events out while no reader attends. Where something is missing, a reader is told that there is a gap.
 *
 * Rules that the conformance suite proves for each driver:
 *
 * - The store numbers events in the order in which they were appended, strictly increasing, without end.
 * - A page says `gap` when any event between the reader's place and the page may be missing: because it was dropped from
 *   the bounded log, because a writer said that it lost some, or because no reader attended in between.
 * - A place beyond the end of the log is one of another log: a gap, too.
 * - Time is the store's own clock; durations go in.
 */
import { Context, Effect, Layer } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { NewTaskEvent, TaskEvent } from "../domain/TaskEvent.ts"

/** Events that follow a reader's place. */
export interface EventPage {
  /** In order; empty at the end of the log. */
  readonly events: ReadonlyArray<TaskEvent>
  /** Whether events before these may be missing. */
  readonly gap: boolean
  /** Where to read on. */
  readonly next: number
}

/** A batch of events as it is stored: the number of the first, when they were appended, and the events as JSON text. */
export type Batch = readonly [first: number, at: number, events: string]

/**
 * The page behind a reader's place, where all events behind `floor` are in the log and `seq` is the number of the last.
 * `batches` gives those that end behind a place, in order; it is asked for as many as the page takes.
 */
export const pageOf = (
  after: number,
  seq: number,
  floor: number,
  batches: (after: number) => Iterable<Batch>,
  limit: number = Infinity
): EventPage => {
  const gap = after < floor || after > seq
  const from = gap ? floor : after
  const events: Array<TaskEvent> = []
  for (const [first, at, text] of batches(from)) {
    const added = JSON.parse(text) as ReadonlyArray<NewTaskEvent>
    added.forEach((event, index) => {
      if (first + index > from) events.push({ ...event, seq: first + index, at })
    })
    if (events.length >= limit) break
  }
  return { events, gap, next: events.at(-1)?.seq ?? seq }
}

/** Events kept at least, as far as `keptBytes` allows; a log may keep some more. */
export const keptEvents = 10_000

/** Bytes of events after which the oldest are dropped, however few they are; a log may keep some more. */
export const keptBytes: number = 16 * 1024 * 1024

/** About the bytes of an event: those of its texts, which its callers choose, and of its other fields. */
export const sizeOf = ({ error, id, instance, queue, type }: NewTaskEvent): number =>
  200 + id.length + type.length + queue.length + (instance?.length ?? 0) +
  (error === undefined ? 0 : error.message.length + error.tag.length)

/** What a process has appended since it last looked for what is to be dropped, where looking costs more than appending. */
export class Appended {
  private events = 0
  private bytes = 0

  /** Takes note of a batch. Answers whether a tenth of what is kept has come together, and begins again then. */
  isMuch(events: number, bytes: number): boolean {
    this.events += events
    this.bytes += bytes
    if (this.events < keptEvents / 10 && this.bytes < keptBytes / 10) return false
    this.events = this.bytes = 0
    return true
  }
}

/** The log of one store, shared by all instances on it. */
export class EventLog extends Context.Service<EventLog, {
  /** Appends events; with `lost`, readers before them are told of a gap. */
  readonly append: (events: ReadonlyArray<NewTaskEvent>, lost?: boolean) => Effect.Effect<void, StoreError>
  /** At least one event after a place unless there is none, and about `limit` at most. */
  readonly read: (after: number, limit: number) => Effect.Effect<EventPage, StoreError>
  /** The place at the end of the log. */
  readonly end: Effect.Effect<number, StoreError>
  /** Says that a reader attends for so long from now on. If none did before, the log begins again. */
  readonly attend: (forMs: number) => Effect.Effect<void, StoreError>
  /** Since how many milliseconds readers attend without a pause; `undefined` when none does. */
  readonly attended: Effect.Effect<number | undefined, StoreError>
}>()("taskforge/store/EventLog") {
  /** No log, for an engine that is never watched: nothing is recorded. */
  static readonly none: EventLog["Service"] = {
    append: () => Effect.void,
    read: (after) => Effect.succeed({ events: [], gap: false, next: after }),
    end: Effect.succeed(0),
    attend: () => Effect.void,
    attended: Effect.undefined
  }

  /** The layer of {@link EventLog.none}. */
  static readonly layerNone: Layer.Layer<EventLog> = Layer.sync(EventLog, () => EventLog.none)
}
