/** Sending tasks, each under an id that is chosen here: a request whose reply was lost can be sent again. */
import { Effect, Schedule } from "effect"
import { SecureRandom } from "effect/crypto"
import { QueueFull } from "../domain/Errors.ts"
import type { CreatedTaskJson as CreatedTask, KnownTaskJson } from "../http/api/TaskJson.ts"
import type { NewTaskJson } from "../http/api/TasksApi.ts"
import type { Failure } from "./Failure.ts"
import * as Target from "./Target.ts"

/** Waits while a full queue has no room: doubling from 100 ms to 2 s. */
const roomBackoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")]).pipe(
  Schedule.jittered
)

/** Stores all of them or none. */
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
