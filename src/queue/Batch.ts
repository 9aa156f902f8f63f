/** How tasks of one type are enqueued: one, or many in one write. */
import { Effect, Exit } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import { type EnqueueOptions, fromPayload, refuseOptions, type Submission } from "./Submission.ts"
import type { WhenFull } from "./TaskQueue.ts"

/** How one enqueue is done. */
export interface EnqueueSettings extends EnqueueOptions {
  /** Default `fail`. */
  readonly whenFull?: WhenFull | undefined
}

/** How a batch is enqueued. With one id or key, all of its tasks but one would be duplicates: `each` gives each its own. */
export interface BatchSettings<in Payload = never> extends Omit<EnqueueSettings, "id" | "key" | "unique"> {
  /**
   * What differs from task to task, such as the key and the delay.
   *
   * @example
   * ```ts
   * yield* SendEmail.enqueueAll(payloads, { each: ({ to }, index) => ({ key: to, delay: `${index} seconds` }) })
   * ```
   */
  readonly each?: ((payload: Payload, index: number) => EnqueueOptions) | undefined
}

const names: Bounds.Names<BatchSettings> = {
  each: 1,
  priority: 1,
  delay: 1,
  runAt: 1,
  maxRetries: 1,
  timeout: 1,
  expiresIn: 1,
  startWithin: 1,
  queue: 1,
  tags: 1,
  after: 1,
  onFailure: 1,
  whenFull: 1
}

/** The submissions of a batch, in the order of its payloads. */
export const ofBatch = Effect.fnUntraced(function*<Definition extends AnyTaskDefinition>(
  definition: Definition,
  payloads: ReadonlyArray<Definition["payload"]["Type"]>,
  options: BatchSettings<Definition["payload"]["Type"]>
) {
  const unknown = Bounds.refuseUnknown(options, names)
  if (unknown !== undefined) return yield* unknown
  const { each, whenFull: _, ...shared } = options
  const submissions: Array<Submission> = []
  for (const [index, payload] of payloads.entries()) {
    const own = each === undefined ? {} : each(payload, index)
    const invalid = refuseOptions(own, index)
    if (invalid !== undefined) return yield* invalid
    const submission = fromPayload(definition, payload, { ...shared, ...own }, index)
    if (Exit.isFailure(submission)) return yield* Effect.failCause(submission.cause)
    submissions.push(submission.value)
  }
  return submissions
})
