/** What operations on many tasks are told on the command line: which tasks, how, and what is to be changed. */
import { DateTime, Duration, Effect, Option, Schema } from "effect"
import { type Command, Flag } from "effect/cli"
import * as Bounds from "../domain/Bounds.ts"
import type { Action } from "../domain/Operation.ts"
import { FailureKind } from "../domain/TaskRecord.ts"
import { all as allStates, type TaskState } from "../domain/TaskState.ts"
import { NewOperationJson } from "../http/api/OperationsApi.ts"
import { filterOf as wireFilterOf, filterQueryOf, TaskFilterJson } from "../http/api/TaskFilterJson.ts"
import { invalidRequest, usage } from "./Failure.ts"
import * as Input from "./Input.ts"
import * as Listing from "./Listing.ts"
import type * as Target from "./Target.ts"

const several = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(`${description}; may be repeated`),
    Flag.atLeast(0)
  )

const positive = (name: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withMetavar("NUMBER"),
    Flag.withDescription(description),
    Flag.filter((value) => value > 0, (value) => `Expected at least 1, got ${value}`),
    Flag.optional
  )

const { queue, type } = Listing.filters(allStates, "Only tasks", "Only tasks")

/** The flags that say when it was that something happened to tasks: `were made`, `failed`. */
const ages = (what: string) => ({
  olderThan: Input.durationFlag("older-than", `Only tasks that ${what} longer ago`),
  newerThan: Input.durationFlag("newer-than", `Only tasks that ${what} since then`)
})

/** The flags that say which failed tasks. Their age is counted from their failure. */
export const failedFilters = () => {
  const { errorTag, queue, tag, text, type } = filters(["failed"])
  return { type, queue, tag, errorTag, text, ...ages("failed") }
}

/** The flags that say which tasks. */
export const filters = (states: ReadonlyArray<TaskState>) => ({
  id: several("id", "ID", "Only this task"),
  status: Listing.filters(states, "Only tasks", "Only tasks").status,
  type,
  queue,
  key: Input.textFlag("key", "KEY", "Only tasks with this idempotency key"),
  instance: Input.textFlag("instance", "ID", "Only tasks that this instance has claimed last"),
  trace: Input.textFlag("trace", "ID", "Only tasks that were enqueued in this trace"),
  tag: several("tag", "TAG", "Only tasks that have this tag"),
  errorTag: several("error-tag", "TAG", "Only tasks whose latest error has this tag"),
  kind: Flag.Literals("kind", FailureKind.literals).pipe(
    Flag.withDescription("Only tasks whose latest failure is of this kind; may be repeated"),
    Flag.atLeast(0)
  ),
  text: Flag.String("text").pipe(
    Flag.withMetavar("TEXT"),
    Flag.withDescription("Only tasks whose latest error's message has this part; a # stands for a number"),
    Flag.filter(Bounds.searchText.accepts, () => `Expected ${Bounds.searchText.expected}`),
    Flag.optional
  ),
  payload: Flag.String("payload").pipe(
    Flag.withMetavar("PATH=VALUE"),
    Flag.withDescription("Only tasks whose payload has this field: user.id=42; may be repeated"),
    Flag.filter((text) => text.indexOf("=") > 0, (text) => `Expected a path, an equals sign and a value, got ${text}`),
    Flag.atLeast(0)
  ),
  ...ages("were made"),
  endedBefore: Input.durationFlag("ended-before", "Only tasks that ended longer ago"),
  endedSince: Input.durationFlag("ended-since", "Only tasks that ended since then")
})

/** The flags that say how it is done. */
export const running = {
  why: Input.textFlag("why", "TEXT", "Why it is done. It is kept"),
  name: Input.textFlag("name", "NAME", "A name for people"),
  rate: positive("rate", "Tasks in a second at most; 100 when left out"),
  max: positive("max", "Ends after so many tasks"),
  yes: Input.toggleFlag("yes", "Does it. Without, only shows what would be done"),
  detach: Input.toggleFlag("detach", "With --yes, does not wait until it has ended")
}

/** What a reschedule may change. */
export const changes = {
  priority: Input.textFlag("priority", "PRIORITY", "low, normal, high, critical, or 0 to 9").pipe(Flag.withAlias("p")),
  delay: Input.textFlag("delay", "DURATION", "Due after this time from now: 30s, 5m, 1h30m"),
  at: Input.textFlag("at", "TIME", "Due at this time: 2026-01-31T12:00:00Z")
}

/** The flags of an operation on tasks in some states. */
export const flags = (states: ReadonlyArray<TaskState>) => ({ ...filters(states), ...running })

/** What was given for them. */
export type Given = Target.Given<ReturnType<typeof flags>>
/** What was given to be changed. */
export type Change = Partial<Command.Command.Config.Infer<typeof changes>>

const decode = Schema.decodeUnknownEffect(NewOperationJson, { onExcessProperty: "error" })

const optional = <A>(name: string, value: Option.Option<A>) => Option.isNone(value) ? {} : { [name]: value.value }

/** Fails where two ages leave nothing between them. */
export const refuseAges = (
  { newerThan, olderThan }: {
    readonly newerThan: Option.Option<Duration.Duration>
    readonly olderThan: Option.Option<Duration.Duration>
  },
  older = "--older-than",
  newer = "--newer-than"
) =>
  Option.isSome(newerThan) && Option.isSome(olderThan) && Duration.isGreaterThan(olderThan.value, newerThan.value)
    ? usage(
      `No task fits both ${newer} ${Duration.format(newerThan.value)} and ${older} ${
        Duration.format(olderThan.value)
      }.`,
      `Give ${newer} the longer time.`
    )
    : Effect.void

/** What was given of {@link filters}, as the API takes it. Ages are counted from the clock of this machine. */
const filterOf = Effect.fnUntraced(function*(given: Target.Given<ReturnType<typeof filters>>) {
  const now = yield* DateTime.now
  const ago = (name: string, age: Option.Option<Duration.Duration>) =>
    Option.isNone(age) ? {} : { [name]: DateTime.formatIso(DateTime.subtractDuration(now, age.value)) }
  const fields = given.payload.map((text) => {
    const at = text.indexOf("=")
    return [text.slice(0, at), text.slice(at + 1)]
  })
  yield* refuseAges(given)
  yield* refuseAges({ olderThan: given.endedBefore, newerThan: given.endedSince }, "--ended-before", "--ended-since")
  return {
    ...given.id.length > 0 && { id: given.id },
    ...Listing.filterOf(given),
    ...optional("key", given.key),
    ...optional("instance", given.instance),
    ...optional("trace", given.trace),
    ...given.tag.length > 0 && { tag: given.tag },
    ...given.errorTag.length > 0 && { error_tag: given.errorTag },
    ...given.kind.length > 0 && { kind: given.kind },
    ...optional("text", given.text),
    ...fields.length > 0 && { payload: Object.fromEntries(fields) },
    ...ago("created_before", given.olderThan),
    ...ago("created_since", given.newerThan),
    ...ago("ended_before", given.endedBefore),
    ...ago("ended_since", given.endedSince)
  }
})

/** The same as the query of a list, which takes no ids. */
export const queryOf = Effect.fnUntraced(function*(given: Target.Given<ReturnType<typeof filters>>) {
  const { id: _, ...filter } = yield* filterOf(given)
  return filterQueryOf(wireFilterOf(yield* Effect.mapError(decodeFilter(filter), refusedFlag)))
})

const decodeFilter = Schema.decodeUnknownEffect(TaskFilterJson, { onExcessProperty: "error" })

const refusedFlag = (error: Schema.SchemaError) =>
  invalidRequest(error, (field) => `--${field.split(".").at(-1)!.replaceAll("_", "-")}`, undefined)

/** What was given, as the API takes it. */
export const requestOf = Effect.fnUntraced(function*(action: Action, given: Given, change: Change, why: string) {
  const filter = yield* filterOf(given)
  if (Object.keys(filter).length === 0) {
    return yield* usage("Which tasks?", "Say what they have in common: --type, --queue, --status, --tag, --payload …")
  }
  const { at = Option.none(), delay = Option.none(), priority = Option.none() } = change
  const number = Option.map(priority, (text) => /^\d+$/.test(text) ? Number(text) : text)
  const changed = { ...optional("priority", number), ...optional("delay", delay), ...optional("run_at", at) }
  if (action === "reschedule" && Object.keys(changed).length === 0) {
    return yield* usage("What is to be changed?", "Give --priority, --delay or --at.")
  }
  return yield* Effect.mapError(
    decode({
      action,
      filter,
      ...action === "reschedule" && { change: changed },
      why,
      ...optional("name", given.name),
      ...optional("rate", given.rate),
      ...optional("max", given.max)
    }),
    refusedFlag
  )
})
