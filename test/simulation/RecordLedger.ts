/** What is known of every record from the operations alone, as the ledger knows tasks. */
import { absent, type StoredRecord } from "../../src/store/RecordStore.ts"
import type { Stored } from "./History.ts"

/** A record as it has to be. */
export interface KnownRecord extends Omit<StoredRecord, "writtenAt"> {
  readonly kind: string
  /** When it may be taken. */
  readonly wakeAt: number | null
}

/** The kind by which the store remembers puts. */
const nonceKind = "put"

const nameOf = (kind: string, id: string): string => `${kind} ${id}`

/** All records of a store, as they have to be. */
export class RecordLedger {
  readonly records = new Map<string, KnownRecord>()
  private readonly greatest = new Map<string, number>()

  find(kind: string, id: string): KnownRecord | undefined {
    return this.records.get(nameOf(kind, id))
  }

  of(kind: string): ReadonlyArray<KnownRecord> {
    return [...this.records.values()].filter((record) => record.kind === kind)
  }

  /** The greatest version that there ever was of a record. */
  lastVersionOf(kind: string, id: string): number {
    return this.greatest.get(nameOf(kind, id)) ?? absent
  }

  /** The version of a put that was done before. */
  doneBefore(nonce: string | undefined): number | undefined {
    return nonce === undefined ? undefined : this.find(nonceKind, nonce)?.version
  }

  /** Takes an operation into account. */
  apply(event: Stored): void {
    if (event.op === "put records") {
      const { changes, nonce, now, version } = event
      if (this.doneBefore(nonce) !== undefined) return
      if (nonce !== undefined) {
        this.set({ kind: nonceKind, id: nonce, version, document: "null", dueAt: null, wakeAt: null })
      }
      for (const { document, dueAt, dueInMs, id, kind } of changes) {
        const due = dueInMs === undefined ? dueAt ?? null : now + dueInMs
        if (document === null) this.records.delete(nameOf(kind, id))
        else this.set({ kind, id, version, document, dueAt: due, wakeAt: due })
      }
    } else if (event.op === "take records") {
      for (const { id, version } of event.answer.records) {
        const known = this.find(event.kind, id)
        if (known !== undefined) this.set({ ...known, version, wakeAt: event.answer.now + event.leaseForMs })
      }
    }
  }

  private set(record: KnownRecord): void {
    const name = nameOf(record.kind, record.id)
    this.records.set(name, record)
    this.greatest.set(name, Math.max(record.version, this.greatest.get(name) ?? absent))
  }
}
