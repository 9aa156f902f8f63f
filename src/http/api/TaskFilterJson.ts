/** Which tasks are meant, over HTTP, in snake_case. */
import { DateTime, Schema } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import * as Tags from "../../domain/Tags.ts"
import { FailureKind } from "../../domain/TaskRecord.ts"
import { TaskState } from "../../domain/TaskState.ts"
import * as TraceContext from "../../domain/TraceContext.ts"
import type { StoredFilter, TaskFilter } from "../../operation/TaskFilter.ts"
import { listOf, Name, within } from "./RequestValues.ts"
import { instant, Timestamp, timestamp } from "./TaskJson.ts"

const several = <S extends Schema.Constraint>(item: S) =>
  Schema.optionalKey(Schema.Array(item).check(Schema.isNonEmpty(), Schema.isMaxLength(Bounds.maxIds)))
const Instant = Rfc3339.check(within(Bounds.runAt))
/** A part of an error's message that is looked for. */
export const SearchText = Schema.String.check(
  within(Bounds.searchText),
  Schema.isNonEmpty(),
  Schema.isMaxLength(Bounds.maxSearchLength)
)

const TraceId = Schema.String.check(
  Schema.makeFilter((text: string) =>
    TraceContext.isTraceId(text) ? undefined : "Expected 32 hexadecimal digits in lower case"
  )
)

/** Which tasks are meant. */
export const TaskFilterJson = Schema.Struct({
  id: several(Schema.String).annotate({ description: "Only these tasks" }),
  status: several(TaskState).annotate({ description: "Only tasks in these states" }),
  type: several(Schema.String).annotate({ description: "Only these task types" }),
  queue: several(Schema.String).annotate({ description: "Only these queues" }),
  key: Schema.optionalKey(
    Schema.String.check(within(Bounds.key), Schema.isMaxLength(Bounds.maxKeyLength))
  ).annotate({ description: "Only tasks with this idempotency key" }),
  instance: Schema.optionalKey(Name).annotate({ description: "Only tasks that this instance has claimed last" }),
  trace: Schema.optionalKey(TraceId).annotate({ description: "Only tasks that were enqueued in this trace" }),
  tag: Schema.optionalKey(
    Schema.Array(Schema.String).check(within(Tags.someTags), Schema.isMaxLength(Tags.maxTags))
  ).annotate({ description: "Only tasks that have all of these tags" }),
  error_tag: several(Schema.String).annotate({ description: "Only tasks whose latest error has one of these tags" }),
  kind: several(FailureKind).annotate({ description: "Only tasks whose latest failure is one of these kinds" }),
  text: Schema.optionalKey(SearchText).annotate({
    description: "Only tasks whose latest error's message has this part; a # stands for a number"
  }),
  payload: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)).annotate({
    description: "Only tasks whose payload has these fields: paths such as user.id, and values as texts"
  }),
  created_since: Schema.optionalKey(Instant),
  created_before: Schema.optionalKey(Instant),
  ended_since: Schema.optionalKey(Instant),
  ended_before: Schema.optionalKey(Instant)
}).annotate({ identifier: "TaskFilter" })

const Texts = Schema.optionalKey(Schema.Array(Schema.String))
const Time = Schema.optionalKey(Timestamp)

/** A field of a payload in a query: `user.id=42`. */
const PayloadField = Schema.String.check(
  Schema.makeFilter((text: string) => text.indexOf("=") > 0 ? undefined : "Expected a path, an equals sign and a value")
)

/** The same in the query of a list. */
export const filterQuery = {
  status: Schema.optionalKey(listOf(TaskState)),
  type: Schema.optionalKey(listOf(Schema.String)),
  queue: Schema.optionalKey(listOf(Schema.String)),
  key: TaskFilterJson.fields.key,
  instance: TaskFilterJson.fields.instance,
  trace: TaskFilterJson.fields.trace,
  tag: Schema.optionalKey(listOf(Schema.String).check(within(Tags.someTags))),
  error_tag: Schema.optionalKey(listOf(Schema.String)),
  kind: Schema.optionalKey(listOf(FailureKind)),
  text: TaskFilterJson.fields.text,
  payload: Schema.optionalKey(Schema.Array(PayloadField)),
  created_since: Schema.optionalKey(Instant),
  created_before: Schema.optionalKey(Instant),
  ended_since: Schema.optionalKey(Instant),
  ended_before: Schema.optionalKey(Instant)
}

type FilterQuery = Schema.Struct.Type<typeof filterQuery>

/** A filter as an answer has it. */
export const ShownFilterJson = Schema.Struct({
  id: Texts,
  status: Schema.optionalKey(Schema.Array(TaskState)),
  type: Texts,
  queue: Texts,
  key: Schema.optionalKey(Schema.String),
  instance: Schema.optionalKey(Schema.String),
  trace: Schema.optionalKey(Schema.String),
  tag: Texts,
  error_tag: Texts,
  kind: Schema.optionalKey(Schema.Array(FailureKind)),
  text: Schema.optionalKey(Schema.String),
  payload: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  created_since: Time,
  created_before: Time,
  ended_since: Time,
  ended_before: Time
}).annotate({ identifier: "ShownFilter" })

type ShownFilterJson = typeof ShownFilterJson.Type

/** Names of a filter's fields: on the wire, and in programs. */
const lists = [["id", "ids"], ["status", "states"], ["type", "types"], ["queue", "queues"], ["tag", "tags"], [
  "error_tag",
  "errorTags"
], ["kind", "kinds"]] as const
const same = ["key", "instance", "trace", "text", "payload"] as const
const times = [["created_since", "createdSince"], ["created_before", "createdBefore"], ["ended_since", "endedSince"], [
  "ended_before",
  "endedBefore"
]] as const

/** The names that lead to an option of an operation in a request. */
export const pathOf = (option: string): ReadonlyArray<string> => {
  const [wire] = [...lists, ...times].find(([, name]) => name === option) ?? []
  if (wire !== undefined) return ["filter", wire]
  if (same.some((name) => name === option)) return ["filter", option]
  return option === "change.runAt" ? ["change", "run_at"] : option.split(".")
}

/** The option of a program that a request has refused under such names. */
export const optionOf = (name: string): string => [...lists, ...times].find(([wire]) => wire === name)?.[1] ?? name

const renamed = (
  from: Readonly<Record<string, unknown>>,
  side: 0 | 1,
  time: (value: never) => unknown
): Record<string, unknown> => {
  const to: Record<string, unknown> = {}
  for (const names of lists) if (from[names[side]] !== undefined) to[names[1 - side]!] = from[names[side]]
  for (const name of same) if (from[name] !== undefined) to[name] = from[name]
  for (const names of times) {
    if (from[names[side]] !== undefined) to[names[1 - side]!] = time(from[names[side]] as never)
  }
  return to
}

/** A filter as the queue takes it. */
export const filterOf = (json: typeof TaskFilterJson.Type): TaskFilter => renamed(json, 0, (time) => time)

/** A filter as requests have it. */
export const filterJson = (filter: TaskFilter): typeof TaskFilterJson.Type =>
  renamed({ ...filter }, 1, (time: DateTime.DateTime) => DateTime.toUtc(time))

/** A filter as it is kept, on the wire. */
export const shownFilterJson = (filter: StoredFilter): ShownFilterJson =>
  renamed(filter, 1, (at: number) => timestamp(DateTime.makeUnsafe(at)))

/** The same as it was on the wire. */
export const shownFilterFromJson = (json: ShownFilterJson): StoredFilter =>
  renamed(json, 0, (text: string) => instant(text).epochMilliseconds)

/** The filter of a query. */
export const filterOfQuery = ({ payload, ...query }: FilterQuery): Omit<TaskFilter, "ids"> =>
  renamed(
    {
      ...query,
      ...payload !== undefined && {
        payload: Object.fromEntries(payload.map((text) => {
          const at = text.indexOf("=")
          return [text.slice(0, at), text.slice(at + 1)]
        }))
      }
    },
    0,
    (time) => time
  )

/** A filter as the query of a list. */
export const filterQueryOf = (filter: TaskFilter): FilterQuery => {
  const { id: _, payload, ...query } = filterJson(filter)
  return payload === undefined
    ? query
    : { ...query, payload: Object.entries(payload).map(([path, value]) => `${path}=${value}`) }
}
