/**
 * Small JSON documents by kind and id: whatever the engine has to keep that is no task. A feature that keeps something
 * names a kind and writes no SQL and no Lua.
 *
 * Rules that the conformance suite proves for each driver:
 *
 * - A put happens entirely or not at all. Each change names the version that it replaces; a record that is not there has
 *   the version {@link absent}.
 * - Each put and each take has a number, which becomes the version of what it writes. The versions of a record grow, and
 *   none is given to it twice, even after it was deleted and stored again: a version that someone has read never comes
 *   back.
 * - Ids are in the order of their bytes in UTF-8, which is the order of their code points.
 * - A driver reads its own clock, as for `TaskStore`: durations go in, absolute times come out, whole milliseconds.
 *   `dueAt` is the one absolute time that goes in.
 * - Boundaries are inclusive: at `dueAt` a record is due, at the end of its lease it is due again.
 * - Where the driver knows the application's transactions, all of this joins them.
 *
 * What is asked for has bounds, so that every store takes what one of them takes: see `RecordDriver`. Beyond them it is
 * refused with `InvalidOption`, and nothing was done.
 */
import { Context, Effect } from "effect"
import type { DependencyCycle, UnknownDependency } from "../domain/DependencyErrors.ts"
import type { InvalidOption, KeyConflict, LeaseLost, QueueFull, RecordConflict, StoreError } from "../domain/Errors.ts"
import type { Settlement } from "../domain/Settlement.ts"
import type { NewTask } from "../domain/TaskRecord.ts"
import type { Accepted } from "./TaskStore.ts"

/** The version of a record that is not there. */
export const absent = 0

/** A document as it is stored. */
export interface StoredRecord {
  readonly id: string
  /** The number of the put or the take that wrote it, at least 1. */
  readonly version: number
  /** JSON text. */
  readonly document: string
  /** When something has to be done about it; `null` for never. */
  readonly dueAt: number | null
  /** When the document was put. */
  readonly writtenAt: number
}

/** What a put does to one record. */
export interface Change {
  readonly kind: string
  readonly id: string
  /** The version that is replaced; {@link absent} where there must be none. */
  readonly expects: number
  /** JSON text; `null` deletes the record. */
  readonly document: string | null
  /** When the record is due: milliseconds since the epoch. Never, when left out. */
  readonly dueAt?: number | undefined
  /** The same in milliseconds from now on, by the store's clock. */
  readonly dueInMs?: number | undefined
}

/** Which records are listed. */
export interface ListRequest {
  /** Only ids that begin so. */
  readonly prefix?: string | undefined
  /** Only ids behind this one: the last of the page before. */
  readonly after?: string | undefined
  /** Records on the page at most; as many as a page may have when left out. */
  readonly limit?: number | undefined
}

/** A page of a list, in the order of ids. */
export interface Listed {
  readonly records: ReadonlyArray<StoredRecord>
  /** Whether more records follow. */
  readonly more: boolean
}

/** What is due, the longest first. */
export interface Due {
  readonly records: ReadonlyArray<StoredRecord>
  /** The store's clock. */
  readonly now: number
  /** When it pays to ask again: now, where the page is full; `null` when no record of the kind will become due. */
  readonly nextDueAt: number | null
}

/** What is written together. Each part may be left out. */
export interface Together {
  /** As for `put`. */
  readonly changes?: ReadonlyArray<Change> | undefined
  /** As one group of `TaskStore.enqueue`. */
  readonly tasks?: ReadonlyArray<NewTask> | undefined
  /** As for `TaskStore.settle`, at most one of each task. */
  readonly settlements?: ReadonlyArray<Settlement> | undefined
}

/** What was written together. */
export interface Written {
  /** The version of the records. */
  readonly version: number
  /** What `tasks` are now, in their order: new ones, or those that had the id or the key. */
  readonly tasks: ReadonlyArray<Accepted>
  /** The store's clock. */
  readonly now: number
}

/**
 * Why nothing was written together, in the order in which this is looked at: a record has another version, an attempt does
 * not hold its task, a key belongs to another payload, a dependency is unknown or needs itself, there is no room.
 */
export type Refused = RecordConflict | LeaseLost | KeyConflict | UnknownDependency | DependencyCycle | QueueFull

/** Where records are kept. Implemented by drivers, used by whatever keeps something. */
export class RecordStore extends Context.Service<RecordStore, {
  /** The records with these ids, in their order; `undefined` for one that is not there. */
  readonly get: (
    kind: string,
    ids: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<StoredRecord | undefined>, InvalidOption | StoreError>
  /**
   * Writes and deletes records, all or none, and answers the version of what it wrote. No record may be changed twice.
   *
   * A put may have been done although its answer was lost. Repeating it with the same `nonce` within an hour changes
   * nothing and gives that answer; without a nonce it fails with `RecordConflict`, as any put after another one does.
   */
  readonly put: (
    changes: ReadonlyArray<Change>,
    nonce?: string
  ) => Effect.Effect<number, RecordConflict | InvalidOption | StoreError>
  /**
   * Writes records, stores new tasks and ends attempts in one step: everything happens, or nothing. "Complete this and start
   * that" is one write, and a task that ends makes room for one that begins.
   *
   * An attempt that does not hold its task any more is `LeaseLost`, also where it has ended before. Repeating it all with
   * the same `nonce` within an hour changes nothing and gives the same answer. Puts and this share their nonces.
   */
  readonly atomically: (
    nonce: string,
    parts: Together
  ) => Effect.Effect<Written, Refused | InvalidOption | StoreError>
  /** A page of the records of a kind. */
  readonly list: (kind: string, request?: ListRequest) => Effect.Effect<Listed, InvalidOption | StoreError>
  /** Up to `limit` records that are due. */
  readonly due: (kind: string, limit: number) => Effect.Effect<Due, InvalidOption | StoreError>
  /**
   * The same, taken under a lease: no other taker is given them until it has run out. The taker holds their new version, so
   * its put is the one that is accepted, until another one takes or puts them. If the answer is lost, they are due again
   * when the lease has run out.
   */
  readonly take: (kind: string, limit: number, leaseForMs: number) => Effect.Effect<Due, InvalidOption | StoreError>
}>()("taskforge/store/RecordStore") {}

/** Every record of a kind, page by page: one that is stored or deleted during that may be among them or not. */
export const all = Effect.fnUntraced(function*(
  kind: string
): Effect.fn.Return<ReadonlyArray<StoredRecord>, StoreError, RecordStore> {
  const store = yield* RecordStore
  const found: Array<StoredRecord> = []
  for (let more = true; more;) {
    const page = yield* Effect.catchTag(store.list(kind, { after: found.at(-1)?.id }), "InvalidOption", Effect.die)
    found.push(...page.records)
    more = page.more
  }
  return found
})

/** Deletes a record, whatever its version is; answers whether it was there. What cannot be stored is not. */
export const remove = (kind: string, id: string): Effect.Effect<boolean, StoreError, RecordStore> =>
  RecordStore.use((store) =>
    Effect.flatMap(store.get(kind, [id]), ([record]) =>
      record === undefined
        ? Effect.succeed(false)
        : Effect.as(store.put([{ kind, id, expects: record.version, document: null }]), true))
  ).pipe(
    // another one was faster
    Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict" }),
    Effect.catchTags({ InvalidOption: () => Effect.succeed(false), RecordConflict: Effect.die })
  )

/** Deletes records as they were read: those that another one has written or deleted since stay as they are. */
export const removeUnchanged = (
  kind: string,
  records: ReadonlyArray<StoredRecord>
): Effect.Effect<void, StoreError, RecordStore> =>
  records.length === 0
    ? Effect.void
    : RecordStore.use((store) =>
      store.put(records.map(({ id, version }) => ({ kind, id, expects: version, document: null })))
    ).pipe(
      Effect.asVoid,
      Effect.catchTags({
        InvalidOption: Effect.die,
        RecordConflict: () =>
          records.length === 1
            ? Effect.void
            : Effect.forEach(records, (record) => removeUnchanged(kind, [record]), { discard: true })
      })
    )
