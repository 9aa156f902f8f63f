/** Limits on the command line: what they are, who holds them, and how they are changed. */
import { Duration, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { userInfo } from "node:os"
import * as DurationText from "../../domain/DurationText.ts"
import type { LimitJson, LimitKeyJson, NewLimitJson } from "../../http/api/LimitsApi.ts"
import * as Input from "../Input.ts"
import * as Listing from "../Listing.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"
import { namedKey, pauseText } from "./Queues.ts"

const name = Argument.String("name").pipe(Argument.withDescription("The limit: taskforge limits list shows them"))

const key = Input.textFlag("key", "KEY", "Only for this key")

const author = {
  reason: Input.textFlag("reason", "TEXT", "Why: shown where the limit is"),
  by: Input.textFlag("by", "NAME", "Who changes it, if it is not you; the name of an API key takes its place")
}

type Setting = LimitJson["setting"]

const count = (number: number): string => Number.isInteger(number) ? Words.count(number) : String(number)

/** `2 at a time`, `100 per 1m, 20 at once`. */
const settingText = (setting: Setting): string => {
  switch (setting.kind) {
    case "concurrency":
      return `${count(setting.max)} at a time`
    case "rate":
      return `${count(setting.max)} per ${DurationText.format(Duration.millis(setting.per_ms))}` +
        (setting.burst === setting.max ? "" : `, ${count(setting.burst)} at once`)
    case "order":
      return setting.on_failure === "block"
        ? "in order; a failed task blocks"
        : "in order; goes on behind a failed task"
    case "fair":
      return `turns of ${count(setting.weight)}`
    case "lifted":
      return "lifted"
  }
}

/** `set by ada: More machines; the definition says 2 at a time`. */
const authorText = ({ by, definition, reason, set_by }: LimitJson): string =>
  set_by === "definition"
    ? "by definition"
    : `set${by === null ? "" : ` by ${Screen.plain(by)}`}${reason === null ? "" : `: ${Screen.plain(reason)}`}` +
      (definition === null ? "" : `; the definition says ${settingText(definition)}`)

const nameText = ({ key, name }: Pick<LimitJson, "key" | "name">): string =>
  Screen.plain(name) + (key === null ? "" : ` of ${Screen.plain(key)}`)

const all: Listing.Listing<LimitJson> = {
  read: ({ api, ask }, query) =>
    Effect.map(ask(api.limits.list({ query })), ({ limits, next, paused_keys, paused_types }) => ({
      items: limits,
      next,
      now: 0,
      notice: paused_keys.length + paused_types.length === 0
        ? undefined
        : ({ warn }: Screen.Paint) =>
          [
            ...paused_types.map(({ type }) => `${warn("‖")} type ${Screen.plain(type)} is paused`),
            ...paused_keys.map(({ key, limit }) => `${warn("‖")} ${nameText({ name: limit, key })} is paused`)
          ].join("\n")
    })),
  columns: [{ head: "LIMIT", shrinksTo: 12 }, { head: "KEY", shrinksTo: 8 }, { head: "IS" }, {
    head: "SET",
    shrinksTo: 8
  }],
  row: (item, paint) => [
    Screen.plain(item.name),
    item.key === null ? "" : Screen.plain(item.key),
    settingText(item.setting),
    item.set_by === "definition" ? paint.dim(authorText(item)) : authorText(item)
  ],
  nothing: () => "There are no limits. Those of a type are known once an instance that runs it has started.",
  shown: (count) => `The first ${count} by name`
}

const list = Target.command(
  "list",
  Listing.flags(50, "Shows every one, however many there are"),
  (given) => Listing.show(given, all)
).pipe(
  Command.withDescription("List the limits, and who set them"),
  Command.withAlias("ls"),
  Command.withExamples([{ command: "taskforge limits list", description: "What limits there are" }])
)

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
    const query = keys.length === 0 ? {} : { key: keys }
    const limit = yield* ask(api.limits.get({ params: { name }, query }))
    if (json) return yield* Screen.json(limit)
    const screen = yield* Screen.Screen
    const paint = Screen.paintOn(screen)
    yield* Screen.line(`${paint.bold(Screen.plain(limit.name))}: ${settingText(limit.setting)}, ${authorText(limit)}`)
    if (limit.keys.length === 0) {
      return yield* Screen.line(paint.dim("No key is blocked, paused, or has a limit of its own."))
    }
    const now = Date.parse(limit.timestamp)
    const rows = limit.keys.map((one) => keyCells(one, paint, now))
    const columns = [
      { head: "KEY", shrinksTo: 8 },
      { head: "RUNNING", align: "right" },
      { head: "TOKENS", align: "right" },
      { head: "IS", shrinksTo: 12 }
    ] as const
    for (const line of Table.format(columns, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
  })).pipe(
    Command.withDescription(
      "Show a limit: which keys are blocked, paused, or have limits of their own, and who holds them"
    ),
    Command.withShortDescription("Show a limit, and how its keys stand"),
    Command.withExamples([
      { command: "taskforge limits show sync:concurrency --key acme", description: "Who holds the slots of a key" }
    ])
  )

const waiting = Target.command("waiting", { name, key }, ({ json, key, name }) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    const query = { key: Option.getOrElse(key, () => "") }
    const found = yield* ask(api.limits.waiting({ params: { name }, query }))
    if (json) return yield* Screen.json(found)
    const paint = yield* Screen.paint
    const least = found.complete ? "" : "at least "
    const what = nameText({ name: found.limit, key: found.key === "" ? null : found.key })
    yield* Screen.line(`${paint.bold(what)}: ${least}${Words.counted(found.count, "due task")}`)
    for (const id of found.first) yield* Screen.line(`  ${Screen.plain(id)}`)
    if (found.count > found.first.length) {
      yield* Screen.line(paint.dim(`  and ${Words.count(found.count - found.first.length)} that were made later`))
    }
    if (!found.complete) {
      yield* Screen.line(
        paint.dim(`Of the ${Words.count(found.looked)} due tasks that were made last; there are others.`)
      )
    }
  })).pipe(
    Command.withDescription(
      "Count the due tasks with a key of a limit, and show the first of them. It looks at 10,000 due tasks at most"
    ),
    Command.withShortDescription("Count what waits with a key of a limit"),
    Command.withExamples([
      { command: "taskforge limits waiting sync:concurrency --key acme", description: "Who waits, and how many" }
    ])
  )

const keyCells = (one: LimitKeyJson, { dim, warn }: Screen.Paint, now: number): ReadonlyArray<string> => [
  one.key === "" ? dim("(all)") : Screen.plain(one.key),
  Words.count(one.running),
  one.tokens === null ? "" : count(Math.floor(one.tokens * 100) / 100),
  [
    one.is_own ? settingText(one.setting) : "",
    one.pause === null ? "" : warn(pauseText(one.pause, now)),
    one.blocked_by === null
      ? ""
      : warn(`blocked by ${Screen.plain(one.blocked_by.id)}, which is ${one.blocked_by.status}`),
    one.holders.length === 0 ? "" : dim(`held by ${one.holders.map(Screen.plain).join(", ")}`)
  ].filter((text) => text !== "").join("; ")
]

/** The user of this process, where the machine knows a name. */
const userName = Option.liftThrowable(() => userInfo().username)()

const authorOf = (
  { by, reason }: Pick<Target.Given<typeof author>, "by" | "reason">
): Pick<NewLimitJson, "by" | "reason"> => {
  const name = Option.getOrUndefined(Option.orElse(by, () => userName))
  return { ...name !== undefined && { by: name }, ...Option.isSome(reason) && { reason: reason.value } }
}

const keyOf = (key: Option.Option<string>) => Option.isSome(key) ? { key: key.value } : {}

const put = Effect.fnUntraced(function*(
  name: string,
  key: Option.Option<string>,
  payload: NewLimitJson,
  json: boolean
) {
  const { api, ask } = yield* Target.Target
  const limit = yield* ask(api.limits.set({ params: { name }, query: keyOf(key), payload }))
  if (json) return yield* Screen.json(limit)
  const paint = yield* Screen.paint
  yield* Screen.line(
    `${paint.good("✓")} ${paint.bold(nameText(limit))}: ${settingText(limit.setting)}, ${authorText(limit)}`
  )
})

const set = Target.command("set", {
  name,
  key,
  max: Flag.Finite("max").pipe(
    Flag.withDescription("Tasks at a time, or tokens of a rate in its time"),
    Flag.optional
  ),
  per: Input.durationFlag("per", "The time of a rate: 1s, 1m"),
  burst: Flag.Finite("burst").pipe(Flag.withDescription("Tokens of a rate that a key can save up"), Flag.optional),
  onFailure: Flag.Literals("on-failure", ["block", "continue"]).pipe(
    Flag.withDescription("What a failed task of an order does to those behind it"),
    Flag.optional
  ),
  weight: Flag.Int("weight").pipe(Flag.withDescription("Tasks of a key in one turn"), Flag.optional),
  ...author
}, ({ json, key, name, ...given }) => {
  const { burst, max, onFailure, per, weight } = given
  return put(name, key, {
    ...Option.isSome(max) && { max: max.value },
    ...Option.isSome(per) && { per: per.value },
    ...Option.isSome(burst) && { burst: burst.value },
    ...Option.isSome(onFailure) && { on_failure: onFailure.value },
    ...Option.isSome(weight) && { weight: weight.value },
    ...authorOf(given)
  }, json)
}).pipe(
  Command.withDescription("Change a limit on all instances, at once, until it is reset"),
  Command.withShortDescription("Change a limit"),
  Command.withExamples([
    { command: "taskforge limits set sync:concurrency --max 5", description: "For every key" },
    { command: "taskforge limits set sync:rate --key acme --max 500 --per 1m", description: "For one key" }
  ])
)

const lift = Target.command(
  "lift",
  { name, key, ...author },
  ({ json, key, name, ...given }) => put(name, key, { lifted: true, ...authorOf(given) }, json)
).pipe(
  Command.withDescription("Start tasks as if the limit was not there, until it is reset"),
  Command.withExamples([{ command: "taskforge limits lift sync:rate --key acme", description: "No limit for one key" }])
)

const reset = Target.command("reset", { name, key }, ({ json, key, name }) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    yield* ask(api.limits.reset({ params: { name }, query: keyOf(key) }))
    if (json) return yield* Screen.json({ name, key: Option.getOrNull(key), reset: true })
    const paint = yield* Screen.paint
    yield* Screen.line(
      `${paint.good("✓")} ${paint.bold(nameText({ name, key: Option.getOrNull(key) }))} is as it was before it was set`
    )
  })).pipe(
    Command.withDescription("Take back what was set by hand: what the definition says holds again"),
    Command.withExamples([{ command: "taskforge limits reset sync:rate", description: "As the program says" }])
  )

const release = Target.command("release", {
  name,
  key: Input.textFlag("key", "KEY", "The key that is blocked")
}, ({ json, key: given, name }) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    const key = yield* namedKey(name, given)
    yield* ask(api.limits.release({ params: { name }, query: { key } }))
    if (json) return yield* Screen.json({ name, key, released: true })
    const paint = yield* Screen.paint
    yield* Screen.line(`${paint.good("▸")} ${paint.bold(nameText({ name, key }))} goes on with its next task`)
  })).pipe(
    Command.withDescription("Start the next task of an order's key, whatever has become of the one before it"),
    Command.withShortDescription("Start the next task of a blocked key"),
    Command.withExamples([
      { command: "taskforge limits release ship:order --key order-42", description: "Behind a task that failed" }
    ])
  )

/** Shows and changes limits. */
export const command = Command.make("limits").pipe(
  Command.withDescription("List, show and change limits: how many tasks run, how many start, and in which order"),
  Command.withShortDescription("Show and change limits"),
  Command.withSubcommands([list, show, waiting, set, lift, reset, release])
)
