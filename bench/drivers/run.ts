/** The program of a queue contender: every driver by its name. */
import { Effect } from "effect"
import type { Drive, Driver, QueueContender, RoundParameters } from "../Contender.ts"
import * as Claim from "./claim.ts"
import * as Enqueue from "./enqueue.ts"
import * as Pickup from "./pickup.ts"
import * as Processing from "./processing.ts"

const drivers: Readonly<Record<Driver, Drive>> = {
  processing: Processing.drive,
  enqueue: Enqueue.driveSingle,
  bulk: Enqueue.driveBulk,
  pickup: Pickup.drive,
  claim: Claim.drive
}

/** Runs the round that the first argument describes and prints its metrics as one line of JSON. */
export const run = (contender: QueueContender): void => {
  const parameters: RoundParameters = JSON.parse(process.argv[2]!)
  const round = drivers[parameters.driver](contender, parameters).pipe(
    Effect.scoped,
    Effect.map((metrics) => ({ ...metrics, peakMemoryMB: process.resourceUsage().maxRSS / 1024 }))
  )
  // Exits by itself even where a peer leaves a timer behind.
  Effect.runPromise(round).then(
    (metrics) => process.stdout.write(`${JSON.stringify(metrics)}\n`, () => process.exit(0)),
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
}
