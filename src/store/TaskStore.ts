/**
 * The contract that every storage driver keeps: small, batched, and fenced by claim numbers.
 *
 * Rules that the conformance suite proves for each driver:
 *
 * - Every claim takes the next number of one sequence of the whole store: strictly increasing, in rank order within a
 *   call, never given twice, whatever becomes of the task. So an old claim number changes nothing, ever, not even at a
 *   new task that bears the id of a removed one.
 * - Concurrent claimers never share a task.
 * - Every write follows the transition table of `TaskState`.
 * - A driver reads its own clock, never its caller's: durations go in, absolute times come out, whole milliseconds.
 *   `runAt` is the one absolute time that goes in.
 * - Boundaries are inclusive: at `dueAt` a task is due, at `expiresAt` it has expired, at `leaseUntil` its lease has run
 *   out, and at the age that retention names a finished task goes.
 * - Repeating an `enqueue` (same ids), a `claim` (same nonce) or a `settle` (same claim) after a lost reply is safe.
 * - A type may have a version behind a mark, see `StoredType`: it is a type of its own, but for keys, which are unique over all
 *   versions, and for pauses, which hold for all.
 * - Sequence and claim numbers may have gaps; only their order means something.
 * - A task that depends on others waits until each of them has ended. Whatever write ends a task tells those that wait for it: the last of
 *   these ends releases a task in the same write, and so does one that did not complete end it, unless it is to run all the same.
 *   What ends so is an end like any other, with dependents of its own. See `Dependencies` for how much of it one write does.
 * - A task is kept as long as one that has not ended depends on it.
 */
import { Context, type Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { Pass } from "../domain/Gate.ts"
import type { Reopen } from "../domain/Reopen.ts"
import type { TaskRef } from "../domain/Seen.ts"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import type { ClaimedTask, NewTask, TaskFailure, TaskRecord } from "../domain/TaskRecord.ts"
import type { FinishedState, TaskState } from "../domain/TaskState.ts"
import type { Archive } from "./Archive.ts"
import type { Counts } from "./Counts.ts"
import type { Consequences, Edges, ReadLinks } from "./Dependencies.ts"
import type { EnqueueAnswer } from "./EnqueueAnswer.ts"
import type { Charge, PassState } from "./Gates.ts"
import type { CountedLanes, LaneRange, Runnable } from "./Lanes.ts"
import type { Reschedule } from "./Reschedule.ts"
import type { WriteHealth } from "./WriteHealth.ts"

export type { Accepted, EnqueueAnswer } from "./EnqueueAnswer.ts"

/** Who asks for how much work, and for how long it may keep it. */
export interface ClaimRequest extends Runnable {
  readonly limit: number
  /** Queues that it takes nothing from, whatever is in them: for a pool that has given them what it may. Not together with `queues`. */
  readonly except?: ReadonlyArray<string> | undefined
  /** The claiming instance, unique among all that run. */
  readonly instance: string
  readonly leaseForMs: number
  /**
   * Repeating the nonce of the instance's last claim gives the same tasks, as far as they are still held, and changes
   * nothing; above all it prolongs no lease. A claim that returned tasks is remembered until the instance's next
   * such claim, for a day or more. An empty one is not: repeating it claims again.
   */
  readonly nonce: number
}

/** A claim that takes nothing: it only promotes what has become due. */
export const promotion: ClaimRequest = { types: [], limit: 0, instance: "", leaseForMs: 0, nonce: 0 }

/** Claimed tasks by rank, and when it pays to ask again. */
export interface ClaimAnswer {
  readonly tasks: ReadonlyArray<ClaimedTask>
  /** The store's clock. */
  readonly now: number
  /**
   * When the next task of any queue becomes due, or the bucket of a task that was refused has its tokens, if that is earlier;
   * `null` when neither is known.
   */
  readonly nextDueAt: number | null
  /** Tasks that the claim found to be too old, and has ended; none when left out. */
  readonly expired?: ReadonlyArray<Expired> | undefined
}

/** A task that waited for too long, and has ended. */
export interface Expired {
  readonly id: string
  readonly type: string
  readonly queue: string
  /** How many attempts it has had. */
  readonly attempt: number
}

/** Pending tasks of one queue and type that no instance can run. */
export interface Stranded {
  readonly queue: string
  readonly type: string
  /** Of the type's payload, left out for the first. */
  readonly version?: number | undefined
  /** When the first of them in the order of work became due. */
  readonly since: number
}

/** A task and the number of the claim that began its attempt, unique in the store, which fences the attempt. */
export interface ClaimRef {
  readonly id: string
  readonly claim: number
}

/**
 * What a heartbeat learns: the lease is `held` for another period, the task is to be stopped because a client
 * requested its `cancel` (the lease is held until then), or the lease is `lost` to another claim.
 */
export type ExtendAnswer = "held" | "cancel" | "lost"

/** How far an attempt is, as its handler reports it. */
export interface ProgressReport extends ClaimRef {
  readonly progress: number
}

/**
 * Which leases a rescue takes back. The store's own clock may have been set forward or back since they were given, so
 * the rescuer says what that clock can show by its own reckoning: see `maintenance/Reckoning`.
 */
export interface RescueRequest {
  /** Tasks taken back at most; with 0 only the clock is asked. */
  readonly limit: number
  /** What the store's clock can show at least: leases that ended by then, and by the store's clock, are taken back. */
  readonly earliest: number
  /** What it can show at most. */
  readonly latest: number
  /**
   * When the store's clock shows a time further than this before `earliest` or after `latest`, it was set since the request
   * was sent, or the request was under way for too long: nothing is taken back.
   */
  readonly maxOffMs: number
  /** Leases that end later than this after both are taken back too: they were given before the clock was set back. */
  readonly maxAheadMs: number
}

/** Which leases a store takes back by its clock: those that end until the first time or after the second; none if `undefined`. */
export const rescuable = (
  { earliest, latest, limit, maxAheadMs, maxOffMs }: RescueRequest,
  now: number
): { readonly until: number; readonly after: number } | undefined =>
  limit <= 0 || now < earliest - maxOffMs || now > latest + maxOffMs
    ? undefined
    : { until: Math.min(now, earliest), after: Math.max(now, latest) + maxAheadMs }

/** What was taken back. */
export interface RescueAnswer {
  /** The clock that the store measures leases by. It need not be the wall clock. */
  readonly now: number
  readonly rescued: ReadonlyArray<Rescued>
}

/** A task whose lease ran out, and what became of it. */
export interface Rescued {
  readonly id: string
  readonly type: string
  readonly state: TaskState
  readonly crashes: number
  /** The number of the attempt that was lost. */
  readonly attempt: number
}

/** What `cancel` did to a task: `requested` means that it runs and will be interrupted. */
export type CancelAnswer = "cancelled" | "requested" | "finished" | "unknown"

/** What `rerun` did: only failed, cancelled and expired tasks can be run again, unless a later task has their key. */
export type RerunAnswer =
  | { readonly _tag: "rerun" }
  | { readonly _tag: "unknown" }
  | { readonly _tag: "superseded" }
  | {
    readonly _tag: "conflict"
    readonly state: TaskState
  }

/** What `remove` did: only finished tasks can be removed, and only when none that has not ended depends on them. */
export type RemoveAnswer = "removed" | "unfinished" | "awaited" | "unknown"

/** How long finished tasks are kept, each state by itself: many completed tasks remove no dead letter. */
export interface Retention {
  /** Age at which those of a state go, in milliseconds. */
  readonly forMs: Readonly<Record<FinishedState, number>>
  /** How many of a state are kept at most, the newest; keyed ones younger than a day stay. */
  readonly max: Readonly<Record<FinishedState, number>>
  /** How many of each state are kept whatever keys they have: beyond it the oldest keyed ones go before their day is over. */
  readonly maxKeyed: number
}

/** Keyed tasks younger than this survive pruning by count, so that their idempotency keys hold. */
export const keyedForMs = 24 * 60 * 60 * 1000

/** How long the last claim of an instance can be repeated: one that was silent for longer is gone, or starts again. */
export const lastClaimForMs = 24 * 60 * 60 * 1000

/** What a list shows. */
export interface ListRequest {
  readonly states?: ReadonlyArray<TaskState> | undefined
  readonly types?: ReadonlyArray<string> | undefined
  readonly queues?: ReadonlyArray<string> | undefined
  /** Only tasks with a smaller sequence: the last one of the page before. */
  readonly before?: number | undefined
  readonly limit: number
  /**
   * Bytes of payloads, results, failures and histories on the page. Its first task is listed whatever it has, another
   * one if it fits. `Bounds.maxAnswerBytes` when left out.
   */
  readonly maxBytes?: number | undefined
}

/** A page of a list. */
export interface Listed {
  readonly tasks: ReadonlyArray<TaskRecord>
  /**
   * Where the next page begins: its `before`. `undefined` when no older task can match. A store looks at a bounded number
   * of tasks, so a page may have less than its limit, even nothing, and not be the last.
   */
  readonly next: number | undefined
}

/** How a finished task ended. */
export interface Outcome {
  readonly id: string
  readonly state: TaskState
  readonly result: string | null
  readonly failure: TaskFailure | null
}

/** Where tasks are kept. Implemented by drivers, used by `TaskQueue`, `WorkerPool` and the maintenance loops. */
export class TaskStore extends Context.Service<TaskStore, {
  /** Stores groups of tasks, each atomic with its own answer, in the order given. */
  readonly enqueue: (
    groups: ReadonlyArray<ReadonlyArray<NewTask>>
  ) => Effect.Effect<ReadonlyArray<EnqueueAnswer>, StoreError>
  /**
   * Promotes what has become due, then leases up to `limit` tasks by rank, each under a claim number of its own: those of
   * queues and types that are not paused, and whose gates are open when their turn comes, see `domain/Gate`. Each task taken
   * counts for the next. None that has expired is among them: the claim ends such tasks first, up to {@link maxExpired} of them,
   * and where there may be more it gives nothing and asks to be repeated at once. No task is looked at twice because others of its line may not start: a closed gate costs the same
   * whether one task waits behind it or a million.
   */
  readonly claim: (request: ClaimRequest) => Effect.Effect<ClaimAnswer, StoreError>
  /** The heartbeat: prolongs leases by claim number. An expired lease that was not rescued is still held. */
  readonly extend: (
    refs: ReadonlyArray<ClaimRef>,
    leaseForMs: number
  ) => Effect.Effect<ReadonlyArray<ExtendAnswer>, StoreError>
  /** Applies the ends of attempts, each fenced by its claim number; one answer per item. */
  readonly settle: (
    settlements: ReadonlyArray<Settlement>
  ) => Effect.Effect<ReadonlyArray<SettleAnswer>, StoreError>
  /** How passes stand; one answer for each. */
  readonly passes: (passes: ReadonlyArray<Pass>) => Effect.Effect<ReadonlyArray<PassState>, StoreError>
  /** Lets go of the passes of orders, whatever holds them: the next task of each may start. */
  readonly letGo: (passes: ReadonlyArray<Pass>) => Effect.Effect<void, StoreError>
  /** Takes tokens out of buckets, or gives some back. A pass that has no rate is left alone. */
  readonly charge: (charges: ReadonlyArray<Charge>) => Effect.Effect<void, StoreError>
  /** Stores progress, fenced; reports of lost attempts are ignored. */
  readonly report: (reports: ReadonlyArray<ProgressReport>) => Effect.Effect<void, StoreError>
  /** Takes back leases that have run out: their tasks are due again, cancelled, or quarantined. */
  readonly rescue: (request: RescueRequest) => Effect.Effect<RescueAnswer, StoreError>
  /** Ends up to `limit` waiting tasks that have expired, whatever keeps them from starting. */
  readonly expire: (limit: number) => Effect.Effect<ReadonlyArray<Expired>, StoreError>
  /** Cancels waiting tasks at once and asks running ones to stop; one answer each. One that is not as it was seen is `unknown`, here and below. */
  readonly cancel: (tasks: ReadonlyArray<TaskRef>) => Effect.Effect<ReadonlyArray<CancelAnswer>, StoreError>
  /**
   * Makes failed, cancelled or expired tasks due now with fresh budgets; one answer each. One that depends on others waits for those of
   * them that have not ended or are run again in the same call, in whatever order they are named; the others count, however they ended.
   */
  readonly rerun: (tasks: ReadonlyArray<TaskRef>) => Effect.Effect<ReadonlyArray<RerunAnswer>, StoreError>
  /** Runs finished tasks of a graph again. */
  readonly reopen: Reopen
  /** Changes what waits. */
  readonly reschedule: Reschedule
  /** Removes finished tasks that none that has not ended depends on; one answer each. */
  readonly remove: (tasks: ReadonlyArray<TaskRef>) => Effect.Effect<ReadonlyArray<RemoveAnswer>, StoreError>
  /** Removes up to `limit` finished tasks that retention no longer keeps; answers how many. */
  readonly prune: (retention: Retention, limit: number) => Effect.Effect<number, StoreError>
  /** One task, or `undefined`. */
  readonly get: (id: string) => Effect.Effect<TaskRecord | undefined, StoreError>
  /**
   * The outcomes of those ids that have finished, `undefined` for those that have not, `null` for unknown ids, in the
   * order of the ids. With `maxBytes`, of the first ids only, if more results and failures do not fit: of at least one.
   */
  readonly results: (
    ids: ReadonlyArray<string>,
    maxBytes?: number
  ) => Effect.Effect<ReadonlyArray<Outcome | undefined | null>, StoreError>
  /**
   * The same for a process that waits: the end of those that have not finished comes as the hint `Finished`, in whichever process
   * they end. The store may forget after some seconds who waits, so a process that still does asks again.
   */
  readonly awaitResults: (
    ids: ReadonlyArray<string>,
    maxBytes?: number
  ) => Effect.Effect<ReadonlyArray<Outcome | undefined | null>, StoreError>
  /** A page of tasks, newest first. It costs the same whatever is stored besides, however rare the tasks are. */
  readonly list: (request: ListRequest) => Effect.Effect<Listed, StoreError>
  /** What a task depends on and what depends on it, up to `maxBefore`; `undefined` for an unknown one. */
  readonly edges: (id: string) => Effect.Effect<Edges | undefined, StoreError>
  /** A page of what some tasks depend on, or of what depends on them. */
  readonly links: ReadLinks
  /**
   * Tells further tasks of the ends of those that they depend on, where a write has left some: up to `maxTold`. Answers
   * whether there may be more. Claims do so too.
   */
  readonly tell: Effect.Effect<boolean, StoreError>
  /**
   * What has come of this process's writes since it was asked last, for tasks that depend on others: for those that tell it on.
   * What belongs to a transaction of the application has come when that is committed.
   */
  readonly consequences: () => Consequences
  /** Whether the calling fiber is inside an application's transaction that the store's writes join. */
  readonly inTransaction: Effect.Effect<boolean>
  /**
   * Does something once what the calling fiber has written is final: when the application's transaction that the writes
   * joined has been committed, never if it is rolled back, and now outside of any.
   */
  readonly afterCommit: <R>(effect: Effect.Effect<void, never, R>) => Effect.Effect<void, never, R>
  /**
   * Promotes what has become due, because no instance may be left whose claims do so. Then it answers up to `limit` pairs of
   * queue and type that have pending tasks and that none of these can run, in no order. Costs the same however many tasks wait, and
   * however many queues have work that can be run.
   */
  readonly stranded: (
    runnable: ReadonlyArray<Runnable>,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Stranded>, StoreError>
  /**
   * Whether calls are answered without a wait, as by a store in the memory of the process. The endings of one moment are then
   * settled in one call. Otherwise the first goes out at once, so that the store works while the process does.
   */
  readonly answersAtOnce?: true | undefined
  /**
   * Whether the store itself tells that there is work where an attempt has ended for which others wait: their limit was full, or their
   * key blocked. Otherwise each end of a task with a limit is told.
   */
  readonly announcesRoom?: true | undefined
  /** What backups are made with, and restored. Left out by a driver that supports none. */
  readonly archive?: Archive | undefined
  /** Whether the store takes writes. Left out where nothing can keep it from that. */
  readonly writeHealth?: WriteHealth | undefined
  /** Counts by state and totals; costs the same however many tasks are stored. */
  readonly counts: Effect.Effect<Counts, StoreError>
  /**
   * The queues and types that have tasks in whatever state, with exact counts of those that are not finished. Costs the
   * same however many tasks have finished, and at most what it takes to count the entries of unfinished ones in an index.
   */
  readonly laneCounts: (range: LaneRange) => Effect.Effect<CountedLanes, StoreError>
}>()("taskforge/store/TaskStore") {}

/** Scheduled tasks promoted by one claim at most, so that a claim's cost has a bound. */
export const maxPromoted = 1000

/** Tasks that one claim ends at most because they have expired. */
export const maxExpired = 500
