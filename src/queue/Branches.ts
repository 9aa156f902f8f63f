/**
 * Branches and graphs: what is done to a task and all that depend on it, or to all tasks that are connected with it. In which order, and why
 * that is safe at each moment, says decision 116.
 */
import { Array, type DateTime, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { BranchTooLarge } from "../domain/DependencyErrors.ts"
import { type InvalidOption, type StoreError, TaskNotFound } from "../domain/Errors.ts"
import * as BatchRecords from "../flow/BatchRecords.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import * as Members from "./Members.ts"

/** Which tasks are meant: a task with all that depend on it, directly or not, or all that are connected with it, also before it. */
export type Scope = "branch" | "graph"

/** Which tasks are meant. */
export interface BranchOptions {
  /** Default `branch`. */
  readonly scope?: Scope | undefined
}

/** What is run again. */
export interface RerunBranchOptions extends BranchOptions {
  /** Whether completed tasks run again too, and lose their results. Default `false`. */
  readonly completed?: boolean | undefined
  /** Only what had ended before. Give the time of the first call where you repeat one that was interrupted. */
  readonly endedBefore?: DateTime.DateTime | undefined
}

/** How large a branch is. */
export interface BranchSize {
  readonly members: number
  /** Tasks of the engine's own that belong to batches. They are left alone, and so is what is connected by them alone. */
  readonly own: number
  /** Whether these are all: 10,000 and 100,000 dependencies between them are looked at. */
  readonly isComplete: boolean
}

/** How many members a branch has, and what became of them. */
export interface BranchCancelled {
  readonly members: number
  /** Waited, and will never start. */
  readonly cancelled: number
  /** Ran, and are being interrupted. */
  readonly requested: number
  readonly finished: number
  /** Were removed in between. */
  readonly unknown: number
  /** As in {@link BranchSize}. */
  readonly own: number
}

/** How many members a branch has, and what became of them. */
export interface BranchRerun {
  readonly members: number
  /** Are due now, or wait for others that have not ended. */
  readonly rerun: number
  /** Had not started, and wait for those before them that run again. */
  readonly waiting: number
  readonly running: number
  /** Stay completed. */
  readonly completed: number
  /** Have ended later than `endedBefore`. */
  readonly recent: number
  /** Stay as they are, because one that they depend on has ended without being completed. */
  readonly blocked: number
  /** Some of those that block others, up to ten. */
  readonly blockedBy: ReadonlyArray<string>
  /** A later task has their key. */
  readonly superseded: number
  /** Were removed in between. */
  readonly unknown: number
  /** As in {@link BranchSize}. */
  readonly own: number
}

/** Why nothing is done to a branch. */
export type BranchError = TaskNotFound | InvalidOption | StoreError

/** Why nothing is done to one that is to be changed. */
export type BranchChangeError = BranchError | BranchTooLarge

/** What can be done about branches and graphs. */
export interface Branches {
  /** How many tasks are meant. */
  readonly size: (id: string, options?: BranchOptions) => Effect.Effect<BranchSize, BranchError>
  /** Cancels them, the last first: so none starts because another one has been cancelled. */
  readonly cancel: (id: string, options?: BranchOptions) => Effect.Effect<BranchCancelled, BranchChangeError>
  /**
   * Runs those again that have ended and were not completed, and with `completed` all that have ended. The first ones are due; the others
   * wait for those that they depend on, and stay as they are where one of these does not run again. A call that was interrupted can be
   * repeated.
   */
  readonly rerun: (id: string, options?: RerunBranchOptions) => Effect.Effect<BranchRerun, BranchChangeError>
}

const names: Bounds.Names<BranchOptions> = { scope: 1 }
const rerunNames: Bounds.Names<RerunBranchOptions> = { ...names, completed: 1, endedBefore: 1 }

/** What is looked at for a size. */
const sized: Members.Bound = { maxMembers: 10_000, maxEdges: 100_000 }

/** What one call changes: the ids and edges are in memory while it does, some hundred bytes for each. */
export const changed: Members.Bound = { maxMembers: 250_000, maxEdges: 1_000_000 }

/** Tasks that are named as those that block others. */
const maxBlocking = 10

/** What is accepted as a scope. */
const scopes: Bounds.Bound<Scope> = {
  expected: `"branch" or "graph"`,
  accepts: (scope) => scope === "branch" || scope === "graph"
}

const flags: Bounds.Bound<boolean> = { expected: "true or false", accepts: (flag) => typeof flag === "boolean" }

/** Fails with the first option that is unknown or outside of its bound. */
export const check = (options: BranchOptions): Effect.Effect<void, InvalidOption> =>
  refused(Bounds.refuseUnknown(options, names) ?? Bounds.refuse("scope", scopes, options.scope))

/** The same of a rerun. */
export const checkRerun = (options: RerunBranchOptions): Effect.Effect<void, InvalidOption> =>
  refused(
    Bounds.refuseUnknown(options, rerunNames) ?? Bounds.refuse("scope", scopes, options.scope) ??
      Bounds.refuse("completed", flags, options.completed) ??
      Bounds.refuse("endedBefore", Bounds.runAt, options.endedBefore)
  )

const refused = (invalid: InvalidOption | undefined): Effect.Effect<void, InvalidOption> =>
  invalid === undefined ? Effect.void : Effect.fail(invalid)

/** The branches of a store. */
export const make = (
  store: Pick<TaskStore["Service"], "get" | "links" | "cancel" | "reopen">,
  bound: Members.Bound = changed
): Branches => {
  const find = Effect.fnUntraced(function*(id: string, { scope = "branch" }: BranchOptions, bound: Members.Bound) {
    const task = Bounds.isStorable(id) ? yield* store.get(id) : undefined
    if (task === undefined) return yield* new TaskNotFound({ id })
    return yield* Members.find(store, task, scope === "graph", BatchRecords.type, bound)
  })
  const findAll = Effect.fnUntraced(function*(id: string, options: BranchOptions) {
    const members = yield* find(id, options, bound)
    return members.isComplete ? members : yield* new BranchTooLarge({ id, ...bound })
  })

  return {
    size: Effect.fnUntraced(function*(id, options = {}) {
      yield* check(options)
      const { ids, isComplete, left } = yield* find(id, options, sized)
      return { members: ids.length, own: left, isComplete }
    }),

    cancel: Effect.fnUntraced(function*(id, options = {}) {
      yield* check(options)
      const members = yield* findAll(id, options)
      const counts = { cancelled: 0, requested: 0, finished: 0, unknown: 0 }
      for (const level of Members.levelsOf(members).toReversed()) {
        for (const ids of Array.chunksOf(level, Bounds.maxIds)) {
          for (const answer of yield* store.cancel(ids)) counts[answer]++
        }
      }
      return { members: members.ids.length, ...counts, own: members.left }
    }),

    rerun: Effect.fnUntraced(function*(id, options = {}) {
      yield* checkRerun(options)
      const { completed = false, endedBefore } = options
      const members = yield* findAll(id, options)
      const counts = {
        rerun: 0,
        waiting: 0,
        running: 0,
        completed: 0,
        recent: 0,
        blocked: 0,
        superseded: 0,
        unknown: 0
      }
      const blocking = new Set<string>()
      const asked = { completed, endedBy: endedBefore && endedBefore.epochMilliseconds - 1 }
      for (const level of Members.levelsOf(members)) {
        for (const ids of Array.chunksOf(level, Bounds.maxIds)) {
          for (const answer of yield* store.reopen(ids, asked)) {
            counts[answer._tag]++
            if (answer._tag === "blocked" && blocking.size < maxBlocking) blocking.add(answer.by)
          }
        }
      }
      return { members: members.ids.length, ...counts, blockedBy: [...blocking], own: members.left }
    })
  }
}
