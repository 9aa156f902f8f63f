/** What operators do to one task, or to many with one request to the store or the server. */
import { Array, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { StateConflict, type StoreError, TaskNotFound, TaskSuperseded } from "../domain/Errors.ts"
import type { TaskState } from "../domain/TaskState.ts"
import type { CancelAnswer, RemoveAnswer, RerunAnswer } from "../store/TaskStore.ts"

/**
 * A function of an id, or of many. With one id it fails where it could do nothing. With many it answers for each, in their
 * order, and fails only where the store does.
 *
 * @example
 * ```ts
 * const program = Effect.gen(function*() {
 *   const queue = yield* TaskQueue
 *   const answer = yield* queue.cancel("one")
 *   const answers = yield* queue.cancel(["two", "three"])
 * })
 * ```
 */
export interface OneOrMany<out Each, out A, out E> {
  (id: string): Effect.Effect<A, E | StoreError>
  (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Each>, StoreError>
}

type Many<Each> = (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Each>, StoreError>

/** Builds one from the operation on many ids, and from what an answer means to a caller with one id. */
const of = <Each, A, E>(
  many: Many<Each>,
  one: (answer: Each, id: string) => Effect.Effect<A, E>
): OneOrMany<Each, A, E> =>
  ((ids: string | ReadonlyArray<string>) =>
    typeof ids === "string"
      ? Effect.flatMap(many([ids]), ([answer]) => one(answer!, ids))
      : many(ids)) as OneOrMany<Each, A, E>

const notFound = (id: string) => Effect.fail(new TaskNotFound({ id }))

/** Cancels. */
export const cancel = (many: Many<CancelAnswer>) =>
  of(many, (answer, id) => answer === "unknown" ? notFound(id) : Effect.succeed(answer))

/** Runs again. */
export const rerun = (many: Many<RerunAnswer>) =>
  of(many, (answer, id): Effect.Effect<void, TaskNotFound | StateConflict | TaskSuperseded> =>
    answer._tag === "unknown"
      ? notFound(id)
      : answer._tag === "superseded"
      ? Effect.fail(new TaskSuperseded({ id }))
      : answer._tag === "conflict"
      ? Effect.fail(new StateConflict({ id, operation: "rerun", state: answer.state }))
      : Effect.void)

/** Removes. `stateOf` finds out in which state a task is that has not finished. */
export const remove = (
  many: Many<RemoveAnswer>,
  stateOf: (id: string) => Effect.Effect<TaskState, TaskNotFound | StoreError>
) =>
  of(many, (answer, id): Effect.Effect<void, TaskNotFound | StateConflict | StoreError> =>
    answer === "unknown"
      ? notFound(id)
      : answer === "unfinished"
      ? Effect.flatMap(stateOf(id), (state) => Effect.fail(new StateConflict({ id, operation: "remove", state })))
      : Effect.void)

/** Asks about each id once, a bounded number at a time, and not about those that no task can have. */
export const each = <A>(canBeAsked: (id: string) => boolean, unknown: A, ask: Many<A>): Many<A> => (ids) => {
  const asked = [...new Set(ids)].filter(canBeAsked)
  return Effect.map(Effect.forEach(Array.chunksOf(asked, Bounds.maxIds), ask), (answers) => {
    const byId = new Map(answers.flat().map((answer, index) => [asked[index]!, answer]))
    return ids.map((id) => byId.get(id) ?? unknown)
  })
}
