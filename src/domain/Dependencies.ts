/**
 * What a task waits for: the ends of other tasks. A task that waits for some is `scheduled`, whenever it is due, and says in
 * `waitsFor` how many have not ended. What the end of one means for it is decided by `Settlement.dependenciesEnded`.
 */
import { Schema } from "effect"
import type { FinishedState } from "./TaskState.ts"

/**
 * What becomes of a task when one that it depends on ends without being completed.
 *
 * - `fail`: it fails at once, with the reason
 * - `cancel`: it is cancelled at once, with the reason
 * - `run`: that task counts like a completed one
 */
export const OnFailure = Schema.Literals(["fail", "cancel", "run"])

export type OnFailure = typeof OnFailure.Type

/** What happens unless the task says otherwise. */
export const defaultOnFailure: OnFailure = "fail"

/** Tasks that one may depend on. */
export const maxDependencies = 100_000

/** A task that others depended on, and how it ended. */
export interface EndedDependency {
  readonly id: string
  readonly state: FinishedState
}

const endings: Readonly<Record<FinishedState, string>> = {
  completed: "was completed",
  failed: "failed",
  cancelled: "was cancelled",
  expired: "expired"
}

/** Why a task ends that depended on another one. */
export const failureOf = (dependency: EndedDependency) => ({
  kind: "dependency" as const,
  tag: "DependencyFailed",
  message: `The task ${dependency.id}, which this one depends on, ${endings[dependency.state]}`,
  dependency
})

/** What a new task says about the tasks that it depends on. */
export interface Dependent {
  readonly id: string
  readonly after?: ReadonlyArray<string> | undefined
}

/** Whether a new task depends on others. */
export const isDependent = ({ after }: Pick<Dependent, "after">): boolean => after !== undefined && after.length > 0

/**
 * The ids of tasks of which each depends on the next one, and the last on the first; `undefined` where there are none. Takes as long
 * as there are tasks and dependencies.
 */
export const cycleOf = (tasks: ReadonlyArray<Dependent>): ReadonlyArray<string> | undefined => {
  const open = new Map<string, { readonly task: Dependent; next: number }>()
  for (const task of tasks) if (isDependent(task)) open.set(task.id, { task, next: 0 })
  // a path is followed until it ends in what depends on nothing else, so a loop of calls would be as deep as a chain is long
  for (const [start] of open) {
    const path = [start]
    const onPath = new Set(path)
    while (path.length > 0) {
      const id = path[path.length - 1]!
      const place = open.get(id)
      const next = place?.task.after![place.next++]
      if (next === undefined) {
        open.delete(id)
        onPath.delete(id)
        path.pop()
      } else if (onPath.has(next)) {
        return path.slice(path.indexOf(next))
      } else if (open.has(next)) {
        path.push(next)
        onPath.add(next)
      }
    }
  }
  return undefined
}
