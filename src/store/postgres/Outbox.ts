/** Hints that wait to be sent to the other processes, merged into as few as possible. */

/**
 * Bytes of ids in one notification at most, as JSON: PostgreSQL takes less than 8000, and the sender and the names of
 * the fields are in it too.
 */
const maxBytes = 7000

/** Ids that wait at most; what goes beyond is found by polling. */
const maxWaiting = 10_000

const kinds = ["cancel", "finished", "awaited"] as const

/** The hints of one notification. */
export interface Hints {
  readonly work?: boolean
  readonly events?: boolean
  /** Tasks to be stopped. */
  readonly cancel?: ReadonlyArray<string>
  /** Tasks that have ended. */
  readonly finished?: ReadonlyArray<string>
  /** Tasks whose end is to be announced. */
  readonly awaited?: ReadonlyArray<string>
}

export class Outbox {
  private readonly flags = { work: false, events: false }
  private readonly ids = {
    cancel: new Set<string>(),
    finished: new Set<string>(),
    awaited: new Set<string>()
  }

  get isEmpty(): boolean {
    return !this.flags.work && !this.flags.events && kinds.every((kind) => this.ids[kind].size === 0)
  }

  flag(name: "work" | "events"): void {
    this.flags[name] = true
  }

  add(kind: typeof kinds[number], ids: ReadonlyArray<string>): void {
    const waiting = this.ids[kind]
    for (const id of ids) if (waiting.size < maxWaiting) waiting.add(id)
  }

  /** Takes as much as one notification holds. */
  take(): Hints {
    const hints: { -readonly [Kind in keyof Hints]: Hints[Kind] } = {}
    for (const name of ["work", "events"] as const) {
      if (this.flags[name]) hints[name] = true
      this.flags[name] = false
    }
    let room = maxBytes
    for (const kind of kinds) {
      const taken: Array<string> = []
      for (const id of this.ids[kind]) {
        const bytes = bytesOf(id)
        if (bytes > room && bytes <= maxBytes) break
        this.ids[kind].delete(id)
        // one that is longer than any notification is left to polling
        if (bytes > room) continue
        room -= bytes
        taken.push(id)
      }
      if (taken.length > 0) hints[kind] = taken
    }
    return hints
  }
}

/** What an id and its comma take up: JSON escapes control characters with six bytes each. */
const bytesOf = (id: string): number => Buffer.byteLength(JSON.stringify(id)) + 1
