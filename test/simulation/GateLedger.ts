/**
 * What is known of gates from the operations alone: limits, pauses, and what tasks have taken of them. It decides by itself
 * which tasks a claim has to give, and shares no code with the engine's decisions.
 */
import type { Limit } from "../../src/domain/Gate.ts"
import type { Known } from "./Known.ts"

interface Turn {
  readonly turn: number
  readonly left: number
}

/** The passes of a task. */
export const passesOf = ({ task: { gate } }: Known): ReadonlyArray<string> =>
  gate === null ? [] : JSON.parse(gate) as ReadonlyArray<string>

const costOf = ({ task: { costs } }: Known, index: number): number =>
  costs === null ? 1 : (JSON.parse(costs) as ReadonlyArray<number>)[index]!

/** Tasks with one gate wait behind one another; one without a gate is alone. */
const lineOf = ({ seq, task: { gate, queue, type } }: Known): string =>
  gate === null ? String(seq) : JSON.stringify([queue, type, gate])

/** Gates as they have to be. */
export class GateLedger {
  readonly limits = new Map<string, Limit>()
  readonly pausedTypes = new Set<string>()
  readonly pausedKeys = new Set<string>()
  private readonly headStartMs: number
  private holders = new Map<string, Known>()
  private buckets = new Map<string, { readonly level: number; readonly at: number }>()
  private turns = new Map<string, Turn>()

  constructor(headStartMs: number) {
    this.headStartMs = headStartMs
  }

  /** Takes a put into account. */
  put(kind: string, id: string, document: string | null): void {
    if (kind === "limit") {
      if (document === null) this.limits.delete(id)
      else this.limits.set(id, JSON.parse(document) as Limit)
    }
    const paused = kind === "paused-type" ? this.pausedTypes : kind === "paused-key" ? this.pausedKeys : undefined
    if (document === null) paused?.delete(id)
    else paused?.add(id)
  }

  rankOf({ createdAt, dueAt, task: { gate, priority, startWithinMs } }: Known): number {
    if (gate?.startsWith("[\"!") === true) return createdAt - priority * this.headStartMs
    // one that says nothing counts as if it should start within the head start
    return dueAt + (startWithinMs ?? this.headStartMs) - (priority + 1) * this.headStartMs
  }

  /** The limit of a pass. */
  limitOf(pass: string): Limit | undefined {
    return this.limits.get(pass) ?? this.limits.get(pass.split("=")[0]!)
  }

  /** Which of the due tasks a claim has to give, in their order. Nothing is changed. */
  expected(due: ReadonlyArray<Known>, all: Iterable<Known>, limit: number, now: number): ReadonlyArray<Known> {
    if (due.every(({ task }) => task.gate === null)) {
      return due.filter(({ task }) => !this.pausedTypes.has(task.type)).slice(0, limit)
    }
    const { buckets, holders, turns } = this
    this.buckets = new Map(buckets)
    this.holders = new Map(holders)
    this.turns = new Map(turns)
    const running = [...all].filter(({ state }) => state === "running")
    let waiting = due.filter(({ task }) => !this.pausedTypes.has(task.type))
    const given: Array<Known> = []
    while (given.length < limit) {
      const heads = new Map<string, Known>()
      for (const known of waiting) if (!heads.has(lineOf(known))) heads.set(lineOf(known), known)
      const place = (known: Known) => Math.max(this.rankOf(known), this.turns.get(lineOf(known))?.turn ?? -Infinity)
      // one that holds its order goes in the place of the first of its line
      const holding = new Map<string, Known>()
      for (const known of waiting) if (this.holds(known)) holding.set(lineOf(known), known)
      const firstOf = (head: Known) => holding.get(lineOf(head)) ?? head
      const [head] = [...heads.values()]
        .filter((head) => this.isOpen(firstOf(head), [...running, ...given], now))
        .sort((a, b) => place(a) - place(b) || a.seq - b.seq)
      if (head === undefined) break
      const first = firstOf(head)
      this.begin(first, now, given.length)
      given.push(first)
      waiting = waiting.filter((known) => known !== first)
      if (!waiting.some((known) => lineOf(known) === lineOf(first))) this.turns.delete(lineOf(first))
    }
    Object.assign(this, { buckets, holders, turns })
    return given
  }

  /** Whether a task of an order waits again, and none of its line may start before it. */
  private holds(known: Known): boolean {
    return passesOf(known).some((pass) => {
      const limit = this.limitOf(pass)
      return limit !== undefined && "order" in limit && this.holders.get(pass) === known
    })
  }

  private isOpen(known: Known, running: ReadonlyArray<Known>, now: number): boolean {
    return passesOf(known).every((pass, index) =>
      !this.pausedKeys.has(pass) && this.isPassOpen(known, pass, index, running, now)
    )
  }

  private isPassOpen(known: Known, pass: string, index: number, running: ReadonlyArray<Known>, now: number): boolean {
    const limit = this.limitOf(pass)
    if (limit === undefined || "lifted" in limit || "fair" in limit) return true
    if ("max" in limit) {
      // a breaker that is open, until it may be tried
      if (limit.notBefore !== undefined && now < limit.notBefore) return false
      return running.filter((other) => passesOf(other).includes(pass)).length < limit.max
    }
    if ("tokens" in limit) return this.level(pass, limit, now) >= Math.min(costOf(known, index), limit.burst)
    const holder = this.holders.get(pass)
    if (holder === undefined || holder === known || holder.isGone) return true
    if (holder.state === "failed") return limit.order === "continue"
    // one that waits for longer than it may ends before the claim takes anything
    if (holder.state === "scheduled" || holder.state === "pending") return holder.expiresAt <= now
    return holder.state !== "running"
  }

  /** Why a due task may not start, in the words of explanations. */
  codesOf(known: Known, all: Iterable<Known>, now: number): ReadonlyArray<string> {
    const running = [...all].filter(({ state }) => state === "running")
    const codes = passesOf(known).flatMap((pass, index) => {
      if (this.pausedKeys.has(pass)) return ["key_paused"]
      if (this.isPassOpen(known, pass, index, running, now)) return []
      const limit = this.limitOf(pass)!
      if ("max" in limit) return [limit.notBefore === undefined ? "limit_full" : "breaker_open"]
      return ["tokens" in limit ? "rate_spent" : "key_blocked"]
    })
    return this.pausedTypes.has(known.task.type) ? ["type_paused", ...codes] : codes
  }

  /** Whether no task of its line has to start before it. */
  isFirst(known: Known, waiting: ReadonlyArray<Known>): boolean {
    const line = waiting.filter((other) => lineOf(other) === lineOf(known))
    return (line.find((other) => this.holds(other)) ?? line[0]) === known
  }

  private level(pass: string, rate: Extract<Limit, { readonly tokens: number }>, now: number): number {
    const bucket = this.buckets.get(pass)
    if (bucket === undefined) return rate.burst
    return Math.min(rate.burst, bucket.level + Math.max(0, now - bucket.at) * rate.tokens / rate.perMs)
  }

  /**
   * When a store prunes, it forgets full buckets, so that they stay full when its clock is set back. Others of which the clock is
   * behind go on from now.
   */
  sweep(now: number): void {
    for (const [pass, { at, level }] of this.buckets) {
      const limit = this.limitOf(pass)
      if (limit !== undefined && "tokens" in limit && this.level(pass, limit, now) >= limit.burst) {
        this.buckets.delete(pass)
      } else if (at > now) this.buckets.set(pass, { level, at: now })
    }
  }

  /** Takes into account that a claim has given a task, after so many others. */
  begin(known: Known, now: number, before: number): void {
    for (const [index, pass] of passesOf(known).entries()) {
      const limit = this.limitOf(pass)
      if (limit === undefined) continue
      if ("order" in limit) this.holders.set(pass, known)
      if ("tokens" in limit) {
        this.buckets.set(pass, { level: this.level(pass, limit, now) - costOf(known, index), at: now })
      }
      if ("fair" in limit) {
        const turn = this.turns.get(lineOf(known)) ?? { turn: -Infinity, left: 0 }
        const left = Math.min(turn.left === 0 ? limit.fair : turn.left, limit.fair) - 1
        const rank = now - known.task.priority * this.headStartMs
        this.turns.set(lineOf(known), left > 0 ? { ...turn, left } : { turn: rank + (before + 1) / 1024, left: 0 })
      }
    }
  }

  /** To be called when a task waits no more: a line that is empty begins anew. */
  left(known: Known, waiting: Iterable<Known>): void {
    const line = lineOf(known)
    if (!this.turns.has(line)) return
    for (const other of waiting) if (other.state === "pending" && lineOf(other) === line) return
    this.turns.delete(line)
  }
}
