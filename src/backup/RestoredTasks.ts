/**
 * Tasks on their way into a store: each is stored as a new one that is due in the far future, so that no instance claims it, and then made
 * what it was.
 */
import { Effect, Schema } from "effect"
import { maxRunAt } from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import type { NewTask } from "../domain/TaskRecord.ts"
import { superseded, type Unique, type Window } from "../domain/Uniqueness.ts"
import type { Archive, Former } from "../store/Archive.ts"
import { nameOf } from "../store/Draft.ts"
import { TaskStore } from "../store/TaskStore.ts"
import type * as Line from "./Line.ts"

/** A task of a backup cannot be stored. */
export class TaskRefused extends Schema.TaggedError<TaskRefused>()("TaskRefused", {
  id: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `The task ${this.id} ${this.reason}`
  }
}

/** How many tasks may come before one that they depend on: those of one group. */
const maxHeld = 100_000

/** Stores tasks in the order given. */
export class Tasks {
  private readonly archive: Archive
  /** Those that depend on one that is not stored yet. */
  private held: Array<Line.TaskLine> = []

  constructor(archive: Archive) {
    this.archive = archive
  }

  /** Stores some more. */
  put(lines: ReadonlyArray<Line.TaskLine>) {
    return Effect.suspend(() => {
      if (lines.length === 0) return Effect.void
      const waiting = this.held
      this.held = []
      return this.putAll([...lines, ...waiting])
    })
  }

  /** To be called after all: nothing may be left. */
  get end() {
    return Effect.suspend(() => {
      const [first] = this.held
      return first === undefined ? Effect.void : this.missing(first)
    })
  }

  private missing({ id }: Line.TaskLine) {
    return Effect.fail(new TaskRefused({ id, reason: "depends on one that is not in the backup" }))
  }

  /** What a task depends on is made what it was before it is stored itself, and so is an earlier owner of its key. */
  private readonly putAll = Effect.fnUntraced({ self: this as Tasks }, function*(
    lines: ReadonlyArray<Line.TaskLine>
  ): Effect.fn.Return<void, StoreError | TaskRefused, TaskStore> {
    let group: Array<Line.TaskLine> = []
    let ids = new Set<string>()
    let keys = new Set<string>()
    for (const line of lines) {
      const key = line.key === undefined ? undefined : nameOf(line.type, line.key)
      if ((key !== undefined && keys.has(key)) || line.after?.some((id) => ids.has(id)) === true) {
        yield* this.putGroup(group)
        group = []
        ids = new Set()
        keys = new Set()
      }
      group.push(line)
      ids.add(line.id)
      if (key !== undefined) keys.add(key)
    }
    if (group.length > 0) yield* this.putGroup(group)
    // those that were held for one of these
    const stored = this.held.length
    if (stored > 0 && stored < lines.length) {
      const again = this.held
      this.held = []
      yield* this.putAll(again)
    }
  })

  private readonly putGroup = Effect.fnUntraced({ self: this as Tasks }, function*(
    lines: ReadonlyArray<Line.TaskLine>
  ): Effect.fn.Return<void, StoreError | TaskRefused, TaskStore> {
    const store = yield* TaskStore
    const answers = yield* store.enqueue(lines.map((line) => [newOf(line)]))
    const stored: Array<Former> = []
    for (const [index, answer] of answers.entries()) {
      const line = lines[index]!
      switch (answer._tag) {
        case "Accepted": {
          const { id } = answer.tasks[0]!
          if (id !== line.id) return yield* new TaskRefused({ id: line.id, reason: `has a key that ${id} has already` })
          stored.push(formerOf(line))
          break
        }
        case "UnknownDependency":
          this.held.push(line)
          if (this.held.length > maxHeld) return yield* this.missing(this.held[0]!)
          break
        case "Conflict":
          return yield* new TaskRefused({ id: line.id, reason: `has a key that ${answer.id} has already` })
        case "Full":
          return yield* new TaskRefused({ id: line.id, reason: "finds no room in the store" })
        case "DependencyCycle":
          return yield* new TaskRefused({ id: line.id, reason: "depends on itself" })
      }
    }
    yield* this.archive.adopt(stored)
  })
}

const newOf = (line: Line.TaskLine): NewTask => ({
  id: line.id,
  type: line.type,
  queue: line.queue,
  payload: line.payload,
  priority: line.priority,
  key: line.key ?? null,
  unique: uniqueOf(line),
  maxRetries: line.maxRetries,
  timeoutMs: line.timeoutMs ?? null,
  gate: line.gate ?? null,
  costs: line.costs ?? null,
  delayMs: 0,
  runAt: line.waited === true ? line.dueAt : maxRunAt,
  expiresInMs: line.expiresAt === undefined ? null : line.expiresAt - line.dueAt,
  startWithinMs: line.startWithinMs ?? null,
  ...(line.after === undefined ? {} : { after: line.after }),
  ...(line.onFailure === undefined ? {} : { onFailure: line.onFailure }),
  ...(line.trace === undefined ? {} : { trace: line.trace }),
  ...(line.tags === undefined ? {} : { tags: line.tags })
})

/** How a task is unique, so that it holds its key as it did. One whose key was taken by a later task loses it to that one again. */
const uniqueOf = ({ hold, key }: Line.TaskLine): Unique | null => {
  if (key === undefined || hold === undefined) return null
  const [window, ...merged] = hold === superseded
    ? ["unfinished" as const]
    : JSON.parse(hold) as readonly [Window, ...ReadonlyArray<string>]
  const unique: Unique = { window, onConflict: "return", byMs: 0, maxMs: null }
  return merged.length === 0 ? unique : { ...unique, merged }
}

const formerOf = (line: Line.TaskLine): Former => ({
  id: line.id,
  state: line.state === "waiting" ? "pending" : line.state,
  createdAt: line.createdAt,
  dueAt: line.dueAt,
  expiresAt: line.expiresAt ?? null,
  startBy: line.startBy ?? null,
  startedAt: line.startedAt ?? null,
  completedAt: line.completedAt ?? null,
  failures: line.failures ?? 0,
  crashes: line.crashes ?? 0,
  claims: line.claims ?? 0,
  claim: line.claim ?? 0,
  settledClaim: line.settledClaim ?? 0,
  instance: line.instance ?? null,
  progress: line.progress ?? null,
  result: line.result ?? null,
  failure: line.failure ?? null,
  history: line.history ?? [],
  waited: line.waited === true,
  holds: line.holds ?? []
})
