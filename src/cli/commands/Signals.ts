/** Signals on the command line: what tasks wait for is completed by hand. */
import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as Bounds from "../../domain/Bounds.ts"
import { bodyOf, type SignalJson } from "../../http/api/SignalJson.ts"
import { usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"

const token = Argument.String("token").pipe(
  Argument.withDescription(
    "The token that its task has handed out, or an event's NAME:KEY; with --event the name alone"
  )
)

const event = Input.textFlag("event", "KEY", "Completes the event of this key, for all tasks that wait for it")

/** What stands before the colon and behind it. */
const tokenOf = (token: string, event: Option.Option<string>) => {
  if (Option.isNone(event)) return Effect.succeed(token)
  const faults = [
    ...Bounds.signalName.accepts(token) ? [] : [`An event has a name of ${Bounds.signalName.expected}`],
    ...Bounds.signalKey.accepts(event.value) ? [] : [`--event has a key of ${Bounds.signalKey.expected}`]
  ]
  return faults.length === 0
    ? Effect.succeed(`${token}:${event.value}`)
    : Effect.fail(
      usage(faults.join("; "), "Such as: taskforge signals complete paid --event invoice-42 '{\"amount\": 42}'")
    )
}

const jsonOf = Effect.fnUntraced(function*(text: string) {
  return text === "-" ? yield* Input.json(yield* Input.text("-"), "-") : yield* Input.json(text, "what it is given")
})

const said = Effect.fnUntraced(function*(
  signal: typeof SignalJson.Type,
  token: string,
  json: boolean,
  does: string
) {
  if (json) return yield* Screen.json(signal)
  const paint = yield* Screen.paint
  const name = signal.task === null ? token : signal.name
  const whose = signal.task === null ? "; whatever waits for it goes on" : `; task ${signal.task} goes on`
  yield* Screen.line(`${paint.good("✓")} ${paint.bold(Screen.plain(name))} ${does}${Screen.plain(whose)}`)
})

const complete = Target.command("complete", {
  token,
  success: Argument.String("json").pipe(
    Argument.withDescription("What the waiting step gives, or - to read it from stdin; null by default"),
    Argument.withDefault("null")
  ),
  event
}, (given) =>
  Effect.gen(function*() {
    const token = yield* tokenOf(given.token, given.event)
    const payload = bodyOf({ _tag: "Value", value: yield* jsonOf(given.success) })
    const { api, ask } = yield* Target.Target
    yield* said(yield* ask(api.signals.complete({ params: { token }, payload })), token, given.json, "is completed")
  })).pipe(
    Command.withDescription(
      "Complete a signal, once: the first completion counts. Its schema is in the program that waits, which fails if the JSON does " +
        "not fit it"
    ),
    Command.withShortDescription("Complete a signal: its task goes on"),
    Command.withExamples([
      { command: `taskforge signals complete $TOKEN '{"by": "ada"}'`, description: "Approve" },
      {
        command: `taskforge signals complete paid --event invoice-42 '{"amount": 42}'`,
        description: "An event, for all that wait for it"
      }
    ])
  )

const fail = Target.command("fail", {
  token,
  error: Argument.String("json").pipe(
    Argument.withDescription("What the waiting step fails with, or - to read it from stdin")
  ),
  event
}, (given) =>
  Effect.gen(function*() {
    const token = yield* tokenOf(given.token, given.event)
    const payload = bodyOf({ _tag: "Error", error: yield* jsonOf(given.error) })
    const { api, ask } = yield* Target.Target
    yield* said(yield* ask(api.signals.complete({ params: { token }, payload })), token, given.json, "has failed")
  })).pipe(
    Command.withDescription("Complete a signal with an error, which the waiting step fails with"),
    Command.withShortDescription("Complete a signal with an error"),
    Command.withExamples([
      {
        command: `taskforge signals fail $TOKEN '{"_tag": "Refused", "reason": "too much"}'`,
        description: "Refuse"
      }
    ])
  )

const show = Target.command("show", { token, event }, (given) =>
  Effect.gen(function*() {
    const token = yield* tokenOf(given.token, given.event)
    const { api, ask } = yield* Target.Target
    const signal = yield* ask(api.signals.get({ params: { token } }))
    if (given.json) return yield* Screen.json(signal)
    const paint = yield* Screen.paint
    const name = paint.bold(Screen.plain(signal.task === null ? token : signal.name))
    const status = signal.status === "open" || signal.status === "succeeded"
      ? paint.good(signal.status)
      : paint.warn(signal.status.replace("_", " "))
    const at = signal.completed_at === null ? "" : ` at ${signal.completed_at}`
    yield* Screen.line(`${name}: ${status}${at}`)
    if (signal.task !== null) yield* Screen.line(`  ${paint.dim("task")}  ${Screen.plain(signal.task)}`)
    const end = signal.success ?? signal.error
    if (end !== undefined) yield* Screen.line(`  ${paint.dim("with")}  ${Screen.plain(JSON.stringify(end))}`)
  })).pipe(
    Command.withDescription("Show whether a signal was completed, and with what"),
    Command.withExamples([
      { command: "taskforge signals show paid --event invoice-42", description: "Has it happened?" }
    ])
  )

/** Completes signals, and shows them. */
export const command = Command.make("signals").pipe(
  Command.withDescription(
    "Complete what tasks wait for in a step: signals and events. taskforge steps ID shows what a task waits for"
  ),
  Command.withShortDescription("Complete what tasks wait for"),
  Command.withSubcommands([complete, fail, show])
)
