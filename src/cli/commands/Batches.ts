/** Batches on the command line: many tasks, with what follows when they have ended. */
import { Effect, Option, Schema, Stream } from "effect"
import { Argument, Command } from "effect/cli"
import type { BatchJson } from "../../http/api/BatchesApi.ts"
import { NewTaskJson } from "../../http/api/NewTaskJson.ts"
import { invalidRequest, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Listing from "../Listing.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const batch = Argument.String("batch").pipe(
  Argument.withDescription("The batch: taskforge batches list shows them")
)

const lines = Input.textFlag("lines", "PATH", "Members: a whole task per line of JSON; - is stdin")

const decodeTask = Schema.decodeUnknownEffect(NewTaskJson, { onExcessProperty: "error" })

/** A whole task of JSON. */
const taskOf = Effect.fnUntraced(function*(text: string, name: string) {
  const json = yield* Input.json(text, name)
  return yield* Effect.mapError(decodeTask(json), (error) => invalidRequest(error, (field) => `${name}: ${field}`))
})

const callbackOf = (text: Option.Option<string>, flag: string) =>
  Option.isNone(text) ? Effect.undefined : taskOf(text.value, flag)

/** Members in a request: the server takes 1 MiB. */
const maxSent = { tasks: 1000, bytes: 400_000 }

/** Adds a member per line, as they come. A line that is none stops it; those of the requests before have been added then. */
const addLines = Effect.fnUntraced(function*(id: string, path: string) {
  const { api, ask } = yield* Target.Target
  let waiting: Array<NewTaskJson> = []
  let bytes = 0
  let added = 0
  const send = Effect.fnUntraced(function*() {
    if (waiting.length === 0) return
    const tasks = waiting
    waiting = []
    bytes = 0
    const { members } = yield* ask(api.batches.add({ params: { batch: id }, payload: { tasks } }))
    added += members.length
  })
  yield* Stream.runForEach(
    Input.lines(path),
    Effect.fnUntraced(function*({ number, text }) {
      waiting.push(yield* taskOf(text, `line ${number}`))
      bytes += text.length + 60
      if (waiting.length >= maxSent.tasks || bytes >= maxSent.bytes) yield* send()
    })
  )
  yield* send()
  return added
})

const shown = Effect.fnUntraced(function*(one: BatchJson, json: boolean) {
  if (json) return yield* Screen.json(one)
  const paint = yield* Screen.paint
  const name = one.name === null ? "" : `  ${Screen.plain(one.name)}`
  yield* Screen.line(`${paint.bold(Screen.plain(one.id))}${name}: ${statusText(one, paint)}`)
  yield* Screen.line(`  ${paint.dim("members")}  ${countsText(one)}`)
  for (
    const [label, id] of [["on success", one.on_success], ["on failure", one.on_failure], [
      "on finished",
      one.on_finished
    ]] as const
  ) {
    if (id !== null) yield* Screen.line(`  ${paint.dim(label)}  ${Screen.plain(id)}`)
  }
})

const statusText = ({ percent, status }: BatchJson, paint: Screen.Paint): string => {
  const text = `${status}, ${percent} %`
  return status === "failed" ? paint.bad(text) : status === "cancelled" ? paint.warn(text) : paint.good(text)
}

/** `1,200: 798 completed, 2 failed`. */
const countsText = (one: BatchJson): string => {
  const ends = (["completed", "failed", "cancelled", "expired"] as const).filter((end) => one[end] > 0)
  const told = ends.map((end) => `${Words.count(one[end])} ${end}`)
  return told.length === 0 ? Words.count(one.total) : `${Words.count(one.total)}: ${told.join(", ")}`
}

const list = Target.command(
  "list",
  Listing.flags(20, "Shows every batch, however many there are"),
  (given) =>
    Listing.show<BatchJson>(given, {
      read: ({ api, ask }, query) =>
        Effect.map(ask(api.batches.list({ query })), ({ batches, next }) => ({ items: batches, next, now: 0 })),
      columns: [{ head: "BATCH", shrinksTo: 12 }, { head: "NAME", shrinksTo: 8 }, { head: "STATUS" }, {
        head: "MEMBERS"
      }],
      row: (one, paint) => [
        Screen.plain(one.id),
        one.name === null ? "" : Screen.plain(one.name),
        statusText(one, paint),
        countsText(one)
      ],
      nothing: () => "There are no batches.",
      shown: (count) => `The first ${count} by id`
    })
).pipe(
  Command.withDescription("List batches and their progress, by id"),
  Command.withAlias("ls"),
  Command.withExamples([{ command: "taskforge batches list", description: "How far is each?" }])
)

const show = Target.command("show", { batch }, (given) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    yield* shown(yield* ask(api.batches.get({ params: { batch: given.batch } })), given.json)
  })).pipe(
    Command.withDescription("Show a batch and its progress"),
    Command.withExamples([{ command: "taskforge batches show holiday", description: "How far is it?" }])
  )

const create = Target.command("create", {
  id: Input.textFlag("id", "ID", "An id of your own"),
  name: Input.textFlag("name", "NAME", "For people"),
  queue: Input.textFlag("queue", "QUEUE", "Where the engine's own tasks of it wait"),
  lines,
  onSuccess: Input.textFlag("on-success", "JSON", "A task that starts once all members have completed"),
  onFailure: Input.textFlag("on-failure", "JSON", "A task that starts with the first member that does not complete"),
  onFinished: Input.textFlag("on-finished", "JSON", "A task that starts once all members have ended"),
  open: Input.toggleFlag("open", "With --lines, leaves it open for more members")
}, (given) =>
  Effect.gen(function*() {
    if (given.open && Option.isNone(given.lines)) {
      return yield* usage("--open says nothing without --lines", "A batch without members is open.")
    }
    const { api, ask } = yield* Target.Target
    const onSuccess = yield* callbackOf(given.onSuccess, "--on-success")
    const onFailure = yield* callbackOf(given.onFailure, "--on-failure")
    const onFinished = yield* callbackOf(given.onFinished, "--on-finished")
    const payload = {
      ...Option.isSome(given.id) && { id: given.id.value },
      ...Option.isSome(given.name) && { name: given.name.value },
      ...Option.isSome(given.queue) && { queue: given.queue.value },
      ...onSuccess !== undefined && { on_success: onSuccess },
      ...onFailure !== undefined && { on_failure: onFailure },
      ...onFinished !== undefined && { on_finished: onFinished },
      open: true
    }
    let made = yield* ask(api.batches.create({ payload }))
    if (Option.isSome(given.lines)) {
      const params = { batch: made.id }
      yield* addLines(made.id, given.lines.value)
      made = yield* ask(given.open ? api.batches.get({ params }) : api.batches.seal({ params }))
    }
    yield* shown(made, given.json)
  })).pipe(
    Command.withDescription(
      "Make a batch. With --lines it gets its members and finishes when these have ended; without, it is open until it is sealed"
    ),
    Command.withShortDescription("Make a batch"),
    Command.withExamples([{
      command: `taskforge batches create --name holiday --lines tasks.jsonl --on-finished '{"type": "echo"}'`,
      description: "A task per line, and one after all of them"
    }])
  )

const add = Target.command("add", {
  batch,
  lines: Argument.String("path").pipe(Argument.withDescription("A whole task per line of JSON; - is stdin"))
}, (given) =>
  Effect.gen(function*() {
    const added = yield* addLines(given.batch, given.lines)
    if (given.json) return yield* Screen.json({ added })
    const paint = yield* Screen.paint
    yield* Screen.line(`${paint.good("✓")} Added ${Words.counted(added, "member")} to ${Screen.plain(given.batch)}`)
  })).pipe(
    Command.withDescription("Add members to a batch that has not finished"),
    Command.withExamples([{ command: "taskforge batches add holiday more.jsonl", description: "A task per line" }])
  )

const seal = Target.command("seal", { batch }, (given) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    yield* shown(yield* ask(api.batches.seal({ params: { batch: given.batch } })), given.json)
  })).pipe(
    Command.withDescription("Let a batch finish when its members have ended. Until then it takes more"),
    Command.withShortDescription("Let a batch finish"),
    Command.withExamples([{ command: "taskforge batches seal holiday", description: "All have been added" }])
  )

const cancel = Target.command("cancel", { batch }, (given) =>
  Effect.gen(function*() {
    const { api, ask } = yield* Target.Target
    yield* shown(yield* ask(api.batches.cancel({ params: { batch: given.batch } })), given.json)
  })).pipe(
    Command.withDescription("Cancel a batch and its members that have not ended"),
    Command.withExamples([{ command: "taskforge batches cancel holiday", description: "Stop all of it" }])
  )

/** Makes batches, fills them, and shows how far they are. */
export const command = Command.make("batches").pipe(
  Command.withDescription("Run many tasks as one, with a progress and with tasks that follow when they have ended"),
  Command.withShortDescription("Many tasks with a progress, and what follows them"),
  Command.withSubcommands([list, show, create, add, seal, cancel])
)
