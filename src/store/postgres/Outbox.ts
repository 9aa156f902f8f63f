/** Hints that wait to be sent to the other processes, merged into as few as possible. */
import type { Signal } from "../Notifier.ts"

/** Characters of ids in one notification at most: PostgreSQL takes less than 8000 bytes, and an id may have 3 per character. */
const mostCharacters = 2000

/** Ids that wait at most; what goes beyond is found by polling. */
const mostWaiting = 10_000

/** The hints of one notification. */
export interface Hints {
  readonly work?: boolean
  readonly events?: boolean
  readonly cancel?: ReadonlyArray<string>
  readonly finished?: ReadonlyArray<string>
}

export class Outbox {
  private work = false
  private events = false
  private readonly cancel = new Set<string>()
  private readonly finished = new Set<string>()

  get isEmpty(): boolean {
    return !this.work && !this.events && this.cancel.size === 0 && this.finished.size === 0
  }

  add(signal: Signal): void {
    if (signal._tag === "Work") this.work = true
    else if (signal._tag === "Events") this.events = true
    else {
      const ids = signal._tag === "Cancel" ? this.cancel : this.finished
      for (const id of signal.ids) if (ids.size < mostWaiting) ids.add(id)
    }
  }

  /** Takes as much as one notification holds. */
  take(): Hints {
    const { events, work } = this
    this.work = false
    this.events = false
    let room = mostCharacters
    const some = (ids: Set<string>): ReadonlyArray<string> => {
      const taken: Array<string> = []
      for (const id of ids) {
        // an id that is longer than any notification is left to polling
        if (taken.length > 0 && id.length > room) break
        ids.delete(id)
        room -= id.length
        if (id.length <= mostCharacters) taken.push(id)
      }
      return taken
    }
    const cancel = some(this.cancel)
    const finished = some(this.finished)
    return {
      ...(work ? { work } : {}),
      ...(events ? { events } : {}),
      ...(cancel.length > 0 ? { cancel } : {}),
      ...(finished.length > 0 ? { finished } : {})
    }
  }
}
