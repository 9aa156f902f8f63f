import { Duration } from "effect"
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
    Flag.withDescription("Tasks per second"),
    Flag.filter(
      (rate) => rate > 0 && rate <= 100_000,
      (rate) => `Expected more than 0 and at most 100000, got ${rate}`
    ),
    Flag.withDefault(10)
  ),
  for: Flag.String("for").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription("How long to go on"),
    Flag.withSchema(DurationText),
    Flag.withDefault(Duration.seconds(30))
  ),
  load: Flag.Boolean("load").pipe(
    Flag.withDescription("Sends nothing but the smallest tasks, waits for all of them and tells the latencies"),
    Flag.withDefault(false)
  ),
  seed: Flag.String("seed").pipe(
    Flag.withDescription("The same seed gives the same tasks"),
    Flag.withDefault("taskforge")
  )
}, (input) => Target.provide(input)(Demonstration.run(input))).pipe(
  Command.withDescription(
    "Fill a server with varied life: urgent, late, failing, cancelled and long tasks; or with load"
  ),
  Command.withShortDescription("Fill a server with varied life, or with load"),
  Command.withExamples([
    { command: "taskforge demo", description: "Ten tasks per second for half a minute; see them with taskforge watch" },
    { command: "taskforge demo --load --rate 5000 --for 20s", description: "A load test" }
  ])
)
