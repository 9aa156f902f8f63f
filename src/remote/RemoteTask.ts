/** What passes between a server and a worker in another process: tasks on their way out, and how their attempts ended. */
import type { Schema } from "effect"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { Level } from "../logs/LogLine.ts"

/** Who claims. */
export interface RemoteWorker {
  /** Its name among all workers, which it keeps while it runs. */
  readonly name: string
  readonly host: string
  readonly pid: number
  readonly version: string
  /** How many tasks it runs at a time, as it says. */
  readonly slots: number
}

/** What a worker asks for. Times are in milliseconds. */
export interface ClaimOrder {
  readonly worker: RemoteWorker
  /** Names of types. */
  readonly types: ReadonlyArray<string>
  /** Queues to take from; all of them when none is named. */
  readonly queues: ReadonlyArray<string>
  readonly max: number
  readonly waitMs: number
  /** How long the claims hold; {@link RemoteClaims.defaultLeaseMs} when left out. */
  readonly leaseMs: number | undefined
  /**
   * Names the request: the same one again gives the tasks that it gave before, as far as the worker still holds them, so that an answer
   * that was lost costs nothing.
   */
  readonly request: string | undefined
}

/** A task that a worker has claimed. */
export interface RemoteClaim {
  /** What the worker shows with everything that it says of this attempt. */
  readonly token: string
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly payload: Schema.Json
  readonly priority: number
  readonly attempt: number
  readonly failures: number
  readonly crashes: number
  readonly maxRetries: number
  readonly leaseMs: number
  /** How long the attempt may take; `null` for no limit. */
  readonly timeoutMs: number | null
  readonly dueAt: number
  readonly trace: string | null
}

/**
 * What a worker learns of a claim when it asks for more time: it is `held`, the worker should stop because of a `cancel` (and holds the
 * task until it has settled), its time is up (`timeout`), the task belongs to another attempt or to none (`lost`), or the token is none
 * (`unknown`). In the last three cases the worker stops, and what it says of the attempt changes nothing.
 */
export type ExtendState = "held" | "cancel" | "timeout" | "lost" | "unknown"

/** How an attempt ended, as its worker says it. */
export type RemoteEnd =
  | { readonly _tag: "Complete"; readonly result: Schema.Json }
  | {
    readonly _tag: "Fail"
    /** The kind of error: rules of the retry policy go by it. */
    readonly tag: string
    readonly message: string
    /** What else is known of the error. */
    readonly details: Schema.Json | undefined
    /** `false` fails the task for good. */
    readonly retry: boolean
    /** The time until the next attempt, instead of what the policy says. */
    readonly delayMs: number | undefined
    /** Whether the attempt ran out of time. */
    readonly timeout: boolean
  }
  | { readonly _tag: "Snooze"; readonly delayMs: number }
  | { readonly _tag: "Release" }
  | { readonly _tag: "Cancel" }

/** What became of an end: see `SettleAnswer`; `unknown` where the token is none. */
export type SettleState = "applied" | "already" | "lost" | "unknown"

/** What a task has become of by the end of an attempt, and when it is tried again. */
export interface Settled {
  readonly state: SettleState
  /** What was decided; left out where nothing was applied. */
  readonly outcome?: "completed" | "retry" | "failed" | "cancelled" | "snoozed" | "released" | undefined
  readonly delayMs?: number | undefined
  /** Why a result was not accepted. */
  readonly issue?: string | undefined
}

/** A line that a worker has logged. */
export interface RemoteLine {
  /** Milliseconds since the epoch; the time of the request when left out. */
  readonly at: number | undefined
  readonly level: Level
  readonly text: string
}

/** Finds the definition of a type. */
export type Find = (type: string) => AnyTaskDefinition | undefined
