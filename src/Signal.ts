/**
 * Signals: what a task waits for, completed from outside. The task gives its slot back while it waits, for as long as it takes.
 *
 * @example
 * ```ts
 * const Approval = Signal.make("approval", { success: Schema.Struct({ by: Schema.String }) })
 *
 * const PurchaseLive = Purchase.toLayer(({ amount }) =>
 *   Effect.gen(function*() {
 *     const token = yield* Approval.token
 *     yield* Step.run("ask", mailTo("ada@example.org", token))
 *     const { by } = yield* Step.waitFor(Approval, { timeout: "3 days" })
 *   })
 * )
 *
 * // In another program
 * const approve = (token: string) => Approval.complete(token, { by: "ada" })
 * ```
 */
import { Effect, Exit, type Schema } from "effect"
import * as Bounds from "./domain/Bounds.ts"
import { InvalidOption, type StoreError } from "./domain/Errors.ts"
import type { SignalConflict, SignalNotFound } from "./domain/StepErrors.ts"
import type { PlainSchema } from "./domain/TaskDefinition.ts"
import * as SignalRecords from "./flow/SignalRecords.ts"
import { Signals } from "./flow/Signals.ts"
import * as StepCodec from "./flow/StepCodec.ts"
import { TaskContext } from "./worker/TaskContext.ts"

/** Why a signal is not completed. */
export type SignalError = SignalConflict | SignalNotFound | InvalidOption | StoreError

/** What a task may wait for. */
export interface Awaitable<out Success, out Error> {
  /** Of a signal; an event has a token too. */
  readonly source: { readonly name: string; readonly token?: string | undefined }
  readonly codec: StepCodec.StepCodec<Success, Error>
}

/** Something that happens once, and that any number of tasks may wait for. */
export interface Event<in out Success, in out Error> extends Awaitable<Success, Error> {
  /** With which it is completed over HTTP: not a secret. */
  readonly token: string
  /** Completes it, before or while tasks wait; the first one counts. */
  readonly complete: (success: Success) => Effect.Effect<void, SignalError, Signals>
  /** The same with an error, which those that wait fail with. */
  readonly fail: (error: Error) => Effect.Effect<void, SignalError, Signals>
}

/** A signal that tasks wait for, each with a token of its own; or, as an event, all with one. */
export interface Signal<in out Success, in out Error> extends Awaitable<Success, Error> {
  readonly name: string
  /** The token of the task whose handler asks: the same in every attempt, and not to be guessed. Hand it to who is to complete it. */
  readonly token: Effect.Effect<string, never, TaskContext>
  /** Completes the signal that has the token; the first one counts. */
  readonly complete: (token: string, success: Success) => Effect.Effect<void, SignalError, Signals>
  /** The same with an error, which the task fails with. */
  readonly fail: (token: string, error: Error) => Effect.Effect<void, SignalError, Signals>
  /** The event of a key. */
  readonly event: (key: string) => Event<Success, Error>
}

/** What a signal is completed with. */
export interface Options<out Success extends PlainSchema, out Error extends PlainSchema> {
  /** Default: nothing. */
  readonly success?: Success | undefined
  /** Default: none. */
  readonly error?: Error | undefined
}

const names: Bounds.Names<Options<any, any>> = { success: 1, error: 1 }

/**
 * A signal with a name. Throws `InvalidOption` where it or an option is refused.
 *
 * @example
 * ```ts
 * const Paid = Signal.make("paid", { success: Schema.Struct({ amount: Schema.Int }) })
 * const wait = Step.waitFor(Paid.event("invoice-42"))
 * ```
 */
export const make = <Success extends PlainSchema = Schema.Void, Error extends PlainSchema = Schema.Never>(
  name: string,
  options: Options<Success, Error> = {}
): Signal<Success["Type"], Error["Type"]> => {
  Bounds.demandKnown(options, names)
  Bounds.demand("signal", SignalRecords.name, name)
  const codec = StepCodec.make(options.success, options.error)
  const end = (token: string, exit: Exit.Exit<unknown, unknown>) =>
    Effect.suspend(() => {
      const kept = codec.encode(exit)
      return kept?._tag === "Value" || kept?._tag === "Error"
        ? Effect.asVoid(Signals.use((signals) => signals.complete(token, kept)))
        : Effect.fail(
          new InvalidOption({
            option: Exit.isSuccess(exit) ? "success" : "error",
            found: kept?._tag === "Unfit" ? kept.issue : "another one",
            expected: `what signal ${name} declares`,
            index: 0
          })
        )
    })
  const complete = (token: string, success: Success["Type"]) => end(token, Exit.succeed(success))
  const fail = (token: string, error: Error["Type"]) => end(token, Exit.fail(error))
  return {
    name,
    source: { name },
    codec,
    token: TaskContext.use(({ steps }) => steps.token(name)),
    complete,
    fail,
    event: (key) => {
      Bounds.demand("key", SignalRecords.key, key)
      const token = SignalRecords.eventToken(name, key)
      return {
        source: { name, token },
        codec,
        token,
        complete: (success) => complete(token, success),
        fail: (error) => fail(token, error)
      }
    }
  }
}
