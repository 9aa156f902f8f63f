/**
 * Puts what was committed on disk. SQLite would do so inside COMMIT and let all callers wait, however slow the disk is.
 * Asked of the operating system from outside, the process can answer other callers and run tasks while a slow disk works.
 *
 * The file may be opened next to SQLite's own descriptor: its locks are on the database and the shared memory, not on
 * the log, so closing this descriptor gives none of them up. The log stays the same file as long as a connection is open.
 */
import { type Clock, Effect, type Scope } from "effect"
import { close, fdatasync, fdatasyncSync, openSync } from "node:fs"
import type { StoreError } from "../../domain/Errors.ts"
import * as Failure from "./Failure.ts"

/** The log of one database. */
export interface WriteAheadLog {
  /** Answers when everything committed before the call is on disk. */
  readonly sync: Effect.Effect<void, StoreError>
}

/** For databases whose commits need not reach the disk: those in memory, and those that need not survive a power failure. */
export const unsynced: WriteAheadLog = { sync: Effect.void }

/**
 * A disk that took no longer than this is waited for on the spot the next time: to hand a sync to another thread and to
 * be woken by it costs as much (measured: a tenth of all throughput on a disk that takes 0.4 ms).
 */
const fastNanos = 2_000_000n

/** The log of an open database in WAL mode. */
export const open = (path: string, clock: Clock.Clock): Effect.Effect<WriteAheadLog, StoreError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({
        try: () => openSync(`${path}-wal`, "r+"),
        catch: (cause) => Failure.storeError("open", `${path}-wal`, cause)
      }),
      (descriptor) => Effect.sync(() => close(descriptor))
    ),
    (descriptor) => {
      let tookNanos = 0n

      const onTheSpot = Effect.try({
        try: () => fdatasyncSync(descriptor),
        catch: (cause) => Failure.storeError("sync", path, cause)
      })

      // Not to be interrupted: what was committed cannot be taken back, and its callers want to know
      const inThread = Effect.uninterruptible(
        Effect.callback<void, StoreError>((resume) =>
          fdatasync(
            descriptor,
            (cause) => resume(cause === null ? Effect.void : Effect.fail(Failure.storeError("sync", path, cause)))
          )
        )
      )

      return {
        sync: Effect.suspend(() => {
          const startedAt = clock.monotonicTimeNanosUnsafe()
          const ended = Effect.sync(() => {
            tookNanos = clock.monotonicTimeNanosUnsafe() - startedAt
          })
          return Effect.andThen(tookNanos <= fastNanos ? onTheSpot : inThread, ended)
        })
      }
    }
  )
