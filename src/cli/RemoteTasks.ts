/** Tasks of the target: sending them, and waiting for their end. */
import { Duration, Effect, Schedule } from "effect"
import { SecureRandom } from "effect/crypto"
import { QueueFull } from "../domain/Errors.ts"
import { quoted } from "../domain/Quoting.ts"
import type { CreatedTaskJson as CreatedTask, KnownTaskJson, TaskJson } from "../http/api/TaskJson.ts"
import { maxResults, type NewTaskJson } from "../http/api/TasksApi.ts"
import { Failure } from "./Failure.ts"
import * as Screen from "./Screen.ts"
import * as Target from "./Target.ts"
import * as Words from "./Words.ts"

/** Waits while a full queue has no room: doubling from 100 ms to 2 s. */
const roomBackoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")]).pipe(
  Schedule.jittered
)

/** Stores all of them or none, each under an id that is chosen here: a request whose reply was lost can be sent again. */
export const submit = Effect.fnUntraced(function*(
  tasks: ReadonlyArray<NewTaskJson>,
  whenFull: "fail" | "wait",
  patient = false
) {
  const target = yield* Target.Target
  const { api, problem } = target
  const repeatable = patient ? target.patient : target.repeatable
  const random = yield* SecureRandom.SecureRandom
  const payload = yield* Effect.forEach(
    tasks,
    (task) => task.id === undefined ? Effect.map(random.uuidV7(), (id) => ({ ...task, id })) : Effect.succeed(task)
  )
  const created = yield* repeatable(api.tasks.create({ payload })).pipe(
    Effect.retry({
      schedule: roomBackoff,
      while: (error) => whenFull === "wait" && error instanceof QueueFull && error.mayFitLater
    }),
    Effect.mapError(problem)
  )
  const stored = yield* Effect.forEach(
    listOf<CreatedTask | KnownTaskJson>(created),
    (task): Effect.Effect<CreatedTask, Failure> =>
      "type" in task
        ? Effect.succeed(task)
        : Effect.mapError(
          Effect.map(
            repeatable(api.tasks.get({ params: { id: task.id } })),
            (found) => ({ ...found, duplicate: true as const })
          ),
          problem
        )
  )
  return stored.map((task, index): CreatedTask => {
    if (tasks[index]!.id !== undefined || task.id !== payload[index]!.id) return task
    // It was stored by a request of ours whose reply was lost
    const { duplicate: _, ...fresh } = task
    return fresh
  })
})

/** One task is answered as it is, several as an array. */
const listOf = <A>(answer: A | ReadonlyArray<A>): ReadonlyArray<A> => Array.isArray(answer) ? answer : [answer as A]

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
