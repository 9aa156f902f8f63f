import { Effect } from "effect"
import { Command } from "effect/cli"
import * as Json from "../Json.ts"
import * as Selection from "../Selection.ts"
import * as Target from "../Target.ts"

/** Stops tasks. */
export const command = Command.make("cancel", {
  ...Target.flags,
  json: Json.flag,
  ...Selection.flags(["scheduled", "pending", "running"])
}, (input) =>
  Target.provide(input)(Selection.each(input, {
    doing: "Cancelling",
    selectable: ["scheduled", "pending", "running"],
    one: (id) =>
      Effect.gen(function*() {
        const { api, repeatable } = yield* Target.Target
        const { status } = yield* repeatable(api.tasks.cancel({ params: { id } }))
        return status
      }),
    many: (ids) => Target.Target.use(({ api, repeatable }) => repeatable(api.tasks.cancelAll({ payload: { ids } }))),
    words: {
      cancelled: "Cancelled; it will not start",
      requested: "Running; it is being stopped",
      finished: "Finished already, nothing to cancel"
    }
  }))).pipe(
    Command.withDescription("Cancel tasks: waiting ones never start, running ones are interrupted"),
    Command.withShortDescription("Stop tasks, waiting or running"),
    Command.withExamples([
      { command: "taskforge cancel 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae", description: "One task" },
      { command: "taskforge cancel --status pending --type email", description: "All waiting tasks of one type" }
    ])
  )
