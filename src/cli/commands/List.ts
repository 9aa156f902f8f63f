import { Array as List, Clock, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { all as states } from "../../domain/TaskState.ts"
import { pageSize } from "../../http/api/Paging.ts"
import type { TaskJson } from "../../http/api/TaskJson.ts"
import * as Json from "../Json.ts"
import * as Paint from "../Paint.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as TaskText from "../TaskText.ts"

/** Shows tasks, newest first. */
export const command = Command.make("list", {
  ...Target.flags,
  json: Json.flag,
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
  limit: Flag.Int("limit").pipe(
    Flag.withAlias("n"),
    Flag.withDescription("How many to show"),
    Flag.filter((limit) => limit > 0, (limit) => `Expected at least 1, got ${limit}`),
    Flag.withDefault(20)
  ),
  all: Flag.Boolean("all").pipe(
    Flag.withDescription("Shows every task that matches, however many there are"),
    Flag.withDefault(false)
  )
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

interface Input {
  readonly json: boolean
  readonly status: ReadonlyArray<TaskJson["status"]>
  readonly type: ReadonlyArray<string>
  readonly queue: ReadonlyArray<string>
  readonly limit: number
  readonly all: boolean
}

const list = Effect.fnUntraced(function*(input: Input) {
  const { api, problem, repeatable } = yield* Target.Target
  const wanted = input.all ? Infinity : input.limit
  const filter = {
    ...(input.status.length === 0 ? {} : { status: input.status }),
    ...(input.type.length === 0 ? {} : { type: input.type }),
    ...(input.queue.length === 0 ? {} : { queue: input.queue })
  }
  let shown = 0
  let cursor: string | null = null
  do {
    const limit = Math.min(wanted - shown, pageSize.max)
    const query = { ...filter, limit, ...(cursor === null ? {} : { cursor }) }
    const page: { readonly tasks: ReadonlyArray<TaskJson>; readonly next: string | null } = yield* Effect.mapError(
      repeatable(api.tasks.list({ query })),
      problem
    )
    yield* input.json ? Effect.forEach(page.tasks, Screen.json, { discard: true }) : table(page.tasks)
    shown += page.tasks.length
    cursor = page.next
  } while (cursor !== null && shown < wanted)
  if (input.json) return
  if (shown === 0) yield* Screen.line(yield* nothing(Object.keys(filter).length > 0))
  else if (cursor !== null) yield* Screen.line(yield* more(shown))
})

const table = Effect.fnUntraced(function*(tasks: ReadonlyArray<TaskJson>) {
  if (List.isArrayEmpty([...tasks])) return
  const screen = yield* Screen.Screen
  const paint = Paint.make(screen)
  const now = yield* Clock.currentTimeMillis
  const rows = tasks.map((task) => TaskText.row(task, paint, now))
  for (const line of Table.format(TaskText.columns, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
})

const more = (shown: number) =>
  Effect.map(Screen.Screen, (screen) => Paint.make(screen).dim(`The latest ${shown}; more with --limit or --all`))

const nothing = (filtered: boolean) =>
  Effect.map(Screen.Screen, (screen) => {
    const { accent } = Paint.make(screen)
    return filtered
      ? `No task matches. ${accent("taskforge list")} shows them all.`
      : `There are no tasks yet. Enqueue one:\n\n  ${accent(`taskforge enqueue echo '{"hello": "world"}'`)}`
  })
