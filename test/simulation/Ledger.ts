/**
 * What is known of every task from the operations alone: what was asked and what the store answered, in the order in
 * which it applied them. It shares no code with the engine's decisions and is what the invariants compare with.
 */
import * as PausedQueues from "../../src/store/PausedQueues.ts"
import type { ClaimRequest, EnqueueAnswer } from "../../src/store/TaskStore.ts"
import { DependencyLedger } from "./DependencyLedger.ts"
import { FlowLedger } from "./FlowLedger.ts"
import { GateLedger } from "./GateLedger.ts"
import type { Ending, Event, Stored } from "./History.ts"
import { KeyLedger, type Waiting } from "./KeyLedger.ts"
import { isFinished, isOver, type Known } from "./Known.ts"
import { RecordLedger } from "./RecordLedger.ts"
import type { Behaviour } from "./Scenario.ts"

/** What became of one claim. Times are the world's. */
export interface Attempt {
  readonly id: string
  readonly claim: number
  readonly process: string
  /** When its process learned of it. */
  toldAt: number | undefined
  began: { readonly at: number; readonly behaviour: Behaviour } | undefined
  ended: { readonly at: number; readonly how: Ending; readonly result: string | undefined } | undefined
  /** Somebody cancelled the task while it ran. */
  cancelRequested: boolean
}

/** What is known of a process. */
export interface KnownProcess {
  state: "starting" | "ready" | "closing" | "closed" | "died"
  frozen: boolean
  /** When it last went on after it stood still. */
  thawedAt: number
  /** Attempts that run now. */
  readonly running: Set<Attempt>
  /** How many tasks it asked for in each claim that was answered since its last attempt ended. */
  limits: Array<number>
  closingAt: number
}

/** The settings that matter for what is to be expected. */
export interface Rules {
  readonly capacity: number
  readonly maxCrashes: number
  readonly headStartMs: number
}

/** All tasks of a store, as they have to be. */
export class Ledger {
  readonly rules: Rules
  readonly tasks = new Map<string, Known>()
  readonly records = new RecordLedger()
  readonly flows = new FlowLedger(this.records)
  readonly paused = new Set<string>()
  readonly gates: GateLedger
  readonly keys = new KeyLedger()
  readonly dependencies = new DependencyLedger()
  readonly totals = { created: 0, completed: 0, failed: 0, cancelled: 0, retried: 0, crashed: 0, expired: 0 }
  readonly attempts = new Map<number, Attempt>()
  readonly processes = new Map<string, KnownProcess>()
  /** Who does the chores, and until when. */
  lead: { readonly id: string; readonly until: number } | undefined
  lastClaim = 0
  unfinished = 0
  /** When everything began to work. */
  healedAt = Infinity
  /** When the store's clock, or all clocks, were last disturbed. */
  disturbedAt = 0
  private readonly lastClaims = new Map<string, { readonly nonce: number; readonly claims: ReadonlyArray<number> }>()
  private readonly gone = new Map<string, Known>()
  private seq = 0

  constructor(rules: Rules) {
    this.rules = rules
    this.gates = new GateLedger(rules.headStartMs)
  }

  /** The ids of the tasks that have finished. */
  finished(): ReadonlyArray<string> {
    return [...this.tasks.values()].filter(isFinished).map(({ task }) => task.id)
  }

  /** Those of these types, in these queues or all, that wait and are due, in the order in which they have to be claimed. */
  due(queues: ReadonlyArray<string> | undefined, types: ReadonlyArray<string>, now: number): Array<Known> {
    const rank = (known: Known) => this.gates.rankOf(known)
    return [...this.tasks.values()]
      .filter(({ dueAt, expiresAt, open, state, task }) =>
        (state === "pending" || (state === "scheduled" && dueAt <= now && open.size === 0)) && expiresAt > now &&
        !this.paused.has(task.queue) &&
        queues?.includes(task.queue) !== false && types.includes(task.type)
      )
      .sort((a, b) => rank(a) - rank(b) || a.seq - b.seq)
  }

  /** Those that wait and must not start any more. */
  overdue(now: number): ReadonlyArray<Known> {
    return [...this.tasks.values()].filter((known) => isOver(known, now))
  }

  /** The claims that an instance's last claim gave, if this is a repetition of it. */
  repeated(request: ClaimRequest): ReadonlyArray<number> | undefined {
    const last = this.lastClaims.get(request.instance)
    return last?.nonce === request.nonce ? last.claims : undefined
  }

  /** The task that this claim runs, as far as it is the current one. */
  held(claim: number): Known | undefined {
    const known = this.tasks.get(this.attempts.get(claim)?.id ?? "")
    return known?.claim === claim && known.state === "running" ? known : undefined
  }

  /** Takes an event into account. */
  apply(event: Event): void {
    this.flows.apply(event)
    switch (event._tag) {
      case "Stored":
        this.applyOperation(event)
        return this.dependencies.tell(
          (known) => this.release(known, event.now),
          (known, state) => this.finish(known, state, event.now)
        )
      case "Told":
        if (event.news === "claimed") {
          for (const { claim } of event.refs) {
            const attempt = this.attempts.get(claim)
            if (attempt !== undefined) attempt.toldAt ??= event.at
          }
        }
        return
      case "Claimed":
        this.processes.get(event.process)!.limits.push(event.limit)
        return
      case "Began": {
        const attempt = this.attempts.get(event.claim)
        if (attempt === undefined) return
        attempt.began = { at: event.at, behaviour: event.behaviour }
        this.processes.get(event.process)?.running.add(attempt)
        return
      }
      case "Ended": {
        const attempt = this.attempts.get(event.claim)
        if (attempt === undefined) return
        attempt.ended = { at: event.at, how: event.how, result: event.result }
        const process = this.processes.get(event.process)
        if (process === undefined) return
        process.running.delete(attempt)
        process.limits = []
        return
      }
      case "Stepped":
        this.disturbedAt = event.at
        return
      case "Process":
        if (event.what === "thawed") this.disturbedAt = event.at
        return this.applyProcess(event.process, event.what, event.at)
      case "Healed":
        this.healedAt = event.at
    }
  }

  private applyProcess(name: string, what: Extract<Event, { _tag: "Process" }>["what"], at: number): void {
    if (what === "started") {
      this.processes.set(name, {
        state: "starting",
        frozen: false,
        thawedAt: 0,
        running: new Set(),
        limits: [],
        closingAt: Infinity
      })
      return
    }
    const process = this.processes.get(name)!
    if (what === "froze") process.frozen = true
    else if (what === "thawed") {
      process.frozen = false
      process.thawedAt = at
    } else if (what !== "ready" || process.state === "starting") {
      process.state = what
      if (what === "closing") process.closingAt = at
    }
  }

  private applyOperation(event: Stored): void {
    const { now } = event
    this.records.apply(event)
    switch (event.op) {
      case "enqueue":
        this.applyEnqueue(event)
        break
      case "claim":
        for (const known of this.tasks.values()) {
          if (known.state === "scheduled" && known.dueAt <= now && known.open.size === 0) known.state = "pending"
        }
        for (const { id } of event.answer.expired ?? []) this.expire(id, now)
        this.applyClaim(event)
        break
      case "expire":
        for (const { id } of event.expired) this.expire(id, now)
        break
      case "extend":
        for (const [index, { claim, id }] of event.refs.entries()) {
          const known = this.tasks.get(id)
          if (event.answers[index] !== "lost" && known?.claim === claim) known.lapsesAt = event.at + event.leaseForMs
        }
        break
      case "settle":
        for (const [index, settlement] of event.settlements.entries()) {
          const known = this.tasks.get(settlement.id)
          if (event.answers[index] !== "applied" || known === undefined) continue
          known.settledClaim = settlement.claim
          switch (settlement._tag) {
            case "Complete":
              known.result = settlement.result
              this.finish(known, "completed", now)
              break
            case "Fail":
              known.failures++
              this.finish(known, "failed", now)
              break
            case "Cancel":
              this.finish(known, "cancelled", now)
              break
            case "Retry":
              known.failures++
              this.again(known, now + settlement.delayMs, now)
              if (!isFinished(known)) this.totals.retried++
              break
            case "Snooze":
              this.again(known, now + settlement.delayMs, now)
              break
            case "Release":
              this.again(known, known.dueAt, now)
          }
        }
        break
      case "rescue":
        for (const { id } of event.rescued) {
          const known = this.tasks.get(id)
          if (known === undefined) continue
          this.totals.crashed++
          if (!known.cancelRequested) known.crashes++
          const mayFail = known.task.type !== "taskforge.batch" && !known.cancelRequested
          if (mayFail && known.crashes > this.rules.maxCrashes) this.finish(known, "failed", now)
          else this.again(known, now + crashDelay(known.crashes), now)
        }
        break
      case "cancel":
        for (const [index, id] of event.ids.entries()) {
          const known = this.tasks.get(id)
          if (known === undefined) continue
          if (event.answers[index] === "cancelled") this.finish(known, "cancelled", now)
          else if (event.answers[index] === "requested") {
            known.cancelRequested = true
            this.attempts.get(known.claim)!.cancelRequested = true
          }
        }
        break
      case "rerun":
        for (const [index, id] of event.ids.entries()) {
          const known = this.tasks.get(id)
          if (known === undefined || event.answers[index]!._tag !== "rerun") continue
          known.state = "pending"
          known.dueAt = now
          known.expiresAt = Infinity
          known.startBy = known.task.startWithinMs === null ? null : now + known.task.startWithinMs
          known.failures = 0
          known.crashes = 0
          known.cancelRequested = false
          this.unfinished++
        }
        // all of them, before what they depend on is looked at: those that are run again with it have not ended
        for (const [index, id] of event.ids.entries()) {
          const known = this.tasks.get(id)
          if (known !== undefined && event.answers[index]!._tag === "rerun") this.dependencies.again(known)
        }
        break
      case "reschedule":
        for (const [index, request] of event.requests.entries()) {
          const known = this.tasks.get(request.id)
          if (known === undefined || event.answers[index]!._tag !== "rescheduled") continue
          const [, to] = this.keys.rescheduled(known, request, now)
          if (to !== undefined) this.revise(known, to)
        }
        break
      case "remove":
        for (const [index, id] of event.ids.entries()) if (event.answers[index] === "removed") this.forget(id)
        break
      case "prune":
        for (const id of event.gone) this.forget(id)
        this.gates.sweep(now)
        break
      case "lead":
        if (event.leads) this.lead = { id: event.id, until: event.measured + event.forMs }
        break
      case "leave":
        if (this.lead?.id === event.id) this.lead = undefined
        break
      case "put records":
        for (const { document, id, kind } of event.changes) {
          this.gates.put(kind, id, document)
          if (kind !== PausedQueues.kind) continue
          if (document === null) this.paused.delete(id)
          else this.paused.add(id)
        }
    }
  }

  private applyClaim({ answer, at, from, request }: Stored & { readonly op: "claim" }): void {
    for (const [place, { claim, id }] of answer.tasks.entries()) {
      const known = this.tasks.get(id)
      // A repeated claim gives what is held already.
      if (known === undefined || known.claim === claim) continue
      known.state = "running"
      known.claim = claim
      known.claims++
      known.lapsesAt = at + request.leaseForMs
      this.gates.begin(known, answer.now, place)
      this.gates.left(known, this.tasks.values())
      this.attempts.set(claim, {
        id,
        claim,
        process: from,
        toldAt: undefined,
        began: undefined,
        ended: undefined,
        cancelRequested: false
      })
      this.lastClaim = Math.max(this.lastClaim, claim)
    }
    if (answer.tasks.length > 0 && this.repeated(request) === undefined) {
      this.lastClaims.set(request.instance, { nonce: request.nonce, claims: answer.tasks.map(({ claim }) => claim) })
    }
  }

  private forget(id: string): void {
    const known = this.tasks.get(id)
    if (known !== undefined) {
      known.isGone = true
      this.keys.forget(known)
      this.gone.set(id, known)
    }
    this.tasks.delete(id)
  }

  private applyEnqueue({ answers, groups, now }: Stored & { readonly op: "enqueue" }): void {
    const { created, revised } = this.keys.plan(groups, answers, this.tasks, nowOf(answers, now))
    for (const { known, to } of revised) this.revise(known, to)
    for (const task of created) this.create(task)
    for (const { after = [], task: { id } } of created) {
      if (after.length > 0) this.dependencies.begin(this.tasks.get(id)!, after.map((other) => this.tasks.get(other)!))
    }
  }

  private create({ claims, createdAt, dueAt, expiresAt, merged, startBy, state, task }: Waiting): void {
    const known: Known = {
      claims,
      createdAt,
      dueAt,
      expiresAt,
      merged,
      startBy,
      state,
      task,
      seq: this.seq++,
      isGone: false,
      finishedAt: 0,
      claim: 0,
      lapsesAt: 0,
      failures: 0,
      crashes: 0,
      cancelRequested: false,
      settledClaim: 0,
      result: null,
      ends: { completed: 0, failed: 0, cancelled: 0, expired: 0 },
      after: [],
      open: new Set(),
      before: this.gone.get(task.id)
    }
    this.tasks.set(known.task.id, known)
    this.keys.give(known)
    this.unfinished++
    this.totals.created++
  }

  private revise(known: Known, { dueAt, expiresAt, merged, startBy, state, task }: Waiting): void {
    const before = { ...known }
    Object.assign(known, {
      dueAt,
      expiresAt,
      merged,
      startBy,
      state: known.open.size > 0 ? "scheduled" : state,
      task
    })
    if (before.state === "pending") this.gates.left(before, this.tasks.values())
  }

  private finish(known: Known, state: "completed" | "failed" | "cancelled" | "expired", now: number): void {
    const { state: before } = known
    known.state = state
    if (before === "pending") this.gates.left(known, this.tasks.values())
    known.finishedAt = now
    known.ends[state]++
    this.unfinished--
    this.totals[state]++
    this.dependencies.end(known)
  }

  private expire(id: string, now: number): void {
    const known = this.tasks.get(id)
    if (known !== undefined && !isFinished(known)) this.finish(known, "expired", now)
  }

  /** The last one that it waited for has ended: it is due now, or at its own time if that is later. */
  private release(known: Known, now: number): void {
    known.dueAt = Math.max(known.dueAt, now)
    known.state = known.dueAt > now ? "scheduled" : "pending"
    const { startWithinMs } = known.task
    const isTimed = startWithinMs !== null && (known.claims === 0 || known.startBy !== null)
    known.startBy = isTimed ? known.dueAt + startWithinMs : null
  }

  /** It runs again, unless somebody asked for its end, or it would be too late. */
  private again(known: Known, dueAt: number, now: number): void {
    if (known.cancelRequested) return this.finish(known, "cancelled", now)
    known.dueAt = dueAt
    known.startBy = null
    if (Math.max(now, dueAt) >= known.expiresAt) return this.finish(known, "expired", now)
    known.state = dueAt > now ? "scheduled" : "pending"
  }
}

/** When a call was decided: what was accepted says it. */
export const nowOf = (answers: ReadonlyArray<EnqueueAnswer>, now: number): number => {
  for (const answer of answers) if (answer._tag === "Accepted") return answer.now
  return now
}

/** None after the first crash, then a second, doubling up to a minute. */
const crashDelay = (crashes: number): number => crashes <= 1 ? 0 : Math.min(60_000, 1000 * 2 ** (crashes - 2))
