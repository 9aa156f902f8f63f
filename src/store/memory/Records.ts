/** Records in this process's memory. */
import { Effect } from "effect"
import * as ByteOrder from "../../domain/ByteOrder.ts"
import type { NewTask } from "../../domain/TaskRecord.ts"
import * as Atomically from "../Atomically.ts"
import type { Besides, Decided } from "../Draft.ts"
import * as Gates from "../Gates.ts"
import { countBefore } from "../Order.ts"
import * as RecordDriver from "../RecordDriver.ts"
import type { Due, RecordStore, StoredRecord } from "../RecordStore.ts"
import type { AtOnce, Tasks } from "./Task.ts"

interface Entry extends StoredRecord {
  /** When it is due, or due again because its lease has run out. */
  readonly wakeAt: number | null
}

/** The records of one store. */
export class Kinds {
  private readonly byName = new Map<string, Kind>()
  private version = 0

  get(kind: string, id: string): Entry | undefined {
    return this.byName.get(kind)?.get(id)
  }

  /** The records of a kind, of which there may be none yet. */
  of(name: string): Kind {
    let kind = this.byName.get(name)
    if (kind === undefined) this.byName.set(name, kind = new Kind())
    return kind
  }

  /** The ids of all records of a kind, with their documents. */
  documentsOf(kind: string): Iterable<readonly [id: string, document: string]> {
    return this.byName.get(kind)?.documents() ?? []
  }

  /** The kinds that have records. */
  names(): ReadonlyArray<string> {
    return [...this.byName].flatMap(([name, kind]) => kind.isEmpty ? [] : [name])
  }

  /** Changes when records were written. */
  date(name: string, records: ReadonlyArray<{ readonly id: string; readonly writtenAt: number }>): void {
    for (const { id, writtenAt } of records) {
      const entry = this.get(name, id)
      if (entry !== undefined) this.of(name).set({ ...entry, writtenAt })
    }
  }

  /** The number of the next put or take. */
  nextVersion(now: number): number {
    return this.version = RecordDriver.nextVersion(this.version, now)
  }

  /** Writes records whatever their versions are, and answers the new one. */
  put(changes: ReadonlyArray<RecordDriver.PackedChange>, now: number): number {
    const version = this.nextVersion(now)
    for (const change of changes) {
      const { document, id, kind } = change
      const dueAt = RecordDriver.dueAtOf(change, now)
      if (document === null) this.of(kind).delete(id)
      else this.of(kind).set({ id, version, document, dueAt, writtenAt: now, wakeAt: dueAt })
    }
    return version
  }
}

/** The operations. `decide` says what becomes of a group. */
export const make = (
  at: AtOnce,
  kinds: Kinds,
  tasks: Tasks,
  decide: (group: ReadonlyArray<NewTask>, now: number, besides: Besides) => Decided
): RecordStore["Service"] => {
  const put = (changes: ReadonlyArray<RecordDriver.PackedChange>, now: number): number => {
    const version = kinds.put(changes, now)
    for (const { document, id, kind } of changes) {
      if (Gates.kinds.has(kind)) tasks.passes.ruleChanged(kind, id, document)
    }
    return version
  }
  return RecordDriver.make({
    get: (kind, ids) => Effect.sync(() => ids.flatMap((id) => shown(kinds.get(kind, id)))),
    put: (changes) =>
      at((now) => {
        const conflict = RecordDriver.conflictOf(changes, (kind, id) => kinds.get(kind, id)?.version)
        return conflict ?? { version: put(changes, now) }
      }),
    list: (kind, range, limit) => Effect.sync(() => kinds.of(kind).list(range, limit).flatMap(shown)),
    due: (kind, limit, leaseForMs) =>
      at((now): Due => {
        const found = kinds.of(kind).due(limit, now)
        if (leaseForMs === undefined || found.length === 0) {
          return { records: found.flatMap(shown), now, nextDueAt: kinds.of(kind).nextWakeAt(now) }
        }
        const version = kinds.nextVersion(now)
        const taken = found.map((entry) => ({ ...entry, version, wakeAt: now + leaseForMs }))
        for (const entry of taken) kinds.of(kind).set(entry)
        return { records: taken.flatMap(shown), now, nextDueAt: kinds.of(kind).nextWakeAt(now) }
      }),
    atomically: Atomically.make((parts) =>
      Effect.flatMap(
        at((now) =>
          Atomically.inOneStep(parts, now, {
            recordOf: (kind, id) => kinds.get(kind, id),
            find: (id) => tasks.log.get(id),
            enqueue: (group, besides) => decide(group, now, besides),
            put: (changes) => put(changes, now),
            apply: (task, decision) => tasks.apply(task, decision)
          })
        ),
        (outcome) => Atomically.answer(parts, outcome)
      )
    )
  })
}

const shown = (entry: Entry | undefined): ReadonlyArray<StoredRecord> => {
  if (entry === undefined) return []
  const { wakeAt: _, ...record } = entry
  return [record]
}

/** The records of one kind, by id and by the time at which they wake. */
class Kind {
  private readonly entries = new Map<string, Entry>()
  private readonly inOrder = new Sorted<Entry>((a, b) => ByteOrder.compare(a.id, b.id))
  private readonly waking = new Sorted<Entry>((a, b) => a.wakeAt! - b.wakeAt! || ByteOrder.compare(a.id, b.id))

  get isEmpty(): boolean {
    return this.entries.size === 0
  }

  get(id: string): Entry | undefined {
    return this.entries.get(id)
  }

  set(entry: Entry): void {
    this.delete(entry.id)
    this.entries.set(entry.id, entry)
    this.inOrder.add(entry)
    if (entry.wakeAt !== null) this.waking.add(entry)
  }

  delete(id: string): void {
    const entry = this.entries.get(id)
    if (entry === undefined) return
    this.entries.delete(id)
    this.inOrder.remove(entry)
    if (entry.wakeAt !== null) this.waking.remove(entry)
  }

  *documents(): Generator<readonly [id: string, document: string], void> {
    for (const { document, id } of this.entries.values()) yield [id, document]
  }

  list({ from, inclusive, until }: RecordDriver.Range, limit: number): ReadonlyArray<Entry> {
    return this.inOrder.slice(
      ({ id }) => ByteOrder.compare(id, from) < (inclusive ? 0 : 1),
      ({ id }) => ByteOrder.compare(id, until) < 0,
      limit
    )
  }

  due(limit: number, now: number): ReadonlyArray<Entry> {
    return this.waking.slice(() => false, ({ wakeAt }) => wakeAt! <= now, limit)
  }

  nextWakeAt(now: number): number | null {
    return this.waking.slice(({ wakeAt }) => wakeAt! <= now, () => true, 1)[0]?.wakeAt ?? null
  }
}

/** Items in an order in which no two are equal. */
class Sorted<A> {
  private readonly items: Array<A> = []
  private readonly compare: (a: A, b: A) => number

  constructor(compare: (a: A, b: A) => number) {
    this.compare = compare
  }

  add(item: A): void {
    this.items.splice(countBefore(this.items, (other) => this.compare(other, item) < 0), 0, item)
  }

  remove(item: A): void {
    this.items.splice(countBefore(this.items, (other) => this.compare(other, item) < 0), 1)
  }

  /** The first items behind those that are before it, as long as they are in it. */
  slice(isBefore: (item: A) => boolean, isIn: (item: A) => boolean, limit: number): ReadonlyArray<A> {
    const start = countBefore(this.items, isBefore)
    let end = start
    while (end < this.items.length && end - start < limit && isIn(this.items[end]!)) end++
    return this.items.slice(start, end)
  }
}
