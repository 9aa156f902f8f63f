/** A task as clients post it. Only the type is needed. */
import { Duration, Schema, SchemaTransformation } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import { DurationText } from "../../domain/DurationText.ts"
import { PriorityFromInput } from "../../domain/Priority.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import { JsonValue } from "./JsonValue.ts"

/** Tasks in one request at most. */
const maxBatch = 10_000

/**
 * Checks a value of the wire by the bound that programs have too. The API's description has no word for such a check, and
 * loses what is annotated behind it: describe a field before it, or behind a check that it knows.
 */
const within = <A>({ accepts, expected }: Bounds.Bound<A>) =>
  Schema.makeFilter((value: A) => accepts(value) ? undefined : `Expected ${expected}`)

/** Names of types and queues. */
export const Name = Schema.String.check(
  within(Bounds.name),
  Schema.isNonEmpty(),
  Schema.isMaxLength(Bounds.maxNameLength)
)

const Key = Schema.String.check(within(Bounds.key), Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxKeyLength))

const Id = Schema.String.check(within(Bounds.id), Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxIdLength))

/** A duration as text, or a number of milliseconds. */
export const MillisOrText = Schema.Union([
  DurationText,
  Schema.Finite.pipe(
    Schema.decodeTo(
      Schema.Duration,
      SchemaTransformation.transform({ decode: Duration.millis, encode: Duration.toMillis })
    )
  )
])

/** A new task. */
export const NewTaskJson = Schema.Struct({
  type: Name.annotate({ description: "A task type that the server knows" }),
  payload: Schema.optionalKey(JsonValue).annotate({ description: "What the type takes; {} when left out" }),
  priority: Schema.optionalKey(PriorityFromInput).annotate({
    description: "low, normal, high, critical, urgent, or 0 to 9; larger is more urgent"
  }),
  max_retries: Schema.optionalKey(Schema.Int.check(
    Schema.isBetween({ minimum: Bounds.unlimitedRetries, maximum: Bounds.maxRetryCount })
  )).annotate({
    description: "Retries after the first execution; -1 is unlimited"
  }),
  delay: Schema.optionalKey(
    MillisOrText.annotate({
      description: "Wait before the task is due: text such as 250ms, 5m or 1h30m, or milliseconds"
    }).check(within(Bounds.delay))
  ),
  run_at: Schema.optionalKey(Rfc3339.check(within(Bounds.runAt))),
  timeout: Schema.optionalKey(
    MillisOrText.annotate({ description: "Time limit of one attempt, written like delay" }).check(
      within(Bounds.timeout)
    )
  ),
  key: Schema.optionalKey(Key).annotate({
    description: "Idempotency key: the same key and payload give the same task, another payload a conflict"
  }),
  id: Schema.optionalKey(Id).annotate({
    description: "Your own id; posting a known one again changes nothing"
  }),
  queue: Schema.optionalKey(Name).annotate({ description: "Where the task waits; the queue of its type when left out" })
}).check(
  Schema.makeFilter(({ delay, run_at }: { readonly delay?: unknown; readonly run_at?: unknown }) =>
    delay === undefined || run_at === undefined
      ? undefined
      : { path: ["delay"], issue: "Expected either delay or run_at, not both" }
  )
).annotate({ identifier: "NewTask" })

/** See the {@link NewTaskJson} schema. */
export type NewTaskJson = typeof NewTaskJson.Type

/** One task, or several that are stored together or not at all. */
export const NewTasksJson = Schema.Union([
  NewTaskJson,
  Schema.Array(NewTaskJson).check(Schema.isMinLength(1), Schema.isMaxLength(maxBatch))
]).annotate({ expected: "a task or an array of tasks" })
