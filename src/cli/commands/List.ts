import { Clock, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { all as states } from "../../domain/TaskState.ts"
import type { TaskJson } from "../../http/api/TaskJson.ts"
import * as Listing from "../Listing.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as TaskText from "../TaskText.ts"

/** Shows tasks, newest first. */
export const command = Command.make("list", {
  ...Target.flags,
  json: Screen.jsonFlag,
  status: Flag.Literals("status", states).pipe(
    Flag.withDescription("Only tasks in this status; may be repeated"),
    Flag.atLeast(0)
  ),
  type: Flag.String("type").pipe(
    Flag.withAlias("t"),
    Flag.withDescription("Only tasks of this type; may be repeated"),
    Flag.atLeast(0)
  ),
  queue: Flag.String("queue").pipe(
    Flag.withAlias("q"),
    Flag.withDescription("Only tasks of this queue; may be repeated"),
    Flag.atLeast(0)
  ),
  ...Listing.flags(20, "Shows every task that matches, however many there are")
}, (input) => Target.provide(input)(list(input))).pipe(
  Command.withDescription("Show tasks, newest first"),
  Command.withAlias("ls"),
  Command.withExamples([
    { command: "taskforge list --status failed", description: "What went wrong" },
    { command: "taskforge list --status running --status pending", description: "What is going on" },
    {
      command: "taskforge list --all --json | jq .type | sort | uniq -c",
      description: "How many there are of each type"
    }
  ])
)

interface Input extends Listing.Given {
  readonly status: ReadonlyArray<TaskJson["status"]>
  readonly type: ReadonlyArray<string>
  readonly queue: ReadonlyArray<string>
}

const list = (input: Input) => {
  const filter = {
    ...(input.status.length === 0 ? {} : { status: input.status }),
    ...(input.type.length === 0 ? {} : { type: input.type }),
    ...(input.queue.length === 0 ? {} : { queue: input.queue })
  }
  return Listing.show<TaskJson>(input, {
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
}
