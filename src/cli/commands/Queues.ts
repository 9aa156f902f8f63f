import { Effect, Option, Record, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { userInfo } from "node:os"
import { quoted } from "../../domain/Quoting.ts"
import { NewPauseJson, type PauseJson, type QueueJson, type TypeCountsJson } from "../../http/api/QueuesApi.ts"
import { type Failure, invalidRequest, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Listing from "../Listing.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const named = {
  queues: Argument.String("queue").pipe(
    Argument.withDescription("The queue; tasks without one are in default"),
    Argument.variadic()
  ),
  type: Flag.String("type").pipe(
    Flag.withAlias("t"),
    Flag.withDescription("A type, in all queues; may be repeated"),
    Flag.atLeast(0)
  ),
  key: Input.textFlag("key", "KEY", "A key of a limit, which --limit names"),
  limit: Input.textFlag("limit", "NAME", "The limit of the key: taskforge limits list shows them")
}

const reasons = {
  ...named,
  reason: Input.textFlag("reason", "TEXT", "Why: shown where the queue is"),
  for: Input.textFlag("for", "DURATION", "Goes on by itself after this time: 30m, 2h"),
  until: Input.textFlag("until", "TIME", "Goes on by itself at this time: 2026-01-31T12:00:00Z"),
  by: Input.textFlag("by", "NAME", "Who pauses it, if it is not you; the name of an API key takes its place")
}

/** Stops the start of tasks. */
export const pause = Target.command("pause", reasons, (given) => pauseEach(given)).pipe(
  Command.withDescription("Start no more tasks of a queue, a type or a key, on all instances; running tasks go on"),
  Command.withShortDescription("Start no more tasks of a queue"),
  Command.withExamples([
    { command: "taskforge pause mail", description: "Until someone resumes it" },
    {
      command: `taskforge pause mail --for 2h --reason "The mail server is being moved"`,
      description: "Two hours, and says why"
    },
    { command: "taskforge pause --type email", description: "A type, in all queues" },
    { command: "taskforge pause --limit sync:concurrency --key acme", description: "The tasks of one key" }
  ])
)

/** Goes on. */
export const resume = Target.command("resume", named, (given) => resumeEach(given)).pipe(
  Command.withDescription("Start tasks of a paused queue, type or key again"),
  Command.withExamples([{ command: "taskforge resume mail", description: "When the mail server is back" }])
)

const decodePause = Schema.decodeUnknownEffect(NewPauseJson)

/** What is said about a pause, or what is wrong with it by the name of the flag. */
const toPause = ({ by, for: time, reason, until }: Target.Given<typeof reasons>) => {
  const given = Record.getSomes({ reason, for: time, until, by: Option.orElse(by, () => userName) })
  return Effect.mapError(decodePause(given), (error) => invalidRequest(error, (field) => `--${field}`))
}

/** The user of this process, where the machine knows a name. */
const userName = Option.liftThrowable(() => userInfo().username)()

const pauseEach = Effect.fnUntraced(function*(given: Target.Given<typeof reasons>) {
  const { api, ask } = yield* Target.Target
  const paint = yield* Screen.paint
  const payload = yield* toPause(given)
  yield* demandSubject(given)
  for (const type of given.type) {
    yield* ask(api.limits.pauseType({ params: { type }, payload }))
    yield* tellOther(given.json, { type }, "is paused")
  }
  const named = yield* keyOf(given)
  if (named !== undefined) {
    const { key, limit } = named
    yield* ask(api.limits.pauseKey({ params: { name: limit }, query: { key }, payload }))
    yield* tellOther(given.json, { limit, key }, "is paused")
  }
  for (const queue of given.queues) {
    yield* ask(api.queues.pause({ params: { queue }, payload }))
    const { pause, timestamp, type_count } = yield* ask(api.queues.get({ params: { queue }, query: { limit: 1 } }))
    if (type_count === 0) yield* warnOfUnknown(queue)
    if (given.json) yield* Screen.json({ queue, pause })
    else if (pause !== null) yield* Screen.line(isPaused(queue, pause, Date.parse(timestamp))(paint))
    else yield* Screen.line(goesOn(queue, paint))
  }
})

const resumeEach = Effect.fnUntraced(function*(given: Target.Given<typeof named>) {
  const { api, ask } = yield* Target.Target
  const paint = yield* Screen.paint
  const { json, queues } = given
  yield* demandSubject(given)
  for (const type of given.type) {
    yield* ask(api.limits.resumeType({ params: { type } }))
    yield* tellOther(json, { type }, "goes on")
  }
  const named = yield* keyOf(given)
  if (named !== undefined) {
    const { key, limit } = named
    yield* ask(api.limits.resumeKey({ params: { name: limit }, query: { key } }))
    yield* tellOther(json, { limit, key }, "goes on")
  }
  for (const queue of queues) {
    yield* ask(api.queues.resume({ params: { queue } }))
    if (json) yield* Screen.json({ queue, pause: null })
    else yield* Screen.line(goesOn(queue, paint))
  }
})

/** Something has to be named. */
const demandSubject = ({ key, limit, queues, type }: Target.Given<typeof named>): Effect.Effect<void, Failure> =>
  queues.length + type.length > 0 || Option.isSome(key) || Option.isSome(limit)
    ? Effect.void
    : Effect.fail(usage(
      "Nothing is named",
      "Name queues, or a type with --type, or a key with --key and --limit."
    ))

/** The key of a limit that is named. A limit that has no keys has the empty one; of others, no one means that when naming none. */
export const namedKey = Effect.fnUntraced(function*(limit: string, key: Option.Option<string>) {
  if (Option.isSome(key)) return key.value
  const { api, ask } = yield* Target.Target
  const { is_keyed } = yield* ask(api.limits.get({ params: { name: limit }, query: {} }))
  if (!is_keyed) return ""
  return yield* usage(
    `The limit ${limit} has keys, and --key names none`,
    "Name one with --key; --key '' is the empty one."
  )
})

/** The key that is named, if one is. */
const keyOf = ({ key, limit }: Target.Given<typeof named>) =>
  Option.isSome(limit)
    ? Effect.map(namedKey(limit.value, key), (key) => ({ limit: limit.value, key }))
    : Option.isSome(key)
    ? Effect.fail(usage("--key needs --limit", "taskforge limits list shows the limits."))
    : Effect.undefined

const tellOther = Effect.fnUntraced(function*(
  json: boolean,
  subject: { readonly type: string } | { readonly limit: string; readonly key: string },
  state: "is paused" | "goes on"
) {
  if (json) return yield* Screen.json({ ...subject, paused: state === "is paused" })
  const { bold, good, warn } = yield* Screen.paint
  const name = "type" in subject
    ? `type ${Screen.plain(subject.type)}`
    : `${Screen.plain(subject.limit)}${subject.key === "" ? "" : ` of ${Screen.plain(subject.key)}`}`
  yield* Screen.line(`${state === "is paused" ? warn("‖") : good("▸")} ${bold(name)} ${state}`)
})

const goesOn = (queue: string, { bold, good }: Screen.Paint): string =>
  `${good("▸")} ${bold(Screen.plain(queue))} goes on`

/** What is said of a queue that gives no work. */
const isPaused = (queue: string, pause: PauseJson, now: number) => ({ bold, warn }: Screen.Paint): string =>
  `${warn("‖")} ${bold(Screen.plain(queue))} is ${pauseText(pause, now)}; go on with: taskforge resume ${
    quoted(Screen.plain(queue))
  }`

/** `paused for 2h more by ada: The mail server is being moved`. */
export const pauseText = ({ by, reason, until }: PauseJson, now: number): string =>
  "paused" + (until === null ? "" : ` for ${Words.left(Date.parse(until) - now)} more`) +
  (by === null ? "" : ` by ${Screen.plain(by)}`) + (reason === null ? "" : `: ${Screen.plain(reason)}`)

/** A queue that has no tasks may be a typing error. It is paused all the same: its tasks may come later. */
const warnOfUnknown = Effect.fnUntraced(function*(queue: string) {
  const { api, ask } = yield* Target.Target
  const { queues } = yield* ask(api.queues.list({ query: { limit: 10 } }))
  const names = queues.filter((one) => one.type_count > 0).map((one) => Screen.plain(one.queue))
  const known = names.length === 0 ? "" : `; there are tasks in ${names.join(", ")}`
  yield* Screen.lineError(`! No task is in the queue ${Screen.plain(queue)}${known}`)
})

const counting = Listing.flags(50, "Shows every one, however many there are")

const inQueue = Argument.String("queue").pipe(
  Argument.withDescription("Shows the types in this queue"),
  Argument.optional
)

/** Shows the queues, or the types in one of them. */
export const queues = Target.command("queues", { ...counting, queue: inQueue }, (given) =>
  Option.match(given.queue, {
    onNone: () => Listing.show(given, allQueues),
    onSome: (queue) => Listing.show(given, typesIn(queue))
  })).pipe(
    Command.withDescription("Show the queues, or the types in one: what waits and runs in each, and since when"),
    Command.withShortDescription("Show the queues, and what waits in each"),
    Command.withExamples([
      { command: "taskforge queues", description: "What waits, and where" },
      { command: "taskforge queues mail", description: "Which types wait in one queue" },
      { command: "taskforge queues --all --json | jq 'select(.pause).queue'", description: "The paused queues" }
    ])
  )

/** Shows the types, over all queues. */
export const types = Target.command("types", counting, (given) => Listing.show(given, allTypes)).pipe(
  Command.withDescription(
    "Show the types that have tasks, over all queues: what waits and runs of each, and since when"
  ),
  Command.withShortDescription("Show the types, and what waits of each"),
  Command.withExamples([{ command: "taskforge types", description: "What waits, and of which type" }])
)

type TypeJson = typeof TypeCountsJson.Type
type Unfinished = Omit<TypeJson, "type">

const counts = [
  { head: "PENDING", align: "right" },
  { head: "SCHEDULED", align: "right" },
  { head: "RUNNING", align: "right" },
  { head: "WAITING", align: "right" }
] as const

const cellsOf = ({ pending, running, scheduled, waiting_since }: Unfinished, paint: Screen.Paint, now: number) => [
  ...[pending, scheduled, running].map((count) => count === 0 ? paint.dim("0") : Words.count(count)),
  waiting_since === null ? "" : Words.age(now - Date.parse(waiting_since))
]

const shown = (count: number) => `The first ${count} by name`

const allQueues: Listing.Listing<QueueJson> = {
  read: ({ api, ask }, query) =>
    Effect.map(
      ask(api.queues.list({ query })),
      ({ next, queues, timestamp }) => ({ items: queues, next, now: Date.parse(timestamp) })
    ),
  columns: [{ head: "QUEUE", shrinksTo: 12 }, ...counts, { head: "TYPES", shrinksTo: 8 }],
  row: (item, paint, now) => {
    const named = item.types.slice(0, 5).map(({ type }) => Screen.plain(type)).join(", ")
    return [
      item.pause === null
        ? Screen.plain(item.queue)
        : `${Screen.plain(item.queue)} ${paint.warn("‖ paused")}`,
      ...cellsOf(item, paint, now),
      paint.dim(item.type_count > 5 ? `${named} and ${Words.count(item.type_count - 5)} more` : named)
    ]
  },
  nothing: Listing.noTasks,
  shown
}

const byType = {
  columns: [{ head: "TYPE", shrinksTo: 12 }, ...counts],
  row: (item: TypeJson, paint: Screen.Paint, now: number) => [Screen.plain(item.type), ...cellsOf(item, paint, now)],
  shown
}

const typesIn = (queue: string): Listing.Listing<TypeJson> => ({
  ...byType,
  read: ({ api, ask }, query) =>
    Effect.map(ask(api.queues.get({ params: { queue }, query })), ({ next, pause, timestamp, types }) => ({
      items: types,
      next,
      now: Date.parse(timestamp),
      notice: pause === null ? undefined : isPaused(queue, pause, Date.parse(timestamp))
    })),
  nothing: ({ accent }) =>
    `No task is in the queue ${Screen.plain(queue)}. ${accent("taskforge queues")} shows them all.`
})

const allTypes: Listing.Listing<TypeJson> = {
  ...byType,
  read: ({ api, ask }, query) =>
    Effect.map(
      ask(api.queues.types({ query })),
      ({ next, timestamp, types }) => ({ items: types, next, now: Date.parse(timestamp) })
    ),
  nothing: Listing.noTasks
}
