/**
 * Which tasks of a store are meant: by what stores look up, such as states, types and queues, and by what is found out by looking at each
 * of these. A look costs the same however many tasks are stored, so it may see a part of them, and says so.
 */
import { type DateTime, Effect, Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption, type StoreError } from "../domain/Errors.ts"
import { commonOf } from "../domain/Fingerprint.ts"
import * as Tags from "../domain/Tags.ts"
import { FailureKind, type TaskRecord } from "../domain/TaskRecord.ts"
import { all, TaskState } from "../domain/TaskState.ts"
import * as TraceContext from "../domain/TraceContext.ts"
import { bytesOf } from "../store/Admission.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** Which tasks are meant: those that fit all that is said. */
export interface TaskFilter {
  /** These tasks, at most 1,000. */
  readonly ids?: ReadonlyArray<string> | undefined
  readonly states?: ReadonlyArray<TaskState> | undefined
  readonly types?: ReadonlyArray<string> | undefined
  readonly queues?: ReadonlyArray<string> | undefined
  /** The idempotency key. */
  readonly key?: string | undefined
  /** The instance that holds or held the latest claim. */
  readonly instance?: string | undefined
  /** The trace that they were enqueued in. */
  readonly trace?: string | undefined
  /** Tags that they have, all of these. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Tags of the latest errors, one of these. */
  readonly errorTags?: ReadonlyArray<string> | undefined
  /** Kinds of the latest failures. */
  readonly kinds?: ReadonlyArray<FailureKind> | undefined
  /** A part of the latest error's message, in upper or lower case. A `#` stands for a number, as in the messages of groups. */
  readonly text?: string | undefined
  /** Fields of the payload by their paths, such as `user.id`, with their values as texts. */
  readonly payload?: Readonly<Record<string, string>> | undefined
  /** Only tasks that were made at this time or later, by the store's clock. */
  readonly createdSince?: DateTime.DateTime | undefined
  readonly createdBefore?: DateTime.DateTime | undefined
  /** Only tasks that have ended, at this time or later. */
  readonly endedSince?: DateTime.DateTime | undefined
  readonly endedBefore?: DateTime.DateTime | undefined
}

const texts = Schema.optionalKey(Schema.Array(Schema.String))
const time = Schema.optionalKey(Schema.Int)

/** A filter as it is kept, with times in milliseconds. */
export const StoredFilter = Schema.Struct({
  ids: texts,
  states: Schema.optionalKey(Schema.Array(TaskState)),
  types: texts,
  queues: texts,
  key: Schema.optionalKey(Schema.String),
  instance: Schema.optionalKey(Schema.String),
  trace: Schema.optionalKey(Schema.String),
  tags: texts,
  errorTags: texts,
  kinds: Schema.optionalKey(Schema.Array(FailureKind)),
  text: Schema.optionalKey(Schema.String),
  payload: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  createdSince: time,
  createdBefore: time,
  endedSince: time,
  endedBefore: time
})

/** See {@link StoredFilter}. */
export type StoredFilter = typeof StoredFilter.Type

/** The names of {@link TaskFilter}. */
export const names: Bounds.Names<TaskFilter> = {
  ids: 1,
  states: 1,
  types: 1,
  queues: 1,
  key: 1,
  instance: 1,
  trace: 1,
  tags: 1,
  errorTags: 1,
  kinds: 1,
  text: 1,
  payload: 1,
  createdSince: 1,
  createdBefore: 1,
  endedSince: 1,
  endedBefore: 1
}

const times = ["createdSince", "createdBefore", "endedSince", "endedBefore"] as const

/** Fields of payloads in a filter at most. */
const maxFields = 10

/** Values of one field of a filter at most. */
const maxValues = 1000

const values = (accepts: (value: string) => boolean, expected: string): Bounds.Bound<ReadonlyArray<string>> => ({
  expected: `1 to ${maxValues} of ${expected}`,
  accepts: (list) =>
    Array.isArray(list) && list.length > 0 && list.length <= maxValues && list.every((one) => accepts(one))
})

const someText = values((text) => typeof text === "string", "texts")
const someStates = values((state) => all.includes(state as TaskState), all.join(", "))
const someKinds = values((kind) => Schema.is(FailureKind)(kind), FailureKind.literals.join(", "))
const aTraceId: Bounds.Bound<string> = {
  expected: "32 hexadecimal digits in lower case",
  accepts: TraceContext.isTraceId
}
const fields: Bounds.Bound<Readonly<Record<string, string>>> = {
  expected: `1 to ${maxFields} paths of ${Bounds.searchText.expected}, with texts`,
  accepts: (record) =>
    typeof record === "object" && record !== null && Object.keys(record).length > 0 &&
    Object.keys(record).length <= maxFields &&
    Object.entries(record).every(([path, value]) =>
      Bounds.searchText.accepts(path) && typeof value === "string" && value.length <= Bounds.maxSearchLength
    )
}

/** Why a filter is refused, if it is. One that says nothing is not: see {@link refuseEmpty}. */
export const refuse = (filter: TaskFilter): InvalidOption | undefined =>
  Bounds.refuseUnknown(filter, names) ?? Bounds.refuse("ids", someText, filter.ids) ??
    Bounds.refuse("states", someStates, filter.states) ?? Bounds.refuse("types", someText, filter.types) ??
    Bounds.refuse("queues", someText, filter.queues) ?? Bounds.refuse("key", Bounds.key, filter.key) ??
    Bounds.refuse("instance", Bounds.name, filter.instance) ?? Bounds.refuse("trace", aTraceId, filter.trace) ??
    Bounds.refuse("tags", Tags.someTags, filter.tags) ?? Bounds.refuse("errorTags", someText, filter.errorTags) ??
    Bounds.refuse("kinds", someKinds, filter.kinds) ?? Bounds.refuse("text", Bounds.searchText, filter.text) ??
    Bounds.refuse("payload", fields, filter.payload) ??
    times.map((name) => Bounds.refuse(name, Bounds.runAt, filter[name])).find((one) => one !== undefined) ??
    Bounds.refuseRange(filter, "createdSince", "createdBefore") ??
    Bounds.refuseRange(filter, "endedSince", "endedBefore")

/** Whether this version knows all that a filter says. One that says more means fewer tasks than those that it seems to mean. */
export const isKnown = (filter: Readonly<Record<string, unknown>>): boolean =>
  Object.keys(filter).every((name) => Object.hasOwn(names, name))

/** Why a filter is refused that means every task, if it does. */
export const refuseEmpty = (filter: TaskFilter): InvalidOption | undefined =>
  Object.values(filter).some((value) => value !== undefined)
    ? undefined
    : new InvalidOption({
      option: "filter",
      found: "empty",
      expected: "something that the tasks have in common",
      index: 0
    })

/** A filter as it is kept. */
export const stored = (filter: TaskFilter): StoredFilter => {
  const kept: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(filter)) if (value !== undefined) kept[name] = value
  for (const name of times) {
    const at = filter[name]
    if (at !== undefined) kept[name] = at.epochMilliseconds
  }
  return kept as StoredFilter
}

/** What decides about a task that a store has listed; `undefined` where every one is meant. */
const matcherOf = (filter: StoredFilter): ((task: TaskRecord) => boolean) | undefined => {
  const { createdBefore, createdSince, endedBefore, endedSince, errorTags, instance, key, kinds, payload, text } =
    filter
  const { tags, trace } = filter
  const hasTags = tags && Tags.having(tags)
  const wanted = errorTags && new Set(errorTags)
  const part = text?.toLowerCase()
  const ended = endedSince !== undefined || endedBefore !== undefined
  const paths = Object.entries(payload ?? {}).map(([path, value]) => [path.split("."), value] as const)
  const isFree =
    [instance, key, kinds, tags, errorTags, text, trace, createdBefore, createdSince].every((one) =>
      one === undefined
    ) && !ended && paths.length === 0
  if (isFree) return undefined
  return (task) => {
    const { completedAt, createdAt, failure } = task
    return (key === undefined || task.key === key) && (instance === undefined || task.instance === instance) &&
      (trace === undefined || TraceContext.traceIdOf(task.trace) === trace) &&
      (hasTags === undefined || hasTags(task.tags)) &&
      (wanted === undefined || wanted.has(failure?.tag ?? "")) &&
      (kinds === undefined || failure !== null && kinds.includes(failure.kind)) &&
      (part === undefined || failure !== null && hasText(failure.message, part)) &&
      (createdSince === undefined || createdAt >= createdSince) &&
      (createdBefore === undefined || createdAt < createdBefore) &&
      (!ended || completedAt !== null && (endedSince === undefined || completedAt >= endedSince) &&
          (endedBefore === undefined || completedAt < endedBefore)) &&
      (paths.length === 0 || hasFields(JSON.parse(task.payload), paths))
  }
}

const hasFields = (json: unknown, paths: ReadonlyArray<readonly [ReadonlyArray<string>, string]>): boolean =>
  paths.every(([path, value]) => {
    let found = json
    for (const name of path) {
      if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return false
      found = (found as Record<string, unknown>)[name]
    }
    return (typeof found === "string" ? found : JSON.stringify(found)) === value
  })

/** Whether a task is meant, whatever a store looks up. */
export const isMeant = (filter: StoredFilter): (task: TaskRecord) => boolean => {
  const { ids, queues, states, types } = filter
  const matches = matcherOf(filter)
  return (task) =>
    (ids === undefined || ids.includes(task.id)) && (states === undefined || states.includes(task.state)) &&
    (types === undefined || types.includes(task.type)) && (queues === undefined || queues.includes(task.queue)) &&
    (matches === undefined || matches(task))
}

const hasText = (message: string, part: string): boolean =>
  message.toLowerCase().includes(part) || commonOf(message).toLowerCase().includes(part)

/** Tasks that a store is asked for at a time at most. */
const maxPage = 1000

/** How far to look. */
export interface Look {
  /** Where the look before ended: {@link Looked.next}. */
  readonly before?: number | undefined
  /** Tasks that are found at most. */
  readonly limit: number
  /** How often the store is asked at most. */
  readonly looks: number
}

/** What was found, newest first. */
export interface Looked {
  readonly found: ReadonlyArray<TaskRecord>
  readonly looked: number
  /** Where to look on; `undefined` where all were looked at. */
  readonly next: number | undefined
}

type Store = Pick<TaskStore["Service"], "list" | "get">

/** The first of the tasks that are meant behind a place, and where to look on. */
export const select = (
  store: Store,
  filter: StoredFilter,
  look: Look
): Effect.Effect<Looked, StoreError> =>
  filter.ids === undefined
    ? listed(store, filter, look)
    : named(store, filter, filter.ids, look.before ?? 0, look.limit)

const listed = Effect.fnUntraced(function*(
  store: Store,
  filter: StoredFilter,
  { before, limit, looks }: Look
) {
  const matches = matcherOf(filter)
  const found: Array<TaskRecord> = []
  let looked = 0
  let bytes = 0
  let next = before
  for (let look = 0; look < looks && found.length < limit && bytes < Bounds.maxAnswerBytes; look++) {
    const { next: after, tasks } = yield* store.list({
      states: filter.states,
      types: filter.types?.filter(Bounds.isStorable),
      queues: filter.queues?.filter(Bounds.isStorable),
      before: next,
      // What each has to be looked at for may be rare
      limit: matches === undefined ? Math.min(maxPage, limit - found.length) : Math.min(maxPage, limit * 10)
    })
    for (const task of tasks) {
      looked++
      next = task.seq
      if (matches !== undefined && !matches(task)) continue
      found.push(task)
      bytes += bytesOf(task)
      if (found.length === limit || bytes >= Bounds.maxAnswerBytes) break
    }
    const isCutShort = next !== undefined && tasks.length > 0 && next !== tasks.at(-1)!.seq
    if (!isCutShort) next = after
    if (next === undefined) break
  }
  return { found, looked, next }
})

/** The same of ids: places are in their list. */
const named = Effect.fnUntraced(function*(
  store: Store,
  filter: StoredFilter,
  ids: ReadonlyArray<string>,
  from: number,
  limit: number
) {
  const meant = isMeant(filter)
  const asked = [...new Set(ids)].slice(from, from + limit)
  const tasks = yield* Effect.forEach(asked, (id) => Bounds.isStorable(id) ? store.get(id) : Effect.undefined, {
    concurrency: 10
  })
  const next = from + asked.length
  return {
    found: tasks.filter((task) => task !== undefined && meant(task)) as ReadonlyArray<TaskRecord>,
    looked: asked.length,
    next: next < new Set(ids).size ? next : undefined
  }
})

/** How many tasks a filter means. */
export interface Count {
  readonly count: number
  /** Whether these are all: others have not been looked at otherwise. */
  readonly isComplete: boolean
  readonly looked: number
  /** The newest of them. */
  readonly sample: ReadonlyArray<TaskRecord>
}

/** Tasks that are looked at for a count, and how often the store is asked for some. */
const maxCounted = 10_000
const maxLooks = 40

/** Counts the tasks that are meant, as far as a bounded look goes. */
export const count = Effect.fnUntraced(function*(store: Store, filter: StoredFilter, sampleSize: number) {
  let counted = 0
  let looked = 0
  let next: number | undefined
  let sample: ReadonlyArray<TaskRecord> = []
  for (let looks = 0; looks < maxLooks && looked < maxCounted; looks++) {
    const page: Looked = yield* select(store, filter, { before: next, limit: maxPage, looks: 1 })
    counted += page.found.length
    looked += page.looked
    sample = [...sample, ...page.found.slice(0, sampleSize - sample.length)]
    next = page.next
    if (next === undefined) break
  }
  return { count: counted, isComplete: next === undefined, looked, sample } satisfies Count
})
