import { Effect } from "effect"
import { Command } from "effect/cli"
import * as ServerSettings from "../ServerSettings.ts"

/** Runs tasks without a server. */
export const command = Command.make("worker", ServerSettings.shared, (input) =>
  Effect.gen(function*() {
    const { program } = yield* Effect.promise(() => import("../../server/WorkerProgram.ts"))
    return yield* ServerSettings.provide(input)(program)
  })).pipe(
    Command.withDescription("Run tasks of a store without a server, until a signal stops it"),
    Command.withShortDescription("Run tasks without a server"),
    Command.withExamples([
      {
        command: "taskforge worker --store postgres://localhost/tasks --workers 50",
        description: "Another process for a shared store"
      }
    ])
  )
