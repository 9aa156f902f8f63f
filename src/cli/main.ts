#!/usr/bin/env node
/**
 * The program `taskforge`. `serve` without anything else is the server alone, in as little memory as `npm start` takes;
 * everything else loads the commands.
 */
import { Effect } from "effect"
import * as MainProcess from "../server/MainProcess.ts"

const [first, ...rest] = process.argv.slice(2)
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major < 22 || major === 22 && minor < 19) {
  process.stderr.write(`taskforge needs Node 22.19 or newer, this is ${process.versions.node}\n`)
  process.exitCode = 1
} else if (first === "serve" && rest.length === 0) {
  MainProcess.run(
    Effect.flatMap(Effect.promise(() => import("../server/ServerProgram.ts")), ({ program }) => program)
  )
} else {
  const program = Effect.flatMap(Effect.promise(() => import("./Cli.ts")), ({ program }) => program)
  if (first === "serve" || first === "work") MainProcess.run(program)
  else MainProcess.runCommand(program)
}
