/**
 * Puts what was committed on disk. SQLite would do so inside of COMMIT, and the whole process would stand still
 * meanwhile; asked of the operating system from outside, it answers other callers and runs tasks while the disk works.
 *
 * The file may be opened beside SQLite's own descriptor: its locks are on the database and the shared memory, not on
 * the log, so closing this descriptor gives none of them up. The log stays the same file as long as a connection is open.
 */
import { Effect, type Scope } from "effect"
import { close, fdatasync, openSync } from "node:fs"
import type { StoreError } from "../../domain/Errors.ts"
import * as Failure from "./Failure.ts"

/** The log of one database. */
export interface WriteAheadLog {
  /** Answers when everything committed before the call is on disk. */
  readonly sync: Effect.Effect<void, StoreError>
}

/** For databases whose commits nobody waits for: those in memory, and those that need not survive a power failure. */
export const unsynced: WriteAheadLog = { sync: Effect.void }

/** The log of an open database in WAL mode. */
export const open = (path: string): Effect.Effect<WriteAheadLog, StoreError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({
        try: () => openSync(`${path}-wal`, "r+"),
        catch: (cause) => Failure.storeError("open", `${path}-wal`, cause)
      }),
      (descriptor) => Effect.sync(() => close(descriptor))
    ),
    (descriptor): WriteAheadLog => ({
      // Not to be interrupted: what was committed cannot be taken back, and its callers want to know
      sync: Effect.uninterruptible(Effect.callback((resume) =>
        fdatasync(descriptor, (cause) =>
          resume(cause === null ? Effect.void : Effect.fail(Failure.storeError("sync", path, cause))))
      ))
    })
  )
