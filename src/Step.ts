/**
 * Durable steps in a handler: a step that has ended is not run again, whatever becomes of the attempt. A later one, after a retry, a
 * crash or a shutdown, is given what the step gave.
 *
 * @example
 * ```ts
 * const OrderLive = Order.toLayer(({ order }) =>
 *   Effect.gen(function*() {
 *     const { charge } = yield* Step.run("charge", pay(order), { success: Schema.Struct({ charge: Schema.String }) })
 *     yield* Step.run("ship", ship(order, charge))
 *   })
 * )
 * ```
 */
import { type Duration, Effect, type Schema } from "effect"
import * as Bounds from "./domain/Bounds.ts"
import type { SignalTimedOut } from "./domain/StepErrors.ts"
import type { PlainSchema } from "./domain/TaskDefinition.ts"
import * as StepCodec from "./flow/StepCodec.ts"
import { CurrentStep } from "./flow/StepRunner.ts"
import type { Awaitable } from "./Signal.ts"
import { TaskContext } from "./worker/TaskContext.ts"

/** What is kept of a step. */
export interface RunOptions<out Success extends PlainSchema, out Error extends PlainSchema> {
  /** What its effect gives. Default: nothing is kept, and the step gives nothing. */
  readonly success?: Success | undefined
  /**
   * Failures that are an end of the step: one that this schema accepts is kept, and later attempts fail with it. After any other failure the
   * step has not ended, and a later attempt runs it again. Default: none.
   */
  readonly error?: Error | undefined
}

const names: Bounds.Names<RunOptions<any, any>> = { success: 1, error: 1 }

/** What the effect of a step may give. */
export type Given<Success extends PlainSchema> = Schema.Void extends Success ? unknown : Success["Type"]

/**
 * Runs an effect as a step of the task. Its end is stored before the handler goes on. The name is the step's own in its task: an attempt
 * asks for each once. What the step gives has passed its schema, in the attempt that runs it too.
 *
 * @example
 * ```ts
 * const { id } = yield* Step.run("charge", pay(order), {
 *   success: Schema.Struct({ id: Schema.String }),
 *   error: CardDeclined
 * })
 * ```
 */
export const run = <E, R, Success extends PlainSchema = Schema.Void, Error extends PlainSchema = Schema.Never>(
  name: string,
  effect: Effect.Effect<Given<Success>, E, R>,
  options: RunOptions<Success, Error> = {}
): Effect.Effect<Success["Type"], E | Error["Type"], R | TaskContext> =>
  Effect.suspend(() => {
    const unknown = Bounds.refuseUnknown(options, names)
    if (unknown !== undefined) return Effect.die(unknown)
    return TaskContext.use(({ steps }) => steps.run(name, effect, StepCodec.make(options.success, options.error)))
  })

/**
 * Lets the task sleep: the attempt ends and gives its slot back, and the task runs again when the time has passed, without spending a
 * retry. The time counts from the first attempt that comes here, by the store's clock; one that comes back later goes on at once. Steps
 * that run at the same time are waited for first; whatever else the handler does is interrupted, and its finalizers run.
 *
 * @example
 * ```ts
 * yield* Step.run("invite", invite(user))
 * yield* Step.sleep("trial", "30 days")
 * yield* Step.run("ask", askToStay(user))
 * ```
 */
export const sleep = (name: string, duration: Duration.Input): Effect.Effect<void, never, TaskContext> =>
  TaskContext.use(({ steps }) => steps.sleep(name, duration))

/** How a task waits for a signal. */
export interface WaitOptions {
  /** How long, from the first attempt that waits, by the store's clock; for ever when left out. */
  readonly timeout?: Duration.Input | undefined
  /** The name of the step, where an attempt waits twice for one signal. Default: made of the signal. */
  readonly step?: string | undefined
}

const waitNames: Bounds.Names<WaitOptions> = { timeout: 1, step: 1 }

/**
 * Lets the task wait until a signal is completed: the attempt ends and gives its slot back, as with {@link sleep}, and the task runs again
 * at once when it is. With a timeout it fails with `SignalTimedOut` when that has passed.
 *
 * @example
 * ```ts
 * const { by } = yield* Step.waitFor(Approval, { timeout: "3 days" })
 * const { amount } = yield* Step.waitFor(Paid.event("invoice-42"))
 * ```
 */
export const waitFor: {
  <Success, Error>(
    signal: Awaitable<Success, Error>,
    options: WaitOptions & { readonly timeout: Duration.Input }
  ): Effect.Effect<Success, Error | SignalTimedOut, TaskContext>
  <Success, Error>(
    signal: Awaitable<Success, Error>,
    options?: WaitOptions & { readonly timeout?: undefined }
  ): Effect.Effect<Success, Error, TaskContext>
} = <Success, Error>({ codec, source }: Awaitable<Success, Error>, options: WaitOptions = {}) =>
  Effect.suspend(() => {
    const unknown = Bounds.refuseUnknown(options, waitNames)
    if (unknown !== undefined) return Effect.die(unknown)
    const { step = `signal ${source.token ?? source.name}`, timeout } = options
    return TaskContext.use(({ steps }) => steps.waitFor(step, source, codec, timeout))
  })

/**
 * A text that is the same in every attempt at the step that runs, and that no other step has: for services that do what they are asked
 * once per key. Outside of a step it is the task's.
 *
 * @example
 * ```ts
 * const pay = (order: Order) => Effect.flatMap(Step.idempotencyKey, (key) => stripe.charge(order, { idempotencyKey: key }))
 * ```
 */
export const idempotencyKey: Effect.Effect<string, never, TaskContext> = Effect.gen(function*() {
  const { id } = yield* TaskContext
  const step = yield* CurrentStep
  return step === undefined ? id : `${id}/${step}`
})
