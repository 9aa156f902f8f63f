/**
 * Errors as clients see them: `{ "error": { "code", "message", ...facts } }`. The code is stable, the message is for
 * people and may change, the facts say what to do about it. Nothing internal is in any of them.
 */
import { Schema, SchemaTransformation } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { maxIdLength } from "../../domain/Bounds.ts"
import * as Errors from "../../domain/Errors.ts"
import { shortened } from "../../domain/Quoting.ts"
import { TaskState } from "../../domain/TaskState.ts"

/** Seconds that a client should wait before it repeats a request that met a 503. */
const retryAfterSeconds = 1

/** The body of an error. */
export const body = <const Code extends string, const Facts extends Schema.Struct.Fields>(code: Code, facts: Facts) =>
  Schema.Struct({ error: Schema.Struct({ code: Schema.Literal(code), message: Schema.String, ...facts }) })

const batchIndex = Schema.Int.annotate({ description: "Position in the batch; 0 for a single task" })

/** A payload that its task type does not take. */
export const InvalidPayload = body("invalid_payload", { type: Schema.String, issue: Schema.String, index: batchIndex })
  .annotate({ identifier: "InvalidPayload", description: "A payload does not fit its task type" })
  .pipe(
    Schema.decodeTo(
      Schema.toType(Errors.InvalidPayload),
      SchemaTransformation.transform({
        decode: ({ error }) => new Errors.InvalidPayload(error),
        encode: ({ index, issue, message, type }) => ({
          error: { code: "invalid_payload" as const, message, type, issue, index }
        })
      })
    ),
    HttpApiSchema.status(400)
  )

/** A task type that the server has no definition of. */
export const UnknownTaskType = body("unknown_task_type", {
  type: Schema.String,
  known: Schema.Array(Schema.String),
  index: batchIndex
})
  .annotate({ identifier: "UnknownTaskType", description: "A task type that the server does not know" })
  .pipe(
    Schema.decodeTo(
      Schema.toType(Errors.UnknownTaskType),
      SchemaTransformation.transform({
        decode: ({ error }) => new Errors.UnknownTaskType(error),
        encode: ({ index, known, message, type }) => ({
          error: { code: "unknown_task_type" as const, message, type, known, index }
        })
      })
    ),
    HttpApiSchema.status(400)
  )

/** No task has the id. */
export const TaskNotFound = body("task_not_found", { id: Schema.String })
  .annotate({ identifier: "TaskNotFound", description: "No task has this id" })
  .pipe(
    Schema.decodeTo(
      Schema.toType(Errors.TaskNotFound),
      SchemaTransformation.transform({
        decode: ({ error }) => new Errors.TaskNotFound(error),
        encode: ({ id, message }) => ({
          error: { code: "task_not_found" as const, message, id: shortened(id, maxIdLength) }
        })
      })
    ),
    HttpApiSchema.status(404)
  )

/** The idempotency key belongs to a task with another payload. */
export const KeyConflict = body("key_conflict", {
  type: Schema.String,
  key: Schema.String,
  id: Schema.String,
  index: batchIndex
})
  .annotate({ identifier: "KeyConflict", description: "The key belongs to a task with another payload" })
  .pipe(
    Schema.decodeTo(
      Schema.toType(Errors.KeyConflict),
      SchemaTransformation.transform({
        decode: ({ error }) => new Errors.KeyConflict(error),
        encode: ({ id, index, key, message, type }) => ({
          error: { code: "key_conflict" as const, message, type, key, id, index }
        })
      })
    ),
    HttpApiSchema.status(409)
  )

/** The task's state does not allow the operation. */
export const StateConflict = body("state_conflict", { id: Schema.String, operation: Schema.String, status: TaskState })
  .annotate({ identifier: "StateConflict", description: "The task's status does not allow this" })
  .pipe(
    Schema.decodeTo(
      Schema.toType(Errors.StateConflict),
      SchemaTransformation.transform({
        decode: ({ error: { id, operation, status } }) => new Errors.StateConflict({ id, operation, state: status }),
        encode: ({ id, message, operation, state }) => ({
          error: { code: "state_conflict" as const, message, id, operation, status: state }
        })
      })
    ),
    HttpApiSchema.status(409)
  )

const full = {
  capacity: Schema.Int,
  unfinished: Schema.Int,
  offered: Schema.Int,
  size: Schema.optionalKey(
    Schema.Struct({ max_bytes: Schema.Int, stored_bytes: Schema.Int, offered_bytes: Schema.Int })
  ).annotate({ description: "What is full, where it is not the number of tasks" })
}

const QueueFullBody = body("queue_full", full)
  .annotate({ identifier: "QueueFull", description: "The queue has no room; nothing was stored" })

/** A batch that does not fit however long its client waits. */
export const BatchTooLarge = body("batch_too_large", full)
  .annotate({
    identifier: "BatchTooLarge",
    description: "More tasks, or larger ones, than the queue can ever have; nothing was stored"
  })
  .pipe(
    Schema.decodeTo(
      Schema.toType(Errors.QueueFull).check(
        Schema.makeFilter((full: Errors.QueueFull) => !full.mayFitLater, { expected: "more tasks than the capacity" })
      ),
      SchemaTransformation.transform({
        decode: ({ error }) => queueFullOf(error),
        encode: (error) => ({ error: { code: "batch_too_large" as const, ...factsOf(error) } })
      })
    ),
    HttpApiSchema.status(413)
  )

const StoreUnavailableBody = body("store_unavailable", {})
  .annotate({ identifier: "StoreUnavailable", description: "The store did not answer; the outcome is not known" })

const storeUnavailable = ({ advice }: Errors.StoreError) => ({
  error: {
    code: "store_unavailable" as const,
    message: advice === undefined
      ? "The task store does not answer; try again"
      : `The task store refused to do it. What helps: ${advice}`
  }
})

const storeErrorOf = ({ error }: typeof StoreUnavailableBody.Type) =>
  new Errors.StoreError({ operation: "answer", reason: error.message })

/** The store does not answer. The answer says when to try again. */
export const Unavailable = Errors.StoreError.pipe(
  HttpApiSchema.encodeToWithHeaders({
    body: StoreUnavailableBody.pipe(HttpApiSchema.status(503)),
    headers: { "retry-after": Schema.Int }
  }, {
    decode: ({ body }) => storeErrorOf(body),
    encode: (error) => ({ headers: { "retry-after": retryAfterSeconds }, body: storeUnavailable(error) })
  })
)

/** The queue is full, or the store does not answer. Both say when to try again. */
export const FullOrUnavailable = Schema.Union([Errors.QueueFull, Errors.StoreError]).pipe(
  HttpApiSchema.encodeToWithHeaders({
    body: Schema.Union([QueueFullBody, StoreUnavailableBody]).pipe(HttpApiSchema.status(503)),
    headers: { "retry-after": Schema.Int }
  }, {
    decode: ({ body }) =>
      body.error.code === "queue_full"
        ? queueFullOf(body.error)
        : storeErrorOf({ error: body.error }),
    encode: (error) => ({ headers: { "retry-after": retryAfterSeconds }, body: fullOrUnavailable(error) })
  })
)

function fullOrUnavailable(
  error: Errors.QueueFull | Errors.StoreError
): typeof QueueFullBody.Type | typeof StoreUnavailableBody.Type {
  if (error._tag === "StoreError") return storeUnavailable(error)
  return { error: { code: "queue_full" as const, ...factsOf(error) } }
}

function factsOf({ capacity, message, offered, size, unfinished }: Errors.QueueFull) {
  const facts = { message, capacity, unfinished, offered }
  if (size === undefined) return facts
  const { maxBytes, offeredBytes, storedBytes } = size
  return { ...facts, size: { max_bytes: maxBytes, stored_bytes: storedBytes, offered_bytes: offeredBytes } }
}

function queueFullOf(
  { capacity, offered, size, unfinished }: Omit<typeof QueueFullBody.Type["error"], "code">
): Errors.QueueFull {
  const facts = { capacity, offered, unfinished }
  if (size === undefined) return new Errors.QueueFull(facts)
  const { max_bytes: maxBytes, offered_bytes: offeredBytes, stored_bytes: storedBytes } = size
  return new Errors.QueueFull({ ...facts, size: { maxBytes, storedBytes, offeredBytes } })
}
