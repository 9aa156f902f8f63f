import { Effect, Option, Record as Fields, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Priority from "../../domain/Priority.ts"
import { nearest, quoted } from "../../domain/Quoting.ts"
import { NewTaskJson } from "../../http/api/NewTaskJson.ts"
import type { CreatedTaskJson, TaskJson } from "../../http/api/TaskJson.ts"
import * as Bulk from "../Bulk.ts"
import { invalidRequest, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as RemoteTasks from "../RemoteTasks.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import { show } from "./Get.ts"

const flags = {
  type: Argument.String("type").pipe(
    Argument.withDescription("The task type; with --lines, each line may name it instead"),
    Argument.optional
  ),
  payload: Argument.String("payload").pipe(
    Argument.withDescription("JSON for the type, or - to read it from stdin; {} by default"),
    Argument.optional
  ),
  file: Input.textFlag("file", "PATH", "Reads the payload from a file; - is stdin").pipe(Flag.withAlias("f")),
  lines: Input.textFlag(
    "lines",
    "PATH",
    "Enqueues a task per line of JSON: a whole task, or its payload if a type is given; - is stdin"
  )
    .pipe(Flag.withAlias("l")),
  priority: Input.textFlag("priority", "PRIORITY", "low, normal, high, critical, or 0 to 9").pipe(Flag.withAlias("p")),
  delay: Input.textFlag("delay", "DURATION", "Due after this time: 30s, 5m, 1h30m"),
  at: Input.textFlag("at", "TIME", "Due at this time: 2026-01-31T12:00:00Z"),
  key: Input.textFlag("key", "KEY", "Idempotency key: the same key and payload give the same task"),
  unique: Input.textFlag("unique", "KEY", "Keeps others with this key away for a while; not together with --key"),
  window: Input.textFlag(
    "window",
    "WINDOW",
    "With --unique, for how long: waiting, unfinished (the default), kept, or a duration"
  ),
  onConflict: Flag.Literals("on-conflict", ["return", "refuse", "replace", "postpone"]).pipe(
    Flag.withMetavar("return|refuse|replace|postpone"),
    Flag.withDescription("With --unique, what becomes of this one where another one holds the key"),
    Flag.optional
  ),
  postpone: Input.textFlag("postpone", "DURATION", "With --unique, how far from the latest one the task is due"),
  maxDelay: Input.textFlag("max-delay", "DURATION", "With --postpone, how far from the first one at most"),
  id: Input.textFlag("id", "ID", "An id of your own"),
  queue: Input.textFlag("queue", "QUEUE", "The queue, instead of the type's own").pipe(Flag.withAlias("q")),
  tag: Flag.String("tag").pipe(
    Flag.withMetavar("TAG"),
    Flag.withDescription("A word that it is found by; may be repeated"),
    Flag.atLeast(0)
  ),
  retries: Flag.Int("retries").pipe(
    Flag.withDescription("Retries after the first execution; -1 is unlimited"),
    Flag.optional
  ),
  timeout: Input.textFlag("timeout", "DURATION", "Time limit of one attempt"),
  expiresIn: Input.textFlag(
    "expires-in",
    "DURATION",
    "How long it is of use once it is due: after that it ends as expired"
  ),
  startWithin: Input.textFlag(
    "start-within",
    "DURATION",
    "Within which time it should start once it is due: of such tasks the earliest deadline goes first"
  ),
  after: Flag.String("after").pipe(
    Flag.withMetavar("ID"),
    Flag.withDescription("A task that must have ended before it starts; may be repeated"),
    Flag.atLeast(0)
  ),
  onFailure: Flag.Literals("on-failure", ["fail", "cancel", "run"]).pipe(
    Flag.withMetavar("fail|cancel|run"),
    Flag.withDescription("With --after, what becomes of it when one of these does not complete; fail by default"),
    Flag.optional
  ),
  wait: Input.toggleFlag("wait", "Waits until the task has finished; exits with 1 unless it completed").pipe(
    Flag.withAlias("w")
  ),
  whenFull: Flag.Literals("when-full", ["fail", "wait"]).pipe(
    Flag.withMetavar("fail|wait"),
    Flag.withDescription("When the queue is full: fail with exit code 75, or wait for room (with --lines)"),
    Flag.optional
  )
}

/** Puts tasks into the queue. */
export const command = Target.command("enqueue", flags, (given) => enqueue(given)).pipe(
  Command.withDescription("Enqueue one task or many"),
  Command.withAlias("add"),
  Command.withExamples([
    { command: `taskforge enqueue echo '{"hello": "world"}' --wait`, description: "One task and its result" },
    {
      command: `taskforge enqueue sleep '{"duration": "2s"}' --priority high --delay 5m`,
      description: "Urgent, but later"
    },
    {
      command: "taskforge enqueue email --file welcome.json --key welcome:ada",
      description: "One task, however often this is sent"
    },
    { command: "taskforge enqueue --lines tasks.jsonl", description: "A task per line, with a progress bar" },
    { command: `seq 1000 | jq -c '{n: .}' | taskforge enqueue compute --lines -`, description: "A payload per line" }
  ])
)

type Input = Target.Given<typeof flags>

const enqueue = (input: Input) => Option.isSome(input.lines) ? many(input, input.lines.value) : one(input)

const one = Effect.fnUntraced(function*(input: Input) {
  const type = Option.getOrUndefined(input.type)
  if (type === undefined) {
    return yield* usage("Which type of task?", `For instance: taskforge enqueue echo '{"hello": "world"}'`)
  }
  const payload = yield* payloadOf(input)
  const task = yield* toTask({ ...options(input), type, ...(payload === undefined ? {} : { payload }) }, flagOf)
  const [created] = yield* RemoteTasks.submit([task], Option.getOrElse(input.whenFull, () => "fail" as const))
  if (input.wait) {
    yield* sayThatItWaits(created!)
    return yield* result(created!.id, input.json)
  }
  if (input.json) return yield* Screen.json(created)
  const paint = yield* Screen.paint
  const { duplicate, id, merge, status } = created!
  yield* Screen.line(
    duplicate
      ? `${paint.warn("=")} This ${Screen.plain(type)} task exists already${
        merge === undefined ? "" : ` and was ${merge}`
      }: ${paint.bold(Screen.plain(id))}, ${paint.state(status)}`
      : `${paint.state(status, Screen.mark[status])} Enqueued ${Screen.plain(type)} as ${paint.bold(Screen.plain(id))}`
  )
  yield* Screen.line(paint.dim(`  Follow it with: taskforge watch ${quoted(Screen.plain(id))}`))
})

/** To the person at the terminal: who stops the command can find the task. */
const sayThatItWaits = Effect.fnUntraced(function*({ due_at, duplicate, id, status, type }: CreatedTaskJson) {
  const screen = yield* Screen.Screen
  if (!screen.animates) return
  const due = status === "scheduled" ? `, which is due at ${due_at}` : ""
  yield* Screen.lineError(
    Screen.paintOn(screen).dim(
      `${duplicate === true ? "Found" : "Enqueued"} ${Screen.plain(type)} as ${
        Screen.plain(id)
      }${due}; waiting for its end …`
    )
  )
})

const result = Effect.fnUntraced(function*(id: string, json: boolean) {
  const { api, ask } = yield* Target.Target
  yield* RemoteTasks.finished([id])
  const task: TaskJson = yield* ask(api.tasks.get({ params: { id } }))
  yield* json ? Screen.json(task) : show(task)
  yield* RemoteTasks.allCompleted([task])
})

const many = Effect.fnUntraced(function*(input: Input, path: string) {
  const given = [
    ...(Option.isSome(input.payload) ? ["a payload"] : []),
    ...(["file", "id", "key", "unique"] as const).filter((name) => Option.isSome(input[name])).map((name) =>
      `--${name}`
    ),
    ...(input.wait ? ["--wait"] : [])
  ]
  if (given.length > 0) return yield* usage(`${given.join(" and ")} cannot go with --lines`, "Each line has its own.")
  const shared = options(input)
  const type = Option.getOrUndefined(input.type)
  yield* Bulk.enqueue({
    lines: Input.lines(path),
    toTask: (json) =>
      type === undefined
        ? toTask({ ...shared, ...(json as object) }, (field) => field)
        : toTask({ ...shared, type, payload: json as Schema.Json }, flagOf),
    whenFull: Option.getOrElse(input.whenFull, () => "wait" as const),
    json: input.json
  })
})

/** What the flags say of a task, in the words of the API. */
const options = (input: Input): Partial<Record<keyof NewTaskJson, unknown>> => {
  const priority = Option.map(input.priority, (text) => /^\d+$/.test(text) ? Number(text) : text)
  return Fields.getSomes<string, unknown>({
    priority,
    delay: input.delay,
    run_at: input.at,
    key: input.key,
    unique: uniqueOf(input),
    id: input.id,
    queue: input.queue,
    max_retries: input.retries,
    timeout: input.timeout,
    expires_in: input.expiresIn,
    start_within: input.startWithin,
    tags: input.tag.length === 0 ? Option.none() : Option.some(input.tag),
    after: input.after.length === 0 ? Option.none() : Option.some(input.after),
    on_failure: input.onFailure
  })
}

/** What the flags say of how a task is unique. Without a key, the others are refused with what is wrong. */
const uniqueOf = ({ maxDelay, onConflict, postpone, unique, window }: Input): Option.Option<object> => {
  const postponed = Fields.getSomes({ by: postpone, max_delay: maxDelay })
  const given = {
    ...Fields.getSomes<string, unknown>({ key: unique, window, on_conflict: onConflict }),
    ...(Object.keys(postponed).length === 0 ? {} : { postpone: postponed })
  }
  return Object.keys(given).length === 0 ? Option.none() : Option.some(given)
}

const payloadOf = Effect.fnUntraced(function*({ file, payload }: Input) {
  if (Option.isSome(payload) && Option.isSome(file)) {
    return yield* usage("The payload is given twice", "Give it as an argument or with --file.")
  }
  const path = Option.isSome(payload) && payload.value === "-" ? "-" : Option.getOrUndefined(file)
  const json = path === undefined ? Option.getOrUndefined(payload) : yield* Input.text(path)
  return json === undefined ? undefined : yield* Input.json(json, path ?? "the payload")
})

const decodeTask = Schema.decodeUnknownEffect(NewTaskJson, { onExcessProperty: "error" })

/** A task of the API, or what is wrong with it by the name that people gave it. */
const toTask = (task: Partial<Record<keyof NewTaskJson, unknown>>, nameOf: (field: string) => string) =>
  Effect.mapError(decodeTask(task), (error) => invalidRequest(error, nameOf, suggestion(task.priority)))

const suggestion = (priority: unknown): string | undefined => {
  const meant = typeof priority === "string" && !Object.hasOwn(Priority.names, priority)
    ? nearest(priority, Object.keys(Priority.names))
    : undefined
  return meant && `Did you mean ${meant}?`
}

const flagOf = (field: string): string =>
  field === "type" || field === "payload"
    ? `the ${field}`
    : `--${flagNames.get(field) ?? field.replaceAll("_", "-")}`

const flagNames = new Map([
  ["run_at", "at"],
  ["max_retries", "retries"],
  ["tags", "tag"],
  ["unique.key", "unique"],
  ["unique.window", "window"],
  ["unique.on_conflict", "on-conflict"],
  ["unique.postpone", "postpone"],
  ["unique.postpone.by", "postpone"],
  ["unique.postpone.max_delay", "max-delay"]
])
