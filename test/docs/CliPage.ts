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

\`taskforge\` talks to the server at \`--server\` or \`TASKFORGE_URL\`, by default \`http://localhost:8080\`, with the key of
\`--api-key\` or \`TASKFORGE_API_KEY\`. With \`--store\` it works on a store without a server: the same commands with the same checks
and answers.

On a terminal it writes tables in colour; \`NO_COLOR\` turns colours off. In a pipe there are no colours and no animations,
and no text is cut. With \`--json\` every command writes JSON, a value per line, and failures as a line of
JSON on stderr. \`taskforge --completions bash\` (or \`zsh\`, \`fish\`, \`powershell\`) prints a completion script for that shell.

In a clone, \`scripts/taskforge list\` runs it, from any folder and also through links. The first call after a change of the sources
builds it, which takes a few seconds. On Windows use \`npm run --silent taskforge -- list\`, which starts more slowly.

## Exit codes

| code | means |
|---|---|
| 0 | done |
| 1 | the command ran and did not succeed: an awaited task failed, or a task's status does not allow it |
| 64 | the command line is invalid |
| 65 | the input was refused: it is not JSON, has an unknown type, or has a payload that does not fit |
| 66 | the task, key, file or store does not exist |
| 69 | the server or the store does not answer |
| 75 | the queue is full, or there were too many requests: try again later |
| 77 | the API key is missing, or its role does not allow the command |
| 78 | the configuration is invalid |
| 130, 143 | ended by SIGINT or SIGTERM; \`serve\` and \`work\` stop in order and exit with 0 instead; [another signal](configuration.md#exit-codes) ends them at once |

## Commands

\`npx vitest run test/docs/cli.test.ts -u\` writes this part from the commands.`
