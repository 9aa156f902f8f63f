/**
 * Reads all of a store as the lines of a backup, a page at a time: it takes the memory of a page and of where each page begins.
 *
 * Where a store has no snapshots, a backup has each task that was stored when it began, if it is not removed during that, as it was
 * when its page was read.
 */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import * as Settlement from "../domain/Settlement.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import { isFinished } from "../domain/TaskState.ts"
import { zoneDataVersion } from "../observability/ZoneData.ts"
import type { Archive } from "../store/Archive.ts"
import { version } from "../store/InstanceStore.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import * as Line from "./Line.ts"
import * as Mark from "./Mark.ts"

/** Tasks on a page, and bytes of them. */
const pageSize = 500
const pageBytes = 4 * 1024 * 1024

/** Kinds of records that are no part of a backup: what writes are known by when they are repeated, and what a store is marked with. */
const isLeftOut = (kind: string): boolean => kind === "put" || kind === Mark.kind

/** Takes some lines, each with its line feed. `done` is how many records and tasks there were so far. */
export type Write<E, R> = (text: string, done: number) => Effect.Effect<void, E, R>

/** The kinds of records that a backup has, in order. */
export const kindsOf = (archive: Archive): Effect.Effect<ReadonlyArray<string>, StoreError> =>
  Effect.map(archive.kinds, (kinds) => kinds.filter((kind) => !isLeftOut(kind)).toSorted())

/**
 * Writes a backup of the store. `store` is its name as people know it, `id` one that no other backup has.
 */
export const run = <E, R>(
  archive: Archive,
  { id, store }: { readonly id: string; readonly store: string },
  write: Write<E, R>
): Effect.Effect<Line.Trailer, E | StoreError, R | TaskStore | RecordStore> => {
  const reads = Effect.gen(function*() {
    const count = new Line.Count()
    const put = (lines: ReadonlyArray<Line.Line>) => {
      let text = ""
      for (const line of lines) {
        const json = JSON.stringify(line)
        if (line.kind !== "end") count.add(line, json)
        text += `${json}\n`
      }
      return text === "" ? Effect.void : write(text, count.size)
    }
    const takenAt = yield* Mark.now
    yield* put([{
      kind: "taskforge-backup",
      format: Line.format,
      id,
      version,
      store,
      takenAt,
      zones: zoneDataVersion,
      isSnapshot: archive.snapshot !== undefined
    }])
    for (const kind of yield* kindsOf(archive)) yield* eachRecord(kind, put)
    yield* eachPage((tasks) => Effect.flatMap(linesOf(tasks, takenAt), put))
    const { trailer } = count
    yield* put([trailer])
    return trailer
  })
  return archive.snapshot === undefined ? reads : archive.snapshot(reads)
}

const eachRecord = Effect.fnUntraced(function*<E, R>(
  kind: string,
  put: (lines: ReadonlyArray<Line.Line>) => Effect.Effect<void, E, R>
) {
  const records = yield* RecordStore
  let after: string | undefined
  for (let more = true; more;) {
    const page = yield* Effect.catchTag(records.list(kind, { after }), "InvalidOption", Effect.die)
    yield* put(page.records.map(({ document, dueAt, id, writtenAt }) => ({
      kind: "record" as const,
      of: kind,
      id,
      document,
      dueAt,
      writtenAt
    })))
    after = page.records.at(-1)?.id
    more = page.more && after !== undefined
  }
})

/**
 * Each page of tasks, the oldest first. Stores list the newest first: so it goes to the end, and comes back from there page by page.
 */
const eachPage = Effect.fnUntraced(function*<E, R>(
  see: (tasks: ReadonlyArray<TaskRecord>) => Effect.Effect<void, E, R>
) {
  const store = yield* TaskStore
  const list = (before: number | undefined) => store.list({ before, limit: pageSize, maxBytes: pageBytes })
  const begins: Array<number> = []
  for (let before: number | undefined;;) {
    const { next, tasks } = yield* list(before)
    if (begins.length === 0 && tasks[0] !== undefined) begins.push(tasks[0].seq + 1)
    if (next === undefined) break
    // a store that looked in vain so far
    if (begins.length === 0) begins.push(next)
    else if (next < begins.at(-1)!) begins.push(next)
    before = next
  }
  for (let index = begins.length - 1; index >= 0; index--) {
    const until = begins[index + 1] ?? -Infinity
    const found: Array<TaskRecord> = []
    for (let before: number | undefined = begins[index]; before !== undefined && before > until;) {
      const page: { readonly tasks: ReadonlyArray<TaskRecord>; readonly next: number | undefined } = yield* list(before)
      found.push(...page.tasks.filter(({ seq }) => seq >= until))
      before = page.next
    }
    if (found.length > 0) yield* see(found.reverse())
  }
})

/** The lines of a page of tasks. */
const linesOf = Effect.fnUntraced(function*(tasks: ReadonlyArray<TaskRecord>, now: number) {
  const after = yield* dependenciesOf(tasks)
  const holds = yield* holdsOf(tasks)
  return inOrder(tasks, after).map((task) =>
    lineOf(stopped(task, now), after.get(task.id) ?? [], holds.get(task.id) ?? [])
  )
})

/** Tasks in their order, but each behind those of them that it depends on: so a restore need not hold it back. */
const inOrder = (
  tasks: ReadonlyArray<TaskRecord>,
  after: ReadonlyMap<string, ReadonlyArray<string>>
): ReadonlyArray<TaskRecord> => {
  if (after.size === 0) return tasks
  const left = new Map(tasks.map((task) => [task.id, task]))
  const ordered: Array<TaskRecord> = []
  const take = (task: TaskRecord): void => {
    left.delete(task.id)
    for (const id of after.get(task.id) ?? []) {
      const other = left.get(id)
      if (other !== undefined) take(other)
    }
    ordered.push(task)
  }
  for (const task of tasks) if (left.has(task.id)) take(task)
  return ordered
}

/** What each of some tasks depends on, as far as it is stored. */
const dependenciesOf = Effect.fnUntraced(function*(tasks: ReadonlyArray<TaskRecord>) {
  const store = yield* TaskStore
  const found = new Map<string, Array<string>>()
  const ids = tasks.filter(({ onFailure }) => onFailure !== null).map(({ id }) => id)
  if (ids.length === 0) return found
  for (let from: { readonly index: number; readonly place: number } | undefined = { index: 0, place: 0 }; from;) {
    const page: {
      readonly links: ReadonlyArray<{ readonly of: number; readonly id: string }>
      readonly next: { readonly index: number; readonly place: number } | undefined
    } = yield* store.links({ ids, towards: "dependencies", from, limit: 1000 })
    for (const { id, of } of page.links) {
      const of_ = found.get(ids[of]!)
      if (of_ === undefined) found.set(ids[of]!, [id])
      else of_.push(id)
    }
    from = page.next
  }
  return found
})

/** The passes of orders that tasks hold, by id: those that have been started and are not done. */
const holdsOf = Effect.fnUntraced(function*(tasks: ReadonlyArray<TaskRecord>) {
  const store = yield* TaskStore
  const found = new Map<string, Array<string>>()
  const passes = new Set(
    tasks.flatMap(({ claims, gate, state }) =>
      claims > 0 && state !== "completed" && Gate.isOrdered(gate) ? Gate.passesOf(gate) : []
    )
  )
  if (passes.size === 0) return found
  const names = [...passes]
  for (const [index, { holder }] of (yield* store.passes(names)).entries()) {
    if (holder !== null) found.set(holder.id, [...found.get(holder.id) ?? [], names[index]!])
  }
  return found
})

/** A task that runs, as if its instance had been shut down: it waits, and whatever the attempt still reports is stale. */
const stopped = (task: TaskRecord, now: number): TaskRecord =>
  task.state !== "running" ? task : {
    ...task,
    ...Settlement.settle(task, { _tag: "Release", id: task.id, claim: task.claim }, now),
    settledClaim: task.settledClaim,
    cancelRequested: false
  }

const lineOf = (
  task: TaskRecord,
  after: ReadonlyArray<string>,
  holds: ReadonlyArray<string>
): Line.TaskLine => {
  const { createdAt, dueAt, id, maxRetries, payload, priority, queue, state, type } = task
  const isWaiting = !isFinished(state)
  return {
    kind: "task",
    id,
    type,
    queue,
    state: isWaiting ? "waiting" : state as Exclude<Line.TaskLine["state"], "waiting">,
    payload,
    priority,
    createdAt,
    dueAt,
    maxRetries,
    ...given("key", task.key),
    ...given("hold", task.hold),
    ...given("timeoutMs", task.timeoutMs),
    ...given("gate", task.gate),
    ...given("costs", task.costs),
    ...(holds.length === 0 ? {} : { holds }),
    ...given("trace", task.trace),
    ...given("tags", task.tags),
    ...(after.length === 0 ? {} : { after, ...given("onFailure", task.onFailure) }),
    ...(after.length > 0 && isWaiting && task.waitsFor > 0 ? { waited: true } : {}),
    ...given("expiresAt", task.expiresAt),
    ...given("startWithinMs", task.startWithinMs),
    ...given("startBy", task.startBy),
    ...given("startedAt", task.startedAt),
    ...given("completedAt", task.completedAt),
    ...given("failures", task.failures || null),
    ...given("crashes", task.crashes || null),
    ...given("claims", task.claims || null),
    ...given("claim", task.claim || null),
    ...given("settledClaim", task.settledClaim || null),
    ...given("instance", task.instance),
    ...given("progress", task.progress),
    ...given("result", task.result),
    ...given("failure", task.failure),
    ...(task.history.length === 0 ? {} : { history: task.history })
  }
}

const given = <const Name extends keyof TaskRecord, A>(
  name: Name,
  value: A | null
): { readonly [Key in Name]?: A } => value === null ? {} : { [name]: value } as { readonly [Key in Name]: A }
