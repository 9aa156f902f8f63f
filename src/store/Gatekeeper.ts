/** Decides about the lines that a store keeps in this process's memory, and knows those that are parked. */
import * as Gate from "../domain/Gate.ts"
import * as Rank from "../domain/Rank.ts"
import {
  first,
  type GatedTask,
  type Keeper,
  type Kept,
  type Line,
  type Lines,
  type Lot,
  noTurn,
  type Wake
} from "./Lines.ts"
import { byRank, Order, type Place } from "./Order.ts"
import { type Standing, Standings } from "./Standings.ts"
import { type JointKeeper, type Look, maxMoved } from "./Together.ts"

/** What is parked under one pass: the lines that all come back together, and lots by their lanes. */
interface Under<Task extends GatedTask> {
  readonly lines: Set<Line<Task>>
  readonly lots: Map<Lines<Task>, Lot<Task>>
}

/** What is known of a task that runs. */
export interface Running {
  standings?: GatedTask["standings"]
}

/** Decides whose gate is open, counts the tasks that run, and knows the lines that are parked. */
export class Gatekeeper<Task extends GatedTask> implements Gate.Passes, Keeper<Task>, JointKeeper<Task> {
  readonly isPaused
  readonly limitOf
  readonly bucketOf
  readonly holderOf
  private readonly kept: Kept<Task>
  private readonly standings: Standings
  private readonly parked = new Map<Gate.Pass, Under<Task>>()
  /** When parked lines are looked at again: one entry for each. */
  private wakes = new Order<Wake<Task>>()
  private now = -Infinity
  private served = 0
  /** The tasks of orders that the claim has taken: they are still pending for its driver. */
  private readonly taken = new Set<number>()
  /** Tasks that the claim may still move to their lines. */
  private movable = maxMoved
  /** Whether the claim had to end because of that. */
  isHalted = false
  /** How the passes stand of the task that was looked at last. */
  private lookedAt: ReadonlyArray<Standing> = []

  constructor(kept: Kept<Task>) {
    this.kept = kept
    this.isPaused = kept.isPaused
    this.limitOf = kept.limitOf
    this.bucketOf = kept.bucketOf
    this.holderOf = kept.holderOf
    this.standings = new Standings({
      version: kept.rulesVersion,
      isPaused: kept.isPaused,
      limitOf: kept.limitOf
    })
  }

  /** To be called when a claim begins. */
  begin(now: number): void {
    // what is parked until a time would wait for longer than that
    if (now < this.now) this.reopenAll()
    this.now = now
    this.served = 0
    this.taken.clear()
    this.movable = maxMoved
    this.isHalted = false
    for (let next = this.wakes.first(); next !== undefined && next.rank <= now; next = this.wakes.first()) {
      const { line } = next.of
      if (line.parked?.lot === undefined) this.reopen(line)
      else {
        // as many of them as there is room for
        this.wakes.remove(next.of)
        this.fill(line.parked.lot)
      }
    }
  }

  /** When a line that is parked until a time may start its first task; `null` where there is none. */
  nextOpenAt(): number | null {
    return this.wakes.first()?.rank ?? null
  }

  running(pass: Gate.Pass): number {
    return this.standings.running(pass)
  }

  enter(passes: ReadonlyArray<Gate.Pass>): ReadonlyArray<Standing> {
    return this.standings.ofLine(passes)
  }

  holderIn({ gate, lines: { queue, type } }: Line<Task>, pass: Gate.Pass): Task | undefined {
    const holder = this.kept.holderIn(pass, queue, type, gate)
    // what this claim has taken waits no more
    return holder === undefined || this.taken.has(holder.seq) ? undefined : holder
  }

  refusalOf({ passes, standings }: Pick<Line<Task>, "passes" | "standings">, task: Task): Gate.Refusal | undefined {
    // of nearly every line
    if (this.standings.areOpen(standings)) return undefined
    return Gate.refusal(task.id, passes, Gate.costsOf(task), this, this.now)
  }

  waitsTogether(gate: string): boolean {
    const standings = this.standings.ofGate(gate)
    return this.standings.areOpen(standings) && standings.every(({ changing }) => changing === undefined)
  }

  look(task: Task): Look {
    const standings = this.lookedAt = this.standings.ofGate(task.gate!)
    const areOpen = this.standings.areOpen(standings)
    for (let index = 0; index < standings.length; index++) if (standings[index]!.changing !== undefined) return "uneven"
    if (areOpen) return "open"
    return this.refusalOf({ passes: Gate.passesOf(task.gate), standings }, task) === undefined ? "open" : "closed"
  }

  start(task: Task): void {
    this.standings.start(this.lookedAt)
    task.standings = this.lookedAt
    this.served++
  }

  mayMove(): boolean {
    this.isHalted = this.movable === 0
    if (!this.isHalted) this.movable--
    return !this.isHalted
  }

  /** To be called for the first task of a line when a claim takes it. */
  take(line: Line<Task>, task: Task): void {
    const { standings } = line
    this.standings.start(standings)
    task.standings = standings
    this.looked(line)
    let weight: number | undefined
    for (let index = 0; index < standings.length; index++) {
      const { changing: limit, pass } = standings[index]!
      if (limit === undefined) continue
      if ("tokens" in limit) {
        const cost = Gate.costsOf(task)[index] ?? 1
        this.kept.setBucket(pass, Gate.spend(this.bucketOf(pass), limit, cost, this.now))
      } else if ("order" in limit) {
        this.kept.setHolder(pass, task)
        this.taken.add(task.seq)
      } else if ("fair" in limit) weight = limit.fair
    }
    if (weight !== undefined) this.serve(line, task, weight)
    this.served++
  }

  private serve(line: Line<Task>, { priority }: Task, weight: number): void {
    const left = (line.turn.credit === 0 ? weight : Math.min(line.turn.credit, weight)) - 1
    line.turn = left > 0
      ? { turn: line.turn.turn, credit: left }
      : { turn: Gate.turnOf(Rank.rank(this.now, priority, this.kept.headStartMs), this.served), credit: 0 }
    this.kept.setTurn(line.lines.queue, line.lines.type, line.gate, line.turn)
  }

  /** To be called for a task that was found running. Answers what is to be known of it until it ends. */
  found(passes: ReadonlyArray<Gate.Pass>): Running {
    return { standings: this.standings.started(passes) }
  }

  /** To be called for a task that runs no more, whatever its gate was. */
  end(task: Running): void {
    const { standings } = task
    if (standings === undefined) return
    task.standings = undefined
    this.standings.end(standings)
    if (this.parked.size > 0) { for (const { pass } of standings) this.release(pass) }
  }

  /** To be called when something about a task changed that its passes may depend on. */
  touch(gate: string | null): void {
    if (gate !== null && this.parked.size > 0) { for (const pass of Gate.passesOf(gate)) this.release(pass) }
  }

  /** To be called when nothing is known any more: lines, and tasks that run, are told again. */
  forget(): void {
    this.standings.forget()
    this.parked.clear()
    this.wakes = new Order()
  }

  /** Lets the lines that are parked under a pass be looked at again; if it may be full, as many as it has room for. */
  release(pass: Gate.Pass): void {
    const under = this.parked.size === 0 ? undefined : this.parked.get(pass)
    if (under === undefined) return
    for (const line of under.lines) this.reopen(line)
    for (const lot of under.lots.values()) this.fill(lot)
  }

  /** The same for all lines. */
  reopenAll(): void {
    this.reopenWhere(() => true)
  }

  /** The same for those that have a pass, or one of the limit with this name: what else they wait for may count no more. */
  reopenWith(id: string): void {
    this.reopenWhere(({ passes }) => passes.some((pass) => pass === id || Gate.limitOf(pass) === id))
  }

  private reopenWhere(matches: (line: Line<Task>) => boolean): void {
    const found: Array<Line<Task>> = []
    for (const { lines, lots } of this.parked.values()) {
      for (const line of lines) if (matches(line)) found.push(line)
      for (const { lines } of lots.values()) for (const line of lines) if (matches(line)) found.push(line)
    }
    for (const line of found) this.reopen(line)
  }

  /** The same for those that wait for another task of their order: it may have been taken away. */
  reopenOrders(): void {
    for (const pass of this.parked.keys()) if (pass.startsWith(Gate.orderMark)) this.release(pass)
  }

  park(line: Line<Task>, place: Place, refusal: Gate.Refusal): void {
    const { pass } = refusal
    const from = this.cameFrom(line)
    const until = Gate.opensAt(refusal) ?? Infinity
    if (refusal.code === "limit_full" || refusal.code === "breaker_open") this.enterLot(line, place, pass)
    else {
      line.parked = { pass, until, lot: undefined }
      this.under(pass).lines.add(line)
    }
    if (until < Infinity) this.wakes.before(line.wake ??= { filed: undefined, line }, { rank: until, seq: 0 })
    // the others of its lot may wait for nothing else
    if (from !== undefined && from.pass !== pass) this.fill(from)
  }

  putBack(line: Line<Task>, place: Place): void {
    const from = this.cameFrom(line)!
    this.fill(this.enterLot(line, place, from.pass))
  }

  private under(pass: Gate.Pass): Under<Task> {
    let under = this.parked.get(pass)
    if (under === undefined) this.parked.set(pass, under = { lines: new Set(), lots: new Map() })
    return under
  }

  private enterLot(line: Line<Task>, place: Place, pass: Gate.Pass): Lot<Task> {
    const { lots } = this.under(pass)
    let lot = lots.get(line.lines)
    if (lot === undefined) {
      lot = { pass, of: line.lines, order: new Order(), lines: new Set(), out: 0, reach: first }
      lots.set(line.lines, lot)
    }
    line.parked = { pass, until: Infinity, lot }
    lot.lines.add(line)
    lot.order.before(line, place)
    return lot
  }

  private unpark(line: Line<Task>): void {
    const { lot, pass } = line.parked!
    const under = this.parked.get(pass)
    line.parked = undefined
    if (line.wake !== undefined) this.wakes.remove(line.wake)
    if (lot === undefined) under?.lines.delete(line)
    else {
      lot.lines.delete(line)
      lot.order.remove(line)
      if (lot.lines.size === 0) under?.lots.delete(lot.of)
    }
    if (under?.lines.size === 0 && under.lots.size === 0) this.parked.delete(pass)
  }

  /** Brings back the first lines of a lot, as many as its pass has room for. */
  private fill(lot: Lot<Task>): void {
    const limit = this.limitOf(lot.pass)
    const room = limit !== undefined && "max" in limit ? limit.max - this.running(lot.pass) : Infinity
    if (room <= 0) return
    for (let next = lot.order.first(); next !== undefined; next = lot.order.first()) {
      // those that were parked since the others came back may stand before them
      if (lot.out >= room && !byRank(next, lot.reach)) return
      const { of: line, rank, seq } = next
      const place = { rank, seq }
      if (lot.out === 0 || byRank(lot.reach, place)) lot.reach = place
      lot.out++
      this.bringBack(line, place)
      line.from = lot
    }
  }

  /** To be called for a line that is looked at: the lot from which it has come back for that. */
  private cameFrom(line: Line<Task>): Lot<Task> | undefined {
    const { from } = line
    line.from = undefined
    if (from !== undefined) from.out--
    return from
  }

  private looked(line: Line<Task>): void {
    const from = this.cameFrom(line)
    if (from !== undefined) this.fill(from)
  }

  gone(line: Line<Task>): void {
    this.looked(line)
    this.standings.lineGone(line.standings)
    if (line.turn !== noTurn) this.emptied(line)
  }

  allGone(lines: Iterable<Line<Task>>): void {
    for (const line of lines) {
      if (line.parked !== undefined) this.unpark(line)
      line.from = undefined
      this.standings.lineGone(line.standings)
      if (line.turn !== noTurn) this.emptied(line)
    }
  }

  /** To be called for a line of a fair limit that has no more tasks: it begins a new turn with its next one. */
  emptied(line: Line<Task>): void {
    line.turn = noTurn
    this.kept.setTurn(line.lines.queue, line.lines.type, line.gate, undefined)
  }

  /** Lets a line that is parked be looked at again, from its first task on. */
  reopen(line: Line<Task>): void {
    this.bringBack(line, first)
  }

  private bringBack(line: Line<Task>, place: Place): void {
    this.unpark(line)
    line.lines.reopen(line, place)
    this.kept.reopened(line.lines.queue, line.lines.type, place)
  }
}
