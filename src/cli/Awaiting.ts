/** Waiting for tasks to finish. */
import { Duration, Effect } from "effect"
import { quoted } from "../domain/ShellWord.ts"
import type { TaskJson } from "../http/api/TaskJson.ts"
import { maxResults } from "../http/api/TasksApi.ts"
import { Failure } from "./Failure.ts"
import { plain } from "./Paint.ts"
import * as Target from "./Target.ts"
import * as Words from "./Words.ts"

/** How long one request waits; then the next one does. */
const wait = Duration.seconds(20)

/** Waits until all of them have finished. A task that is not there fails the command. */
export const finished = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
  const { api, problem, repeatable } = yield* Target.Target
  let waiting = [...new Set(ids)]
  while (waiting.length > 0) {
    const asked = waiting.slice(0, maxResults)
    const { left_out: leftOut = [], results } = yield* Effect.mapError(
      repeatable(api.tasks.results({ payload: { ids: asked, wait } })),
      problem
    )
    for (const { id, status } of results) {
      if (status === "unknown") yield* Effect.mapError(api.tasks.get({ params: { id } }), problem)
    }
    const unfinished = results.filter(({ status }) => status === "unfinished").map(({ id }) => id)
    waiting = [...leftOut, ...waiting.slice(maxResults), ...unfinished]
  }
})

/** Fails unless all of them completed. */
export const allCompleted = (tasks: ReadonlyArray<TaskJson>): Effect.Effect<void, Failure> => {
  const others = tasks.filter(({ status }) => status !== "completed")
  const [one] = others
  if (one === undefined) return Effect.void
  const problem = tasks.length > 1
    ? `${others.length} of ${Words.counted(tasks.length, "task")} did not complete`
    : one.status === "cancelled"
    ? `Task ${one.id} was cancelled`
    : `Task ${one.id} failed: ${plain(one.error?.message ?? "")}`
  return Effect.fail(
    new Failure({
      exit: "failed",
      code: tasks.length > 1 ? "not_completed" : one.status,
      problem,
      advice: `Run it again with: taskforge rerun ${others.slice(0, 3).map(({ id }) => quoted(plain(id))).join(" ")}`
    })
  )
}
