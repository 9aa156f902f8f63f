import { Duration, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { DurationText } from "../../domain/DurationText.ts"
import * as Dashboard from "../Dashboard.ts"
import * as Json from "../Json.ts"
import * as Target from "../Target.ts"
import * as TaskWatch from "../TaskWatch.ts"

/** Shows what happens, while it happens. */
export const command = Command.make("watch", {
  ...Target.flags,
  json: Json.flag,
  ids: Argument.String("id").pipe(
    Argument.withDescription("The tasks to follow until they finish; the whole system if there is none"),
    Argument.variadic()
  ),
  interval: Flag.String("interval").pipe(
    Flag.withAlias("i"),
    Flag.withMetavar("DURATION"),
    Flag.withDescription("Time between two updates"),
    Flag.withSchema(DurationText),
    Flag.withDefault(Duration.seconds(1))
  ),
  for: Flag.String("for").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription("Ends after this time; never by default"),
    Flag.withSchema(DurationText),
    Flag.optional
  )
}, (input) => {
  const work = input.ids.length === 0
    ? Dashboard.show(Duration.max(input.interval, Duration.millis(100)), input.json)
    : TaskWatch.follow(input.ids, input.json)
  return Target.provide(input)(
    Option.match(input.for, {
      onNone: () => work,
      onSome: (time) => Effect.asVoid(Effect.timeoutOption(work, time))
    })
  )
}).pipe(
  Command.withDescription("Watch the whole system, or some tasks until they finish"),
  Command.withExamples([
    { command: "taskforge watch", description: "The system, until Ctrl-C" },
    { command: "taskforge watch $ID", description: "One task until it finishes; exits with 1 unless it completed" },
    { command: "taskforge watch --json --interval 10s", description: "A line of counts every ten seconds" }
  ])
)
