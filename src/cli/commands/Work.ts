/** The command that runs tasks: those of a store with the handlers of this program, or those of a type with any program. */
import { Duration, Effect, Option, Record } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as ProgramWorker from "../ProgramWorker.ts"
import * as Target from "../Target.ts"
import { shared, withSettings } from "./Serve.ts"

/** For a type whose tasks a program runs. */
const remote = {
  server: Target.flags.server,
  apiKey: Target.flags.apiKey,
  queue: Flag.String("queue").pipe(
    Flag.withAlias("q"),
    Flag.withMetavar("NAME"),
    Flag.withDescription("Takes tasks of this queue; may be given several times, all queues without it"),
    Flag.atLeast(0)
  ),
  name: Input.textFlag(
    "name",
    "NAME",
    "The name of this process, unique among all that work for the server; made up without it"
  ),
  define: Input.textFlag(
    "define",
    "FILE",
    "Defines the type: its schemas, retries and time limit, as JSON; - is stdin"
  ),
  later: Input.durationFlag("later", "How long a task waits whose program exits with 75: 1m by default"),
  killAfter: Input.durationFlag(
    "kill-after",
    "Time between TERM and KILL for a program that is stopped: 10s by default"
  ),
  grace: Input.durationFlag("grace", "How long programs may go on when this command is stopped: 20s by default"),
  lease: Input.durationFlag("lease", "How long a task is kept while the server hears nothing: 30s by default")
}

/** Runs tasks. */
export const work = Command.make("work", {
  ...shared,
  ...remote,
  type: Argument.String("type").pipe(
    Argument.withDescription(
      "The type whose tasks a program runs, for a server; without it, the tasks of a store are run"
    ),
    Argument.optional
  ),
  program: Argument.String("command").pipe(
    Argument.withDescription("The program and its arguments, behind --"),
    Argument.variadic()
  )
}, ({ program, type, ...given }) =>
  Effect.gen(function*() {
    if (Option.isNone(type)) return yield* withoutProgram(given)
    return yield* withProgram(type.value, program, given)
  })).pipe(
    Command.withDescription(
      "Run tasks: those of a store with the handlers that ship with it, or those of a type with any program, for a server"
    ),
    Command.withShortDescription("Run tasks without a server, or with any program"),
    Command.withExamples([
      {
        command: "taskforge work --store postgres://app@localhost/tasks --workers 50",
        description: "Another process for a shared store"
      },
      {
        command: "taskforge work resize --workers 4 -- ./resize.sh --fast",
        description:
          "Four programs at a time: payload on stdin, result on stdout, log on stderr, progress on descriptor 3"
      }
    ])
  )

type Given = Command.Command.Config.Infer<typeof shared & typeof remote>

/** Runs the tasks of a store with the handlers that ship with it. */
const withoutProgram = Effect.fnUntraced(function*(given: Given) {
  const { apiKey, define, grace, killAfter, later, lease, name, queue, server, ...settings } = given
  const others = [apiKey, define, grace, killAfter, later, lease, name, server]
  if (queue.length > 0 || others.some((flag) => Option.isSome<unknown>(flag))) {
    return yield* usage(
      "These flags are for a type whose tasks a program runs",
      "It looks like: taskforge work resize --server http://localhost:8080 -- ./resize.sh"
    )
  }
  const { program } = yield* Effect.promise(() => import("../../server/WorkProgram.ts"))
  return yield* withSettings(Record.getSomes(settings), program)
})

const withProgram = Effect.fnUntraced(function*(type: string, [command, ...args]: ReadonlyArray<string>, given: Given) {
  if (command === undefined) {
    return yield* usage(
      `Nothing says what runs tasks of type ${type}`,
      `It looks like: taskforge work ${type} -- COMMAND …`
    )
  }
  for (const name of ["store", "logLevel", "logLevels", "logFormat"] as const) {
    if (Option.isNone(given[name])) continue
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    return yield* usage(
      `--${flag} is of no use here`,
      "A program runs tasks for a server, which is named with --server."
    )
  }
  const slots = Number(Option.getOrElse(given.workers, () => "1"))
  if (!Number.isInteger(slots) || slots < 1 || slots > 1000) {
    return yield* usage(
      `--workers ${Option.getOrElse(given.workers, () => "")}: expected a whole number from 1 to 1000`,
      "1 when left out."
    )
  }
  const orElse = (time: Option.Option<Duration.Duration>, other: Duration.Input) =>
    Option.getOrElse(time, () => Duration.fromInputUnsafe(other))
  const definition = Option.isNone(given.define)
    ? undefined
    : yield* Effect.flatMap(
      Input.text(given.define.value),
      (text) => Input.json(text, given.define.pipe(Option.getOrThrow))
    )
  const options: ProgramWorker.Options = {
    type,
    program: { command, args, killAfter: orElse(given.killAfter, "10 seconds") },
    slots,
    name: Option.getOrUndefined(given.name),
    queues: given.queue,
    later: orElse(given.later, "1 minute"),
    grace: orElse(given.grace, "20 seconds"),
    lease: Option.getOrUndefined(given.lease),
    definition
  }
  return yield* Target.on({ ...given, store: Option.none(), json: false }, ProgramWorker.work(options))
})
