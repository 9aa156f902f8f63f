/**
 * Writes the help of every command for `src/cli/HelpPages.ts`, as the commands themselves say it on a wide terminal with colours:
 * `node --conditions=source scripts/helpPages.ts FILE`.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer } from "effect"
import { writeFileSync } from "node:fs"
import * as Cli from "../src/cli/Cli.ts"
import * as HelpPages from "../src/cli/HelpPages.ts"
import { Screen } from "../src/cli/Screen.ts"

interface Command {
  readonly name: string
  readonly alias: string | undefined
  readonly subcommands: ReadonlyArray<{ readonly commands: ReadonlyArray<Command> }>
}

/** All ways to name each command below this one. */
const pathsOf = (command: Command): ReadonlyArray<ReadonlyArray<string>> =>
  command.subcommands.flatMap(({ commands }) => commands).flatMap((sub) => {
    const names = sub.alias === undefined ? [sub.name] : [sub.name, sub.alias]
    return names.flatMap((name) => [[name], ...pathsOf(sub).map((path) => [name, ...path])])
  })

/** What a command line prints. */
const printed = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const lines: Array<string> = []
  const console = { ...globalThis.console, log: (text: string) => void lines.push(text) }
  const code = yield* Effect.provideService(Cli.run(args), Console.Console, console)
  if (code !== 0 || lines.length === 0) throw new Error(`taskforge ${args.join(" ")} prints no page`)
  return lines.join("\n")
})

const screen = Screen.of({
  isTerminal: true,
  animates: false,
  colours: true,
  columns: Effect.succeed(Infinity),
  rows: Effect.succeed(24),
  write: () => Effect.void,
  writeError: () => Effect.void
})

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error("usage: helpPages.ts FILE")

const pages = Effect.gen(function*() {
  const commandLines = [["--version"], ["--help"], ...pathsOf(Cli.command).map((path) => [...path, "--help"])]
  const entries: Array<readonly [key: string, page: string]> = []
  for (const args of commandLines) entries.push([HelpPages.keyOf(args), yield* printed(args)])
  return Object.fromEntries(entries)
})

writeFileSync(
  file,
  JSON.stringify(
    await Effect.runPromise(Effect.provide(
      pages,
      Layer.merge(Layer.succeed(Screen, screen), NodeServices.layer)
    ))
  )
)
