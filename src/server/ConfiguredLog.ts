/** The log as the settings have it: coloured on a terminal, JSON elsewhere, unless they say more. */
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import { Effect, Layer, Stdio } from "effect"
import * as ServerLog from "../config/ServerLog.ts"
import type { Settings } from "../config/Settings.ts"

/** Writes the log to stdout. */
export const layer = ({ logFormat, logLevel }: Pick<Settings, "logFormat" | "logLevel">) =>
  Layer.unwrap(Effect.gen(function*() {
    const colours = yield* (yield* Stdio.Stdio).stdoutIsTerminal
    const format = logFormat === "auto" ? colours ? "pretty" : "json" : logFormat
    return ServerLog.layer({ format, colours, level: logLevel })
  })).pipe(Layer.provide(NodeStdio.layer))
