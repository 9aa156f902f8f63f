/** The commands on the services of Node. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import * as Cli from "./Cli.ts"

/** Runs the command line of the process and answers its exit code. */
export const program = Effect.suspend(() => Cli.run(process.argv.slice(2))).pipe(
  Effect.provide(Layer.provideMerge(Cli.layerScreen, NodeServices.layer))
)
