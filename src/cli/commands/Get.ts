import { Clock, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { StackJson } from "../../http/api/StackJson.ts"
import type { TaskJson } from "../../http/api/TaskJson.ts"
import { usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as RemoteTasks from "../RemoteTasks.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as TaskText from "../TaskText.ts"
import * as Words from "../Words.ts"

const flags = {
  ids: Argument.String("id").pipe(
    Argument.withDescription("The task"),
    Argument.variadic({ min: 1 })
  ),
  wait: Input.toggleFlag("wait", "Waits until the tasks have finished; exits with 1 unless all completed").pipe(
    Flag.withAlias("w")
  )
}

/** Shows tasks by their ids. */
export const command = Target.command("get", flags, (given) => get(given)).pipe(
  Command.withDescription("Show everything about a task"),
  Command.withExamples([
    {
      command: "taskforge get 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae",
      description: "Its payload, its result, its attempts"
    },
    { command: "taskforge get --wait --json $ID | jq .result", description: "The result once it is there" }
  ])
)

const explained = {
  ids: Argument.String("id").pipe(
    Argument.withDescription("The task; what holds up all tasks, if none is named"),
    Argument.variadic({ min: 0 })
  ),
  queue: Input.textFlag("queue", "QUEUE", "What holds up this queue")
}

/** Says why tasks wait. */
export const explain = Target.command("explain", explained, (given) => explainGiven(given)).pipe(
  Command.withDescription("Say why a task waits and when it may start, or what holds up a queue, or all of them"),
  Command.withShortDescription("Say why a task waits, or what holds up a queue"),
  Command.withExamples([
    { command: "taskforge explain 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae", description: "All that has to change first" },
    { command: "taskforge explain", description: "What holds tasks up, and what would help" },
    { command: "taskforge explain --queue mail", description: "The same of one queue" }
  ])
)

/** Shows where a running task is. */
export const stack = Target.command(
  "stack",
  { id: Argument.String("id").pipe(Argument.withDescription("The task")) },
  (given) => showStack(given)
).pipe(
  Command.withDescription("Show where the handler of a running task is now: the functions, spans and steps it is in"),
  Command.withShortDescription("Show where a running task is now"),
  Command.withExamples([
    { command: "taskforge stack 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae", description: "What a task does that takes long" }
  ])
)

const explainGiven = Effect.fnUntraced(function*({ ids, queue, ...given }: Target.Given<typeof explained>) {
  if (ids.length > 0) {
    if (Option.isSome(queue)) return yield* usage("Tasks and a queue are named together.", "Name tasks, or a queue")
    return yield* explainEach({ ...given, ids })
  }
  const { api, ask } = yield* Target.Target
  const found = yield* ask(
    Option.match(queue, {
      onNone: () => api.queues.explainAll(),
      onSome: (queue) => api.queues.explain({ params: { queue } })
    })
  )
  if (given.json) return yield* Screen.json(found)
  const paint = yield* Screen.paint
  yield* Screen.line(paint.bold(Screen.plain(found.summary)))
  const tasks = found.causes.map(({ tasks }) => Words.counted(tasks, "task"))
  const width = Math.max(0, ...tasks.map(({ length }) => length))
  for (const [index, { action, code, text }] of found.causes.entries()) {
    yield* Screen.line(`  ${tasks[index]!.padStart(width)}  ${Screen.plain(text)}${paint.dim(`  ${code}`)}`)
    if (action !== null) yield* Screen.line(`  ${" ".repeat(width)}  ${paint.accent(Screen.plain(action))}`)
  }
})

const explainEach = Effect.fnUntraced(function*({ ids, json }: Target.Given<Pick<typeof flags, "ids">>) {
  const { api, ask } = yield* Target.Target
  const paint = yield* Screen.paint
  for (const id of ids) {
    const found = yield* ask(api.tasks.explain({ params: { id } }))
    if (json) {
      yield* Screen.json(found)
      continue
    }
    const mark = paint.state(found.status, Screen.mark[found.status])
    yield* Screen.line(`${mark} ${paint.bold(Screen.plain(found.id))} is ${found.status}`)
    const lines = found.reasons.length === 0 ? [{ code: "", text: found.summary }] : found.reasons
    for (const { code, text } of lines) {
      yield* Screen.line(`  ${Screen.plain(text)}${code === "" ? "" : paint.dim(`  ${code}`)}`)
    }
    if (found.deadline !== null) {
      const { late_ms, text } = found.deadline
      yield* Screen.line(`  ${late_ms > 0 ? paint.warn(Screen.plain(text)) : Screen.plain(text)}`)
    }
    if (found.may_start_at !== null) yield* Screen.line(paint.dim(`  It may start at ${found.may_start_at}`))
  }
})

const get = Effect.fnUntraced(function*({ ids, json, wait }: Target.Given<typeof flags>) {
  const { api, ask } = yield* Target.Target
  if (wait) yield* RemoteTasks.finished(ids)
  const tasks: Array<TaskJson> = []
  for (const id of ids) {
    const task = yield* ask(api.tasks.get({ params: { id } }))
    tasks.push(task)
    if (json) yield* Screen.json(task)
    else {
      if (tasks.length > 1) yield* Screen.line()
      yield* show(task)
    }
  }
  if (wait) yield* RemoteTasks.allCompleted(tasks)
})

/** Shows a task as a card. */
export const show = Effect.fnUntraced(function*(task: TaskJson) {
  const screen = yield* Screen.Screen
  const now = yield* Clock.currentTimeMillis
  for (const line of TaskText.card(task, Screen.paintOn(screen), now, yield* screen.columns)) yield* Screen.line(line)
})

type Stack = typeof StackJson.Type

const showStack = Effect.fnUntraced(function*({ id, json }: { readonly id: string; readonly json: boolean }) {
  const { api, ask } = yield* Target.Target
  const found: Stack = yield* ask(api.tasks.stack({ params: { id } }))
  if (json) return yield* Screen.json(found)
  const paint = yield* Screen.paint
  for (const line of stackLines(found, paint)) yield* Screen.line(line)
})

const stackLines = (stack: Stack, paint: Screen.Paint): ReadonlyArray<string> => {
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
