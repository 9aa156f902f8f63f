import { Duration, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { DurationText } from "../../domain/DurationText.ts"
import * as Demonstration from "../Demonstration.ts"
import * as Json from "../Json.ts"
import * as Target from "../Target.ts"

/** Fills a server with life, or with load. */
export const command = Command.make("demo", {
  ...Target.flags,
  json: Json.flag,
  rate: Flag.Finite("rate").pipe(
    Flag.withDescription("Tasks per second: 10 by default; with --load as many as the server completes"),
    Flag.filter(
      (rate) => rate > 0 && rate <= 100_000,
      (rate) => `Expected more than 0 and at most 100000, got ${rate}`
    ),
    Flag.optional
  ),
  for: Flag.String("for").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription("Duration: 30s by default, 10s with --load"),
    Flag.withSchema(DurationText),
    Flag.optional
  ),
  load: Flag.Boolean("load").pipe(
    Flag.withDescription(
      "Keeps the server busy with minimal tasks, waits for all of them, and prints rates and latencies"
    ),
    Flag.withDefault(false)
  ),
  seed: Flag.String("seed").pipe(
    Flag.withDescription("The same seed gives the same tasks"),
    Flag.withDefault("taskforge")
  )
}, (input) =>
  Target.provide(input)(Demonstration.run({
    ...input,
    rate: Option.getOrElse(input.rate, () => input.load ? undefined : 10),
    for: Option.getOrElse(input.for, () => Duration.seconds(input.load ? 10 : 30))
  }))).pipe(
    Command.withDescription(
      "Send varied tasks to a server: urgent, delayed, failing, cancelled and long ones; or a load"
    ),
    Command.withShortDescription("Send varied tasks to a server, or a load"),
    Command.withExamples([
      {
        command: "taskforge demo",
        description: "Ten tasks per second for half a minute; see them with taskforge watch"
      },
      { command: "taskforge demo --load", description: "A load test: how much the server completes, and how fast" },
      { command: "taskforge demo --load --rate 500 --for 1m", description: "The latencies at a steady rate" }
    ])
  )
