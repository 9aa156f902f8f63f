/** The command `taskforge`: its tree, and how it speaks. */
import { Console, Effect, Layer, Logger, Runtime } from "effect"
import { CliConfig, CliOutput, Command, GlobalFlag, TerminalCapabilities } from "effect/cli"
import { version } from "../domain/Version.ts"
import * as PooledRandom from "../engine/PooledRandom.ts"
import * as Cancel from "./commands/Cancel.ts"
import * as Demo from "./commands/Demo.ts"
import * as Enqueue from "./commands/Enqueue.ts"
import * as Get from "./commands/Get.ts"
import * as Instances from "./commands/Instances.ts"
import * as Keys from "./commands/Keys.ts"
import * as ListTasks from "./commands/List.ts"
import * as Migrate from "./commands/Migrate.ts"
import * as Queues from "./commands/Queues.ts"
import * as Remove from "./commands/Remove.ts"
import * as Rerun from "./commands/Rerun.ts"
import * as Serve from "./commands/Serve.ts"
import * as Stats from "./commands/Stats.ts"
import * as Watch from "./commands/Watch.ts"
import * as Work from "./commands/Work.ts"
import { exitCodes, type Failure } from "./Failure.ts"
import * as Help from "./Help.ts"
import * as Paint from "./Paint.ts"
import * as Screen from "./Screen.ts"
import * as Usage from "./Usage.ts"

/** Every command. */
export const command = Command.make("taskforge").pipe(
  Command.withDescription("A durable task engine: run a server, put tasks in, see what becomes of them"),
  Command.withSubcommands([
    {
      group: "Tasks",
      commands: [Enqueue.command, Get.command, ListTasks.command, Cancel.command, Rerun.command, Remove.command]
    },
    {
      group: "System",
      commands: [
        Watch.command,
        Stats.command,
        Queues.queues,
        Queues.types,
        Instances.command,
        Queues.pause,
        Queues.resume
      ]
    },
    { group: "Run", commands: [Serve.command, Work.command, Migrate.command, Keys.command, Demo.command] }
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
              (columns) => Console.log(Help.wrap(formatHelpDoc(event.helpDoc), columns))
            )
          case "Version":
            return Console.log(`${event.name} ${event.version}`)
          case "InvalidInvocation":
            return Effect.provideService(tellIn(Usage.failure(event)), Screen.Screen, screen)
        }
      }
    }
  })

const tellJson = ({ advice, code, exit, problem }: Failure) =>
  Screen.lineError(JSON.stringify({ error: { code: code ?? exit, message: problem, advice } }))

const tell = Effect.fnUntraced(function*({ advice, problem }: Failure) {
  const paint = Paint.make(yield* Screen.Screen)
  yield* Screen.lineError(`${paint.bad("✗")} ${problem.replaceAll("\n", "\n  ")}`)
  for (const line of advice?.split("\n") ?? []) yield* Screen.lineError(paint.dim(`  ${line}`))
})
