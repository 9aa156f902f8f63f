/** The page about the command line, written from the commands themselves. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Option } from "effect"
import { CliConfig, CliOutput, Command, GlobalFlag, type HelpDoc } from "effect/cli"
import * as Cli from "../../src/cli/Cli.ts"
import * as PooledRandom from "../../src/engine/PooledRandom.ts"

/** The help of a command as data. */
const helpOf = Effect.fnUntraced(function*(path: ReadonlyArray<string>) {
  let found: HelpDoc.HelpDoc | undefined
  const presenter = CliOutput.layerPresenter({
    present: (event) => Effect.sync(() => void (found = event._tag === "Help" ? event.helpDoc : undefined))
  })
  const builtIns = CliConfig.layer({ builtIns: [GlobalFlag.Help] })
  const services = Layer.provideMerge(
    Layer.mergeAll(presenter, builtIns, PooledRandom.layer, Cli.layerScreen),
    NodeServices.layer
  )
  const help = Command.runWith(Cli.command, { version: "" })([...path, "--help"])
  yield* Effect.provide(Effect.orDie(help), services)
  return found!
})

/** The whole page. */
export const render = Effect.gen(function*() {
  const root = yield* helpOf([])
  const sections: Array<string> = []
  for (const { commands } of root.subcommands ?? []) {
    for (const { name } of commands) {
      const help = yield* helpOf([name])
      sections.push(section(help))
      for (const { commands } of help.subcommands ?? []) {
        for (const sub of commands) sections.push(section(yield* helpOf([name, sub.name])))
      }
    }
  }
  return [introduction, contents(root), ...sections].join("\n\n") + "\n"
})

const contents = ({ subcommands = [] }: HelpDoc.HelpDoc): string =>
  ["| | command | does |", "|---|---|---|"].concat(
    subcommands.flatMap(({ commands, group }) =>
      commands.map(({ alias, description, name, shortDescription }, index) => {
        const names = alias === undefined ? name : `${name}, ${alias}`
        return `| ${index === 0 ? group ?? "" : ""} | [\`${names}\`](#taskforge-${name}) | ${
          cell(shortDescription ?? description)
        } |`
      })
    )
  ).join("\n")

const section = (help: HelpDoc.HelpDoc): string => {
  const path = (help.commandPath ?? []).join(" ")
  const rows = [
    ...(help.args ?? []).map(({ description, name, variadic }) => row(`<${name}${variadic ? "…" : ""}>`, description)),
    ...help.flags.map(({ aliases, description, name, type }) => {
      const value = type === "boolean" ? "" : ` ${type}`
      return row([`--${name}${value}`, ...aliases].join(", "), description)
    })
  ]
  return [
    `## ${path}`,
    "",
    `${help.description}.`,
    "",
    "```sh",
    help.usage,
    "```",
    ...(rows.length === 0 ? [] : ["", "| | |", "|---|---|", ...rows]),
    ...((help.examples ?? []).length === 0 ? [] : ["", "```sh", ...example(help), "```"])
  ].join("\n")
}

const example = ({ examples = [] }: HelpDoc.HelpDoc) =>
  examples.map(({ command, description }) => description === undefined ? command : `# ${description}\n${command}`)

const row = (name: string, description: Option.Option<string>): string =>
  `| \`${name.replaceAll("|", "\\|")}\` | ${cell(Option.getOrElse(description, () => ""))} |`

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;")

const introduction = `# The command line

\`taskforge\` talks to a server, \`http://localhost:8080\` unless \`--server\` or \`TASKFORGE_URL\` says otherwise, with the key of
\`--api-key\` or \`TASKFORGE_API_KEY\`. With \`--store\` it works straight on a store instead: the same commands, the same checks,
the same answers, and no server needed.

On a terminal it writes tables and colours; \`NO_COLOR\` turns colours off. In a pipe there are neither colours nor anything
that moves, and nothing is cut. With \`--json\` every command writes JSON, a value per line, and tells failures as a line of
JSON on stderr. \`taskforge --completions bash\` (or \`zsh\`, \`fish\`, \`powershell\`) prints what a shell needs to complete it.

In a clone, \`scripts/taskforge list\` runs it, from any folder and through links too. The first call after a change of the sources
builds it, which takes a few seconds. On Windows, \`npm run --silent taskforge -- list\` does the same; npm adds its own time.

## Exit codes

| code | means |
|---|---|
| 0 | done |
| 1 | it ran, but what was asked for did not come about: an awaited task failed, a task's status forbids it |
| 64 | the command line cannot be understood |
| 65 | the input was refused: no JSON, an unknown type, a payload that does not fit |
| 66 | there is no such task, key, file or store |
| 69 | the server or the store does not answer |
| 75 | the queue is full, or there were too many requests: try again later |
| 77 | the API key is missing, or may not do this |
| 78 | the configuration cannot be used |
| 130, 143 | ended by SIGINT or SIGTERM; \`serve\` and \`worker\` stop in order then, and exit with 0; [another signal](configuration.md#exit-codes) ends them at once |

## Commands

This part is written from the commands themselves; \`npx vitest run test/docs/cli.test.ts -u\` writes it anew.`
