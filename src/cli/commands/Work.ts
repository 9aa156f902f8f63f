import { Effect } from "effect"
import { Command } from "effect/cli"
import * as ServerSettings from "../ServerSettings.ts"

/** Runs tasks without a server. */
export const command = Command.make("work", ServerSettings.shared, (input) =>
  Effect.gen(function*() {
    const { program } = yield* Effect.promise(() => import("../../server/WorkProgram.ts"))
    return yield* ServerSettings.provide(input)(program)
  })).pipe(
    Command.withDescription("Run tasks of a store without a server, until a signal stops it"),
    Command.withShortDescription("Run tasks without a server"),
    Command.withExamples([
      {
        command: "taskforge work --store postgres://localhost/tasks --workers 50",
        description: "Another process for a shared store"
      }
    ])
  )
