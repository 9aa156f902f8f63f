/** What requests say of tasks: new ones, and what is changed about one. */
import { Schema } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import { maxDependencies, OnFailure } from "../../domain/Dependencies.ts"
import { PriorityFromInput } from "../../domain/Priority.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import { maxVersion } from "../../domain/StoredType.ts"
import * as Tags from "../../domain/Tags.ts"
import { JsonValue, MillisOrText, Name, within } from "./RequestValues.ts"

/** Tasks in one request at most. */
const maxBatch = 10_000

const Key = Schema.String.check(within(Bounds.key), Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxKeyLength))

const Id = Schema.String.check(within(Bounds.id), Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxIdLength))

/** How a task is unique. */
const UniqueJson = Schema.Struct({
  key: Key,
  window: Schema.optionalKey(
    Schema.Union([Schema.Literals(["waiting", "unfinished", "kept"]), MillisOrText.check(within(Bounds.timeout))])
  ).annotate({
    description:
      "How long it keeps others away: waiting until its first start, unfinished until its end (the default), kept as " +
      "long as it is stored, or a duration from its creation"
  }),
  on_conflict: Schema.optionalKey(Schema.Literals(["return", "refuse", "replace", "postpone"])).annotate({
    description:
      "What becomes of others: return answers with it (the default), refuse is a conflict, replace gives it their " +
      "payload if it waits, postpone also makes it due later"
  }),
  postpone: Schema.optionalKey(Schema.Struct({
    by: MillisOrText.annotate({ description: "How far from the latest one it is due" }).check(within(Bounds.timeout)),
    max_delay: Schema.optionalKey(
      MillisOrText.annotate({ description: "How far from its creation at most" }).check(within(Bounds.timeout))
    )
  })).annotate({ description: "With on_conflict postpone, which is the default with it" })
})

/** A new task. */
export const NewTaskJson = Schema.Struct({
  type: Name.annotate({ description: "A task type that the server knows" }),
  payload: Schema.optionalKey(JsonValue).annotate({ description: "What the type takes; {} when left out" }),
  version: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxVersion }))).annotate({
    description: "The version of the type that the payload is of; 1 when left out"
  }),
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
  expires_in: Schema.optionalKey(
    MillisOrText.annotate({
      description: "How long the task is of use once it is due, written like delay: after that it ends as expired"
    }).check(within(Bounds.span))
  ),
  start_within: Schema.optionalKey(
    MillisOrText.annotate({
      description:
        "Within which time the task should start once it is due, written like delay: among due tasks of one " +
        "priority that have such a time the earliest deadline goes first"
    }).check(within(Bounds.span))
  ),
  key: Schema.optionalKey(Key).annotate({
    description: "Idempotency key: the same key and payload give the same task, another payload a conflict"
  }),
  unique: Schema.optionalKey(UniqueJson).annotate({
    description: "How tasks with the same key keep each other away, for a while. Not together with key"
  }),
  id: Schema.optionalKey(Id).annotate({
    description: "Your own id; posting a known one again changes nothing"
  }),
  queue: Schema.optionalKey(Name).annotate({
    description: "Where the task waits; the queue of its type when left out"
  }),
  tags: Schema.optionalKey(Schema.Array(Schema.String).check(within(Tags.tags), Schema.isMaxLength(Tags.maxTags)))
    .annotate({ description: "Words that it is found by, besides those of its type" }),
  after: Schema.optionalKey(Schema.Array(Id).check(Schema.isMaxLength(maxDependencies))).annotate({
    description: "The ids of tasks that must have ended before it starts: stored ones, or others of the same request"
  }),
  on_failure: Schema.optionalKey(OnFailure).annotate({
    description: "What becomes of it when one of these does not complete; it fails with the reason when left out"
  })
}).check(
  Schema.makeFilter(({ delay, run_at }) =>
    delay === undefined || run_at === undefined
      ? undefined
      : { path: ["delay"], issue: "Expected either delay or run_at, not both" }
  )
).annotate({ identifier: "NewTask" })

export type NewTaskJson = typeof NewTaskJson.Type

/** What is changed about a task. */
export const RescheduleJson = Schema.Struct({
  payload: Schema.optionalKey(JsonValue).annotate({ description: "The whole payload, as the type takes it" }),
  version: NewTaskJson.fields.version,
  priority: NewTaskJson.fields.priority,
  delay: NewTaskJson.fields.delay,
  run_at: NewTaskJson.fields.run_at,
  start_within: NewTaskJson.fields.start_within
}).check(
  Schema.makeFilter((given) => {
    if (Object.keys(given).length === 0) {
      return { path: [], issue: "Expected payload, priority, delay, run_at or start_within" }
    }
    return given.delay === undefined || given.run_at === undefined
      ? undefined
      : { path: ["delay"], issue: "Expected either delay or run_at, not both" }
  })
).annotate({ identifier: "Reschedule" })

/** One task, or several that are stored together or not at all. */
export const NewTasksJson = Schema.Union([
  NewTaskJson,
  Schema.Array(NewTaskJson).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(maxBatch, { message: `Expected at most ${maxBatch} tasks in a request` })
  )
]).annotate({ expected: "a task or an array of tasks" })
