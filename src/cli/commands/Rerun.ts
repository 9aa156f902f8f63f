import { Effect } from "effect"
import { Command } from "effect/cli"
import * as Json from "../Json.ts"
import * as Selection from "../Selection.ts"
import * as Target from "../Target.ts"

/** Runs finished tasks again. */
export const command = Command.make("rerun", {
  ...Target.flags,
  json: Json.flag,
  ...Selection.flags(["failed", "cancelled"])
}, (input) =>
  Target.provide(input)(Selection.each(input, {
    doing: "Rerunning",
    selectable: ["failed", "cancelled"],
    one: (id) =>
      Effect.gen(function*() {
        const { api } = yield* Target.Target
        yield* api.tasks.rerun({ params: { id } })
        return "rerun" as const
      }),
    many: (ids) => Target.Target.use(({ api }) => api.tasks.rerunAll({ payload: { ids } })),
    words: { rerun: "Due now, with all its retries" }
  }))).pipe(
    Command.withDescription("Run failed or cancelled tasks again, with all their retries"),
    Command.withShortDescription("Run failed or cancelled tasks again"),
    Command.withExamples([
      { command: "taskforge rerun 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae", description: "One task" },
      { command: "taskforge rerun --status failed --type email", description: "All failed tasks of one type" }
    ])
  )
