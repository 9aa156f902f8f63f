/** Where a running task is, on the command line. */
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import type { StackJson } from "../../http/api/StackJson.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

type Stack = typeof StackJson.Type

const flags = { id: Argument.String("id").pipe(Argument.withDescription("The task")) }

const show = Effect.fnUntraced(function*({ id, json }: Target.Given<typeof flags>) {
  const { api, ask } = yield* Target.Target
  const found: Stack = yield* ask(api.tasks.stack({ params: { id } }))
  if (json) return yield* Screen.json(found)
  const paint = yield* Screen.paint
  for (const line of linesOf(found, paint)) yield* Screen.line(line)
})

const linesOf = (stack: Stack, paint: Screen.Paint): ReadonlyArray<string> => {
  const { answered, attempt, fibers, id, instance, running_for_ms: forMs, slot, status } = stack
  if (status !== "running") return [`Task ${Screen.plain(id)} does not run: it is ${paint.state(status)}.`]
  const where = Screen.plain(instance ?? "another instance")
  if (!answered) return [`${where} runs it, and knows where it is: ask that one, with --server.`]
  const about = `Attempt ${attempt} runs in slot ${slot} of ${where} for ${Words.precise(forMs ?? 0)}.`
  const isNameless = fibers.every(({ frames, step }) => frames.length === 0 && step === null)
  return [
    about,
    ...isNameless
      ? ["Its handler is in nothing that has a name: Effect.fn(\"name\") and Effect.withSpan give one."]
      : fibers.flatMap((fiber, place) => fiberLines(fiber, place, paint)),
    ...stack.more_fibers ? [paint.dim("There are other fibers.")] : []
  ]
}

const fiberLines = (
  { frames, more_frames: more, parent, step }: Stack["fibers"][number],
  place: number,
  paint: Screen.Paint
): ReadonlyArray<string> => [
  "",
  paint.bold(
    `${
      parent === null ? "The handler" : `Fiber ${place}, forked by ${parent === 0 ? "the handler" : `fiber ${parent}`}`
    }${step === null ? "" : `, in step ${Screen.plain(step)}`}`
  ),
  ...frames.map(({ called_at: calledAt, defined_at: definedAt, name, since }) =>
    `  ${Screen.plain(name)}${
      paint.dim(
        `${definedAt === null ? "" : ` at ${Screen.plain(definedAt)}`}${
          calledAt === null ? "" : `, called at ${Screen.plain(calledAt)}`
        }${since === null ? "" : `, since ${since}`}`
      )
    }`
  ),
  ...more === 0 ? [] : [paint.dim(`  and ${more} more`)]
]

/** Shows where a running task is. */
export const command = Target.command("stack", flags, (given) => show(given)).pipe(
  Command.withDescription("Show where the handler of a running task is now: the functions, spans and steps it is in"),
  Command.withShortDescription("Show where a running task is now"),
  Command.withExamples([
    { command: "taskforge stack 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae", description: "What a task does that takes long" }
  ])
)
