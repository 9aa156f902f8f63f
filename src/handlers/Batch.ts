/**
 * `batch` works through many payloads of one task type, in chunks, several at a time. One that fails does not stop the
 * others: the result says for each how it ended.
 *
 * The items are run here, not enqueued: a batch that waited for tasks could occupy the very slots that they need. So
 * they share the batch's time limit, and when the batch is tried again after a crash all of them run again, each with
 * the same id of its own (`<id>:<index>`), which is what idempotency keys are made of.
 */
import { Cause, Context, Effect, Exit, Schema } from "effect"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Thrown from "../domain/Thrown.ts"
import { without as withoutSteps } from "../flow/StepRunner.ts"
import * as Task from "../Task.ts"
import { type Handler, HandlerRegistry } from "../worker/HandlerRegistry.ts"
import { type HandlerContext, TaskContext } from "../worker/TaskContext.ts"

/** Characters of all results at most: they are stored with the task. */
const maxCharacters = 1024 * 1024

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** The type is none that a batch can work through. */
export class TypeRefused extends Schema.TaggedError<TypeRefused>()("TypeRefused", {
  type: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `Task type ${JSON.stringify(this.type)}: ${this.reason}`
  }
}

const Item = Schema.Struct({
  index: Schema.Int,
  ok: Schema.Boolean,
  /** What it gave; null where all results together are too large to be kept. */
  result: Schema.optionalKey(Schema.Json),
  error: Schema.optionalKey(Schema.Struct({ tag: Schema.String, message: Schema.String }))
})

/** The task type `batch`. */
export const Batch = Task.make("batch", {
  description: "Works through payloads of one task type in chunks, with results and failures per item",
  payload: {
    /** The task type of the items. */
    type: withDefault(Schema.String, "echo"),
    items: withDefault(Schema.Array(Schema.Json).check(Schema.isMaxLength(10_000)), []),
    chunk_size: withDefault(between(1, 1000), 100),
    /** Items at the same time. */
    concurrency: withDefault(between(1, 32), 4),
    /** Do not begin another chunk after one with a failure. */
    stop_on_failure: withDefault(Schema.Boolean, false)
  },
  success: Schema.Struct({
    succeeded: Schema.Int,
    failed: Schema.Int,
    /** Never begun, after a failure. */
    skipped: Schema.Int,
    items: Schema.Array(Item)
  }),
  error: TypeRefused,
  retry: { byTag: { TypeRefused: false } }
})

/** Runs `batch`. */
export const BatchLive = Batch.toLayer(Effect.fnUntraced(
  function*({ chunk_size, concurrency, items, stop_on_failure, type }) {
    const registry = yield* HandlerRegistry
    const context = yield* TaskContext
    const handler = registry.find(type)
    if (type === Batch.type) return yield* new TypeRefused({ type, reason: "a batch of batches is one batch" })
    if (handler === undefined) return yield* new TypeRefused({ type, reason: "this process has no handler for it" })
    const ended: Array<typeof Item.Type> = []
    let characters = 0
    for (let start = 0; start < items.length; start += chunk_size) {
      const chunk = items.slice(start, start + chunk_size)
      const results = yield* Effect.forEach(
        chunk,
        (item, offset) => runItem(handler, item, start + offset, context),
        { concurrency }
      )
      for (const result of results) {
        characters += JSON.stringify(result).length
        ended.push(result.ok && characters > maxCharacters ? { index: result.index, ok: true, result: null } : result)
      }
      yield* context.progress(ended.length / items.length)
      if (stop_on_failure && results.some(({ ok }) => !ok)) break
    }
    const succeeded = ended.filter(({ ok }) => ok).length
    return { succeeded, failed: ended.length - succeeded, skipped: items.length - ended.length, items: ended }
  }
))

/** One item, as an attempt of its type runs, without a task of its own. */
const runItem = (
  { definition: { codec }, run, services }: Handler,
  item: Schema.Json,
  index: number,
  context: TaskContext["Service"]
): Effect.Effect<typeof Item.Type> => {
  // An attempt has getters, which a copy of it would lose
  const { attempt, charge, claim, holdBack, instance, queue, slot, snooze, type } = context
  const ofItem: HandlerContext<unknown> = {
    attempt,
    charge,
    claim,
    holdBack,
    instance,
    queue,
    slot,
    snooze,
    type,
    id: `${context.id}:${index}`,
    // An item passes no gate, so no breaker lets it start
    protect: (_breaker, call) => call,
    // The batch depends on others, its items do not
    earlier: Effect.succeed([]),
    steps: withoutSteps("An item of a batch is no task of its own: its steps cannot be kept"),
    progress: () => Effect.void,
    complete: () => Effect.die(new Error("An item of a batch is no task of its own: return the result instead"))
  }
  return codec.checkPayload(item).pipe(
    Effect.flatMap((payload) => run(payload, ofItem)),
    Effect.flatMap((success) => codec.encodeSuccess(success)),
    Effect.provide(Context.add(services, TaskContext, ofItem)),
    Effect.exit,
    // Interrupted from outside, the batch ends; what an item does to itself is its own failure
    Effect.map((exit): typeof Item.Type =>
      Exit.isSuccess(exit)
        ? { index, ok: true, result: JSON.parse(exit.value) as Schema.Json }
        : { index, ok: false, error: describe(Cause.squash(exit.cause)) }
    )
  )
}

const describe = (error: unknown): { readonly tag: string; readonly message: string } => {
  const { message, tag } = Thrown.show(error)
  return { tag, message: Thrown.cut(message, 500) }
}
