/**
 * Counts for statistics what the store has taken in and what it has ended by itself, whichever process asked for it: tasks that were enqueued,
 * that were cancelled or expired while they waited, and leases that ran out. What attempts do is counted where they run.
 */
import { Effect } from "effect"
import type { NewTask, TaskFailure } from "../domain/TaskRecord.ts"
import { withoutTransactions } from "../store/Driver.ts"
import type { Accepted, EnqueueAnswer, Expired } from "../store/TaskStore.ts"
import type { Stores } from "./StoreMetrics.ts"
import type { Tally } from "./Tally.ts"

/** A lease that ran out, as a failure of its attempt: its process has died, or could not renew it. */
const crash: TaskFailure = {
  kind: "defect",
  tag: "InstanceLost",
  message: "The instance that ran the task died, or lost its lease"
}

/** The failure of a task that caused as many crashes as it may. */
const quarantine = (crashes: number): TaskFailure => ({
  kind: "quarantined",
  tag: "TaskQuarantined",
  message: `The process running this task died ${crashes} times`
})

/** The same stores, whose tasks are counted. What an application's transaction writes counts once that is committed. */
export const tallied = ({ records, tasks }: Stores, tally: Tally): Stores => {
  // One effect less for each task that is enqueued, where there are no transactions
  const isFinal = tasks.afterCommit === withoutTransactions.afterCommit
  const whenFinal = <A, E>(effect: Effect.Effect<A, E>, action: (value: A) => void): Effect.Effect<A, E> =>
    isFinal
      ? Effect.map(effect, (value) => {
        action(value)
        return value
      })
      : Effect.tap(effect, (value) => tasks.afterCommit(Effect.sync(() => action(value))))
  const enqueued = (given: ReadonlyArray<NewTask>, accepted: ReadonlyArray<Accepted>): void => {
    for (let index = 0; index < given.length; index++) {
      if (!accepted[index]!.duplicate) tally.count(given[index]!.queue, given[index]!.type, "enqueued")
    }
  }
  const groups = (given: ReadonlyArray<ReadonlyArray<NewTask>>, answers: ReadonlyArray<EnqueueAnswer>): void => {
    for (let index = 0; index < given.length; index++) {
      const answer = answers[index]!
      if (answer._tag === "Accepted") enqueued(given[index]!, answer.tasks)
    }
  }
  const expired = (tasks: ReadonlyArray<Expired>): void => {
    for (const { queue, type } of tasks) tally.count(queue, type, "expired")
  }
  return {
    tasks: {
      ...tasks,
      enqueue: (given) => whenFinal(tasks.enqueue(given), (answers) => groups(given, answers)),
      claim: (request) =>
        Effect.map(tasks.claim(request), (answer) => {
          if (answer.expired !== undefined) expired(answer.expired)
          return answer
        }),
      expire: (limit) =>
        Effect.map(tasks.expire(limit), (answer) => {
          expired(answer)
          return answer
        }),
      rescue: (request) =>
        Effect.map(tasks.rescue(request), (answer) => {
          tally.crashed(answer.rescued.length)
          for (const { crashes, id, state, type } of answer.rescued) {
            // What was to be cancelled, or is too old, has ended as it would have ended without the crash
            if (state === "failed") tally.errors.add(type, quarantine(crashes), true, id)
            else if (state !== "cancelled" && state !== "expired") tally.errors.add(type, crash, false, id)
          }
          return answer
        }),
      cancel: (ids) =>
        whenFinal(
          tasks.cancel(ids),
          (answers) => tally.cancelled(answers.filter((answer) => answer === "cancelled").length)
        ),
      // Those who tell others of what has come of a write ask for it right after
      consequences: () => {
        const consequences = tasks.consequences()
        for (const { queue, state, type } of consequences.dropped) {
          tally.count(queue, type, state)
        }
        return consequences
      }
    },
    records: {
      ...records,
      atomically: (nonce, parts) =>
        whenFinal(records.atomically(nonce, parts), ({ tasks }) => {
          if (parts.tasks !== undefined) enqueued(parts.tasks, tasks)
        })
    }
  }
}
