/**
 * Running tasks again as members of a graph: each after those that it depends on, and never without them.
 *
 * A rerun of one task takes what it depends on as it is, whatever has become of that. As a member of a graph a task is run again only where
 * all that it depends on has been completed or has not ended, and waits for the latter. So a caller that runs a graph again from
 * the top may stop after any write: what has been run again waits only for tasks that will end, and the rest is as it was.
 */
import type { Effect } from "effect"
import type { StoreError } from "./Errors.ts"
import * as Settlement from "./Settlement.ts"
import type { TaskRecord } from "./TaskRecord.ts"
import { superseded } from "./Uniqueness.ts"

/** Which of the tasks are run again. */
export interface ReopenOptions {
  /** Whether completed ones are too. Their results are gone then. */
  readonly completed: boolean
  /** Only those that have ended by then, in milliseconds by the store's clock; all when left out. */
  readonly endedBy?: number | undefined
}

/**
 * What became of a task.
 *
 * - `rerun`: it is due now, or waits for others that have not ended
 * - `waiting`: it had not started; it waits also for what it depends on and what runs again since
 * - `running`, `completed`: it is left as it is, the latter unless asked for
 * - `recent`: it has ended later than asked for
 * - `blocked`: one that it depends on has ended without being completed, and is to run again first
 * - `superseded`: a later task has its key
 */
export type ReopenAnswer =
  | { readonly _tag: "rerun" | "waiting" | "running" | "completed" | "recent" | "superseded" | "unknown" }
  | { readonly _tag: "blocked"; readonly by: string }

/** Runs tasks again as members of a graph; one answer per id. Each id is named once, and none depends on another one of the same call. */
export type Reopen = (
  ids: ReadonlyArray<string>,
  options: ReopenOptions
) => Effect.Effect<ReadonlyArray<ReopenAnswer>, StoreError>

/** How those are that a task depends on. */
export interface Standing {
  /** How many it has to wait for: those that have not ended, or whose end it has not been told. */
  readonly open: number
  /** One that has ended without being completed, unless the task is to run all the same. */
  readonly blocking: string | undefined
}

/** A task that depends on none. */
export const free: Standing = { open: 0, blocking: undefined }

/** Whether a task that has ended so keeps one that depends on it from running again. */
export const isBlocking = (state: TaskRecord["state"], onFailure: TaskRecord["onFailure"]): boolean =>
  onFailure !== "run" && (state === "failed" || state === "cancelled" || state === "expired")

/** What `reopen` answers about a stored task, and what it makes of it. */
export const decideReopen = (
  task: Settlement.Current & Pick<TaskRecord, "hold">,
  now: number,
  { completed, endedBy = Infinity }: ReopenOptions,
  { blocking, open }: Standing
): readonly [answer: ReopenAnswer, change?: Settlement.Change] => {
  if (task.state === "running") return [{ _tag: "running" }]
  if (task.state === "scheduled" || task.state === "pending") {
    if (open <= task.waitsFor) return [{ _tag: "waiting" }]
    return [{ _tag: "waiting" }, { ...Settlement.unchanged(task), state: "scheduled", waitsFor: open }]
  }
  if (task.state === "completed" && !completed) return [{ _tag: "completed" }]
  if ((task.completedAt ?? 0) > endedBy) return [{ _tag: "recent" }]
  if (task.hold === superseded) return [{ _tag: "superseded" }]
  if (blocking !== undefined) return [{ _tag: "blocked", by: blocking }]
  return [{ _tag: "rerun" }, Settlement.startOver(task, now, open)]
}
