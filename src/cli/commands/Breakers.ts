/** Breakers on the command line: which dependencies are down, and what is done about it by hand. */
import { Duration, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { userInfo } from "node:os"
import * as DurationText from "../../domain/DurationText.ts"
import type { BreakerJson, BreakerKeyJson } from "../../http/api/BreakersApi.ts"
import * as Input from "../Input.ts"
import * as Listing from "../Listing.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const name = Argument.String("name").pipe(
  Argument.withDescription("The breaker: taskforge breakers list shows them")
)

const key = Input.textFlag("key", "KEY", "Only this key")

type KeyJson = typeof BreakerKeyJson.Type

const millisText = (millis: number): string => DurationText.format(Duration.millis(millis))

/** `5 failures in 1m open it for 30s, up to 10m`. */
const settingsText = ({ settings }: BreakerJson): string => {
  const { failures, max_open_for_ms, open_for_ms, within_ms } = settings
  const upTo = max_open_for_ms === open_for_ms ? "" : `, up to ${millisText(max_open_for_ms)}`
  return `${Words.count(failures)} ${failures === 1 ? "failure" : "failures"} in ${millisText(within_ms)} ` +
    `${failures === 1 ? "opens" : "open"} it for ${millisText(open_for_ms)}${upTo}`
}

const stateText = (state: BreakerJson["state"], paint: Screen.Paint): string =>
  state === "closed" ? paint.good("closed") : paint.warn(state === "open" ? "open" : "half open")

/** Why a key is as it is. */
const whyText = ({ by, failures, last_failure, reason, state }: KeyJson): string =>
  [
    state === "closed" && failures > 0 ? `${Words.count(failures)} ${failures === 1 ? "failure" : "failures"}` : "",
    by === null ? "" : `opened by ${Screen.plain(by)}`,
    reason === null ? "" : Screen.plain(reason),
    by !== null || last_failure === null
      ? ""
      : `${Screen.plain(last_failure.tag)}: ${Screen.plain(last_failure.message)}`
  ].filter((text) => text !== "").join(": ")

const all: Listing.Listing<BreakerJson> = {
  read: ({ api, ask }, query) =>
    Effect.map(ask(api.breakers.list({ query })), ({ breakers, next, timestamp }) => ({
      items: breakers,
      next,
      now: Date.parse(timestamp),
      notice: undefined
    })),
  columns: [{ head: "BREAKER", shrinksTo: 12 }, { head: "STATE" }, { head: "KEYS", shrinksTo: 8 }, {
    head: "IS",
    shrinksTo: 12
  }],
  row: (item, paint) => {
    const troubled = item.keys.filter(({ key, state }) => key !== "" && state !== "closed")
    return [
      Screen.plain(item.name),
      stateText(item.state, paint),
      troubled.map(({ key }) => Screen.plain(key)).join(", "),
      paint.dim(settingsText(item))
    ]
  },
  nothing: () => "There are no breakers. Those of a type are known once an instance that runs it has started.",
  shown: (count) => `The first ${count} by name`
}

const list = Target.command(
  "list",
  Listing.flags(50, "Shows every one, however many there are"),
  (given) => Listing.show(given, all)
).pipe(
  Command.withDescription("List the breakers, and which are open"),
  Command.withAlias("ls"),
  Command.withExamples([{ command: "taskforge breakers list", description: "Which dependencies are down" }])
)

const keyCells = (one: KeyJson, paint: Screen.Paint): ReadonlyArray<string> => [
  one.key === "" ? paint.dim("(all)") : Screen.plain(one.key),
  stateText(one.state, paint),
  one.since ?? "",
  one.state === "open" ? one.until ?? "" : "",
  whyText(one)
]

const showBreaker = Effect.fnUntraced(function*(breaker: BreakerJson) {
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  yield* Screen.line(
    `${paint.bold(Screen.plain(breaker.name))}: ${stateText(breaker.state, paint)}, ${settingsText(breaker)}`
  )
  if (breaker.keys.length === 0) return yield* Screen.line(paint.dim("No key has failures or is open."))
  const columns = [
    { head: "KEY", shrinksTo: 8 },
    { head: "STATE" },
    { head: "SINCE" },
    { head: "TRIED AT" },
    { head: "WHY", shrinksTo: 12 }
  ] as const
  const rows = breaker.keys.map((one) => keyCells(one, paint))
  for (const line of Table.format(columns, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
})

const show = Target.command("show", {
  name,
  keys: Flag.String("key").pipe(
    Flag.withMetavar("KEY"),
    Flag.withDescription("Shows how this key stands; may be repeated"),
    Flag.atLeast(0)
  )
}, ({ json, keys, name }) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    const breaker = yield* ask(api.breakers.get({ params: { name }, query: keys.length === 0 ? {} : { key: keys } }))
    yield* json ? Screen.json(breaker) : showBreaker(breaker)
  })).pipe(
    Command.withDescription("Show a breaker: since when it is open, when it is tried, and what failed last"),
    Command.withShortDescription("Show a breaker, and why it is open"),
    Command.withExamples([{ command: "taskforge breakers show smtp", description: "Why no mail is sent" }])
  )

const keyOf = (key: Option.Option<string>) => Option.isSome(key) ? { key: key.value } : {}

/** The user of this process, where the machine knows a name. */
const userName = Option.liftThrowable(() => userInfo().username)()

const open = Target.command("open", {
  name,
  key,
  for: Input.durationFlag("for", "How long, 5m or 1h30m; what the definition says if it is left out"),
  reason: Input.textFlag("reason", "TEXT", "Why: shown where the breaker is"),
  by: Input.textFlag("by", "NAME", "Who opens it, if it is not you; the name of an API key takes its place")
}, ({ by, for: time, json, key, name, reason }) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    const who = Option.getOrUndefined(Option.orElse(by, () => userName))
    const payload = {
      ...Option.isSome(time) && { for: time.value },
      ...who !== undefined && { by: who },
      ...Option.isSome(reason) && { reason: reason.value }
    }
    const breaker = yield* ask(api.breakers.open({ params: { name }, query: keyOf(key), payload }))
    yield* json ? Screen.json(breaker) : showBreaker(breaker)
  })).pipe(
    Command.withDescription("Open a breaker on all instances: no task that needs the dependency starts for a time"),
    Command.withShortDescription("Start no task that needs a dependency for a time"),
    Command.withExamples([
      { command: "taskforge breakers open smtp --for 1h --reason \"It moves\"", description: "While it is maintained" }
    ])
  )

const reset = Target.command("reset", { name, key }, ({ json, key, name }) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    yield* ask(api.breakers.reset({ params: { name }, query: keyOf(key) }))
    if (json) return yield* Screen.json({ name, key: Option.getOrNull(key), reset: true })
    const paint = yield* Screen.paint
    const what = Screen.plain(name) + (Option.isSome(key) ? ` of ${Screen.plain(key.value)}` : "")
    yield* Screen.line(`${paint.good("✓")} ${paint.bold(what)} is closed`)
  })).pipe(
    Command.withDescription("Close a breaker and forget its failures: tasks start again at once"),
    Command.withShortDescription("Close a breaker"),
    Command.withExamples([{ command: "taskforge breakers reset smtp", description: "The mail server is back" }])
  )

/** Shows, opens and closes breakers. */
export const command = Command.make("breakers").pipe(
  Command.withDescription("List, show, open and close breakers: which dependencies are down"),
  Command.withShortDescription("Show, open and close breakers"),
  Command.withSubcommands([list, show, open, reset])
)
