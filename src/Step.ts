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
import { Effect, type Schema } from "effect"
import * as Bounds from "./domain/Bounds.ts"
import type { PlainSchema } from "./domain/TaskDefinition.ts"
import * as StepCodec from "./flow/StepCodec.ts"
import { CurrentStep } from "./flow/Steps.ts"
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
