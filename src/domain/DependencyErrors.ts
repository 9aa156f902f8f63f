/** Errors about tasks that depend on others. */
import { Schema } from "effect"
import { shortened } from "./Quoting.ts"
import { TaskFailure } from "./TaskRecord.ts"
import { FinishedState } from "./TaskState.ts"

/** Characters of an id that a message shows. */
const maxShownLength = 255

/** Ids of a circle that a message shows. */
const maxShownIds = 10

/** A new task depends on one that is not stored: it never was, or has been removed. Nothing was stored. */
export class UnknownDependency extends Schema.TaggedError<UnknownDependency>()("UnknownDependency", {
  /** The task that is not there. */
  id: Schema.String,
  /** Position in the batch of the task that depends on it. */
  index: Schema.Int
}) {
  override get message(): string {
    return `The task at index ${this.index} depends on ${
      JSON.stringify(shortened(this.id, maxShownLength))
    }, which no task has ` +
      "as its id: it never existed or has been removed"
  }
}

/** New tasks depend on each other in a circle, or one on itself: none could ever start. Nothing was stored. */
export class DependencyCycle extends Schema.TaggedError<DependencyCycle>()("DependencyCycle", {
  /** Each depends on the next one, and the last on the first. */
  ids: Schema.Array(Schema.String),
  /** Position in the batch of the first of them. */
  index: Schema.Int
}) {
  override get message(): string {
    const shown = this.ids.slice(0, maxShownIds).map((id) => shortened(id, maxShownLength))
    const left = this.ids.length - shown.length
    const more = left === 0 ? `, ${shown[0]}` : `, and ${left} more`
    return `Tasks depend on each other in a circle, so none can start: ${shown.join(", ")}${more}`
  }
}

/** The awaited task was not run, because one that it depends on did not complete. */
export class DependencyFailed extends Schema.TaggedError<DependencyFailed>()("DependencyFailed", {
  id: Schema.String,
  /** That task, and how it ended; `null` where an older server does not say so. */
  dependency: Schema.NullOr(Schema.Struct({ id: Schema.String, state: FinishedState })),
  failure: TaskFailure
}) {
  override get message(): string {
    return `Task ${this.id} was not run: ${this.failure.message}`
  }
}

/** More tasks are connected than one call changes. Nothing was changed. */
export class BranchTooLarge extends Schema.TaggedError<BranchTooLarge>()("BranchTooLarge", {
  /** The task that was named. */
  id: Schema.String,
  maxMembers: Schema.Int,
  /** Dependencies between them. */
  maxEdges: Schema.Int
}) {
  override get message(): string {
    const id = JSON.stringify(shortened(this.id, maxShownLength))
    return `With the task ${id} more than ${this.maxMembers} tasks, or more than ${this.maxEdges} dependencies between ` +
      "tasks, are connected, which one call does not change: begin with tasks further down, or use an operation on all " +
      "tasks that match a filter"
  }
}
