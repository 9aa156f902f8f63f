import { Effect } from "effect"
import { Command } from "effect/cli"
import * as Json from "../Json.ts"
import * as Selection from "../Selection.ts"
import * as Target from "../Target.ts"

/** Forgets finished tasks. */
export const command = Command.make("remove", {
  ...Target.flags,
  json: Json.flag,
  ...Selection.flags(["completed", "failed", "cancelled"])
}, (input) =>
  Target.provide(input)(Selection.each(input, {
    doing: "Removing",
    selectable: ["completed", "failed", "cancelled"],
    one: (id) =>
      Effect.gen(function*() {
        const { api } = yield* Target.Target
        yield* api.tasks.remove({ params: { id }, query: { only: "finished" } })
        return "removed" as const
      }),
    many: (ids) => Target.Target.use(({ api }) => api.tasks.removeAll({ payload: { ids } })),
    words: { removed: "Removed" }
  }))).pipe(
    Command.withDescription("Remove finished tasks and their results"),
    Command.withAlias("rm"),
    Command.withExamples([
      { command: "taskforge remove --status cancelled", description: "All cancelled tasks" }
    ])
  )
