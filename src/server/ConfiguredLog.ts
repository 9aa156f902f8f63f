/** The log as the settings have it: coloured on a terminal, JSON elsewhere, unless they say more. */
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import { Effect, Layer, Stdio } from "effect"
import * as ServerLog from "../config/ServerLog.ts"
import type { Settings } from "../config/Settings.ts"
import * as LogLevels from "../domain/LogLevels.ts"

type Chosen = Pick<Settings, "logFormat" | "logLevel">

/** The format that the settings mean here. */
export const formatOf = ({ logFormat }: Pick<Settings, "logFormat">): Effect.Effect<"pretty" | "json"> =>
  logFormat === "auto"
    ? Effect.map(isTerminal, (colours) => colours ? "pretty" : "json")
    : Effect.succeed(logFormat)

/** Writes the log to stdout. */
export const layer = (chosen: Chosen) =>
  Layer.unwrap(Effect.gen(function*() {
    return ServerLog.layer({
      format: yield* formatOf(chosen),
      colours: yield* isTerminal,
      level: chosen.logLevel
    })
  }))

/** The levels by module, for all loggers that there are. */
export const levels = ({ logLevel, logLevels }: Pick<Settings, "logLevel" | "logLevels">): Layer.Layer<never> =>
  LogLevels.layer({ level: LogLevels.fromEffect(logLevel), modules: logLevels })

const isTerminal = Effect.flatMap(Stdio.Stdio, ({ stdoutIsTerminal }) => stdoutIsTerminal).pipe(
  Effect.provide(NodeStdio.layer)
)
