/** Operations on many tasks: previewed, begun, watched, ended and taken back. */
import { Clock, Duration, Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import type { Action } from "../../domain/Operation.ts"
import type { TaskState } from "../../domain/TaskState.ts"
import type { OperationJson, OperationPreviewJson } from "../../http/api/OperationsApi.ts"
import { usage } from "../Failure.ts"
import * as Listing from "../Listing.ts"
import { type Change, changes, flags, type Given, requestOf, running } from "../OperationFlags.ts"
import * as Progress from "../Progress.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as TaskText from "../TaskText.ts"
import * as Words from "../Words.ts"

const participles: Record<Action, readonly [does: string, done: string]> = {
  cancel: ["Cancelling", "cancelled"],
  rerun: ["Rerunning", "rerun"],
  discard: ["Discarding", "discarded"],
  reschedule: ["Rescheduling", "rescheduled"]
}

/** `1,200 tasks`, or `at least 10,000 tasks`. */
const countText = (count: number, isComplete: boolean) =>
  `${isComplete ? "" : "at least "}${Words.counted(count, "task")}`

const showPreview = Effect.fnUntraced(function*(action: Action, preview: typeof OperationPreviewJson.Type) {
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  const { can_undo, complete, count, sample } = preview
  if (count === 0) return yield* Screen.line(complete ? "No task matches." : "No task matches of those looked at.")
  const now = yield* Clock.currentTimeMillis
  const rows = sample.map((task) => TaskText.row(task, paint, now))
  for (const line of Table.format(TaskText.columns, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
  if (count > sample.length) yield* Screen.line(paint.dim(`The newest ${sample.length}.`))
  yield* Screen.line(
    `${countText(count, complete)} would be ${participles[action][1]}. ${
      can_undo ? "This can be taken back for a day." : paint.warn("This cannot be taken back.")
    }`
  )
  yield* Screen.line(paint.dim("Do it with --yes --why \"…\"; --rate says how fast."))
})

/** Between two looks at an operation. */
const lookEvery = Duration.millis(200)

const isOver = ({ status }: OperationJson): boolean => status !== "running" && status !== "undoing"

/** Shows how far an operation is, until it rests. On a store without a server this process goes on with it. */
export const follow = Effect.fnUntraced(function*(begun: OperationJson, doing: string) {
  const { api, ask, goOn } = yield* Target.Target
  const { expected, expected_complete, max } = begun
  const total = max === null ? expected : Math.min(max, expected)
  const progress = yield* Progress.make(doing, expected_complete || total === max ? total || undefined : undefined)
  let operation = begun
  while (!isOver(operation)) {
    const restMs = yield* goOn
    if (restMs > 0) yield* Effect.sleep(Duration.min(lookEvery, Duration.millis(restMs)))
    operation = yield* ask(api.operations.get({ params: { operation: begun.id } }))
    yield* progress.update(operation.status === "undoing" ? operation.restored : operation.matched)
  }
  yield* progress.clear
  return operation
})

/** `1,200 tasks: 1,198 cancelled, 2 changed by others`. */
const outcomeText = ({ action, done, matched, unsure }: OperationJson): string => {
  const others = matched - done - unsure
  const parts = [`${Words.count(done)} ${participles[action][1]}`]
  if (unsure > 0) parts.push(`${Words.count(unsure)} by it or by others during a crash`)
  if (others > 0) parts.push(`${Words.count(others)} changed by others`)
  return matched === 0 ? "No task matches." : `${Words.counted(matched, "task")}: ${parts.join(", ")}`
}

const statusText = ({ status, restored, undo }: OperationJson, paint: Screen.Paint): string =>
  status === "running" || status === "undoing"
    ? paint.accent(status)
    : status === "undone"
    ? paint.warn(`undone: ${Words.counted(restored, "task")} as before`)
    : undo === null
    ? status
    : `${status}, can be undone`

const shown = Effect.fnUntraced(function*(one: OperationJson, json: boolean) {
  if (json) return yield* Screen.json(one)
  const paint = yield* Screen.paint
  const name = one.name === null ? "" : `  ${Screen.plain(one.name)}`
  yield* Screen.line(`${paint.bold(one.id)}${name}: ${one.action}, ${statusText(one, paint)}`)
  const by = (deed: { readonly by: string | null; readonly at: string }) =>
    `${deed.at}${deed.by === null ? "" : ` by ${Screen.plain(deed.by)}`}`
  const lines: ReadonlyArray<readonly [string, string]> = [
    ["which", Screen.plain(JSON.stringify(one.filter))],
    ["why", Screen.plain(one.why)],
    ["begun", by({ by: one.by, at: one.created_at })],
    ...one.aborted === null ? [] : [["aborted", by(one.aborted)] as const],
    ...one.undone === null ? [] : [["undone", by(one.undone)] as const],
    ["tasks", outcomeText(one)],
    ["of", countText(one.expected, one.expected_complete)]
  ]
  for (const [label, text] of lines) yield* Screen.line(`  ${paint.dim(label.padEnd(8))}${text}`)
  if (one.undo !== null && isOver(one)) {
    yield* Screen.line(paint.dim(`Take it back with: taskforge ops undo ${one.id}`))
  }
})

const act = Effect.fnUntraced(function*(action: Action, given: Given, change: Change = {}) {
  const { api, ask, problem } = yield* Target.Target
  const why = Option.getOrUndefined(given.why)
  if (given.yes && why === undefined) {
    return yield* usage("Why?", "Say it with --why: it is kept with the operation, for those who ask later.")
  }
  const payload = yield* requestOf(action, given, change, why ?? "preview")
  if (!given.yes) {
    const { change, filter } = payload
    const preview = yield* ask(
      api.operations.preview({ payload: { action, filter, ...change !== undefined && { change } } })
    )
    return yield* given.json ? Screen.json(preview) : showPreview(action, preview)
  }
  const begun = yield* Effect.mapError(api.operations.start({ payload }), problem)
  if (given.detach) return yield* shown(begun, given.json)
  yield* shown(yield* follow(begun, participles[action][0]), given.json)
})

const acting = (action: Action, states: ReadonlyArray<TaskState>, description: string, example: string) =>
  Target.command(action, flags(states), (given) => act(action, given)).pipe(
    Command.withDescription(`${description}. Shows which, and does it with --yes`),
    Command.withShortDescription(description),
    Command.withExamples([{ command: `taskforge ops ${example}`, description: "Which would it be?" }, {
      command: `taskforge ops ${example} --yes --why "They are of no use" --rate 50`,
      description: "Fifty in a second"
    }])
  )

const cancel = acting(
  "cancel",
  ["scheduled", "pending", "running"],
  "Cancel all tasks that match",
  "cancel --type email --payload user.id=42"
)
const rerun = acting(
  "rerun",
  ["failed", "cancelled", "expired"],
  "Run all failed, cancelled or expired tasks again that match",
  "rerun --status failed --error-tag Refused"
)
const discard = acting(
  "discard",
  ["completed", "failed", "cancelled", "expired"],
  "Remove all finished tasks that match",
  "discard --status completed --ended-before 7d"
)
const reschedule = Target.command(
  "reschedule",
  { ...flags(["scheduled", "pending"]), ...changes },
  ({ at, delay, priority, ...given }) => act("reschedule", given, { at, delay, priority })
).pipe(
  Command.withDescription(
    "Give all waiting tasks that match another priority or time. Shows which, and does it with --yes"
  ),
  Command.withShortDescription("Move all waiting tasks that match"),
  Command.withExamples([{
    command: `taskforge ops reschedule --queue mail --priority high --yes --why "They are late"`,
    description: "All of a queue before others"
  }])
)

const operation = Argument.String("id").pipe(Argument.withDescription("The operation: taskforge ops list shows them"))

const list = Target.command(
  "list",
  Listing.flags(20, "Shows every operation, however many there are"),
  (given) =>
    Listing.show<OperationJson>(given, {
      read: ({ api, ask }, query) =>
        Effect.zipWith(
          ask(api.operations.list({ query })),
          Clock.currentTimeMillis,
          ({ next, operations }, now) => ({ items: operations, next, now })
        ),
      columns: [
        { head: "OPERATION" },
        { head: "ACTION" },
        { head: "STATUS" },
        { head: "TASKS", align: "right" },
        { head: "BEGUN" },
        { head: "BY", shrinksTo: 6 },
        { head: "WHY", shrinksTo: 8 }
      ],
      row: (one, paint, now) => [
        one.id,
        one.action,
        statusText(one, paint),
        Words.count(one.done),
        paint.dim(Words.relative(Date.parse(one.created_at), now)),
        one.by === null ? "" : Screen.plain(one.by),
        Screen.plain(one.why)
      ],
      nothing: () => "There are no operations.",
      shown: (count) => `The latest ${count}`
    })
).pipe(
  Command.withDescription("List operations, the latest first, with who began them and why"),
  Command.withAlias("ls"),
  Command.withExamples([{ command: "taskforge ops list", description: "Who has done what?" }])
)

const show = Target.command("show", { operation }, (given) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    yield* shown(yield* ask(api.operations.get({ params: { operation: given.operation } })), given.json)
  })).pipe(
    Command.withDescription("Show an operation and how far it is"),
    Command.withExamples([{ command: "taskforge ops show $ID", description: "How far is it?" }])
  )

const abort = Target.command("abort", { operation }, (given) =>
  Effect.gen(function*() {
    const { api, problem } = yield* Target.Target
    const request = api.operations.abort({ params: { operation: given.operation }, payload: {} })
    yield* shown(yield* Effect.mapError(request, problem), given.json)
  })).pipe(
    Command.withDescription("End an operation before its time. What it has done stays done"),
    Command.withExamples([{ command: "taskforge ops abort $ID", description: "Stop it" }])
  )

const undo = Target.command("undo", { operation, detach: running.detach }, (given) =>
  Effect.gen(function*() {
    const { api, problem } = yield* Target.Target
    const request = api.operations.undo({ params: { operation: given.operation }, payload: {} })
    const undoing = yield* Effect.mapError(request, problem)
    yield* shown(given.detach ? undoing : yield* follow(undoing, "Restoring"), given.json)
  })).pipe(
    Command.withDescription(
      "Take a cancel back, within 24 hours: what is still cancelled and has not run since waits as before"
    ),
    Command.withShortDescription("Take a cancel back"),
    Command.withExamples([{ command: "taskforge ops undo $ID", description: "As before" }])
  )

/** What can be done to many tasks at once. */
export const command = Command.make("ops").pipe(
  Command.withDescription(
    "Do something to all tasks that match: at a bounded rate, in the background, kept with who began it and why"
  ),
  Command.withShortDescription("Change all tasks that match, and take it back"),
  Command.withSubcommands([cancel, rerun, discard, reschedule, list, show, abort, undo])
)
