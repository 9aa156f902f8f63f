/** What must hold of schedules: of each tick, and of what is written about it. Worked out from what is stored alone. */
import type { Invariant } from "./invariants.ts"

interface Entry {
  readonly tick: number
  readonly outcome: string
  readonly count?: number
}

/** What is stored of a schedule, as far as it says what its ticks are. */
interface Document {
  readonly timetable: { readonly every: number; readonly start: number }
  readonly endAt: number
  readonly after: number
  readonly changedAt: number
  readonly pause: unknown
  readonly made: number
  readonly skipped: number
  readonly history: ReadonlyArray<Entry>
}

/** The ticks behind a time until another one. */
const ticksBetween = ({ endAt, timetable: { every, start } }: Document, after: number, until: number) => {
  const ticks: Array<number> = []
  for (let tick = start; tick <= Math.min(until, endAt); tick += every) if (tick > after) ticks.push(tick)
  return ticks
}

const idOf = (name: string, tick: number): string => `${name}@${new Date(tick).toISOString()}`

/** Entries that were not there before: the oldest go as new ones come. */
const added = (before: Document, after: Document): ReadonlyArray<Entry> => {
  const known = new Set(before.history.map((entry) => JSON.stringify(entry)))
  return after.history.filter((entry) => !known.has(JSON.stringify(entry)))
}

export const scheduleInvariants: ReadonlyArray<Invariant> = [
  {
    name: "ticks",
    says: "each tick is dealt with once, not before its time, and has the one task that is written with it",
    watch: ({ records }) => {
      const made = new Set<string>()
      /** What the store's clock showed when a schedule was taken: it may have been set back since. */
      const takenAt = new Map<string, number>()
      let enqueued: ReadonlyArray<string> = []
      return {
        on: (event, violated) => {
          if (event._tag !== "Stored") return
          if (event.op === "take records" && event.kind === "schedule") {
            for (const { id } of event.answer.records) takenAt.set(id, event.answer.now)
          }
          if (event.op === "enqueue") {
            enqueued = event.groups.flat().map(({ id }) => id).filter((id) => /^c\d@/.test(id))
            return
          }
          if (event.op !== "put records" || records.doneBefore(event.nonce) !== undefined) return
          const expected: Array<string> = []
          for (const { document, id: name, kind } of event.changes) {
            const known = kind === "schedule" ? records.find(kind, name) : undefined
            if (known === undefined || document === null) continue
            const before = JSON.parse(known.document) as Document
            const after = JSON.parse(document) as Document
            // Set by hand, paused, or gone on with
            if (after.changedAt !== before.changedAt || JSON.stringify(after.pause) !== JSON.stringify(before.pause)) {
              continue
            }
            const entries = added(before, after).filter(({ outcome }) => outcome !== "run")
            const ticks = ticksBetween(before, before.after, after.after)
            if (after.after > before.after && after.after > (takenAt.get(name) ?? 0)) {
              violated(`${name} has dealt with a tick before its time`)
            }
            const told = entries.reduce((sum, { count = 1 }) => sum + count, 0)
            if (told !== ticks.length) violated(`${name} had ${ticks.length} ticks, and tells of ${told}`)
            if (ticks.length > 0 && ticks.at(-1) !== after.after) {
              violated(`${name} is at ${after.after}, which is no tick`)
            }
            if (entries.length > 0 && after.made + after.skipped - before.made - before.skipped !== ticks.length) {
              violated(`${name} counts other ticks than there were`)
            }
            for (const { outcome, tick } of entries) if (outcome === "made") expected.push(idOf(name, tick))
          }
          for (const id of expected) {
            if (made.has(id)) violated(`${id} is made a second time`)
            made.add(id)
          }
          const sent = enqueued
          enqueued = []
          const missing = expected.filter((id) => !sent.includes(id))
          const others = sent.filter((id) => !expected.includes(id))
          if (missing.length > 0) violated(`${missing.join()} should have a task`)
          if (others.length > 0) violated(`${others.join()} should have none`)
        }
      }
    }
  }
]
