/** What a handler can know about the attempt it runs in, and do with it. */
import { Context, type Duration, type Effect } from "effect"
import type { LeaseLost, StoreError } from "../domain/Errors.ts"
import type { StepRunner } from "../flow/StepRunner.ts"
import type { Protecting } from "./AttemptBreakers.ts"
import type { EarlierTask } from "./EarlierTasks.ts"

/** The running attempt, provided to every handler. */
export class TaskContext extends Context.Service<TaskContext, {
  readonly id: string
  readonly type: string
  readonly queue: string
  /** Which attempt of its task this is, from 1. Every attempt counts, however the earlier ones ended. */
  readonly attempt: number
  /** The fencing token: pass it to systems that can refuse writes of an older holder. */
  readonly claim: number
  /** The instance that runs this attempt. */
  readonly instance: string
  /** The number of the slot in which it runs, from 1 to the instance's concurrency. */
  readonly slot: number
  /** Reports how far the work is, from 0 to 1; stored within a second. Not a number is no report. */
  readonly progress: (fraction: number) => Effect.Effect<void>
  /**
   * Ends this attempt and runs the task again after the delay, without spending a retry. With a negative delay, or one of
   * more than 3,650 days, the attempt fails with `InvalidOption`.
   */
  readonly snooze: (delay: Duration.Input) => Effect.Effect<never>
  /**
   * Charges a rate with what the task really took, instead of the `cost` that was taken when it started: tokens of a model, bytes. With
   * more the bucket has less than nothing, and the next tasks wait until that is made up for; with less it gets back the rest. A name
   * that is none of the task's limits fails the attempt.
   *
   * @example
   * ```ts
   * const PromptLive = Prompt.toLayer(({ text }, { charge }) =>
   *   Effect.tap(complete(text), ({ usage }) => Effect.orDie(charge("prompt:rate", usage)))
   * )
   * ```
   */
  readonly charge: (limit: string, actual: number) => Effect.Effect<void, StoreError>
  /**
   * Ends this attempt, starts no task with the same key until the time has passed, and then runs this one again, without spending a
   * retry: what to do when a server says 429. `limit` names the limit whose key it is; it may be left out where only one limit of the
   * task has keys. A key that is paused for longer stays so.
   *
   * @example
   * ```ts
   * const SyncLive = Sync.toLayer(({ url }, { holdBack }) =>
   *   Effect.catchTag(fetchFeed(url), "TooManyRequests", ({ retryAfter }) => Effect.orDie(holdBack(retryAfter)))
   * )
   * ```
   */
  readonly holdBack: (time: Duration.Input, limit?: string) => Effect.Effect<never, StoreError>
  /**
   * Makes one call of a dependency under a breaker that the task's type declares. From then on the breaker is told how the call ends,
   * not how the attempt does. While the breaker is open the call is not made: the attempt ends, and the task waits until it may be
   * tried, without spending a retry. `Breaker` has this as a method.
   *
   * @example
   * ```ts
   * const WelcomeLive = Welcome.toLayer(({ to }) => Smtp.protect(send(to)))
   * ```
   */
  readonly protect: <A, E, R>(breaker: Protecting, call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * The tasks that this one depends on, in the order given, and how each ended. A task type has those of its type with their results
   * decoded: `results`.
   */
  readonly earlier: Effect.Effect<ReadonlyArray<EarlierTask>, StoreError>
  /** What runs and keeps the steps of the task: see `Step`, which has it as functions. */
  readonly steps: StepRunner
}>()("taskforge/worker/TaskContext") {}

/**
 * The second argument of a handler: its {@link TaskContext}, and what depends on the types of its task.
 *
 * @example
 * ```ts
 * const ShipLive = Ship.toLayer(({ order }, { attempt, complete }) =>
 *   Effect.orDie(sql.withTransaction(Effect.andThen(markAsShipped(order), complete({ shipped: order, attempt }))))
 * )
 * ```
 */
export type HandlerContext<Success> = TaskContext["Service"] & {
  /**
   * Completes the task now, and gives the result back, so that the handler can end with it. Inside a transaction that
   * the store's writes join (PostgreSQL), the completion is committed with the handler's own writes or not at all: where
   * the attempt has lost its lease it fails with `LeaseLost`, which rolls the transaction back. What the handler returns
   * afterwards changes nothing.
   */
  readonly complete: (success: Success) => Effect.Effect<Success, LeaseLost | StoreError>
}
