import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { pageSize } from "../../http/api/Paging.ts"
import type { QueueJson, TypeCountsJson } from "../../http/api/QueueJson.ts"
import type { Failure } from "../Failure.ts"
import * as Json from "../Json.ts"
import * as Paint from "../Paint.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const config = {
  ...Target.flags,
  json: Json.flag,
  queues: Argument.String("queue").pipe(
    Argument.withDescription("The queue; tasks without one are in default"),
    Argument.variadic({ min: 1 })
  )
}

interface Input {
  readonly json: boolean
  readonly queues: ReadonlyArray<string>
}

/** Stops the start of tasks. */
export const pause = Command.make("pause", config, (input) => Target.provide(input)(each(input, "pause"))).pipe(
  Command.withDescription("Start no more tasks of a queue, on all instances; running tasks go on"),
  Command.withShortDescription("Start no more tasks of a queue"),
  Command.withExamples([{ command: "taskforge pause mail", description: "While the mail server is down" }])
)

/** Goes on. */
export const resume = Command.make("resume", config, (input) => Target.provide(input)(each(input, "resume"))).pipe(
  Command.withDescription("Start tasks of a paused queue again"),
  Command.withExamples([{ command: "taskforge resume mail", description: "When the mail server is back" }])
)

const each = Effect.fnUntraced(function*({ json, queues }: Input, action: "pause" | "resume") {
  const { api, problem, repeatable } = yield* Target.Target
  const paint = Paint.make(yield* Screen.Screen)
  for (const queue of queues) {
    yield* Effect.mapError(repeatable(api.queues[action]({ params: { queue } })), problem)
    if (action === "pause") yield* warnOfUnknown(queue)
    if (json) yield* Screen.json({ queue, paused: action === "pause" })
    else {
      yield* Screen.line(
        action === "pause"
          ? `${paint.warn("‖")} ${paint.bold(Paint.plain(queue))} is paused; go on with: taskforge resume ${
            Paint.plain(queue)
          }`
          : `${paint.good("▸")} ${paint.bold(Paint.plain(queue))} goes on`
      )
    }
  }
})

/** A queue that has no tasks may be a typing error. It is paused all the same: its tasks may come later. */
const warnOfUnknown = Effect.fnUntraced(function*(queue: string) {
  const { api, problem, repeatable } = yield* Target.Target
  const { type_count } = yield* Effect.mapError(
    repeatable(api.queues.get({ params: { queue }, query: { limit: 1 } })),
    problem
  )
  if (type_count > 0) return
  const { queues } = yield* Effect.mapError(repeatable(api.queues.list({ query: { limit: 10 } })), problem)
  const names = queues.filter((one) => one.type_count > 0).map((one) => Paint.plain(one.queue))
  const known = names.length === 0 ? "" : `; there are tasks in ${names.join(", ")}`
  yield* Screen.lineError(`! No task is in the queue ${Paint.plain(queue)}${known}`)
})

const counting = {
  ...Target.flags,
  json: Json.flag,
  limit: Flag.Int("limit").pipe(
    Flag.withAlias("n"),
    Flag.withDescription("How many to show"),
    Flag.filter((limit) => limit > 0, (limit) => `Expected at least 1, got ${limit}`),
    Flag.withDefault(50)
  ),
  all: Flag.Boolean("all").pipe(
    Flag.withDescription("Shows every one, however many there are"),
    Flag.withDefault(false)
  )
}

/** Shows the queues, or the types in one of them. */
export const queues = Command.make(
  "queues",
  {
    ...counting,
    queue: Argument.String("queue").pipe(
      Argument.withDescription("Shows the types in this queue"),
      Argument.optional
    )
  },
  (input) =>
    Target.provide(input)(
      Option.match(input.queue, {
        onNone: () => list(input, allQueues),
        onSome: (queue) => list(input, typesIn(queue))
      })
    )
).pipe(
  Command.withDescription("Show the queues, or the types in one: what waits and runs in each, and since when"),
  Command.withShortDescription("Show the queues, and what waits in each"),
  Command.withExamples([
    { command: "taskforge queues", description: "What waits, and where" },
    { command: "taskforge queues mail", description: "Which types wait in one queue" },
    { command: "taskforge queues --all --json | jq 'select(.paused).queue'", description: "The paused queues" }
  ])
)

/** Shows the types, over all queues. */
export const types = Command.make("types", counting, (input) => Target.provide(input)(list(input, allTypes))).pipe(
  Command.withDescription(
    "Show the types that have tasks, over all queues: what waits and runs of each, and since when"
  ),
  Command.withShortDescription("Show the types, and what waits of each"),
  Command.withExamples([{ command: "taskforge types", description: "What waits, and of which type" }])
)

type TypeJson = typeof TypeCountsJson.Type
type Unfinished = Omit<TypeJson, "type">

/** A page of what is listed. */
interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly next: string | null
  readonly timestamp: string
}

/** What is listed: how a page of it is read, and what a table shows of each. */
interface Listing<A extends Unfinished> {
  readonly read: (
    target: Target.Target["Service"],
    query: { readonly limit: number; readonly cursor?: string }
  ) => Effect.Effect<Page<A>, Failure>
  readonly head: string
  readonly name: (item: A, paint: Paint.Paint) => string
  /** The columns that others have not, with a cell for each item. */
  readonly more: ReadonlyArray<
    { readonly column: Table.Column; readonly cell: (item: A, paint: Paint.Paint) => string }
  >
  readonly nothing: (paint: Paint.Paint) => string
}

const noTasks = ({ accent }: Paint.Paint) =>
  `There are no tasks yet. Enqueue one:\n\n  ${accent(`taskforge enqueue echo '{"hello": "world"}'`)}`

const allQueues: Listing<QueueJson> = {
  read: ({ api, problem, repeatable }, query) =>
    repeatable(api.queues.list({ query })).pipe(
      Effect.mapBoth({ onFailure: problem, onSuccess: ({ queues: items, ...page }) => ({ ...page, items }) })
    ),
  head: "QUEUE",
  name: ({ paused, queue }, paint) => paused ? `${Paint.plain(queue)} ${paint.warn("‖ paused")}` : Paint.plain(queue),
  more: [{
    column: { head: "TYPES", shrinksTo: 8 },
    cell: ({ type_count, types }, paint) => {
      const named = types.slice(0, 5).map(({ type }) => Paint.plain(type)).join(", ")
      return paint.dim(type_count > 5 ? `${named} and ${Words.count(type_count - 5)} more` : named)
    }
  }],
  nothing: noTasks
}

const byType = { head: "TYPE", name: ({ type }: TypeJson) => Paint.plain(type), more: [] }

const typesIn = (queue: string): Listing<TypeJson> => ({
  ...byType,
  read: ({ api, problem, repeatable }, query) =>
    repeatable(api.queues.get({ params: { queue }, query })).pipe(
      Effect.mapBoth({ onFailure: problem, onSuccess: ({ types: items, ...page }) => ({ ...page, items }) })
    ),
  nothing: ({ accent }) =>
    `No task is in the queue ${Paint.plain(queue)}. ${accent("taskforge queues")} shows them all.`
})

const allTypes: Listing<TypeJson> = {
  ...byType,
  read: ({ api, problem, repeatable }, query) =>
    repeatable(api.queues.types({ query })).pipe(
      Effect.mapBoth({ onFailure: problem, onSuccess: ({ types: items, ...page }) => ({ ...page, items }) })
    ),
  nothing: noTasks
}

const list = Effect.fnUntraced(function*<A extends Unfinished>(
  { all, json, limit }: { readonly all: boolean; readonly json: boolean; readonly limit: number },
  listing: Listing<A>
) {
  const target = yield* Target.Target
  const screen = yield* Screen.Screen
  const paint = Paint.make(screen)
  const columns: ReadonlyArray<Table.Column> = [
    { head: listing.head, shrinksTo: 12 },
    { head: "PENDING", align: "right" },
    { head: "SCHEDULED", align: "right" },
    { head: "RUNNING", align: "right" },
    { head: "WAITING", align: "right" },
    ...listing.more.map(({ column }) => column)
  ]
  const wanted = all ? Infinity : limit
  let shown = 0
  let cursor: string | null = null
  do {
    const query = { limit: Math.min(wanted - shown, pageSize.max), ...(cursor === null ? {} : { cursor }) }
    const page: Page<A> = yield* listing.read(target, query)
    const now = Date.parse(page.timestamp)
    const rows = page.items.map((item) => [
      listing.name(item, paint),
      number(item.pending),
      number(item.scheduled),
      number(item.running),
      item.waiting_since === null ? "" : Words.age(now - Date.parse(item.waiting_since)),
      ...listing.more.map(({ cell }) => cell(item, paint))
    ])
    if (json) yield* Effect.forEach(page.items, Screen.json, { discard: true })
    else if (rows.length > 0) {
      for (const line of Table.format(columns, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
    }
    shown += page.items.length
    cursor = page.next
  } while (cursor !== null && shown < wanted)
  if (json) return
  if (shown === 0) yield* Screen.line(listing.nothing(paint))
  else if (cursor !== null) yield* Screen.line(paint.dim(`The first ${shown} by name; more with --limit or --all`))

  function number(of: number): string {
    return of === 0 ? paint.dim("0") : Words.count(of)
  }
})
