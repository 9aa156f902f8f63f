/**
 * Priorities of other queues on the ten that there are here. The order is kept: what was more urgent is never less urgent
 * afterwards. Up to ten different priorities stay different.
 */
import { maxPriority } from "../domain/Bounds.ts"
import { normal } from "../domain/Priority.ts"

/** Different priorities that are kept in mind for a queue; further ones are placed between them. */
const maxSeen = 1000

/** The priorities that occur, by queue. */
export class Urgencies {
  private readonly seen = new Map<string, Set<number>>()

  /** Notes that it occurs. */
  add(queue: string, urgency: number): void {
    let known = this.seen.get(queue)
    if (known === undefined) this.seen.set(queue, known = new Set([0]))
    if (known.size < maxSeen) known.add(urgency)
  }

  /** The priority here of one there. */
  levelOf(queue: string, urgency: number): number {
    return levelOf([...(this.seen.get(queue) ?? [0])], urgency)
  }
}

/** What says nothing of its priority is normal here, unless more than one priority is below it there. */
const levelOf = (seen: ReadonlyArray<number>, urgency: number): number => {
  const below = seen.filter((one) => one < urgency).length
  if (seen.length > maxPriority + 1) return Math.min(maxPriority, Math.floor(below * (maxPriority + 1) / seen.length))
  const belowDefault = seen.filter((one) => one < 0).length
  const first = belowDefault < normal && seen.length <= maxPriority ? normal - belowDefault : 0
  // One that was not seen has the place of the one below it
  const isSeen = seen.includes(urgency)
  return Math.min(maxPriority, Math.max(0, first + (isSeen ? below : below - 1)))
}
