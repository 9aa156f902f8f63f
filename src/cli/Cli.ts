/** The command `taskforge`: its tree, and how it speaks. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer, Logger, Runtime } from "effect"
import { CliConfig, type CliError, CliOutput, Command, GlobalFlag, TerminalCapabilities } from "effect/cli"
import { nearest } from "../domain/Quoting.ts"
import * as PooledRandom from "../engine/PooledRandom.ts"
import { version } from "../store/InstanceStore.ts"
import * as Backup from "./commands/Backup.ts"
import * as Batches from "./commands/Batches.ts"
import * as Breakers from "./commands/Breakers.ts"
import * as CancelRerunRemove from "./commands/CancelRerunRemove.ts"
import * as DeadLetters from "./commands/DeadLetters.ts"
import * as Demo from "./commands/Demo.ts"
import * as Enqueue from "./commands/Enqueue.ts"
import * as Get from "./commands/Get.ts"
import * as Import from "./commands/Import.ts"
import * as Init from "./commands/Init.ts"
import * as Instances from "./commands/Instances.ts"
import * as Keys from "./commands/Keys.ts"
import * as Limits from "./commands/Limits.ts"
import * as ListTasks from "./commands/List.ts"
import * as LogLevels from "./commands/LogLevels.ts"
import * as Logs from "./commands/Logs.ts"
import * as Operations from "./commands/Operations.ts"
import * as Queues from "./commands/Queues.ts"
import * as Reschedule from "./commands/Reschedule.ts"
import * as Scaling from "./commands/Scaling.ts"
import * as Schedules from "./commands/Schedules.ts"
import * as Serve from "./commands/Serve.ts"
import * as Signals from "./commands/Signals.ts"
import * as Statistics from "./commands/Statistics.ts"
import * as Stats from "./commands/Stats.ts"
import * as Steps from "./commands/Steps.ts"
import * as Store from "./commands/Store.ts"
import * as Watch from "./commands/Watch.ts"
import * as Work from "./commands/Work.ts"
import { exitCodes, Failure } from "./Failure.ts"
import * as Screen from "./Screen.ts"
import { wrapped } from "./Wrapping.ts"

/** Every command. */
export const command = Command.make("taskforge").pipe(
  Command.withDescription("A durable task engine: run a server, put tasks in, see what becomes of them"),
  Command.withSubcommands([
    {
      group: "Tasks",
      commands: [
        Enqueue.command,
        Get.command,
        Get.explain,
        Get.stack,
        Steps.command,
        Logs.command,
        ListTasks.command,
        CancelRerunRemove.cancel,
        CancelRerunRemove.rerun,
        Reschedule.command,
        Signals.command,
        CancelRerunRemove.remove,
        Batches.command,
        DeadLetters.command,
        Operations.command
      ]
    },
    {
      group: "System",
      commands: [
        Watch.command,
        Stats.command,
        Statistics.command,
        Statistics.errors,
        Queues.queues,
        Queues.types,
        Instances.command,
        Scaling.command,
        LogLevels.command,
        Queues.pause,
        Queues.resume,
        Limits.command,
        Breakers.command,
        Schedules.command
      ]
    },
    {
      group: "Run",
      commands: [
        Init.command,
        Serve.serve,
        Work.work,
        Import.command,
        Store.migrate,
        Store.check,
        Backup.backup,
        Backup.restore,
        Keys.command,
        Demo.command
      ]
    }
  ])
)

/** Runs a command line and answers its exit code. Failures have been told by then. */
export const run = (args: ReadonlyArray<string>) => {
  const tellIn = args.includes("--json") ? tellJson : tell
  return Command.runWith(command, { version })(args.length === 0 ? ["--help"] : args).pipe(
    Effect.as(0),
    Effect.catchTags({
      CommandFailure: (failure) => Effect.as(tellIn(failure), failure[Runtime.errorExitCode]),
      ShowHelp: ({ errors }) => Effect.succeed(errors.length === 0 ? 0 : exitCodes.usage)
    }),
    Effect.provide(Layer.mergeAll(
      PooledRandom.layer,
      CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
      Layer.effect(CliOutput.Presenter, presenter(tellIn)),
      // What a command has to say is said by it; those that run tasks bring a log of their own
      Logger.layer([])
    ))
  )
}

/** The screen of the process, as far as `NO_COLOR` and the like leave it its colours. */
export const layerScreen = Screen.Screen.layer.pipe(Layer.provide(TerminalCapabilities.layer))

/** Runs the command line of the process and answers its exit code. */
export const program = Effect.suspend(() => run(process.argv.slice(2))).pipe(
  Effect.provide(Layer.provideMerge(layerScreen, NodeServices.layer))
)

/** Help as it comes; of a command line that is wrong only what is wrong, and where to read on. */
const presenter = (tellIn: (failure: Failure) => Effect.Effect<void, never, Screen.Screen>) =>
  Effect.map(Screen.Screen, (screen): CliOutput.Presenter => {
    const { formatHelpDoc } = CliOutput.defaultFormatter({ colors: screen.colours })
    return {
      present: (event) => {
        switch (event._tag) {
          case "Help":
            return Effect.flatMap(
              screen.columns,
              (columns) => Console.log(wrapped(formatHelpDoc(event.helpDoc), columns, CliOutput.displayWidth))
            )
          case "Version":
            return Console.log(`${event.name} ${event.version}`)
          case "InvalidInvocation":
            return Effect.provideService(tellIn(usageFailure(event)), Screen.Screen, screen)
        }
      }
    }
  })

const tellJson = ({ advice, code, exit, problem }: Failure) =>
  Screen.lineError(JSON.stringify({ error: { code: code ?? exit, message: problem, advice } }))

const tell = Effect.fnUntraced(function*({ advice, problem }: Failure) {
  const paint = yield* Screen.paint
  yield* Screen.lineError(`${paint.bad("✗")} ${problem.replaceAll("\n", "\n  ")}`)
  for (const line of advice?.split("\n") ?? []) yield* Screen.lineError(paint.dim(`  ${line}`))
})

/** Where the mistake was made. */
interface Invocation {
  readonly errors: ReadonlyArray<CliError.CliError>
  readonly commandPath: ReadonlyArray<string>
  readonly helpDoc: { readonly usage: string }
}

/** Flags that belong to commands and are often written before them. */
const ofCommands = ["--server", "-s", "--store", "--api-key", "--json"]

/**
 * What is wrong with a command line, as one complaint: the first mistake, as those after it mostly follow from it.
 */
const usageFailure = ({ commandPath, errors, helpDoc }: Invocation): Failure => {
  const [error] = errors
  const name = commandPath.join(" ")
  const problem = error === undefined ? "The command line cannot be understood" : worded(error)
  const flag = error?._tag === "UnrecognizedOption" ? error.option : undefined
  const advice = flag !== undefined && commandPath.length === 1 && ofCommands.includes(flag)
    ? `${flag} comes after the command: ${name} list ${flag} …`
    : `${helpDoc.usage}\nRead more with: ${name} --help`
  return new Failure({ exit: "usage", problem, advice })
}

const worded = (error: CliError.CliError): string => {
  const [message = "", ...rest] = error.message.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  const [heading, ...suggestions] = rest
  if (heading?.startsWith("Did you mean") === true && suggestions.length > 0) {
    return `${message.replace(/ in command .*$/, "")}; did you mean ${suggestions.join(" or ")}?`
  }
  return [message, ...rest].join(" ")
    .replace("Expected: Schema validation failed: Expected", "Expected")
    .replace(/^(Invalid value for \S+ \S+ "([^"]*)"\..*?)(?:, got "\2")$/, "$1")
    .replace("a string representing a finite number", "a number")
    .replace(/^Invalid value for flag (\S+): "([^"]*)"\. Expected: ((?:"[^"]+" \| )+"[^"]+")$/, choice)
}

/** A value that is none of some words. */
const choice = (_: string, flag: string, found: string, choices: string): string => {
  const words = choices.split(" | ").map((word) => word.slice(1, -1))
  const meant = nearest(found, words)
  return `${flag} ${found}: expected ${words.join(", ")}${meant === undefined ? "" : `; did you mean ${meant}?`}`
}
