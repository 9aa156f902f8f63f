/**
 * How a pool shares its slots among queues: each share says how many slots are kept for a queue, how many it may have at most, and
 * how many of its tasks start in each turn while others wait too. Queues without a share have the share `*` together.
 *
 * The pool asks the store for one share at a time, so each keeps its own order of work. Whose turn it is goes by stride: a share
 * stands where its last task left it, a task moves it on by one part of its weight, and the one that is behind comes first.
 */
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption } from "../domain/Errors.ts"
import type { QueueShare } from "../store/InstanceStore.ts"

/** What a queue has of a pool. */
export interface Share {
  /** Slots that are kept free for it, or run its tasks. Default 0. */
  readonly reserved?: number | undefined
  /** Slots that run its tasks at most. Default: all. */
  readonly max?: number | undefined
  /** Tasks that start in each turn while other shares have tasks to start. Default 1. */
  readonly weight?: number | undefined
}

/** The share of each queue by its name; that of all others is called `*`. */
export type Options = Readonly<Record<string, Share>>

/** The name of the share of those queues that have none of their own. */
const others = "*"

/** Shares of a pool at most. */
const maxShares = 100

/** Tasks that one claim is worked out for, at most. */
const maxPerClaim = 1000

/** Tasks that start in each turn at most. */
const maxWeight = 1000

/** The option of an engine that says them. */
const all = "worker.shares"

const names: Bounds.Names<Share> = { reserved: 1, max: 1, weight: 1 }

const anObject: Bounds.Bound<unknown> = {
  expected: "reserved, max or weight",
  accepts: (share) => typeof share === "object" && share !== null
}

/** Throws `InvalidOption` where shares are out of bounds, or keep more slots than the pool has. */
export const demandShares = (shares: Options, queues: ReadonlyArray<string>, size: number): void => {
  const entries = Object.entries(shares)
  const refuse = (option: string, found: string, expected: string) => {
    throw new InvalidOption({ option, found, expected, index: 0 })
  }
  if (entries.length > maxShares) refuse(all, `${entries.length} queues`, `at most ${maxShares}`)
  for (const [queue, share] of entries) {
    const option = `${all}.${queue}`
    Bounds.demand(all, Bounds.name, queue)
    // Without types it may be a number
    Bounds.demand(option, anObject, share ?? null)
    Bounds.demandKnown(share, names, `${option}.`)
    Bounds.demand(`${option}.reserved`, Bounds.whole(0, size), share.reserved)
    Bounds.demand(`${option}.max`, Bounds.whole(Math.max(1, share.reserved ?? 0), 10_000), share.max)
    Bounds.demand(`${option}.weight`, Bounds.whole(1, maxWeight), share.weight)
    if (queues.length > 0 && queue !== others && !queues.includes(queue)) {
      refuse(option, "a share", "none: the pool does not work on this queue")
    }
  }
  const reserved = entries.reduce((sum, [, share]) => sum + (share.reserved ?? 0), 0)
  if (reserved > size) refuse(all, `${reserved} slots reserved`, `at most the ${size} that the pool has`)
}

/** What to ask the store for: tasks of these queues, or of all but some. */
export interface Ask {
  readonly queues?: ReadonlyArray<string> | undefined
  readonly except?: ReadonlyArray<string> | undefined
  readonly limit: number
}

/** A share as it stands. */
interface Stand {
  readonly queue: string
  readonly of: Pick<Ask, "queues" | "except">
  readonly reserved: number
  readonly max: number
  readonly weight: number
  running: number
  /** Where it stands in the order of turns. */
  turn: number
  /** Whether it had less to start than it was asked for, the last time. */
  empty: boolean
  /** Until when it is not asked again, by the monotonic clock in milliseconds, unless work is announced. */
  emptyUntil: number
}

/** The shares of a pool. */
export class Shares {
  private readonly stands: ReadonlyArray<Stand>
  private readonly byQueue = new Map<string, Stand>()
  private readonly rest: Stand | undefined
  private readonly wake: () => void
  private asked: Stand | undefined
  /** Whether work was announced since a share was asked for: the answer may be of before. */
  private announced = false
  /** Whether slots are free that no share may have. */
  private waits = false

  /** Those of a pool that works on these queues, or on all when none is named. `wake` is called when a share may have one more slot. */
  constructor(shares: Options, queues: ReadonlyArray<string>, wake: () => void) {
    this.wake = wake
    const named = Object.keys(shares).filter((queue) => queue !== others)
    const unnamed = queues.filter((queue) => !named.includes(queue))
    const stand = (queue: string, of: Stand["of"]): Stand => {
      const { max = Infinity, reserved = 0, weight = 1 } = shares[queue] ?? {}
      return { queue, of, reserved, max, weight, running: 0, turn: 0, empty: false, emptyUntil: 0 }
    }
    for (const queue of named) this.byQueue.set(queue, stand(queue, { queues: [queue] }))
    if (queues.length === 0) this.rest = stand(others, { except: named })
    else if (unnamed.length > 0) this.rest = stand(others, { queues: unnamed })
    this.stands = [...this.byQueue.values(), ...this.rest === undefined ? [] : [this.rest]]
  }

  /** What to ask for next, with so many free slots: `undefined` where no share that may have tasks to start may have one more. */
  next(free: number, now: number): Ask | undefined {
    const able = this.stands.filter((stand) => stand.emptyUntil <= now && this.room(stand, free) > 0)
    // one that had nothing to start for a while does not get back the turns that it left to others
    const current = Math.min(...this.stands.flatMap(({ empty, turn }) => empty ? [] : [turn]))
    for (const stand of able) if (stand.empty && current < Infinity) stand.turn = Math.max(stand.turn, current)
    const first = able.reduce<Stand | undefined>((a, b) => a === undefined || isBefore(b, a) ? b : a, undefined)
    this.waits = first === undefined
    if (first === undefined) return undefined
    this.asked = first
    this.announced = false
    return { ...first.of, limit: this.quota(first, able, free) }
  }

  /** What the store gave of what was asked for last. A share that had less has nothing until then, unless work is announced. */
  answered(given: number, asked: number, emptyUntil: number): void {
    if (this.asked === undefined) return
    this.asked.empty = given < asked
    this.asked.emptyUntil = given < asked && !this.announced ? emptyUntil : 0
    this.asked = undefined
  }

  /** Work was announced, of whatever queue. */
  renew(): void {
    this.announced = true
    for (const stand of this.stands) stand.emptyUntil = 0
  }

  /** When the next share may have tasks to start again that has none now; `undefined` where all are full or kept back. */
  nextLookAt(now: number): number | undefined {
    const times = this.stands.flatMap(({ emptyUntil }) => emptyUntil > now ? [emptyUntil] : [])
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** A task of a queue has taken a slot. */
  started(queue: string): void {
    const stand = this.of(queue)
    if (stand === undefined) return
    stand.running++
    stand.turn += 1 / stand.weight
  }

  /** Its slot is free again. */
  ended(queue: string): void {
    const stand = this.of(queue)
    if (stand === undefined) return
    stand.running--
    if (this.waits) this.wake()
  }

  /** How they stand. */
  views(): ReadonlyArray<QueueShare> {
    return this.stands.map(({ max, queue, reserved, running, weight }) => ({
      queue,
      reserved,
      max: Number.isFinite(max) ? max : null,
      weight,
      running
    }))
  }

  private of(queue: string): Stand | undefined {
    return this.byQueue.get(queue) ?? this.rest
  }

  /** Slots that a share may take of those that are free: those kept for it, and those kept for none. */
  private room(stand: Stand, free: number): number {
    let kept = 0
    for (const one of this.stands) kept += Math.max(0, one.reserved - one.running)
    const own = Math.max(0, stand.reserved - stand.running)
    return Math.min(stand.max - stand.running, own + Math.max(0, free - kept), free)
  }

  /** How many tasks of the first share start before all that may start something have had their turns. */
  private quota(first: Stand, able: ReadonlyArray<Stand>, free: number): number {
    const room = Math.min(this.room(first, free), maxPerClaim)
    if (able.length === 1) return room
    // what all together take when turns are dealt out, by weight, from where each stands
    let left = Math.min(free, maxPerClaim)
    let quota = 0
    const turns = able.map(({ turn, weight }) => ({ turn, weight }))
    const own = able.indexOf(first)
    for (; left > 0 && quota < room; left--) {
      let next = 0
      for (let index = 1; index < turns.length; index++) if (turns[index]!.turn < turns[next]!.turn) next = index
      turns[next]!.turn += 1 / turns[next]!.weight
      if (next === own) quota++
    }
    return Math.max(1, quota)
  }
}

/** Whose turn is sooner. Of two, the one is asked first that had nothing the last time: if it still has nothing, the other gets all. */
const isBefore = (a: Stand, b: Stand): boolean => a.turn < b.turn || (a.turn === b.turn && a.empty && !b.empty)
