import { Effect } from "effect"
import { Command } from "effect/cli"
import * as Json from "../Json.ts"
import * as Selection from "../Selection.ts"
import * as Target from "../Target.ts"

/** Runs finished tasks again. */
export const command = Command.make("retry", {
  ...Target.flags,
  json: Json.flag,
  ...Selection.flags(["failed", "cancelled"])
}, (input) =>
  Target.provide(input)(Selection.each(input, {
    doing: "Retrying",
    selectable: ["failed", "cancelled"],
    one: (id) =>
      Effect.gen(function*() {
        const { api } = yield* Target.Target
        yield* api.tasks.retry({ params: { id } })
        return "retried" as const
      }),
    words: { retried: "Due now, with all its retries" }
  }))).pipe(
    Command.withDescription("Run failed or cancelled tasks again, with all their retries"),
    Command.withShortDescription("Run failed or cancelled tasks again"),
    Command.withExamples([
      { command: "taskforge retry 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae", description: "One task" },
      { command: "taskforge retry --status failed --type email", description: "All failed tasks of one type" }
    ])
  )
