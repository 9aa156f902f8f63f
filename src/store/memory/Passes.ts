/** What tasks in memory must pass to start: buckets, holders, and the lines that are looked at again when these change. */
import * as Gate from "../../domain/Gate.ts"
import type { TaskState } from "../../domain/TaskState.ts"
import { Gatekeeper } from "../Gatekeeper.ts"
import { type Charge, limitKind, maxHolders, maxSwept, type PassState, pausedKeyKind, type Rules } from "../Gates.ts"
import type { GatedTask, Kept } from "../Lines.ts"

/** A task as far as its passes ask for it. */
interface Stored extends GatedTask {
  readonly queue: string
  readonly type: string
  readonly state: TaskState
  readonly claim: number
}

/** The passes of one store. */
export class Passes<Entry extends Stored> {
  /** What decides about gates. */
  readonly keeper: Gatekeeper<Entry>
  private readonly find: (id: string) => Entry | undefined
  private readonly running: () => Iterable<Entry>
  private readonly rules: Rules
  private readonly buckets = new Map<Gate.Pass, Gate.Bucket>()
  /** By its number: another task may get its id. */
  private readonly holders = new Map<Gate.Pass, Pick<Entry, "id" | "seq">>()

  /** `find` gives a task that is stored, `running` all that run. */
  constructor(
    headStartMs: number,
    rules: Rules,
    find: (id: string) => Entry | undefined,
    running: () => Iterable<Entry>,
    reopened: Kept<Entry>["reopened"]
  ) {
    this.find = find
    this.running = running
    this.rules = rules
    this.keeper = new Gatekeeper<Entry>({
      headStartMs,
      rulesVersion: rules.version,
      isPaused: rules.isKeyPaused,
      limitOf: rules.limitOf,
      bucketOf: (pass) => this.buckets.get(pass),
      setBucket: (pass, bucket) => this.buckets.set(pass, bucket),
      holderOf: (pass) => this.holderOf(pass),
      holderIn: (pass, queue, type, gate) => {
        const entry = this.holderOf(pass)
        return entry?.state === "pending" && entry.queue === queue && entry.type === type && entry.gate === gate
          ? entry
          : undefined
      },
      setHolder: (pass, { id, seq }) => this.holders.set(pass, { id, seq }),
      setTurn: () => {},
      reopened
    })
  }

  /** Lets a task have the pass of an order, as if it had been started. */
  hold(pass: Gate.Pass, task: Pick<Entry, "id" | "seq">): void {
    this.holders.set(pass, task)
  }

  /** The task that was started last with the pass of an order, as long as it is stored. */
  private holderOf(pass: Gate.Pass): Entry | undefined {
    const holder = this.holders.get(pass)
    const entry = holder === undefined ? undefined : this.find(holder.id)
    return entry?.seq === holder?.seq ? entry : undefined
  }

  /** The tasks that run with a pass, the longest first. */
  private holdersOf(pass: Gate.Pass): ReadonlyArray<string> {
    if (this.keeper.running(pass) === 0) return []
    return [...this.running()].filter(({ gate }) => Gate.passesOf(gate).includes(pass))
      .sort((a, b) => a.claim - b.claim).map(({ id }) => id)
  }

  /** How a pass stands. */
  stateOf(pass: Gate.Pass): PassState {
    const holder = this.holderOf(pass)
    return {
      pass,
      running: this.keeper.running(pass),
      holders: this.holdersOf(pass).slice(0, maxHolders),
      bucket: this.buckets.get(pass) ?? null,
      holder: holder === undefined ? null : { id: holder.id, state: holder.state }
    }
  }

  /** Takes tokens out of a bucket. */
  charge({ amount, pass }: Charge, now: number): void {
    const limit = this.rules.limitOf(pass)
    if (limit === undefined || !("tokens" in limit)) return
    this.buckets.set(pass, Gate.spend(this.buckets.get(pass), limit, amount, now))
    this.keeper.release(pass)
  }

  /** Lets go of an order's pass. */
  letGo(pass: Gate.Pass): void {
    this.holders.delete(pass)
    this.keeper.reopenWith(pass)
  }

  /**
   * Forgets buckets that are full and holders that can hold nothing any more, of the next ones: keys come and go without end. What
   * is run again holds its pass again.
   */
  sweep(now: number): void {
    for (const [pass, bucket] of takeFirst(this.buckets, maxSwept)) {
      const kept = Gate.swept(bucket, this.rules.limitOf(pass), now)
      if (kept !== undefined) this.buckets.set(pass, kept)
      if (kept !== undefined && kept !== bucket) this.keeper.release(pass)
    }
    for (const [pass, holder] of takeFirst(this.holders, maxSwept)) {
      const entry = this.find(holder.id)
      const isStored = entry?.seq === holder.seq
      if (isStored && entry.state !== "completed") this.holders.set(pass, holder)
    }
  }

  /** To be called when a record was put that claims read; `null` where it was deleted. */
  ruleChanged(kind: string, id: string, document: string | null): void {
    this.rules.changed(kind, id, document)
    if (kind === limitKind || kind === pausedKeyKind) this.keeper.reopenWith(id)
  }
}

/** Takes the first entries of a map out. What is set again goes behind all others, so that the next ones are the first. */
const takeFirst = <A, B>(map: Map<A, B>, count: number): ReadonlyArray<readonly [A, B]> => {
  const taken: Array<readonly [A, B]> = []
  for (const entry of map) {
    if (taken.length === count) break
    taken.push(entry)
  }
  for (const [key] of taken) map.delete(key)
  return taken
}
