/**
 * What operators do to tasks and queues.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as Settlement from "../../domain/Settlement.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished } from "../../domain/TaskState.ts"
import type { CancelAnswer, RemoveAnswer, RerunAnswer } from "../TaskStore.ts"
import type { Capacity } from "./Capacity.ts"
import { type Database, numbers } from "./Database.ts"
import type { Decided, Tasks } from "./Task.ts"

/** Prepares the operations. */
export const make = ({ once: { transaction }, query, schema }: Database, tasks: Tasks, capacity: Capacity) => {
  const clock = `SELECT ${schema}.now_ms()::float8`
  const remove = `WITH gone AS (
      DELETE FROM ${schema}.task WHERE seq = ANY ($1::float8[]::bigint[]) RETURNING state, queue, type
    )
    INSERT INTO ${schema}.tally (queue, type, completed, failed, cancelled)
    SELECT queue, type, -count(*) FILTER (WHERE state = 3), -count(*) FILTER (WHERE state = 4),
      -count(*) FILTER (WHERE state = 5)
    FROM gone GROUP BY queue, type`
  const pause = `INSERT INTO ${schema}.paused_queue (queue) VALUES ($1) ON CONFLICT DO NOTHING`
  const resume = `DELETE FROM ${schema}.paused_queue WHERE queue = $1`

  /** Decides about each id in turn, on what the ones before have made of its task, and writes the changes. */
  const change = <A>(
    operation: string,
    ids: ReadonlyArray<string>,
    unknown: A,
    decide: (task: TaskRecord, now: number) => readonly [answer: A, change: Settlement.Change | undefined]
  ): Effect.Effect<ReadonlyArray<A>, StoreError> =>
    ids.length === 0 ? Effect.succeed([]) : transaction(
      operation,
      Effect.gen(function*() {
        const found = yield* tasks.lock(operation, ids)
        const [row] = yield* query<[now: number]>(operation, clock)
        const decided = new Map<string, Decided>()
        const answers = ids.map((id) => {
          const task = found.get(id)
          if (task === undefined) return unknown
          const before = decided.get(id)
          const [answer, change] = decide({ ...task, ...before?.change }, row![0])
          if (change !== undefined) decided.set(id, { task, change })
          return answer
        })
        yield* tasks.apply(operation, [...decided.values()])
        return answers
      })
    )

  return {
    cancel: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<CancelAnswer>, StoreError> =>
      change<CancelAnswer>("cancel", ids, "unknown", (task, now) => {
        const cancelled = Settlement.cancel(task, now)
        if (cancelled === undefined) return ["finished", undefined]
        return [cancelled.state === "running" ? "requested" : "cancelled", cancelled]
      }),

    rerun: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RerunAnswer>, StoreError> =>
      change<RerunAnswer>("rerun", ids, { _tag: "unknown" }, (task, now) => {
        const due = Settlement.rerun(task, now)
        return due === undefined
          ? [{ _tag: "conflict", state: task.state }, undefined]
          : [{ _tag: "rerun" }, due]
      }).pipe(
        // They are unfinished again, which the count of this process would not know for a second
        Effect.tap((answers) => Effect.sync(() => capacity.add(answers.filter(({ _tag }) => _tag === "rerun").length)))
      ),

    remove: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RemoveAnswer>, StoreError> =>
      ids.length === 0 ? Effect.succeed([]) : transaction(
        "remove",
        Effect.gen(function*() {
          const found = yield* tasks.lock("remove", ids)
          const gone: Array<number> = []
          const answers = ids.map((id): RemoveAnswer => {
            const task = found.get(id)
            if (task === undefined) return "unknown"
            if (!isFinished(task.state)) return "unfinished"
            found.delete(id)
            gone.push(task.seq)
            return "removed"
          })
          if (gone.length > 0) yield* query("remove", remove, [numbers(gone)])
          return answers
        })
      ),

    pause: (queue: string, paused: boolean): Effect.Effect<void, StoreError> =>
      Effect.asVoid(query("pause", paused ? pause : resume, [queue]))
  }
}
