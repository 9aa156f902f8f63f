import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { isFinished } from "../../domain/TaskState.ts"
import { levels, type TaskLogsJson } from "../../http/api/LogsJson.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const flags = {
  id: Argument.String("id").pipe(Argument.withDescription("The task")),
  attempt: Flag.Int("attempt").pipe(
    Flag.withAlias("a"),
    Flag.withMetavar("NUMBER"),
    Flag.withDescription("Only what this attempt has logged; all attempts if left out"),
    Flag.filter((attempt) => attempt > 0, (attempt) => `Expected at least 1, got ${attempt}`),
    Flag.optional
  ),
  level: Flag.Literals("level", levels).pipe(
    Flag.withDescription("Only lines of this level and those above it"),
    Flag.withDefault("trace")
  ),
  follow: Input.toggleFlag("follow", "Goes on until the task has finished").pipe(Flag.withAlias("f"))
}

type Given = Target.Given<typeof flags>

/** Shows what the attempts at a task have logged. */
export const command = Target.command("logs", flags, (given) => show(given)).pipe(
  Command.withDescription("Show what the attempts at a task have logged, also while it runs"),
  Command.withShortDescription("Show what a task has logged"),
  Command.withExamples([
    { command: "taskforge logs 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae", description: "All attempts, the oldest first" },
    { command: "taskforge logs --follow --level warn $ID", description: "Warnings and errors, until it has finished" }
  ])
)

/** How often a task that is followed is read, and how long its last lines may be on their way. */
const interval = "500 millis"

const show = Effect.fnUntraced(function*(given: Given) {
  const { api, ask } = yield* Target.Target
  const params = { id: given.id }
  const query = {
    level: given.level,
    ...Option.isSome(given.attempt) && { attempt: given.attempt.value }
  }
  /** The last line of each attempt that was shown, by the number of its claim. */
  const shown = new Map<number, number>()
  const showNew = Effect.flatMap(ask(api.tasks.logs({ params, query })), (logs) => showLines(logs, shown, given.json))
  let goesOn = given.follow
  while (goesOn) {
    // Read first: what was logged before the end is written soon after it
    const { status } = yield* ask(api.tasks.get({ params }))
    goesOn = !isFinished(status)
    yield* showNew
    yield* Effect.sleep(interval)
  }
  yield* showNew
  if (shown.size === 0 && !given.json) yield* Screen.lineError("Nothing was logged.")
})

type Logged = (typeof TaskLogsJson.Type)["attempts"][number]
type Line = Logged["lines"][number]

const showLines = Effect.fnUntraced(function*(
  { attempts, id }: typeof TaskLogsJson.Type,
  shown: Map<number, number>,
  json: boolean
) {
  const paint = yield* Screen.paint
  for (const { attempt, claim, instance, left_out: leftOut, lines } of attempts) {
    if (!shown.has(claim)) {
      shown.set(claim, 0)
      const left = leftOut === 0 ? "" : `, without ${Words.counted(leftOut, "line")} that ${isOrAre(leftOut)} not kept`
      const heading = `attempt ${attempt} on ${Screen.plain(instance)}${left}`
      if (!json) yield* Screen.line(paint.dim(heading))
    }
    for (const line of lines) {
      const before = shown.get(claim)!
      if (line.line <= before) continue
      shown.set(claim, line.line)
      if (!json && leftOut > 0 && line.line - before - 1 === leftOut) {
        yield* Screen.line(paint.dim(`… ${Words.counted(leftOut, "line")} ${isOrAre(leftOut)} not kept`))
      }
      if (json) yield* Screen.json({ id, attempt, claim, instance, ...line })
      else for (const text of textOf(line, paint)) yield* Screen.line(text)
    }
  }
})

const isOrAre = (count: number): string => count === 1 ? "is" : "are"

/** A line of the log, and its further lines below it. */
const textOf = (line: Line, paint: Screen.Paint): ReadonlyArray<string> => {
  const [first = "", ...rest] = line.text.split("\n").map(Screen.plain)
  const facts = Object.entries({ ...line.annotations, ...mapped(line.spans, (millis) => `${millis}ms`) })
    .map(([name, value]) => paint.dim(` ${Screen.plain(name)}=${Screen.plain(String(value))}`))
  const level = levelOf(line.level, paint)
  const cut = line.cut ? paint.dim(" (cut)") : ""
  const below = [...rest, ...line.cause === null ? [] : line.cause.split("\n").map(Screen.plain)]
  return [`${line.at}  ${level}  ${first}${facts.join("")}${cut}`, ...below.map((text) => `    ${text}`)]
}

const mapped = <A, B>(values: Readonly<Record<string, A>>, to: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, to(value)]))

const levelOf = (level: Line["level"], paint: Screen.Paint): string => {
  const text = level.padEnd(5)
  if (level === "error" || level === "fatal") return paint.bad(text)
  return level === "warn" ? paint.warn(text) : paint.dim(text)
}
