/**
 * What has happened to tasks lately, for those who watch. It is a convenience beside the tasks, which stay the truth:
 * events are appended in batches after what they tell of was acknowledged, the log is bounded, and writers may leave
 * events out while nobody attends. Where something is missing, a reader is told that there is a gap.
 *
 * Rules that the conformance suite proves for each driver:
 *
 * - The store numbers events in the order in which they were appended, strictly increasing, without end.
 * - A page says `gap` when any event between the reader's place and the page may be missing: because it was dropped from
 *   the bounded log, because a writer said that it lost some, or because nobody attended meanwhile.
 * - A place beyond the end of the log is one of another log: a gap, too.
 * - Time is the store's own clock; durations go in.
 */
import { Context, type Effect } from "effect"
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

/** Events kept at least; a log may keep some more. */
export const keptEvents = 10_000

/** The log of one store, shared by all instances on it. */
export class EventLog extends Context.Service<EventLog, {
  /** Appends events; with `lost`, readers before them are told of a gap. */
  readonly append: (events: ReadonlyArray<NewTaskEvent>, lost?: boolean) => Effect.Effect<void, StoreError>
  /** At least one event after a place unless there is none, and about `limit` at most. */
  readonly read: (after: number, limit: number) => Effect.Effect<EventPage, StoreError>
  /** The place at the end of the log. */
  readonly end: Effect.Effect<number, StoreError>
  /** Says that somebody reads for so long from now on. If nobody did before, the log begins anew. */
  readonly attend: (forMs: number) => Effect.Effect<void, StoreError>
  /** Since how many milliseconds somebody attends without a pause; `undefined` when nobody does. */
  readonly attended: Effect.Effect<number | undefined, StoreError>
}>()("taskforge/store/EventLog") {}
