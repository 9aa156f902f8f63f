/** The commands for failed tasks: by reason, searched, and run again or discarded at a bounded rate. */
import { Clock, DateTime, Duration, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Bounds from "../../domain/Bounds.ts"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import type { DeadLetterGroupsJson, DeadLettersDoneJson } from "../../http/api/DeadLettersApi.ts"
import { pageSize } from "../../http/api/RequestValues.ts"
import type { TaskJson } from "../../http/api/TaskJson.ts"
import type * as ApiClient from "../../http/client/ApiClient.ts"
import { usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Listing from "../Listing.ts"
import * as Progress from "../Progress.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as TaskText from "../TaskText.ts"
import * as Words from "../Words.ts"

const { queue, type } = Listing.filters(["failed"], "Only tasks", "Only tasks")

const filters = {
  type,
  queue,
  tag: Flag.String("tag").pipe(
    Flag.withMetavar("TAG"),
    Flag.withDescription("Only errors with this tag; may be repeated"),
    Flag.atLeast(0)
  ),
  text: Flag.String("text").pipe(
    Flag.withMetavar("TEXT"),
    Flag.withDescription("Only errors whose message has this part; a # stands for a number"),
    Flag.filter(Bounds.searchText.accepts, () => `Expected ${Bounds.searchText.expected}`),
    Flag.optional
  ),
  olderThan: Input.durationFlag("older-than", "Only tasks that failed longer ago"),
  newerThan: Input.durationFlag("newer-than", "Only tasks that failed since then")
}

type Filters = Target.Given<typeof filters>

const positive = (name: string, metavar: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(description),
    Flag.filter((value) => value > 0, (value) => `Expected at least 1, got ${value}`)
  )

const changes = {
  ...filters,
  all: Input.toggleFlag("all", "All failed tasks, whatever they are"),
  rate: positive("rate", "NUMBER", "Tasks in a second at most").pipe(Flag.withDefault(100)),
  max: positive("max", "NUMBER", "Ends after so many tasks").pipe(Flag.optional)
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
    command: `taskforge dead-letters tasks --tag Refused --text "mx# answered"`,
    description: "By the error's tag and a part of its message"
  }])
)

const rerun = Target.command(
  "rerun",
  changes,
  (given) => changeAll(given, "Rerunning", "rerun", (api, payload) => api.deadLetters.rerun({ payload }))
).pipe(
  Command.withDescription("Run failed tasks again, with all their retries, at a bounded rate"),
  Command.withShortDescription("Run failed tasks again"),
  Command.withExamples([{
    command: "taskforge dead-letters rerun --type email --tag Refused --rate 20",
    description: "Twenty in a second"
  }])
)

const discard = Target.command(
  "discard",
  changes,
  (given) => changeAll(given, "Discarding", "discarded", (api, payload) => api.deadLetters.discard({ payload }))
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
const filterOf = ({ newerThan, olderThan, tag, text, ...given }: Filters) =>
  Effect.map(DateTime.now, (now) => {
    const ago = (age: Option.Option<Duration.Duration>) => Option.map(age, (age) => DateTime.subtractDuration(now, age))
    const [since, before] = [ago(newerThan), ago(olderThan)]
    return {
      ...given.type.length > 0 && { type: given.type },
      ...given.queue.length > 0 && { queue: given.queue },
      ...tag.length > 0 && { tag },
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

type Part = Parameters<ApiClient.ApiClient["deadLetters"]["rerun"]>[0]["payload"]

const changeAll = Effect.fnUntraced(function*<E>(
  given: Target.Given<typeof changes>,
  doing: string,
  done: string,
  change: (api: ApiClient.ApiClient, part: Part) => Effect.Effect<typeof DeadLettersDoneJson.Type, E>
) {
  const { api, problem } = yield* Target.Target
  const filter = yield* filterOf(given)
  if (given.all === (Object.keys(filter).length > 0)) {
    return yield* usage("Which failed tasks?", "Say what they have in common, or --all for all of them.")
  }
  const progress = yield* Progress.make(doing)
  const max = Option.getOrElse(given.max, () => Infinity)
  let matched = 0
  let changed = 0
  let cursor: string | null = null
  do {
    const startedAt = yield* MonotonicClock.now
    const limit = Math.min(pageSize.max, given.rate, max - matched)
    const part: Part = { ...filter, limit, ...cursor !== null && { cursor } }
    const answer: typeof DeadLettersDoneJson.Type = yield* Effect.mapError(change(api, part), problem)
    matched += answer.matched
    changed += answer.done
    cursor = answer.next
    yield* progress.update(matched)
    const restMs = answer.matched / given.rate * 1000 - ((yield* MonotonicClock.now) - startedAt)
    if (cursor !== null && matched < max && restMs > 0) yield* Effect.sleep(Duration.millis(restMs))
  } while (cursor !== null && matched < max)
  yield* progress.clear
  if (given.json) return yield* Screen.json({ matched, [done]: changed })
  yield* Screen.line(
    matched === 0
      ? "No task that has failed matches."
      : `${Words.counted(matched, "task")}: ${Words.count(changed)} ${done}${
        matched === changed ? "" : `, ${Words.count(matched - changed)} gone`
      }`
  )
})
