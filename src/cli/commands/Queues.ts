import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import * as Json from "../Json.ts"
import * as Paint from "../Paint.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"

const config = {
  ...Target.flags,
  json: Json.flag,
  queues: Argument.String("queue").pipe(
    Argument.withDescription("The queue; tasks without one are in default"),
    Argument.variadic({ min: 1 })
  )
}

interface Input {
  readonly json: boolean
  readonly queues: ReadonlyArray<string>
}

/** Stops the start of tasks. */
export const pause = Command.make("pause", config, (input) => Target.provide(input)(each(input, "pause"))).pipe(
  Command.withDescription("Start no more tasks of a queue, on all instances; running tasks go on"),
  Command.withShortDescription("Start no more tasks of a queue"),
  Command.withExamples([{ command: "taskforge pause mail", description: "While the mail server is down" }])
)

/** Goes on. */
export const resume = Command.make("resume", config, (input) => Target.provide(input)(each(input, "resume"))).pipe(
  Command.withDescription("Start tasks of a paused queue again"),
  Command.withExamples([{ command: "taskforge resume mail", description: "When the mail server is back" }])
)

const each = Effect.fnUntraced(function*({ json, queues }: Input, action: "pause" | "resume") {
  const { api, problem, repeatable } = yield* Target.Target
  const paint = Paint.make(yield* Screen.Screen)
  for (const queue of queues) {
    yield* Effect.mapError(repeatable(api.queues[action]({ params: { queue } })), problem)
    if (action === "pause") yield* warnOfUnknown(queue)
    if (json) yield* Screen.json({ queue, paused: action === "pause" })
    else {
      yield* Screen.line(
        action === "pause"
          ? `${paint.warn("‖")} ${paint.bold(Paint.plain(queue))} is paused; go on with: taskforge resume ${
            Paint.plain(queue)
          }`
          : `${paint.good("▸")} ${paint.bold(Paint.plain(queue))} goes on`
      )
    }
  }
})

/** Tasks that are looked at for the names of queues. */
const looked = 200

/** A queue that no task is in may be a typing error. It is paused all the same: its tasks may come later. */
const warnOfUnknown = Effect.fnUntraced(function*(queue: string) {
  const { api, problem, repeatable } = yield* Target.Target
  const { tasks: own } = yield* Effect.mapError(
    repeatable(api.tasks.list({ query: { queue: [queue], limit: 1 } })),
    problem
  )
  if (own.length > 0) return
  const { tasks } = yield* Effect.mapError(repeatable(api.tasks.list({ query: { limit: looked } })), problem)
  const names = [...new Set(tasks.map((task) => task.queue))].toSorted().map(Paint.plain)
  const known = names.length === 0 ? "" : `; the latest tasks are in ${names.join(", ")}`
  yield* Screen.lineError(`! No task is in the queue ${Paint.plain(queue)}${known}`)
})
