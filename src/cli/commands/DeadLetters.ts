/** The commands for failed tasks: by reason, searched, and run again or discarded at a bounded rate. */
import { Clock, DateTime, type Duration, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { DeadLetterGroupsJson } from "../../http/api/DeadLettersApi.ts"
import type { TaskJson } from "../../http/api/TaskJson.ts"
import { usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Listing from "../Listing.ts"
import * as OperationFlags from "../OperationFlags.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as TaskText from "../TaskText.ts"
import * as Words from "../Words.ts"
import * as Operations from "./Operations.ts"

const filters = OperationFlags.failedFilters()

type Filters = Target.Given<typeof filters>

const positive = (name: string, description: string, max: number) =>
  Flag.Int(name).pipe(
    Flag.withMetavar("NUMBER"),
    Flag.withDescription(description),
    Flag.filter((value) => value > 0 && value <= max, (value) => `Expected from 1 to ${max}, got ${value}`)
  )

const changes = {
  ...filters,
  all: Input.toggleFlag("all", "All failed tasks, whatever they are"),
  rate: positive("rate", "Tasks in a second at most", 10_000).pipe(Flag.withDefault(100)),
  max: positive("max", "Ends after so many tasks", Number.MAX_SAFE_INTEGER).pipe(Flag.optional),
  why: Input.textFlag("why", "TEXT", "Why it is done. It is kept with the operation")
}

const list = Target.command("list", filters, (given) => showGroups(given)).pipe(
  Command.withDescription("Count failed tasks by type and reason, among the 10,000 that were made last"),
  Command.withShortDescription("Count failed tasks by reason"),
  Command.withAlias("ls"),
  Command.withExamples([{ command: "taskforge dead-letters list --newer-than 1d", description: "What failed today" }])
)

const tasks = Target.command(
  "tasks",
  { ...filters, ...Listing.flags(20, "Shows every task that matches, however many there are") },
  (given) => showTasks(given)
).pipe(
  Command.withDescription("Search failed tasks, newest first"),
  Command.withExamples([{
    command: `taskforge dead-letters tasks --error-tag Refused --text "mx# answered"`,
    description: "By the error's tag and a part of its message"
  }])
)

const rerun = Target.command(
  "rerun",
  changes,
  (given) => changeAll(given, "rerun", "Rerunning", "rerun")
).pipe(
  Command.withDescription("Run failed tasks again, with all their retries, at a bounded rate"),
  Command.withShortDescription("Run failed tasks again"),
  Command.withExamples([{
    command: "taskforge dead-letters rerun --type email --error-tag Refused --rate 20",
    description: "Twenty in a second"
  }])
)

const discard = Target.command(
  "discard",
  changes,
  (given) => changeAll(given, "discard", "Discarding", "discarded")
).pipe(
  Command.withDescription("Remove failed tasks, at a bounded rate"),
  Command.withShortDescription("Remove failed tasks"),
  Command.withExamples([{
    command: "taskforge dead-letters discard --older-than 7d --rate 1000",
    description: "Those that failed more than a week ago"
  }])
)

/** What can be done about failed tasks. */
export const command = Command.make("dead-letters").pipe(
  Command.withDescription("See why tasks have failed, search them, run them again or discard them"),
  Command.withShortDescription("Failed tasks by reason, to run again or discard"),
  Command.withSubcommands([list, tasks, rerun, discard])
)

/** The filter as requests have it. Ages are counted from the clock of this machine. */
const filterOf = ({ errorTag, newerThan, olderThan, tag, text, ...given }: Filters) =>
  Effect.map(Effect.andThen(OperationFlags.refuseAges({ newerThan, olderThan }), DateTime.now), (now) => {
    const ago = (age: Option.Option<Duration.Duration>) => Option.map(age, (age) => DateTime.subtractDuration(now, age))
    const [since, before] = [ago(newerThan), ago(olderThan)]
    return {
      ...given.type.length > 0 && { type: given.type },
      ...given.queue.length > 0 && { queue: given.queue },
      ...tag.length > 0 && { tag },
      ...errorTag.length > 0 && { error_tag: errorTag },
      ...Option.isSome(text) && { text: text.value },
      ...Option.isSome(since) && { since: since.value },
      ...Option.isSome(before) && { before: before.value }
    }
  })

const showGroups = Effect.fnUntraced(function*(given: Filters) {
  const { api, ask } = yield* Target.Target
  const found: typeof DeadLetterGroupsJson.Type = yield* ask(api.deadLetters.groups({ query: yield* filterOf(given) }))
  if (given.json) return yield* Screen.json(found)
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  if (found.groups.length === 0) yield* Screen.line("No task that has failed matches.")
  else {
    const now = yield* Clock.currentTimeMillis
    const rows = found.groups.map(({ count, last_at, message, tag, type }) => [
      Words.count(count),
      Screen.plain(type),
      Screen.plain(tag),
      paint.dim(Words.relative(Date.parse(last_at), now)),
      paint.bad(Screen.plain(message))
    ])
    const columns: ReadonlyArray<Table.Column> = [
      { head: "TASKS", align: "right" },
      { head: "TYPE", shrinksTo: 8 },
      { head: "ERROR", shrinksTo: 8 },
      { head: "LATEST" },
      { head: "MESSAGE", shrinksTo: 10 }
    ]
    for (const line of Table.format(columns, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
  }
  if (found.more_groups > 0) yield* Screen.line(paint.dim(`${Words.counted(found.more_groups, "more reason")}`))
  if (!found.complete) {
    yield* Screen.line(paint.dim(`Of the ${Words.count(found.looked)} that were made last; there are others.`))
  }
})

const showTasks = Effect.fnUntraced(function*(given: Target.Given<typeof filters & ReturnType<typeof Listing.flags>>) {
  const filter = yield* filterOf(given)
  yield* Listing.show<TaskJson>(given, {
    read: ({ api, ask }, query) =>
      Effect.zipWith(
        ask(api.deadLetters.list({ query: { ...filter, ...query } })),
        Clock.currentTimeMillis,
        ({ next, tasks }, now) => ({ items: tasks, next, now })
      ),
    columns: TaskText.columns,
    row: TaskText.row,
    nothing: () => "No task that has failed matches.",
    shown: (count) => `The latest ${count}`
  })
})

/** Begins an operation over them, and waits for its end. Ended before that, the command leaves it to the server. */
const changeAll = Effect.fnUntraced(function*(
  given: Target.Given<typeof changes>,
  action: "rerun" | "discard",
  doing: string,
  done: string
) {
  const { api, problem } = yield* Target.Target
  const { before, since, ...filter } = yield* filterOf(given)
  if (given.all === (Object.keys(filter).length > 0 || before !== undefined || since !== undefined)) {
    return yield* usage("Which failed tasks?", "Say what they have in common, or --all for all of them.")
  }
  const payload = {
    action,
    filter: {
      status: ["failed" as const],
      ...filter,
      ...since !== undefined && { ended_since: since },
      ...before !== undefined && { ended_before: before }
    },
    why: Option.getOrElse(given.why, () => `taskforge dead-letters ${action}`),
    rate: given.rate,
    ...Option.isSome(given.max) && { max: given.max.value }
  }
  const begun = yield* Effect.mapError(api.operations.start({ payload }), problem)
  const { done: changed, matched, unsure } = yield* Operations.follow(begun, doing)
  if (given.json) return yield* Screen.json({ matched, [done]: changed, operation: begun.id })
  const others = matched - changed - unsure
  yield* Screen.line(
    matched === 0
      ? "No task that has failed matches."
      : `${Words.counted(matched, "task")}: ${Words.count(changed)} ${done}${
        others === 0 ? "" : `, ${Words.count(others)} gone`
      }`
  )
})
