/** What is known of the steps of tasks from the operations alone: what was kept of each, and by which attempt. */
import type { Event, Stored } from "./History.ts"
import type { RecordLedger } from "./RecordLedger.ts"

/** How a step ended, as far as it is looked at. */
export type End =
  | { readonly _tag: "Value"; readonly value: unknown }
  | { readonly _tag: "Error"; readonly error: unknown }
  | { readonly _tag: "Sleep"; readonly until: number; readonly over?: true }
  | { readonly _tag: "Wait"; readonly token: string; readonly until: number | null }
  | { readonly _tag: "TimedOut"; readonly token: string }

/** The record of a task's steps. */
export interface Document {
  readonly claim: number
  readonly steps: ReadonlyArray<{ readonly name: string; readonly end: End }>
}

/** What is kept of a signal. */
export interface SignalDocument {
  readonly task?: string | null
  readonly end: End | null
}

/** A step that has been kept. */
export interface Kept {
  readonly end: End
  /** The claim that the task had then. */
  readonly during: number
}

/** A task with steps, from its enqueue to its removal. */
export interface Life {
  readonly id: string
  readonly restMs: number
  readonly patienceMs: number | null
  readonly kept: Map<string, Kept>
  /** What it waits or waited for. */
  wait: Extract<End, { readonly _tag: "Wait" }> | undefined
  /** The latest attempt that has written ends or begun a step. */
  owner: number
  /** The latest claim. */
  claim: number
  /** What the store's clock showed at each claim. */
  readonly claimedAt: Map<number, number>
  /** When it went to sleep, by the world's time. */
  snoozedAt: number
}

/** The steps of all tasks, as they have to be. */
export class FlowLedger {
  /** Those that are there, by id. */
  readonly lives = new Map<string, Life>()
  /** By claim, whose claim it is, even when the task is gone. */
  readonly ofClaim = new Map<number, Life>()
  /** When signals were completed, by the world's time. */
  readonly endedAt = new Map<string, number>()
  /** The latest time that the store's clock has ever shown. */
  maxNow = 0
  private readonly records: RecordLedger

  constructor(records: RecordLedger) {
    this.records = records
  }

  /** What is kept of a signal. */
  signal(token: string): SignalDocument | undefined {
    const known = this.records.find("signal", token)
    return known === undefined ? undefined : JSON.parse(known.document) as SignalDocument
  }

  /** Takes an event into account. */
  apply(event: Event): void {
    if (event._tag === "Stepped") this.maxNow = Math.max(this.maxNow, event.before)
    else if (event._tag === "Effect") this.own(event.claim)
    else if (event._tag === "Stored") this.applyOperation(event)
  }

  private applyOperation(event: Stored): void {
    this.maxNow = Math.max(this.maxNow, event.now)
    switch (event.op) {
      case "enqueue":
        for (const [index, group] of event.groups.entries()) {
          const answer = event.answers[index]!
          if (answer._tag !== "Accepted") continue
          for (const [place, { id, payload, type }] of group.entries()) {
            if (type === "flow" && !answer.tasks[place]!.duplicate) this.begin(id, JSON.parse(payload) as Life)
          }
        }
        return
      case "claim":
        for (const { claim, id, type } of event.answer.tasks) {
          const life = type === "flow" ? this.lives.get(id) : undefined
          if (life === undefined || this.ofClaim.has(claim)) continue
          this.ofClaim.set(claim, life)
          life.claim = claim
          life.claimedAt.set(claim, event.answer.now)
        }
        return
      case "settle":
        for (const [index, { _tag, claim }] of event.settlements.entries()) {
          const life = this.ofClaim.get(claim)
          if (life !== undefined && _tag === "Snooze" && event.answers[index] === "applied") life.snoozedAt = event.at
        }
        return
      case "remove":
        for (const [index, id] of event.ids.entries()) if (event.answers[index] === "removed") this.lives.delete(id)
        return
      case "prune":
        for (const id of event.gone) this.lives.delete(id)
        return
      case "put records":
        for (const { document, id, kind } of event.changes) {
          if (document === null) continue
          if (kind === "step") this.keep(JSON.parse(document) as Document)
          else if (
            kind === "signal" && !this.endedAt.has(id) && (JSON.parse(document) as SignalDocument).end !== null
          ) {
            this.endedAt.set(id, event.at)
          }
        }
    }
  }

  private begin(id: string, { patienceMs, restMs }: Pick<Life, "patienceMs" | "restMs">): void {
    this.lives.set(id, {
      id,
      patienceMs,
      restMs,
      kept: new Map(),
      wait: undefined,
      owner: 0,
      claim: 0,
      claimedAt: new Map(),
      snoozedAt: 0
    })
  }

  /** From the first step that an attempt begins or keeps on, those before it keep none. */
  private own(claim: number): Life | undefined {
    const life = this.ofClaim.get(claim)
    if (life !== undefined) life.owner = Math.max(life.owner, claim)
    return life
  }

  private keep({ claim, steps: entries }: Document): void {
    const life = this.own(claim)
    if (life === undefined) return
    for (const { end, name } of entries) {
      if (end._tag === "Wait") life.wait = end
      const before = life.kept.get(name)
      if (before === undefined || before.end._tag === "Wait") {
        life.kept.set(name, { end, during: life.claim })
      } else if (before.end._tag === "Sleep") life.kept.set(name, { ...before, end })
    }
  }
}
