/** What is asked to become of a waiting task, and what becomes of it. */
import type { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { Seen } from "../domain/Seen.ts"
import type { NewTask } from "../domain/TaskRecord.ts"
import type { TaskState } from "../domain/TaskState.ts"

/** A change of one waiting task. What is left out stays. */
export interface RescheduleRequest
  extends Partial<Pick<NewTask, "payload" | "gate" | "costs" | "priority" | "delayMs" | "runAt" | "startWithinMs">>
{
  readonly id: string
  /** Those that the task has: the gate was made for them. */
  readonly type: string
  readonly version?: number | undefined
  readonly queue: string
  /** The task is only changed as it was seen: it is `unknown` otherwise. */
  readonly seen?: Seen | undefined
}

/**
 * What became of it: only a task that waits can be changed, for its first start or a retry. A task that goes in the order of storing is
 * `ordered`: it has no other priority, and once it has started no other key of its order.
 */
export type RescheduleAnswer =
  | { readonly _tag: "rescheduled" }
  | { readonly _tag: "ordered" }
  | { readonly _tag: "unknown" }
  | { readonly _tag: "conflict"; readonly state: TaskState }

/** Changes waiting tasks, each once in a call; one answer per request. A task that a claim was faster with is left as it is. */
export type Reschedule = (
  requests: ReadonlyArray<RescheduleRequest>
) => Effect.Effect<ReadonlyArray<RescheduleAnswer>, StoreError>
