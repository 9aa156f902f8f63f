import { Effect } from "effect"
import { Command } from "effect/cli"
import * as Settings from "../ServerSettings.ts"

/** Runs the server. */
export const command = Command.make("serve", {
  ...Settings.http,
  ...Settings.shared
}, (input) =>
  Effect.gen(function*() {
    const { program } = yield* Effect.promise(() => import("../../server/ServerProgram.ts"))
    return yield* Settings.provide(input)(program)
  })).pipe(
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
