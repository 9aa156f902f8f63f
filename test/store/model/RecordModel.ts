/**
 * What a store of records should do, written as plainly as possible: one array that every operation walks through. It
 * shares no decision with the code under test.
 */
import { Effect } from "effect"
import { InvalidOption, type RecordChange, RecordConflict, type RecordStore, type StoredRecord } from "taskforge/store"

interface ModelRecord extends StoredRecord {
  readonly kind: string
  readonly leasedUntil: number | null
}

type Store = RecordStore["Service"]

export class RecordModel {
  now: number
  private records: ReadonlyArray<ModelRecord> = []
  private puts = 0
  private readonly remembered = new Map<string, number>()

  constructor(now: number) {
    this.now = now
  }

  /** The model as a store. */
  readonly store: Pick<Store, "get" | "put" | "list" | "due" | "take"> = {
    get: (kind, ids) => Effect.sync(() => ids.map((id) => shown(this.find(kind, id)))),
    put: (changes, nonce) => Effect.suspend(() => this.put(changes, nonce)),
    list: (kind, { after = "", limit = 100, prefix = "" } = {}) =>
      Effect.sync(() => {
        const records = this.of(kind).filter(({ id }) => id.startsWith(prefix) && bytes(id, after) > 0)
          .toSorted((a, b) => bytes(a.id, b.id))
        return { records: records.slice(0, limit).map((record) => shown(record)!), more: records.length > limit }
      }),
    due: (kind, limit) => Effect.sync(() => this.due(kind, limit)),
    take: (kind, limit, leaseForMs) =>
      Effect.sync(() => {
        const taken = this.due(kind, limit).records
        const version = taken.length === 0 ? 0 : ++this.puts
        const ids = taken.map(({ id }) => id)
        this.records = this.records.map((record) =>
          record.kind === kind && ids.includes(record.id)
            ? { ...record, version, leasedUntil: this.now + leaseForMs }
            : record
        )
        const left = this.due(kind, limit)
        const nextDueAt = taken.length === limit ? this.now : left.nextDueAt
        return { records: ids.map((id) => shown(this.find(kind, id))!), now: this.now, nextDueAt }
      })
  }

  private put(changes: ReadonlyArray<RecordChange>, nonce: string | undefined): ReturnType<Store["put"]> {
    for (const [index, { document, expects, id, kind }] of changes.entries()) {
      const twice = changes.findIndex((other) => other.kind === kind && other.id === id) < index
      if (twice || (expects === 0 && document === null)) {
        return Effect.fail(new InvalidOption({ option: "", found: "", expected: "", index }))
      }
    }
    const before = nonce === undefined ? undefined : this.remembered.get(nonce)
    if (before !== undefined) return Effect.succeed(before)
    for (const [index, { expects: expected, id, kind }] of changes.entries()) {
      const found = this.find(kind, id)?.version ?? 0
      if (found !== expected) return Effect.fail(new RecordConflict({ kind, id, index, expected, found }))
    }
    const version = ++this.puts
    for (const { document, dueAt, dueInMs, id, kind } of changes) {
      this.records = this.records.filter((record) => record.kind !== kind || record.id !== id)
      if (document === null) continue
      const due = dueInMs === undefined ? dueAt ?? null : this.now + dueInMs
      this.records = [
        ...this.records,
        { kind, id, version, document, dueAt: due, writtenAt: this.now, leasedUntil: null }
      ]
    }
    if (nonce !== undefined) this.remembered.set(nonce, version)
    return Effect.succeed(version)
  }

  private due(kind: string, limit: number) {
    const timed = this.of(kind).filter(({ dueAt }) => dueAt !== null)
      .toSorted((a, b) => wakes(a) - wakes(b) || bytes(a.id, b.id))
    const records = timed.filter((record) => wakes(record) <= this.now).slice(0, limit)
    const later = timed.find((record) => wakes(record) > this.now)
    return {
      records: records.map((record) => shown(record)!),
      now: this.now,
      nextDueAt: records.length === limit ? this.now : later === undefined ? null : wakes(later)
    }
  }

  private find(kind: string, id: string): ModelRecord | undefined {
    return this.records.find((record) => record.kind === kind && record.id === id)
  }

  private of(kind: string): ReadonlyArray<ModelRecord> {
    return this.records.filter((record) => record.kind === kind)
  }
}

const wakes = ({ dueAt, leasedUntil }: ModelRecord): number => leasedUntil ?? dueAt!

const bytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const shown = (record: ModelRecord | undefined): StoredRecord | undefined => {
  if (record === undefined) return undefined
  const { document, dueAt, id, version, writtenAt } = record
  return { id, version, document, dueAt, writtenAt }
}
