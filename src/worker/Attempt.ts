import { type Cause, Data, Duration, Effect, Exit, type Fiber, Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { LeaseLost, type StoreError } from "../domain/Errors.ts"
import type { Pass } from "../domain/Gate.ts"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { ClaimedTask } from "../domain/TaskRecord.ts"
import type { StepHost } from "../flow/StepJournal.ts"
import { Steps } from "../flow/Steps.ts"
import type { AttemptSpans } from "../observability/Tracing.ts"
import { AttemptBreakers, type BreakerHost } from "./AttemptBreakers.ts"
import { AttemptLimits, type LimitHost } from "./AttemptLimits.ts"
import { Gathered, type Gathering } from "./Gathering.ts"
import * as RunningStack from "./RunningStack.ts"
import type { HandlerContext } from "./TaskContext.ts"

/** Why an attempt is being interrupted. Recorded before the interruption, it decides the settlement. */
export type InterruptReason = "cancelled" | "lost" | "shutdown" | "timeout"

/** Not an error: how `snooze` leaves a handler. */
export class Snoozed extends Schema.TaggedError<Snoozed>()("Snoozed", { delayMs: Schema.Finite }) {
  /** Leaves the handler. A delay outside of its bound is a defect: the attempt fails, and says why. */
  static readonly now = (delay: Duration.Input): Effect.Effect<never> =>
    Effect.suspend(() =>
      Effect.die(
        Bounds.refuse("snooze", Bounds.delay, delay) ?? new Snoozed({ delayMs: Math.ceil(Duration.toMillis(delay)) })
      )
    )
}

/** Not an error: how a handler leaves that has been interrupted for good, by what its task is, and not by its attempt. The task is cancelled. */
export class Withdrawn extends Schema.TaggedError<Withdrawn>()("Withdrawn", {}) {}

/** Data that does not fit its schema: trying again cannot help. */
export class Unfit extends Data.Class<{
  readonly subject: "payload" | "result"
  readonly cause: Cause.Cause<unknown>
}> {}

/** What attempts know of their pool, and ask of it. */
export interface AttemptHost extends LimitHost {
  readonly instance: string
  readonly report: (attempt: Attempt, progress: number) => void
  readonly settle: (settlement: Settlement) => Effect.Effect<SettleAnswer | undefined, StoreError>
  /** Does something once what the fiber has written is committed, never if it is rolled back. */
  readonly whenFinal: (effect: Effect.Effect<void>) => Effect.Effect<void>
  readonly gathering: Gathering
  readonly breakers: BreakerHost
  readonly steps: StepHost
  readonly earlier: (id: string) => HandlerContext<any>["earlier"]
}

/**
 * What became of a handler's `complete`: `written` in a transaction that may still be open or be rolled back, `doubted`
 * since a heartbeat found the lease lost before the commit was known here, `final` once it is committed.
 */
export type EarlyCompletion = "none" | "written" | "doubted" | "final"

const none = {}

/** One running attempt: the claimed task, the fiber that runs it, and what is known about its end. */
export class Attempt extends Gathered implements HandlerContext<any> {
  readonly task: ClaimedTask
  readonly definition: AnyTaskDefinition
  readonly slot: number
  /** Monotonic milliseconds. */
  readonly startedAt: number
  /** When the attempt times out, on the same clock. */
  readonly deadline: number
  private fiber: Fiber.Fiber<unknown, unknown> | undefined
  reason: InterruptReason | undefined
  /** When it was asked to stop. */
  interruptedAt = Infinity
  /** When it ended; the start until then. */
  endedAt: number
  /** Its settlement is on its way, or it has none; what the fiber does from now on changes nothing. */
  ended = false
  /** Whether its handler has completed it. */
  completion: EarlyCompletion = "none"
  private readonly host: AttemptHost
  private knownLimits: AttemptLimits | undefined
  private knownBreakers: AttemptBreakers | undefined
  /** Its spans, where the program has a tracer. */
  spans: AttemptSpans | undefined
  /** What its log lines are annotated with. */
  annotations: Readonly<Record<string, unknown>> = none
  /** The steps that its handler has asked for; nothing where it has none. */
  knownSteps: Steps | undefined

  constructor(
    task: ClaimedTask,
    definition: AnyTaskDefinition,
    slot: number,
    startedAt: number,
    timeoutMs: number,
    host: AttemptHost
  ) {
    super()
    this.task = task
    this.definition = definition
    this.slot = slot
    this.startedAt = startedAt
    this.endedAt = startedAt
    this.deadline = startedAt + timeoutMs
    this.host = host
  }

  get id(): string {
    return this.task.id
  }

  get type(): string {
    return this.task.type
  }

  get queue(): string {
    return this.task.queue
  }

  get claim(): number {
    return this.task.claim
  }

  get instance(): string {
    return this.host.instance
  }

  get attempt(): number {
    return this.task.attempt
  }

  /** Where it says that it waits in a batch for others. */
  get gathering(): Gathering {
    return this.host.gathering
  }

  // Getters, so that handlers may take the functions apart and attempts that never use them pay nothing.

  get progress(): (fraction: number) => Effect.Effect<void> {
    return (fraction) =>
      Effect.sync(() => {
        // Not a number says nothing, and no store would keep it
        if (this.ended || typeof fraction !== "number" || Number.isNaN(fraction)) return
        this.host.report(this, Math.min(1, Math.max(0, fraction)))
      })
  }

  get snooze(): (delay: Duration.Input) => Effect.Effect<never> {
    return Snoozed.now
  }

  get charge(): HandlerContext<any>["charge"] {
    return (limit, actual) => this.limits.charge(limit, actual)
  }

  get holdBack(): HandlerContext<any>["holdBack"] {
    return (time, limit) => Effect.andThen(this.limits.holdBack(time, limit), Snoozed.now(time))
  }

  get protect(): HandlerContext<any>["protect"] {
    return (breaker, call) => Effect.suspend(() => this.breakers.protect(breaker, call))
  }

  /** Whether its handler protects calls with a breaker, which is told how these end, not how the attempt does. */
  isProtecting(pass: Pass): boolean {
    return this.knownBreakers?.protecting.has(pass) === true
  }

  get earlier(): HandlerContext<any>["earlier"] {
    return this.host.earlier(this.id)
  }

  get steps(): Steps {
    return this.knownSteps ??= new Steps(this.task, this.definition.steps, this.host.steps, Snoozed.now)
  }

  private get breakers(): AttemptBreakers {
    return this.knownBreakers ??= new AttemptBreakers({
      task: this.task,
      host: this.host.breakers,
      snooze: Snoozed.now,
      isSnoozed: (error) => error instanceof Snoozed,
      hasTimedOut: () => this.reason === "timeout"
    })
  }

  private get limits(): AttemptLimits {
    return this.knownLimits ??= new AttemptLimits(this.task, this.definition, this.host)
  }

  get complete(): HandlerContext<any>["complete"] {
    return (success) =>
      Effect.suspend(() => {
        const { claim, id } = this
        const result = this.definition.codec.encodeSuccess(success)
        if (Exit.isFailure(result)) return Effect.die(new Unfit({ subject: "result", cause: result.cause }))
        return Effect.flatMap(this.host.settle({ _tag: "Complete", id, claim, result: result.value }), (answer) => {
          // settled before, it must not be done once more: a transaction that is repeated because it is not known whether it
          // was committed would write twice
          if (answer !== "applied") return Effect.fail(new LeaseLost({ id, claim }))
          this.completion = "written"
          const final = Effect.sync(() => {
            this.completion = "final"
          })
          return Effect.as(this.host.whenFinal(final), success)
        })
      })
  }

  /** Where its handler is now. */
  stackAt(now: number): RunningStack.RunningStack {
    const stacks = this.fiber === undefined ? { fibers: [], hasMore: false } : RunningStack.of(this.fiber)
    return { ...stacks, attempt: this.attempt, slot: this.slot, forMs: Math.max(0, Math.round(now - this.startedAt)) }
  }

  /** Ties the attempt to its fiber, which may have been asked to stop while it took its first steps. */
  runsIn(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.fiber = fiber
    if (this.reason !== undefined) fiber.interruptUnsafe()
  }

  /**
   * Whether a lost lease is that of an attempt that is done. The store knows of a commit before its handler does, so one
   * heartbeat gives the benefit of the doubt; a completion that is not final by the next was rolled back.
   */
  isLostByBeingDone(): boolean {
    if (this.completion === "written") {
      this.completion = "doubted"
      return true
    }
    return this.completion === "final"
  }

  /** Its handler ended, or was given up. */
  end(now: number): void {
    this.ended = true
    this.endedAt = now
  }

  /** Asks the attempt to stop; the first reason counts. */
  interrupt(reason: InterruptReason, now: number): void {
    if (this.ended || this.reason !== undefined) return
    this.reason = reason
    this.interruptedAt = now
    this.fiber?.interruptUnsafe()
  }
}
