/**
 * Errors as clients see them: `{ "error": { "code", "message", ...facts } }`. The code is stable, the message is for
 * people and may change, the facts say what to do about it. Nothing internal is in any of them.
 */
import { Schema, SchemaTransformation, Struct } from "effect"
import { HttpApiSchema } from "effect/http-api"
import * as BatchErrors from "../../domain/BatchErrors.ts"
import { maxIdLength } from "../../domain/Bounds.ts"
import * as DependencyErrors from "../../domain/DependencyErrors.ts"
import * as Errors from "../../domain/Errors.ts"
import * as Operation from "../../domain/Operation.ts"
import { shortened } from "../../domain/Quoting.ts"
import * as StepErrors from "../../domain/StepErrors.ts"
import { TaskState } from "../../domain/TaskState.ts"
import { endedFromJson, EndedJson, endedJson } from "./SignalJson.ts"
import * as WireNames from "./WireNames.ts"

/** Seconds that a client should wait before it repeats a request that met a 503. */
const retryAfterSeconds = 1

/** The body of an error. */
const body = <const Code extends string, const Facts extends Schema.Struct.Fields>(code: Code, facts: Facts) =>
  Schema.Struct({ error: Schema.Struct({ code: Schema.Literal(code), message: Schema.String, ...facts }) })

const batchIndex = Schema.Int.annotate({ description: "Position in the batch; 0 for a single task" })

/** How an error of the engine is written on the wire, and read there. */
interface Wire<Code extends string, Facts extends Schema.Struct.Fields, Self> {
  readonly status: number
  readonly code: Code
  readonly description: string
  readonly facts: Facts
  /** Default: the error with these facts. */
  readonly decode?: (facts: Schema.Struct.Type<Facts>) => Self
  /** Default: the fields of the error that have the names of the facts. */
  readonly encode?: (error: Self) => Schema.Struct.Type<Facts>
  /** The same error with the names that requests have for what it is about. */
  readonly named?: (error: Self) => Self
}

/** An error of the engine as endpoints declare it: its body carries the error's message. */
export const onWire = <
  Self extends Error,
  Target extends Schema.Constraint & { readonly Type: Self; readonly identifier: string; new(facts: never): Self },
  const Code extends string,
  const Facts extends Schema.Struct.Fields
>(
  target: Target & (new(facts: never) => Self),
  { code, description, facts, status, ...wire }: Wire<Code, Facts, Self>
) => {
  const decode = wire.decode ?? ((known) => new target(known as never))
  const encode = wire.encode ?? ((error) => Struct.pick(error, Object.keys(facts) as Array<never>))
  return body(code, facts).annotate({ identifier: target.identifier, description }).pipe(
    Schema.decodeTo(
      Schema.toType(target),
      SchemaTransformation.transform<Self, { readonly error: object }>({
        decode: ({ error }) => decode(error as Schema.Struct.Type<Facts>),
        encode: (error) => {
          const told = wire.named?.(error) ?? error
          return { error: { code, message: told.message, ...encode(told) } }
        }
      }) as never
    ),
    HttpApiSchema.status(status)
  )
}

/** A payload that its task type does not take. */
export const InvalidPayload = onWire(Errors.InvalidPayload, {
  status: 400,
  code: "invalid_payload",
  description: "A payload does not fit its task type",
  facts: { type: Schema.String, issue: Schema.String, index: batchIndex }
})

/** A task type that the server has no definition of. */
export const UnknownTaskType = onWire(Errors.UnknownTaskType, {
  status: 400,
  code: "unknown_task_type",
  description: "A task type that the server does not know",
  facts: { type: Schema.String, known: Schema.Array(Schema.String), index: batchIndex }
})

/** No task has the id. */
export const TaskNotFound = onWire(Errors.TaskNotFound, {
  status: 404,
  code: "task_not_found",
  description: "No task has this id",
  facts: { id: Schema.String },
  encode: ({ id }) => ({ id: shortened(id, maxIdLength) })
})

/** No living instance has the id. */
export const InstanceNotFound = onWire(Errors.InstanceNotFound, {
  status: 404,
  code: "instance_not_found",
  description: "No living instance has this id",
  facts: { id: Schema.String },
  encode: ({ id }) => ({ id: shortened(id, maxIdLength) })
})

/** No limit has the name. */
export const LimitNotFound = onWire(Errors.LimitNotFound, {
  status: 404,
  code: "limit_not_found",
  description: "No limit has this name",
  facts: { name: Schema.String }
})

/** No breaker has the name. */
export const BreakerNotFound = onWire(Errors.BreakerNotFound, {
  status: 404,
  code: "breaker_not_found",
  description: "No breaker has this name",
  facts: { name: Schema.String }
})

/** No schedule has the name. */
export const ScheduleNotFound = onWire(Errors.ScheduleNotFound, {
  status: 404,
  code: "schedule_not_found",
  description: "No schedule has this name",
  facts: { name: Schema.String },
  encode: ({ name }) => ({ name: shortened(name, maxIdLength) })
})

/** A timetable that cannot be kept, or that never ticks. */
export const InvalidTimetable = onWire(Errors.InvalidTimetable, {
  status: 400,
  code: "invalid_timetable",
  description: "A timetable that cannot be read, or that never ticks",
  facts: { at: Schema.String, found: Schema.String, expected: Schema.String },
  decode: ({ at, ...facts }) => new Errors.InvalidTimetable({ at: WireNames.toOption(at), ...facts }),
  named: ({ at, expected, found }) => new Errors.InvalidTimetable({ at: WireNames.ofOption(at), found, expected })
})

/** No signal has the token. */
export const SignalNotFound = onWire(StepErrors.SignalNotFound, {
  status: 404,
  code: "signal_not_found",
  description: "No signal has this token, or its task is gone",
  facts: { token: Schema.String },
  encode: ({ token }) => ({ token: shortened(token, maxIdLength) })
})

/** The signal was completed before, otherwise. */
export const SignalConflict = onWire(StepErrors.SignalConflict, {
  status: 409,
  code: "signal_conflict",
  description: "The signal was completed before with something else, or its task waits for it no longer",
  facts: { token: Schema.String, kept: EndedJson },
  decode: ({ kept, token }) => new StepErrors.SignalConflict({ token, kept: endedFromJson(kept) }),
  encode: ({ kept, token }) => ({ token, kept: endedJson(kept) })
})

/** No batch has the id. */
export const BatchNotFound = onWire(BatchErrors.BatchNotFound, {
  status: 404,
  code: "batch_not_found",
  description: "No batch has this id",
  facts: { batch: Schema.String },
  encode: ({ batch }) => ({ batch: shortened(batch, maxIdLength) })
})

/** No operation has the id. */
export const OperationNotFound = onWire(Operation.OperationNotFound, {
  status: 404,
  code: "operation_not_found",
  description: "No operation has this id",
  facts: { operation: Schema.String },
  encode: ({ operation }) => ({ operation: shortened(operation, maxIdLength) })
})

/** The operation does not take that, as it is. */
export const OperationRefused = onWire(Operation.OperationRefused, {
  status: 409,
  code: "operation_refused",
  description: "The operation cannot begin, has ended, or cannot be taken back",
  facts: { operation: Schema.String, reason: Operation.OperationRefusal }
})

/** The batch takes no members any more. */
export const BatchFinished = onWire(BatchErrors.BatchFinished, {
  status: 409,
  code: "batch_finished",
  description: "The batch has finished or was cancelled, and takes no more members",
  facts: { batch: Schema.String, reason: Schema.Literals(["finished", "cancelled"]) }
})

/** A new task depends on one that is not stored. */
export const UnknownDependency = onWire(DependencyErrors.UnknownDependency, {
  status: 400,
  code: "unknown_dependency",
  description: "A new task depends on one that is not stored",
  facts: { id: Schema.String.annotate({ description: "The task that is not stored" }), index: batchIndex }
})

/** New tasks depend on each other in a circle. */
export const DependencyCycle = onWire(DependencyErrors.DependencyCycle, {
  status: 400,
  code: "dependency_cycle",
  description: "New tasks depend on each other in a circle, or one on itself",
  facts: {
    ids: Schema.Array(Schema.String).annotate({ description: "Each depends on the next one, the last on the first" }),
    index: batchIndex
  }
})

/** More tasks are connected than one request changes. */
export const BranchTooLarge = onWire(DependencyErrors.BranchTooLarge, {
  status: 409,
  code: "branch_too_large",
  description: "More tasks are connected than one request changes; nothing was changed",
  facts: { id: Schema.String, max_members: Schema.Int, max_edges: Schema.Int },
  decode: ({ id, max_edges: maxEdges, max_members: maxMembers }) =>
    new DependencyErrors.BranchTooLarge({ id, maxMembers, maxEdges }),
  encode: ({ id, maxEdges, maxMembers }) => ({ id, max_members: maxMembers, max_edges: maxEdges })
})

/** The key belongs to a task with another payload, or to one that keeps others away. */
export const KeyConflict = onWire(Errors.KeyConflict, {
  status: 409,
  code: "key_conflict",
  description: "The key belongs to a task with another payload, or to one that keeps others away",
  facts: {
    type: Schema.String,
    key: Schema.String,
    id: Schema.String,
    index: batchIndex,
    status: Schema.optionalKey(TaskState).annotate({ description: "Of the task that keeps others away" })
  },
  decode: ({ status, ...facts }) => new Errors.KeyConflict(status === undefined ? facts : { ...facts, state: status }),
  encode: ({ id, index, key, state, type }) => ({
    type,
    key,
    id,
    index,
    ...(state === undefined ? {} : { status: state })
  })
})

/** A later task has the key of this one. */
export const TaskSuperseded = onWire(Errors.TaskSuperseded, {
  status: 409,
  code: "task_superseded",
  description: "A later task has taken the key of this one",
  facts: { id: Schema.String }
})

/** The task's state does not allow the operation. */
export const StateConflict = onWire(Errors.StateConflict, {
  status: 409,
  code: "state_conflict",
  description: "The task's status does not allow this",
  facts: { id: Schema.String, operation: Schema.String, status: TaskState },
  decode: ({ id, operation, status }) => new Errors.StateConflict({ id, operation, state: status }),
  encode: ({ id, operation, state }) => ({ id, operation, status: state })
})

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
    encode: (error) => ({
      headers: { "retry-after": retryAfterSeconds },
      body: error._tag === "StoreError"
        ? storeUnavailable(error)
        : { error: { code: "queue_full" as const, ...factsOf(error) } }
    })
  })
)

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
