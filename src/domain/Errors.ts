/**
 * Every error that a caller of the engine can meet. Each carries the facts needed to act on it.
 */
import { Schema } from "effect"
import { shortened } from "./Quoting.ts"
import { TaskFailure } from "./TaskRecord.ts"
import { TaskState } from "./TaskState.ts"

export * from "./DependencyErrors.ts"

/** Characters of a name or an id that a message shows: what tasks can have. */
const maxShownLength = 255

/** The queue has no room for the tasks, or never will have: see `mayFitLater`. Nothing was stored. */
export class QueueFull extends Schema.TaggedError<QueueFull>()("QueueFull", {
  /** How many unfinished tasks the store accepts. */
  capacity: Schema.Int,
  /** How many it holds. */
  unfinished: Schema.Int,
  /** How many were offered together. */
  offered: Schema.Int,
  /** Where it is not their number: the bytes that the tasks of a store may have together, have, and of the offered. */
  size: Schema.optionalKey(
    Schema.Struct({ maxBytes: Schema.Int, storedBytes: Schema.Int, offeredBytes: Schema.Int })
  )
}) {
  /** Whether waiting can help: a batch of more tasks, or larger ones, than the store accepts at all never fits. */
  get mayFitLater(): boolean {
    return this.offered <= this.capacity && (this.size === undefined || this.size.offeredBytes <= this.size.maxBytes)
  }

  override get message(): string {
    if (this.size !== undefined) {
      const { maxBytes, offeredBytes, storedBytes } = this.size
      return this.mayFitLater
        ? `The queue is full: its tasks have ${storedBytes} of ${maxBytes} bytes; try again later, remove finished tasks ` +
          "or raise TASKFORGE_QUEUE_MAX_SIZE"
        : `Tasks of ${offeredBytes} bytes can never fit into a store of ${maxBytes} bytes; send smaller batches or raise ` +
          "TASKFORGE_QUEUE_MAX_SIZE"
    }
    return !this.mayFitLater
      ? `A batch of ${this.offered} tasks can never fit into a capacity of ${this.capacity}; send smaller batches or raise QUEUE_SIZE`
      : `The queue is full: ${this.unfinished} of ${this.capacity} unfinished tasks; try again later or raise QUEUE_SIZE`
  }
}

/** The key belongs to a task with another payload, or to one that keeps others away. Nothing was stored. */
export class KeyConflict extends Schema.TaggedError<KeyConflict>()("KeyConflict", {
  type: Schema.String,
  key: Schema.String,
  /** The task that owns the key. */
  id: Schema.String,
  /** Position in the batch. */
  index: Schema.Int,
  /** Of the task that holds the key, where others are refused whatever their payload is. */
  state: Schema.optionalKey(TaskState)
}) {
  override get message(): string {
    if (this.state !== undefined) {
      return `The key ${JSON.stringify(this.key)} of type ${JSON.stringify(this.type)} is held by task ${this.id}, ` +
        `which is ${this.state}`
    }
    return `The key ${JSON.stringify(this.key)} of type ${
      JSON.stringify(this.type)
    } belongs to task ${this.id}, which has another payload`
  }
}

/** An option that is outside of its bound. Nothing was stored. */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  /** As a program names it: `maxRetries`. */
  option: Schema.String,
  /** The value, as text that may be cut. */
  found: Schema.String,
  /** The bound. */
  expected: Schema.String,
  /** Position in the batch; 0 where there is none. */
  index: Schema.Int
}) {
  override get message(): string {
    return `The option ${this.option} is ${this.found}; expected ${this.expected}`
  }
}

/** A timetable that cannot be kept, or that never ticks. */
export class InvalidTimetable extends Schema.TaggedError<InvalidTimetable>()("InvalidTimetable", {
  /** Which part of it: `cron, day of month`, `timeZone`. */
  at: Schema.String,
  /** What stands there, as text that may be cut. */
  found: Schema.String,
  /** What may stand there. */
  expected: Schema.String
}) {
  override get message(): string {
    return `The timetable is not valid at ${this.at}: found ${this.found}; expected ${this.expected}`
  }
}

/** A payload that its definition does not accept. */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  type: Schema.String,
  /** The schema's own description of what is wrong and where. */
  issue: Schema.String,
  /** Position in the batch. */
  index: Schema.Int
}) {
  override get message(): string {
    const place = this.index > 0 ? ` at index ${this.index} of the batch` : ""
    return `The payload${place} does not fit task type ${JSON.stringify(this.type)}: ${this.issue}`
  }
}

/** The types that a message names: a program may have hundreds. */
const maxNamedTypes = 20

/** No definition has this type. */
export class UnknownTaskType extends Schema.TaggedError<UnknownTaskType>()("UnknownTaskType", {
  type: Schema.String,
  known: Schema.Array(Schema.String),
  /** Position in the batch. */
  index: Schema.Int
}) {
  override get message(): string {
    const type = JSON.stringify(shortened(this.type, maxShownLength))
    const named = this.known.slice(0, maxNamedTypes).join(", ") || "none"
    const more = this.known.length - maxNamedTypes
    return `Unknown task type ${type}; known types: ${named}${more > 0 ? ` and ${more} more` : ""}`
  }
}

/** No definition has the type that a reader asks about. */
export class DefinitionNotFound extends Schema.TaggedError<DefinitionNotFound>()("DefinitionNotFound", {
  type: Schema.String,
  /** The known type that was meant, if one is close. */
  nearest: Schema.NullOr(Schema.String)
}) {
  override get message(): string {
    const type = JSON.stringify(shortened(this.type, maxShownLength))
    return `No definition has the type ${type}` +
      (this.nearest === null
        ? "; GET /api/v1/definitions lists them"
        : `; did you mean ${JSON.stringify(this.nearest)}?`)
  }
}

/** No task has this id, or it has been pruned. */
export class TaskNotFound extends Schema.TaggedError<TaskNotFound>()("TaskNotFound", { id: Schema.String }) {
  override get message(): string {
    return `No task has the id ${shortened(this.id, maxShownLength)}; it never existed or has been removed`
  }
}

/** No limit has this name: no instance has run a type with it, and no operator has set it. */
export class LimitNotFound extends Schema.TaggedError<LimitNotFound>()("LimitNotFound", { name: Schema.String }) {
  override get message(): string {
    return `No limit has the name ${JSON.stringify(shortened(this.name, maxShownLength))}; ` +
      "a limit is known once an instance that runs its type has started"
  }
}

/** No breaker has this name: no instance has run a type with it. */
export class BreakerNotFound extends Schema.TaggedError<BreakerNotFound>()("BreakerNotFound", { name: Schema.String }) {
  override get message(): string {
    return `No breaker has the name ${JSON.stringify(shortened(this.name, maxShownLength))}; ` +
      "a breaker is known once an instance that runs its type has started"
  }
}

/** No schedule has this name. */
export class ScheduleNotFound
  extends Schema.TaggedError<ScheduleNotFound>()("ScheduleNotFound", { name: Schema.String })
{
  override get message(): string {
    return `No schedule has the name ${JSON.stringify(shortened(this.name, maxShownLength))}`
  }
}

/** No living instance has this id: it has stopped, or its lease has run out. */
export class InstanceNotFound
  extends Schema.TaggedError<InstanceNotFound>()("InstanceNotFound", { id: Schema.String })
{
  override get message(): string {
    return `No living instance has the id ${shortened(this.id, maxShownLength)}`
  }
}

/** The operation does not fit the task's state, for instance a rerun of a task that is still running. */
export class StateConflict extends Schema.TaggedError<StateConflict>()("StateConflict", {
  id: Schema.String,
  operation: Schema.String,
  state: TaskState
}) {
  override get message(): string {
    return `Cannot ${this.operation} task ${this.id}: it is ${this.state}`
  }
}

/** A later task has the key of this one, which would hold it once more. Enqueue it again instead. */
export class TaskSuperseded extends Schema.TaggedError<TaskSuperseded>()("TaskSuperseded", { id: Schema.String }) {
  override get message(): string {
    return `Cannot rerun task ${this.id}: a later task has taken its key. Enqueue it again instead`
  }
}

/** A put met a record of another version than it expects. Nothing of it was done; read the record and decide again. */
export class RecordConflict extends Schema.TaggedError<RecordConflict>()("RecordConflict", {
  kind: Schema.String,
  id: Schema.String,
  /** Position in the put. */
  index: Schema.Int,
  /** The version that the change expects; 0 for none. */
  expected: Schema.Int,
  /** The version that is there; 0 for none. */
  found: Schema.Int
}) {
  override get message(): string {
    const version = (number: number) => number === 0 ? "not there" : `of version ${number}`
    return `The record ${JSON.stringify(this.id)} of kind ${JSON.stringify(this.kind)} is ${version(this.found)}; ` +
      `the put expects that it is ${version(this.expected)}`
  }
}

/** The store did not answer or refused. Nothing is known about the outcome unless the operation is a read. */
export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  operation: Schema.String,
  reason: Schema.String,
  /** The store works and refuses what it was given: nothing was done, and asking for the same again cannot help. */
  refused: Schema.optionalKey(Schema.Boolean),
  /** What to do about it, where the store will refuse writes until an operator acts. */
  advice: Schema.optionalKey(Schema.String),
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `The store failed to ${this.operation}: ${this.reason}`
  }
}

/** The store cannot be used as it is: a newer version wrote it, or its settings differ. Waiting does not help. */
export class StoreIncompatible extends Schema.TaggedError<StoreIncompatible>()("StoreIncompatible", {
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** The awaited task was cancelled. */
export class TaskCancelled extends Schema.TaggedError<TaskCancelled>()("TaskCancelled", { id: Schema.String }) {
  override get message(): string {
    return `Task ${this.id} was cancelled`
  }
}

/** The awaited task did not start in the time in which it was of use: see `expiresIn`. */
export class TaskExpired extends Schema.TaggedError<TaskExpired>()("TaskExpired", {
  id: Schema.String,
  /** Why its last attempt did not complete, where it has had one that failed. */
  failure: Schema.NullOr(TaskFailure)
}) {
  override get message(): string {
    return this.failure === null
      ? `Task ${this.id} expired: it did not start in time`
      : `Task ${this.id} expired: it would have run again too late. Its last attempt failed: ${this.failure.message}`
  }
}

const ofLastAttempt = { id: Schema.String, failure: TaskFailure }

/** The awaited task's last attempt ran longer than its timeout. */
export class TaskTimedOut extends Schema.TaggedError<TaskTimedOut>()("TaskTimedOut", ofLastAttempt) {
  override get message(): string {
    return `Task ${this.id} timed out: ${this.failure.message}`
  }
}

/** What a batch handler gave is not an `Exit` for each task: a defect of its tasks, each of which is retried by its policy. */
export class BatchMismatch extends Schema.TaggedError<BatchMismatch>()("BatchMismatch", {
  type: Schema.String,
  /** How many tasks the batch had. */
  tasks: Schema.Int,
  /** How many results there were, or what else. */
  found: Schema.String
}) {
  override get message(): string {
    return `The batch handler of ${
      JSON.stringify(this.type)
    } must give one Exit for each task, in the order of the tasks: ` +
      `expected ${this.tasks}, found ${this.found}`
  }
}

/** The awaited task killed its process too often and will not run again by itself. */
export class TaskQuarantined extends Schema.TaggedError<TaskQuarantined>()("TaskQuarantined", ofLastAttempt) {
  override get message(): string {
    return `Task ${this.id} is quarantined: ${this.failure.message}`
  }
}

/** The awaited task failed with something its definition does not declare: a thrown error, or data that does not fit. */
export class TaskDefect extends Schema.TaggedError<TaskDefect>()("TaskDefect", ofLastAttempt) {
  override get message(): string {
    return `Task ${this.id} failed unexpectedly: ${this.failure.message}`
  }
}

/**
 * The attempt does not hold its task any more: its lease ran out and another instance has it, or it has ended. Fail with it
 * inside a transaction, and the transaction is rolled back.
 */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  id: Schema.String,
  /** The number of the claim that is not valid any more. */
  claim: Schema.Int
}) {
  override get message(): string {
    return `Claim ${this.claim} of task ${this.id} is not valid any more; this attempt can change nothing`
  }
}

/**
 * A result was awaited inside a transaction that the store's writes join. No instance can run a task before it is
 * committed, so the wait would never end.
 */
export class ResultInTransaction extends Schema.TaggedError<ResultInTransaction>()("ResultInTransaction", {
  id: Schema.String
}) {
  override get message(): string {
    return `The result of task ${this.id} cannot be awaited inside a transaction; await it after the commit`
  }
}
