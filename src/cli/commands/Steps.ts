/** The steps of a task on the command line. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { pageSize } from "../../http/api/RequestValues.ts"
import { defaultSteps, type TaskStepsJson } from "../../http/api/StepsJson.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

type Steps = typeof TaskStepsJson.Type
type Step = Steps["steps"][number]

const flags = {
  id: Argument.String("id").pipe(Argument.withDescription("The task")),
  limit: Flag.Int("limit").pipe(
    Flag.withAlias("n"),
    Flag.withDescription(`The latest so many steps, at most ${pageSize.max}`),
    Flag.filter(
      (limit) => limit >= 1 && limit <= pageSize.max,
      (limit) => `Expected from 1 to ${pageSize.max}, got ${limit}`
    ),
    Flag.withDefault(defaultSteps)
  )
}

const columns = [
  { head: "STEP", shrinksTo: 12 },
  { head: "STATUS" },
  { head: "ATTEMPT" },
  { head: "BEGAN" },
  { head: "TOOK" },
  { head: "DETAIL", shrinksTo: 12 }
] as const

const statusText = ({ status }: Step, paint: Screen.Paint): string => {
  const text = status.replace("_", " ")
  if (status === "succeeded" || status === "slept") return paint.good(text)
  return status === "sleeping" || status === "waiting" ? paint.accent(text) : paint.bad(text)
}

const detailOf = ({ issue, signal, until }: Step): string =>
  [
    signal === null ? "" : `for ${Screen.plain(signal)}`,
    until === null ? "" : `until ${until}`,
    issue === null ? "" : Screen.plain(issue)
  ].filter((text) => text !== "").join(" ")

const hasEffect = ({ status }: Step): boolean => status === "succeeded" || status === "failed" || status === "unfit"

const show = Effect.fnUntraced(function*({ id, json, limit }: Target.Given<typeof flags>) {
  const { api, ask } = yield* Target.Target
  const found = yield* ask(api.tasks.steps({ params: { id }, query: { limit } }))
  if (json) return yield* Screen.json(found)
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  if (found.steps.length === 0) yield* Screen.line(nothing(found, paint))
  else {
    const now = Date.parse(found.timestamp)
    const rows = found.steps.map((step) => [
      Screen.plain(step.name),
      statusText(step, paint),
      String(step.attempt),
      Words.relative(Date.parse(step.started_at), now),
      hasEffect(step) ? Words.precise(step.ms) : "",
      paint.dim(detailOf(step))
    ])
    for (const line of Table.format(columns, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
  }
  for (const line of notesOf(found, paint)) yield* Screen.line(line)
})

const nothing = ({ id }: Steps, { accent }: Screen.Paint): string =>
  `Task ${Screen.plain(id)} has no steps yet. Its handler keeps one with Step.run, Step.sleep or Step.waitFor.\n\n  ${
    accent(`taskforge explain ${Screen.plain(id)}`)
  }`

/** What else there is to know, and to do. */
const notesOf = ({ left_out: leftOut, running, steps, unasked }: Steps, paint: Screen.Paint): ReadonlyArray<string> => {
  const names = (all: ReadonlyArray<string>) => Screen.plain(all.map((name) => JSON.stringify(name)).join(", "))
  const waiting = steps.flatMap(({ signal, status }) => status === "waiting" && signal !== null ? [signal] : [])
  return [
    ...leftOut === 0
      ? []
      : [paint.dim(`The first ${Words.counted(leftOut, "step")} are left out; show more with --limit`)],
    ...running.length === 0 ? [] : [`Begun, and not ended when last written: ${names(running)}`],
    ...unasked.length === 0
      ? []
      : [paint.warn(`The handler did not ask for these any more: ${names(unasked)}`)],
    ...waiting.map((signal) =>
      paint.dim(
        signal.includes(":")
          ? `It goes on with: taskforge signals complete ${Screen.plain(signal)} JSON`
          : `It goes on with: taskforge signals complete TOKEN JSON; the task has handed out the token of ${
            Screen.plain(signal)
          }`
      )
    )
  ]
}

/** Shows the steps of a task. */
export const command = Target.command("steps", flags, (given) => show(given)).pipe(
  Command.withDescription("Show the steps of a task: how each has ended, and what the task sleeps or waits for"),
  Command.withShortDescription("Show the steps of a task"),
  Command.withExamples([
    {
      command: "taskforge steps 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae",
      description: "What is done, and what it waits for"
    }
  ])
)
