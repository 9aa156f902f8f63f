/**
 * Types of tasks that wait although no living instance can run them: a worker that was not deployed, or one that is gone.
 * Nothing fails then, so nothing else would tell.
 */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { TaskQueue } from "../queue/TaskQueue.ts"
import type { Counts } from "../store/TaskStore.ts"

/** A type without an instance. */
export interface StrandedType {
  readonly type: string
  /** Tasks of it among the latest that wait. */
  readonly count: number
  /** When the oldest of them became due. */
  readonly since: number
}

/** How long a task waits before that is worth a word, in milliseconds: an instance may be about to start. */
const patienceMs = 15_000

/** Waiting tasks that are looked through at most. */
const most = 1000

/** Finds them among the known types. Costs a read of the list of instances, and more only when something is amiss. */
export const find = Effect.fnUntraced(function*(
  queue: TaskQueue["Service"],
  known: ReadonlyArray<string>,
  { pending }: Pick<Counts, "pending">
): Effect.fn.Return<ReadonlyArray<StrandedType>, StoreError> {
  if (pending === 0) return []
  const { instances, now } = yield* queue.instances
  const handled = new Set(instances.flatMap(({ types }) => types))
  const types = known.filter((type) => !handled.has(type))
  if (types.length === 0) return []
  const { tasks } = yield* queue.list({ states: ["pending"], types, limit: most })
  const stranded = new Map<string, StrandedType>()
  for (const { dueAt, type } of tasks) {
    if (now - dueAt < patienceMs) continue
    const { count, since } = stranded.get(type) ?? { count: 0, since: dueAt }
    stranded.set(type, { type, count: count + 1, since: Math.min(since, dueAt) })
  }
  return [...stranded.values()]
})
