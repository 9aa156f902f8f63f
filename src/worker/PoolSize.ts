/**
 * The rule by which a pool sizes itself. It looks at the pool once a second:
 *
 * | what it sees | what it does |
 * |---|---|
 * | tasks wait, every slot is busy, and the event loop is calm, three times in a row | adds half as many slots |
 * | the event loop is late while tasks run, three times in a row | takes the slots back that it added last, or else a quarter |
 * | at most half of the slots were busy for a minute | takes an eighth |
 *
 * What keeps it from swinging to and fro: one look alone changes nothing; between "calm" and "late", and between half and all
 * slots busy, nothing changes; after a change it looks away for three seconds; and once the loop was late, only half of the
 * slots that were taken may come back in the next five minutes. After that it tries one more, then two, then four; where the
 * loop is late again, it waits twice as long before it tries again, an hour at most.
 */

/** What is seen at a look. */
export interface Look {
  /** Slots that the pool has. */
  readonly slots: number
  /** Slots that were busy at the same time, at most, since the last look. */
  readonly busy: number
  /** The longest that a task had waited, of those that were claimed since the last look or still wait. */
  readonly waitMs: number
  /** How late the event loop came to its timers since the last look, on average. */
  readonly delayMs: number
}

/** What the size has to keep to. */
export interface Range {
  readonly min: number
  readonly max: number
  /** A wait that is no reason to grow: an idle pool may take as long to look for work. */
  readonly patienceMs: number
}

/** What is remembered from one look to the next. */
export interface Memory {
  /** Looks in a row at which tasks waited, the loop was late, or the pool had room. */
  readonly crowded: number
  readonly late: number
  readonly roomy: number
  /** Most slots that were busy since the pool has room. */
  readonly peak: number
  /** Looks that are still not counted after a change. */
  readonly settling: number
  /** The size before slots were added, as long as the loop may still show that they were too many. */
  readonly before: { readonly slots: number; readonly looks: number } | undefined
  /**
   * Since the loop was late: the largest size that is tried, for how many looks more, for how many looks each time, and how
   * many slots are tried after that.
   */
  readonly limit:
    | { readonly slots: number; readonly looks: number; readonly hold: number; readonly step: number }
    | undefined
}

/** What a look leads to. */
export interface Decision {
  readonly slots: number
  readonly memory: Memory
  /** Why the size is another one; `undefined` where it is not. */
  readonly why: "crowded" | "late" | "idle" | undefined
}

/** How often the rule looks, in milliseconds. */
export const lookEveryMs = 1000

/** The average lateness from which an event loop is late, and up to which it is calm. */
export const lateMs = 50
const calmMs = 20

/** Looks in a row before slots are added, taken because the loop is late, or taken because they are idle. */
const looksToGrow = 3
const looksToYield = 3
const looksToShrink = 60

/** Looks after a change that are not counted. */
const looksToSettle = 3

/** Looks after slots were added for which a late loop means that they were too many. */
const looksOfProof = 30

/** Looks before more slots are tried again: at first, and at most. */
const minHold = 300
const maxHold = 3600

/** A pool that nothing is known about. */
export const start: Memory = {
  crowded: 0,
  late: 0,
  roomy: 0,
  peak: 0,
  settling: 0,
  before: undefined,
  limit: undefined
}

/** The size that follows from a look. It is always within the range. */
export const next = (known: Memory, look: Look, range: Range): Decision => {
  const memory = aged(known, range)
  const slots = within(look.slots, range)
  if (slots !== look.slots) return { slots, memory: afterChange(memory), why: undefined }
  if (memory.settling > 0) return { slots, memory: { ...memory, settling: memory.settling - 1 }, why: undefined }
  const isFull = look.busy >= slots
  const crowded = isFull && look.waitMs > range.patienceMs && look.delayMs <= calmMs ? memory.crowded + 1 : 0
  const late = look.busy > 0 && look.delayMs >= lateMs ? memory.late + 1 : 0
  const hasRoom = look.busy * 2 <= slots
  const roomy = hasRoom ? memory.roomy + 1 : 0
  const peak = hasRoom ? Math.max(memory.peak, look.busy) : 0
  const seen: Memory = { ...memory, crowded, late, roomy, peak }
  if (late >= looksToYield) return yielded(seen, slots, range)
  if (crowded >= looksToGrow) return grown(seen, slots, range)
  if (roomy >= looksToShrink) return shrunk(seen, slots, range)
  return { slots, memory: seen, why: undefined }
}

const grown = (memory: Memory, slots: number, range: Range): Decision => {
  const max = Math.min(range.max, memory.limit?.slots ?? Infinity)
  const more = Math.max(slots, Math.min(max, slots + Math.ceil(slots / 2)))
  if (more === slots) return { slots, memory: { ...memory, crowded: 0 }, why: undefined }
  return { slots: more, memory: { ...afterChange(memory), before: { slots, looks: looksOfProof } }, why: "crowded" }
}

const yielded = (memory: Memory, slots: number, range: Range): Decision => {
  const fewer = Math.max(range.min, Math.min(slots - 1, memory.before?.slots ?? Math.floor(slots * 3 / 4)))
  if (fewer >= slots) return { slots, memory: { ...memory, late: 0 }, why: undefined }
  const { hold = minHold, step = 1 } = memory.limit ?? {}
  // It was tried again, and still too many
  const held = step > 1 ? Math.min(maxHold, hold * 2) : hold
  // Half of what was taken may come back: so the right size is found in few steps
  const limit = { slots: Math.floor((fewer + slots) / 2), looks: held, hold: held, step: 1 }
  return { slots: fewer, memory: { ...afterChange(memory), limit }, why: "late" }
}

/** Tasks are fewer now, or others, so what was known of the loop is forgotten. */
const shrunk = (memory: Memory, slots: number, range: Range): Decision => {
  const fewer = Math.max(range.min, memory.peak, slots - Math.max(1, Math.floor(slots / 8)))
  if (fewer >= slots) return { slots, memory: { ...memory, roomy: 0, peak: 0 }, why: undefined }
  return { slots: fewer, memory: { ...afterChange(memory), limit: undefined }, why: "idle" }
}

/** A size that is not tried becomes one more when its time is over, and then two and four more. */
const aged = (memory: Memory, { max }: Range): Memory => {
  const { before, limit } = memory
  const kept = before === undefined || before.looks <= 1 ? undefined : { ...before, looks: before.looks - 1 }
  if (limit === undefined) return before === kept ? memory : { ...memory, before: kept }
  if (limit.looks > 1) return { ...memory, before: kept, limit: { ...limit, looks: limit.looks - 1 } }
  if (limit.slots >= max) return { ...memory, before: kept, limit: undefined }
  const wider = { slots: limit.slots + limit.step, looks: limit.hold, hold: limit.hold, step: limit.step * 2 }
  return { ...memory, before: kept, limit: wider }
}

const afterChange = (memory: Memory): Memory => ({
  ...memory,
  crowded: 0,
  late: 0,
  roomy: 0,
  peak: 0,
  settling: looksToSettle,
  before: undefined
})

const within = (slots: number, { max, min }: Range): number => Math.max(min, Math.min(max, slots))
