/**
 * What the process does once it is asked for more than help: `serve` without anything else is the server alone, in as little memory as
 * `npm start` takes; everything else loads the commands.
 */
import { Effect } from "effect"
import * as MainProcess from "../server/MainProcess.ts"

const [first, ...rest] = process.argv.slice(2)

if (first === "serve" && rest.length === 0) {
  MainProcess.run(
    Effect.flatMap(Effect.promise(() => import("../server/ServerProgram.ts")), ({ program }) => program)
  )
} else {
  const program = Effect.flatMap(Effect.promise(() => import("./Cli.ts")), ({ program }) => program)
  if (first === "serve" || first === "work") MainProcess.run(program)
  else MainProcess.runCommand(program)
}
