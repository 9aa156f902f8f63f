/** Flags of the commands that run an engine. Each stands for a setting of the environment and wins over it. */
import { ConfigProvider, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import type { table } from "../config/SettingsTable.ts"
import { table as settings } from "../config/SettingsTable.ts"

const flag = (name: string, setting: keyof typeof table, metavar: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(`${settings[setting].about} [${settings[setting].names[0]}]`),
    Flag.optional
  )

/** Where a server listens. */
export const http = {
  port: flag("port", "port", "PORT"),
  host: flag("host", "host", "HOST")
}

/** What servers and workers have in common. */
export const shared = {
  store: flag("store", "store", "URL"),
  workers: flag("workers", "workers", "COUNT"),
  logLevel: flag("log-level", "logLevel", "LEVEL"),
  logFormat: flag("log-format", "logFormat", "FORMAT")
}

/** What was given for them. */
export type Given = Partial<Readonly<Record<keyof typeof http | keyof typeof shared, Option.Option<string>>>>

/** Runs a program whose settings are those of the flags, then those of the environment. */
export const provide = (given: Given) => <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(ConfigProvider.ConfigProvider, (environment) => {
    const variables: Record<string, string> = {}
    for (const name of ["port", "host", "store", "workers", "logLevel", "logFormat"] as const) {
      const value = Option.getOrUndefined(given[name] ?? Option.none())
      // Every name of the setting, so that another one in the environment does not contradict the flag
      if (value !== undefined) { for (const variable of settings[name].names) variables[variable] = value }
    }
    const provider = ConfigProvider.orElse(ConfigProvider.fromUnknown(variables), environment)
    return Effect.provideService(program, ConfigProvider.ConfigProvider, provider)
  })
