/**
 * Tasks that wait although no living instance can run them: of a type whose instances were not deployed or are gone, or
 * in a queue that none of them works on. Nothing fails then, so nothing else would tell.
 */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { Trouble } from "../observability/Supervisor.ts"
import type { TaskQueue } from "../queue/TaskQueue.ts"
import type { Counts, Stranded, TaskStore } from "../store/TaskStore.ts"

/** How long a task waits before that is worth a word, in milliseconds: an instance may be about to start. */
const patienceMs = 15_000

/** Pairs of queue and type that are named at most. */
const maxNamed = 100

/** Finds them. Costs two reads while tasks wait, however many there are and in however many queues. */
export const find = Effect.fnUntraced(function*(
  queue: TaskQueue["Service"],
  store: TaskStore["Service"],
  { pending, scheduled }: Pick<Counts, "pending" | "scheduled">
): Effect.fn.Return<ReadonlyArray<Stranded>, StoreError> {
  // Nothing may have promoted what has become due, as only claims do
  if (pending === 0 && scheduled === 0) return []
  const { instances, now } = yield* queue.instances
  const runnable = instances.map(({ queues, types }) => ({ types, queues: queues.length === 0 ? undefined : queues }))
  const stranded = yield* store.stranded(runnable, maxNamed)
  return stranded.filter(({ since }) => now - since >= patienceMs)
})

/** What health says of them. */
export const trouble = ({ queue, since, type }: Stranded): Omit<Trouble, "reason"> => ({
  part: `no instance for ${type} in queue ${queue}`,
  since,
  failures: 1,
  advice: `start an instance that runs ${type} and works on the queue ${queue}, or cancel its tasks`
})
