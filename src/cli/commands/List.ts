import { Clock, Effect } from "effect"
import { Command } from "effect/cli"
import { all as states } from "../../domain/TaskState.ts"
import type { TaskJson } from "../../http/api/TaskJson.ts"
import * as Listing from "../Listing.ts"
import * as OperationFlags from "../OperationFlags.ts"
import * as Target from "../Target.ts"
import * as TaskText from "../TaskText.ts"

const { id: _, ...filters } = OperationFlags.filters(states)

const flags = {
  ...filters,
  ...Listing.flags(20, "Shows every task that matches, however many there are")
}

/** Shows tasks, newest first. */
export const command = Target.command("list", flags, (given) => list(given)).pipe(
  Command.withDescription("Show tasks, newest first"),
  Command.withAlias("ls"),
  Command.withExamples([
    { command: "taskforge list --status failed", description: "What went wrong" },
    { command: "taskforge list --status running --status pending", description: "What is going on" },
    { command: "taskforge list --payload user.id=42 --newer-than 1d", description: "What a user was sent today" },
    {
      command: "taskforge list --all --json | jq .type | sort | uniq -c",
      description: "How many there are of each type"
    }
  ])
)

const list = Effect.fnUntraced(function*(input: Target.Given<typeof flags>) {
  const filter = yield* OperationFlags.queryOf({ ...input, id: [] })
  yield* Listing.show<TaskJson>(input, {
    read: ({ api, ask }, query) =>
      Effect.zipWith(
        ask(api.tasks.list({ query: { ...filter, ...query } })),
        Clock.currentTimeMillis,
        ({ next, tasks }, now) => ({ items: tasks, next, now })
      ),
    columns: TaskText.columns,
    row: TaskText.row,
    nothing: (paint) =>
      Object.keys(filter).length === 0
        ? Listing.noTasks(paint)
        : `No task matches. ${paint.accent("taskforge list")} shows them all.`,
    shown: (count) => `The latest ${count}`
  })
})
