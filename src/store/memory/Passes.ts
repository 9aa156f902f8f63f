/** What tasks in memory must pass to start: buckets, holders, and the lines that are looked at again when these change. */
import * as Gate from "../../domain/Gate.ts"
import type { TaskState } from "../../domain/TaskState.ts"
import { type Charge, maxHolders, type PassState, type Rules } from "../Gates.ts"
import { type GatedTask, Gatekeeper, type Kept } from "../Lines.ts"

/** A task as far as its passes ask for it. */
interface Stored extends GatedTask {
  readonly queue: string
  readonly type: string
  readonly state: TaskState
}

/** The passes of one store. */
export class Passes<Entry extends Stored> {
  /** What decides about gates. */
  readonly keeper: Gatekeeper<Entry>
  private readonly find: (id: string) => Entry | undefined
  private readonly rules: Rules
  private readonly buckets = new Map<Gate.Pass, Gate.Bucket>()
  /** By its number: another task may get its id. */
  private readonly holders = new Map<Gate.Pass, Pick<Entry, "id" | "seq">>()

  /** `find` gives a task that is stored. */
  constructor(
    headStartMs: number,
    rules: Rules,
    find: (id: string) => Entry | undefined,
    reopened: Kept<Entry>["reopened"]
  ) {
    this.find = find
    this.rules = rules
    this.keeper = new Gatekeeper<Entry>({
      headStartMs,
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

  /** The task that was started last with the pass of an order, as long as it is stored. */
  private holderOf(pass: Gate.Pass): Entry | undefined {
    const holder = this.holders.get(pass)
    const entry = holder === undefined ? undefined : this.find(holder.id)
    return entry?.seq === holder?.seq ? entry : undefined
  }

  /** How a pass stands. */
  stateOf(pass: Gate.Pass): PassState {
    const holder = this.holderOf(pass)
    return {
      pass,
      running: this.keeper.running(pass),
      holders: this.keeper.holdersOf(pass).slice(0, maxHolders),
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
    this.keeper.release(pass)
  }

  /** Forgets buckets that are full and holders that hold nothing: keys come and go without end. */
  sweep(now: number): void {
    for (const [pass, bucket] of this.buckets) {
      if (!Gate.isSpent(bucket, this.rules.limitOf(pass), now)) this.buckets.delete(pass)
    }
    for (const pass of this.holders.keys()) {
      const state = this.holderOf(pass)?.state
      if (state === undefined || state === "completed" || state === "cancelled") this.holders.delete(pass)
    }
  }

  /** To be called when a record was put that claims read. */
  rulesChanged(): void {
    this.rules.forget()
    this.keeper.reopenAll()
  }
}
