/** A task as clients post it. Only the type is needed. */
import { Duration, Schema, SchemaTransformation } from "effect"
import { DurationText } from "../../domain/DurationText.ts"
import { PriorityFromInput } from "../../domain/Priority.ts"
import { JsonValue } from "./JsonValue.ts"

/** Characters in ids, keys and names at most. */
export const maxNameLength = 255

/** Tasks in one request at most. */
const maxBatch = 10_000

/** Waits and time limits at most. */
const longestDays = 3650

/** Ids, keys, and names of types and queues. */
export const Name = Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(maxNameLength))

/** A task is reached by a path that ends with its id, and a path cannot end with a dot segment. */
const Id = Name.check(
  Schema.makeFilter((id: string) => id === "." || id === ".." ? "Expected an id that can end a path" : undefined)
)

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

const bounded = (what: string, isLongEnough: (millis: number) => boolean) =>
  MillisOrText.check(
    Schema.makeFilter((duration: Duration.Duration) => {
      const millis = Duration.toMillis(duration)
      return isLongEnough(millis) && millis <= longestDays * 86_400_000
        ? undefined
        : `Expected a ${what} duration of at most ${longestDays} days`
    })
  )

/** A new task. */
export const NewTaskJson = Schema.Struct({
  type: Name.annotate({ description: "A task type that the server knows" }),
  payload: Schema.optionalKey(JsonValue).annotate({ description: "What the type takes; {} when left out" }),
  priority: Schema.optionalKey(PriorityFromInput).annotate({
    description: "low, normal, high, critical, urgent, or 0 to 9; larger is more urgent"
  }),
  max_retries: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(-1))).annotate({
    description: "Retries after the first execution; -1 is unlimited"
  }),
  delay: Schema.optionalKey(bounded("non-negative", (millis) => millis >= 0)).annotate({
    description: "Wait before the task is due: text such as 250ms, 5m or 1h30m, or milliseconds"
  }),
  run_at: Schema.optionalKey(Schema.DateTimeUtcFromString).annotate({
    description: "When the task is due, ISO 8601; wins over delay"
  }),
  timeout: Schema.optionalKey(bounded("positive", (millis) => millis > 0)).annotate({
    description: "Time limit of one attempt, written like delay"
  }),
  key: Schema.optionalKey(Name).annotate({
    description: "Idempotency key: the same key and payload give the same task, another payload a conflict"
  }),
  id: Schema.optionalKey(Id).annotate({
    description: "Your own id; posting a known one again changes nothing"
  }),
  queue: Schema.optionalKey(Name)
}).annotate({ identifier: "NewTask" })

/** See the {@link NewTaskJson} schema. */
export type NewTaskJson = typeof NewTaskJson.Type

/** One task, or several that are stored together or not at all. */
export const NewTasksJson = Schema.Union([
  NewTaskJson,
  Schema.Array(NewTaskJson).check(Schema.isMinLength(1), Schema.isMaxLength(maxBatch))
]).annotate({ expected: "a task or an array of tasks" })
