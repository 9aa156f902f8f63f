/** What a handler does about one call of a dependency: it is not made while the breaker is open, and its failure is counted. */
import { Cause, type Duration, Effect, Exit } from "effect"
import * as Breaker from "../domain/Breaker.ts"
import { InvalidOption } from "../domain/Errors.ts"
import type * as Gate from "../domain/Gate.ts"
import type { ClaimedTask, TaskFailure } from "../domain/TaskRecord.ts"
import * as Thrown from "../domain/Thrown.ts"
import * as AttemptError from "./AttemptError.ts"

/** What is told of a failure. */
export type Failure = Pick<TaskFailure, "tag" | "message">

/** What attempts ask of their pool about breakers. */
export interface BreakerHost {
  /** How long the breaker of a pass lets nothing start, in milliseconds. */
  readonly opensInMs: (pass: Gate.Pass, settings: Breaker.Settings) => Effect.Effect<number>
  /** Tells that what needs the dependency has succeeded; nothing where there is nothing to tell. */
  readonly succeeded: (pass: Gate.Pass, settings: Breaker.Settings) => Effect.Effect<void> | undefined
  /** Tells of a failure. */
  readonly failed: (
    pass: Gate.Pass,
    settings: Breaker.Settings,
    task: string,
    failure: Failure
  ) => Effect.Effect<void>
}

/** A breaker as a handler names it. */
export type Protecting = Pick<Breaker.Rule<never>, "name" | "settings" | "countsAsFailure">

/** What is asked of the attempt itself. */
export interface Protected {
  readonly task: ClaimedTask
  readonly host: BreakerHost
  /** Ends the attempt, and runs its task again after the time. */
  readonly snooze: (time: Duration.Input) => Effect.Effect<never>
  /** Whether an error is how the attempt was left so. */
  readonly isSnoozed: (error: unknown) => boolean
  /** Whether it is interrupted because its time is up. */
  readonly hasTimedOut: () => boolean
}

/** The breakers of one task. */
export class AttemptBreakers {
  /** Those whose calls the handler protects: they are told how these end, not how the attempt does. */
  readonly protecting = new Set<Gate.Pass>()
  private readonly of: Protected

  constructor(of: Protected) {
    this.of = of
  }

  /** Makes a call. While the breaker is open, the attempt ends and its task waits, spending no retry. */
  protect<A, E, R>(breaker: Protecting, call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { host, snooze, task } = this.of
    const { name, settings } = breaker
    const passes = Breaker.passesOf(task.gate)
    const pass = passes.find((one) => Breaker.nameOf(one) === name)
    if (pass === undefined) {
      const names = passes.map(Breaker.nameOf).join(", ")
      const expected = `a breaker of the task's type${names === "" ? ", which has none" : `: ${names}`}`
      return Effect.die(new InvalidOption({ option: "breaker", found: JSON.stringify(name), expected, index: 0 }))
    }
    this.protecting.add(pass)
    return Effect.flatMap(
      host.opensInMs(pass, settings),
      (waitMs) =>
        waitMs > 0 ? snooze(waitMs) : Effect.onExit(call, (exit) => {
          if (Exit.isSuccess(exit)) return host.succeeded(pass, settings) ?? Effect.void
          const failure = this.failureOf(breaker, exit.cause)
          return failure === undefined ? Effect.void : host.failed(pass, settings, task.id, failure)
        })
    )
  }

  /** What a call failed with. An interruption is a failure only where the attempt ran out of time. */
  private failureOf(breaker: Protecting, cause: Cause.Cause<unknown>): Failure | undefined {
    if (Cause.hasInterrupts(cause)) {
      return this.of.hasTimedOut() ? { tag: "Timeout", message: "The attempt ran out of time" } : undefined
    }
    const met = AttemptError.of(cause, () => true)
    return met === undefined || this.of.isSnoozed(met.error) || !isFailure(breaker, met.error)
      ? undefined
      : Thrown.show(met.error)
  }
}

/** What the definition says of an error. One that makes it throw counts. */
export const isFailure = (
  { countsAsFailure }: Pick<Protecting, "countsAsFailure">,
  error: unknown
): boolean => {
  try {
    return countsAsFailure === undefined || countsAsFailure(error)
  } catch {
    return true
  }
}
