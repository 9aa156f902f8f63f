/** Tasks of the target: sending them, and waiting for their end. */
import { Duration, Effect } from "effect"
import { quoted } from "../domain/Quoting.ts"
import { type NewTaskJson } from "../http/api/NewTaskJson.ts"
import type { CreatedTaskJson as CreatedTask, TaskJson } from "../http/api/TaskJson.ts"
import { maxResults } from "../http/api/TasksApi.ts"
import * as ApiClient from "../http/client/ApiClient.ts"
import { Failure } from "./Failure.ts"
import * as Screen from "./Screen.ts"
import * as Target from "./Target.ts"
import * as Words from "./Words.ts"

/** Stores all of them or none. */
export const submit = Effect.fnUntraced(function*(
  tasks: ReadonlyArray<NewTaskJson>,
  whenFull: "fail" | "wait",
  isPatient = false
) {
  const { api, patient, problem, repeatable } = yield* Target.Target
  const send = isPatient ? patient : repeatable
  const created = ApiClient.create(tasks, whenFull, (payload) => send(api.tasks.create({ payload })))
  return yield* Effect.mapError(
    Effect.flatMap(created, (created) =>
      Effect.forEach(created, (task) =>
        "type" in task
          ? Effect.succeed(task)
          : Effect.map(
            send(api.tasks.get({ params: { id: task.id } })),
            (found): CreatedTask => ({ ...found, ...task })
          ))),
    problem
  )
})

/** How long one request waits; then the next one does. */
const wait = Duration.seconds(20)

/** Waits until all of them have finished. A task that is not there fails the command. */
export const finished = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
  const { api, ask, problem } = yield* Target.Target
  let waiting = [...new Set(ids)]
  while (waiting.length > 0) {
    const asked = waiting.slice(0, maxResults)
    const { left_out: leftOut = [], results } = yield* ask(api.tasks.results({ payload: { ids: asked, wait } }))
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
    : one.status === "expired"
    ? `Task ${one.id} expired before it could start`
    : `Task ${one.id} failed: ${Screen.plain(one.error?.message ?? "")}`
  return Effect.fail(
    new Failure({
      exit: "failed",
      code: tasks.length > 1 ? "not_completed" : one.status,
      problem,
      advice: `Run it again with: taskforge rerun ${
        others.slice(0, 3).map(({ id }) => quoted(Screen.plain(id))).join(" ")
      }`
    })
  )
}
