/**
 * Failed tasks, the dead letters: by the reason for which they failed, searched, and run again or discarded by a filter, a
 * bounded number at a time. A look costs the same however many tasks are stored, so it may see a part of them, and says so.
 */
import type { DateTime } from "effect"
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as Cursor from "../domain/Cursor.ts"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import * as Fingerprint from "../domain/Fingerprint.ts"
import { seenOf, type SeenTask } from "../domain/Seen.ts"
import { utc } from "../domain/StoredTime.ts"
import * as Tags from "../domain/Tags.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import * as TaskFilter from "../operation/TaskFilter.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import { fromRecord, type StoredTask } from "./StoredTask.ts"

/** Which dead letters are meant: those that fit all that is said. */
export interface DeadLetterFilter {
  readonly types?: ReadonlyArray<string> | undefined
  readonly queues?: ReadonlyArray<string> | undefined
  /** Tags that they have, all of these. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Tags of the errors with which they failed, one of these. */
  readonly errorTags?: ReadonlyArray<string> | undefined
  /** A part of the error's message, in upper or lower case. A `#` stands for a number, as in the messages of groups. */
  readonly text?: string | undefined
  /** Only those that failed at this time or later, by the store's clock. */
  readonly since?: DateTime.DateTime | undefined
  /** Only those that failed before this time. */
  readonly before?: DateTime.DateTime | undefined
}

/** Part of the dead letters of a filter. */
export interface DeadLetterPart extends DeadLetterFilter {
  /** Tasks that are listed or changed at most, from 1 to 1,000. Default 100. */
  readonly limit?: number | undefined
  /** The field `next` of the part before, which had the same filter. */
  readonly cursor?: string | undefined
}

/** Dead letters that failed for one reason. */
export interface DeadLetterGroup extends Fingerprint.Fingerprint {
  readonly count: number
  /** When the first and the latest of them failed. */
  readonly firstAt: DateTime.Utc
  readonly lastAt: DateTime.Utc
  /** The id of the task that was made last. */
  readonly latest: string
}

/** Dead letters by reason. */
export interface DeadLetterGroups {
  /** The largest first, 100 at most. */
  readonly groups: ReadonlyArray<DeadLetterGroup>
  /** How many more reasons were found. */
  readonly moreGroups: number
  /** How many dead letters were looked at, those that were made last first. */
  readonly looked: number
  /** Whether these were all that there are of the types and queues. */
  readonly isComplete: boolean
}

/** What was done to a part of the dead letters. */
export interface DeadLettersDone {
  readonly looked: number
  /** How many of them were meant. */
  readonly matched: number
  /** To how many it was done: another one was faster with the others. */
  readonly done: number
  /** Where the next part begins, `null` after the last. A part in which nothing was meant need not be the last. */
  readonly next: string | null
}

/** What can be done about dead letters. */
export interface DeadLetters {
  /** Counts them by type and reason, among the 10,000 that were made last. */
  readonly groups: (filter?: DeadLetterFilter) => Effect.Effect<DeadLetterGroups, InvalidOption | StoreError>
  /** A page of them, newest first. */
  readonly list: (
    part?: DeadLetterPart
  ) => Effect.Effect<
    { readonly tasks: ReadonlyArray<StoredTask>; readonly next: string | null },
    InvalidOption | StoreError
  >
  /** Runs some of them again, with all their retries. */
  readonly rerun: (part?: DeadLetterPart) => Effect.Effect<DeadLettersDone, InvalidOption | StoreError>
  /** Removes some of them. */
  readonly discard: (part?: DeadLetterPart) => Effect.Effect<DeadLettersDone, InvalidOption | StoreError>
}

/** Tasks of a part, unless it says how many. */
export const defaultPart = 100

/** Tasks of a part at most. */
const maxPart = 1000

/** Groups in an answer. */
const maxGroups = 100

/** Dead letters that are looked at for groups, and how often the store is asked for some. */
const maxLooked = 10_000
const maxLooks = 40

const partNames: Bounds.Names<DeadLetterPart> = {
  types: 1,
  queues: 1,
  tags: 1,
  errorTags: 1,
  text: 1,
  since: 1,
  before: 1,
  limit: 1,
  cursor: 1
}

/** Fails with the first option that is unknown or outside of its bound. */
export const check = (part: DeadLetterPart): Effect.Effect<void, InvalidOption> => {
  const invalid = Bounds.refuseUnknown(part, partNames) ?? Bounds.refuse("tags", Tags.someTags, part.tags) ??
    Bounds.refuse("text", Bounds.searchText, part.text) ??
    Bounds.refuse("since", Bounds.runAt, part.since) ?? Bounds.refuse("before", Bounds.runAt, part.before) ??
    Bounds.refuseRange(part, "since", "before") ??
    Bounds.refuse("limit", Bounds.whole(1, maxPart), part.limit) ??
    Bounds.refuse("cursor", Cursor.boundOf(listOf(part)), part.cursor)
  return invalid === undefined ? Effect.void : Effect.fail(invalid)
}

/** The list that cursors of a filter belong to. */
const listOf = (
  { before, errorTags = [], queues, since, tags = [], text, types }: DeadLetterFilter
): Cursor.Filter => ({
  states: [
    "failed",
    ...tags.map((tag) => `tag ${tag}`),
    ...errorTags.map((tag) => `error tag ${tag}`),
    `text ${text ?? ""}`,
    `times ${since?.epochMilliseconds} ${before?.epochMilliseconds}`
  ],
  types,
  queues
})

/** The tasks that are meant. */
const filterOf = (
  { before, errorTags, queues, since, tags, text, types }: DeadLetterFilter
): TaskFilter.StoredFilter =>
  TaskFilter.stored({
    states: ["failed"],
    types,
    queues,
    tags,
    errorTags,
    text,
    endedSince: since,
    endedBefore: before
  })

/** The dead letters of a store. */
export const make = (
  store: Pick<TaskStore["Service"], "list" | "get" | "rerun">,
  remove: TaskStore["Service"]["remove"]
): DeadLetters => {
  const positionOf = (part: DeadLetterPart): number | undefined =>
    part.cursor === undefined ? undefined : Cursor.decode(part.cursor, listOf(part))

  /** The first of those that are meant, and where the next part begins. */
  const select = Effect.fnUntraced(function*(part: DeadLetterPart, looks: number) {
    const limit = part.limit ?? defaultPart
    const { found, looked, next } = yield* TaskFilter.select(store, filterOf(part), {
      before: positionOf(part),
      limit,
      looks
    })
    return { found, looked, next: next === undefined ? null : Cursor.encode(next, listOf(part)) }
  })

  /** Changes them as they were seen: what another one has changed since is left alone. */
  const doing = (
    change: (tasks: ReadonlyArray<SeenTask>) => Effect.Effect<number, StoreError>
  ): DeadLetters["rerun"] =>
    Effect.fnUntraced(function*(part = {}) {
      yield* check(part)
      const { found, looked, next } = yield* select(part, 1)
      const done = found.length === 0
        ? 0
        : yield* change(found.map((task) => ({ id: task.id, seen: seenOf(task) })))
      return { looked, matched: found.length, done, next }
    })

  return {
    groups: Effect.fnUntraced(function*(filter = {}) {
      yield* check(filter)
      const meant = filterOf(filter)
      const groups = new Map<string, DeadLetterGroup>()
      let looked = 0
      let next: number | undefined
      let isComplete = false
      for (let look = 0; look < maxLooks && looked < maxLooked && !isComplete; look++) {
        const found: TaskFilter.Looked = yield* TaskFilter.select(store, meant, {
          before: next,
          limit: maxPart,
          looks: 1
        })
        looked += found.looked
        for (const task of found.found) addTo(groups, task)
        next = found.next
        isComplete = next === undefined
      }
      const all = [...groups.values()].sort((a, b) => b.count - a.count)
      return { groups: all.slice(0, maxGroups), moreGroups: Math.max(0, all.length - maxGroups), looked, isComplete }
    }),
    list: Effect.fnUntraced(function*(part = {}) {
      yield* check(part)
      const { found, next } = yield* select(part, 10)
      return { tasks: found.map(fromRecord), next }
    }),
    rerun: doing((tasks) =>
      Effect.map(store.rerun(tasks), (answers) => answers.filter(({ _tag }) => _tag === "rerun").length)
    ),
    discard: doing((tasks) =>
      Effect.map(remove(tasks), (answers) => answers.filter((answer) => answer === "removed").length)
    )
  }
}

const addTo = (groups: Map<string, DeadLetterGroup>, { completedAt, failure, id, type }: TaskRecord): void => {
  const { kind = "defect", message = "", tag = "unknown" } = failure ?? {}
  const fingerprint = Fingerprint.of(type, { kind, message, tag })
  const name = Fingerprint.nameOf(fingerprint)
  const known = groups.get(name)
  const at = utc(completedAt ?? 0)
  groups.set(
    name,
    known === undefined
      ? { ...fingerprint, count: 1, firstAt: at, lastAt: at, latest: id }
      : {
        ...known,
        count: known.count + 1,
        firstAt: at.epochMilliseconds < known.firstAt.epochMilliseconds ? at : known.firstAt,
        lastAt: at.epochMilliseconds > known.lastAt.epochMilliseconds ? at : known.lastAt
      }
  )
}
