/** The commands that run an engine. Each flag of theirs stands for a setting of the environment and wins over it. */
import { ConfigProvider, Effect, Record } from "effect"
import { Command } from "effect/cli"
import { InvalidSettings } from "../../config/InvalidSettings.ts"
import { type table, table as settings } from "../../config/SettingsTable.ts"
import * as Input from "../Input.ts"

const flag = (name: string, setting: keyof typeof table, metavar: string) =>
  Input.textFlag(name, metavar, `${settings[setting].about} [${settings[setting].names[0]}]`)

/** Where a server listens. */
const http = {
  port: flag("port", "port", "PORT"),
  host: flag("host", "host", "HOST")
}

/** What `serve` and `work` have in common. */
export const shared = {
  store: flag("store", "store", "URL"),
  workers: flag("workers", "workers", "COUNT"),
  logLevel: flag("log-level", "logLevel", "LEVEL"),
  logLevels: flag("log-levels", "logLevels", "MODULE=LEVEL,…"),
  logFormat: flag("log-format", "logFormat", "FORMAT")
}

/** Runs the server. */
export const serve = Command.make("serve", {
  ...http,
  ...shared
}, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../../server/ServerProgram.ts")),
    ({ program }) => withSettings(Record.getSomes(input), program)
  )).pipe(
    Command.withDescription("Run a server: the HTTP API and a pool of slots on one store, until a signal stops it"),
    Command.withShortDescription("Run a server"),
    Command.withExamples([
      { command: "taskforge serve", description: "On http://127.0.0.1:8080, with a SQLite file in ./data" },
      {
        command: "taskforge serve --port 9000 --store memory: --workers 50",
        description: "On another port, with tasks in memory"
      }
    ])
  )

/** What was given, by the names of settings. */
type Given = Readonly<{ [setting: string]: string }>

const variablesOf = (setting: string): ReadonlyArray<string> => settings[setting as keyof typeof table].names

/** Runs a program whose settings are those of the flags, then those of the environment. */
export const withSettings = <A, E, R>(
  given: Given,
  program: Effect.Effect<A, E, R>
): Effect.Effect<A, E | InvalidSettings, R> =>
  Effect.flatMap(ConfigProvider.ConfigProvider, (environment) => {
    // Every name of a setting, so that another one in the environment does not contradict the flag
    const variables = Object.entries(given).flatMap(([name, value]) =>
      variablesOf(name).map((variable) => [variable, value])
    )
    const provider = ConfigProvider.orElse(ConfigProvider.fromUnknown(Object.fromEntries(variables)), environment)
    return Effect.mapError(
      Effect.provideService(program, ConfigProvider.ConfigProvider, provider),
      (error): E | InvalidSettings => error instanceof InvalidSettings ? named(error, given) : error
    )
  })

/** The same problems by the flags that people gave, once each: a flag stands for all variables of its setting. */
const named = ({ problems: [first, ...rest] }: InvalidSettings, given: Given): InvalidSettings => {
  const byFlag = (problem: string): string => {
    for (const name of Object.keys(given)) {
      const variable = variablesOf(name).find((variable) => problem.startsWith(`${variable}=`))
      const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
      if (variable !== undefined) return `--${flag} ${problem.slice(variable.length + 1)}`
    }
    return problem
  }
  const others = new Set(rest.map(byFlag))
  others.delete(byFlag(first))
  return new InvalidSettings({ problems: [byFlag(first), ...others] })
}
