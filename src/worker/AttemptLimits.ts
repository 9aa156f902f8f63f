/** What a handler does about the limits of its task: charges what it really took, and holds its key back. */
import { Duration, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption, type StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import * as LimitRule from "../domain/LimitRule.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { ClaimedTask } from "../domain/TaskRecord.ts"
import type { Charge } from "../store/Gates.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import { RecordStore } from "../store/RecordStore.ts"

/** What attempts ask of their pool about limits. */
export interface LimitHost {
  readonly charge: (charges: ReadonlyArray<Charge>) => Effect.Effect<void, StoreError>
  readonly holdBack: (pass: Gate.Pass, forMs: number, task: string) => Effect.Effect<void, InvalidOption | StoreError>
}

/** Pauses a key, unless it is paused for longer. */
export const holdBack = (records: RecordStore["Service"]): LimitHost["holdBack"] => (pass, forMs, task) =>
  Effect.provideService(
    PausedQueues.keys.pauseFor(pass, forMs, { by: `task ${task}`, reason: "Its handler held the key back" }),
    RecordStore,
    records
  )

/** The passes of one task, and what its attempt has been charged for each. */
export class AttemptLimits {
  private readonly task: ClaimedTask
  private readonly definition: AnyTaskDefinition
  private readonly host: LimitHost
  private readonly charged = new Map<Gate.Pass, number>()

  constructor(task: ClaimedTask, definition: AnyTaskDefinition, host: LimitHost) {
    this.task = task
    this.definition = definition
    this.host = host
    const costs = Gate.costsOf(task)
    Gate.passesOf(task.gate).forEach((pass, index) => {
      if (!pass.startsWith(Gate.breakerMark)) this.charged.set(pass, costs[index] ?? 1)
    })
  }

  /** Charges a rate with what was really taken, instead of what was charged so far: by estimate, when the task was claimed. */
  charge(limit: string, actual: number): Effect.Effect<void, StoreError> {
    const invalid = Bounds.refuse("charge", LimitRule.cost, actual)
    if (invalid !== undefined) return Effect.die(invalid)
    const pass = this.passOf(limit)
    if (pass instanceof InvalidOption) return Effect.die(pass)
    return Effect.suspend(() => {
      const amount = actual - this.charged.get(pass)!
      if (amount === 0) return Effect.void
      this.charged.set(pass, actual)
      return Effect.onError(
        this.host.charge([{ pass, amount }]),
        () => Effect.sync(() => this.charged.set(pass, actual - amount))
      )
    })
  }

  /** Pauses the key of a limit for a time. */
  holdBack(time: Duration.Input, limit: string | undefined): Effect.Effect<void, StoreError> {
    const invalid = Bounds.refuse("holdBack", Bounds.timeout, time)
    if (invalid !== undefined) return Effect.die(invalid)
    const pass = this.passOf(limit ?? this.onlyName())
    if (pass instanceof InvalidOption) return Effect.die(pass)
    return Effect.catchTag(
      this.host.holdBack(pass, Math.ceil(Duration.toMillis(time)), this.task.id),
      "InvalidOption",
      // As many keys are paused as may be: this task waits all the same
      ({ message }) => Effect.logWarning(`task ${this.task.id} waits alone: ${message}`)
    )
  }

  private passOf(name: string): Gate.Pass | InvalidOption {
    const found = [...this.charged.keys()].find((pass) => LimitRule.shownName(Gate.limitOf(pass)) === name)
    return found ?? this.refused(name === "" ? "missing" : JSON.stringify(name))
  }

  /** The name of the only limit with a key, or of the only limit; empty where that is not one. */
  private onlyName(): string {
    const limits = this.definition.limits.filter(({ limit }) => "max" in limit || "tokens" in limit)
    const keyed = limits.filter(({ key }) => key !== undefined)
    const [only, another] = keyed.length === 0 ? limits : keyed
    return only === undefined || another !== undefined ? "" : only.name
  }

  private refused(found: string): InvalidOption {
    const names = [...this.charged.keys()].map((pass) => LimitRule.shownName(Gate.limitOf(pass)))
    const expected = names.length === 0
      ? "no limit: the task has none"
      : `the name of one of its limits: ${names.join(", ")}`
    return new InvalidOption({ option: "limit", found, expected, index: 0 })
  }
}
