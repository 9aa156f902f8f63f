/**
 * What a contender implements. One file below `contenders/` is one contender; each round runs it in a fresh process.
 *
 * - A queue contender passes a `QueueContender` to `run`. The drivers below `drivers/` do the measuring.
 * - A server contender (`http`, `idle-memory`) reads `ServerParameters` from its first argument and listens until it is
 *   killed. It imports nothing from here but types, so that only its own modules count as its memory.
 */
import type { Context, Effect, Scope } from "effect"
import type { Payload } from "./Payload.ts"

/** Opens the queue, idle: nothing is processed before `start`. What must be closed belongs to the scope. */
export type QueueContender = (settings: QueueSettings) => Effect.Effect<Queue, unknown, Scope.Scope>

export interface QueueSettings {
  /** How many tasks may run at once. */
  readonly concurrency: number
  /** How many tasks will be waiting at most: set the capacity at least this high. */
  readonly capacity: number
  /** A fresh directory for the queue's files, removed after the round. */
  readonly directory: string
  /** The task: the handler calls this and does nothing else. */
  readonly onStarted: () => void
  /**
   * Tells of tasks that are finished for good: the handler has returned and the store has recorded it. Calling it when
   * the handler ends is wrong; the driver looks whether `unfinished` is 0 after the last call.
   */
  readonly onCompleted: (tasks: number) => void
  /** What the entry in `measures.ts` asks of this contender alone, such as a polling interval. */
  readonly options: Readonly<Record<string, unknown>>
}

export interface Queue {
  /** Services that the calls below use: provided once around what is measured, as a program provides its layers once. */
  readonly services?: Context.Context<never>
  /** Succeeds once the task is accepted: by a durable queue, once it is on disk. */
  readonly enqueue: (payload: Payload) => Effect.Effect<unknown, unknown>
  /** The same for many in one call. Only `bulk` needs it; elsewhere it fills the backlog faster. */
  readonly enqueueMany?: (payloads: ReadonlyArray<Payload>) => Effect.Effect<unknown, unknown>
  /** Lets the workers begin and returns; they stop when the scope closes. */
  readonly start: Effect.Effect<unknown, unknown, Scope.Scope>
  /** How many tasks are accepted and not finished, asked of the queue itself where it can tell. */
  readonly unfinished: Effect.Effect<number, unknown>
  /** Claims up to `limit` tasks without running them and answers how many it got. Only `claim-depth` needs it. */
  readonly claim?: (limit: number) => Effect.Effect<number, unknown>
}

export interface ServerParameters {
  /** Listen on 127.0.0.1 at this port; any HTTP answer on any path means that the server is ready. */
  readonly port: number
  /** A fresh directory for the server's files, removed after the round. */
  readonly directory: string
  /** What the entry in `measures.ts` asks of this contender alone. */
  readonly options: Readonly<Record<string, unknown>>
}

/** The names and numbers that one round of one contender yields. */
export type Metrics = Readonly<Record<string, number>>

export type Driver = "processing" | "enqueue" | "bulk" | "pickup" | "claim"

/** The parameters of a round, passed as JSON in the first argument. */
export interface RoundParameters {
  readonly driver: Driver
  readonly count: number
  readonly concurrency: number
  readonly directory: string
  readonly options: Readonly<Record<string, unknown>>
}

/** Measures one round. */
export type Drive = (
  contender: QueueContender,
  parameters: RoundParameters
) => Effect.Effect<Metrics, unknown, Scope.Scope>
