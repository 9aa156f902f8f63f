/**
 * Puts what was committed on disk. SQLite would do so inside COMMIT and let all callers wait, however slow the disk is.
 * Asked of the operating system from outside, the process can answer other callers and run tasks while a slow disk works.
 *
 * The file may be opened next to SQLite's own descriptor: its locks are on the database and the shared memory, not on
 * the log, so closing this descriptor gives none of them up. The log stays the same file as long as a connection is open.
 */
import { type Clock, Effect, type Scope } from "effect"
import { close, fdatasync, fdatasyncSync, openSync } from "node:fs"
import type { DatabaseSync } from "node:sqlite"
import type { Worker } from "node:worker_threads"
import type { StoreError } from "../../domain/Errors.ts"
import { prepare } from "./Database.ts"
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

/** Pages in the log at which SQLite brings them into the database by itself, and all callers wait. */
export const maxLogPages = 8000

/** Pages written, about, after which the thread brings them into the database. */
const pagesPerCheckpoint = 1000

/** What a transaction writes, about, measured with group commits of 50 and of 1,000 tasks. */
const pagesPerTransaction = 10
const rowsPerPage = 8

/**
 * The thread. It repeats itself while the writer goes on adding to the log, for what was added during a pass is little.
 * It is a text and not a file, so that every bundle and package has it.
 */
const script = `
const { DatabaseSync } = require("node:sqlite")
const { parentPort, workerData } = require("node:worker_threads")
const database = new DatabaseSync(workerData, { timeout: 0 })
const checkpoint = database.prepare("PRAGMA wal_checkpoint(PASSIVE)")
parentPort.on("message", () => {
  try {
    for (let pass = 0; pass < 3; pass++) {
      const { busy, checkpointed, log } = checkpoint.get()
      if (busy === 0 && log === checkpointed) break
    }
  } catch {}
  parentPort.postMessage(null)
})
`

/**
 * Brings what the log holds into the database itself, in a thread of its own. SQLite would do so inside a COMMIT,
 * every thousand pages, and with its two syncs that stops the process for tens of milliseconds several times a second
 * under load. Readers and the writer go on while the thread copies.
 *
 * The thread is a second connection that does nothing else. It starts with the first checkpoint, so an idle process has
 * none; if it fails, SQLite's own checkpoint at {@link maxLogPages} pages is behind it, and tells what is wrong.
 */
export interface Checkpointer {
  /** To be called after each commit. It never throws: what is committed must not look as if it had failed. */
  readonly committed: () => void
}

/** For databases in memory, which have no log. */
export const noCheckpoints: Checkpointer = { committed: () => {} }

/** The checkpointer of an open database in WAL mode; its thread ends with the scope. */
export const makeCheckpointer = (
  database: DatabaseSync,
  path: string
): Effect.Effect<Checkpointer, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => new Checkpoints(database, path)), (checkpoints) => checkpoints.end)

class Checkpoints implements Checkpointer {
  private readonly path: string
  private readonly totalChanges
  private readonly finish
  private thread: Worker | undefined
  private busy = false
  private pages = 0
  private changes = 0

  constructor(database: DatabaseSync, path: string) {
    this.path = path
    this.totalChanges = prepare<[count: number]>(database, "SELECT total_changes()")
    this.finish = prepare<[busy: number, log: number, checkpointed: number]>(
      database,
      "PRAGMA wal_checkpoint(PASSIVE)"
    )
    database.exec(`PRAGMA wal_autocheckpoint = ${maxLogPages}`)
  }

  committed(): void {
    const [changes] = this.totalChanges.get()!
    this.pages += pagesPerTransaction + (changes - this.changes) / rowsPerPage
    this.changes = changes
    if (this.pages < pagesPerCheckpoint || this.busy) return
    this.busy = true
    this.pages = 0
    try {
      this.thread ??= this.start()
      this.thread.postMessage(null)
    } catch {
      // there is no thread to be had, and it stays busy: see `maxLogPages`
    }
  }

  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    const { thread } = this
    return thread === undefined ? Effect.void : Effect.promise(() => thread.terminate())
  })

  private start(): Worker {
    // Loaded with the first thread: an idle server is smaller without
    const thread = new (process.getBuiltinModule("node:worker_threads").Worker)(script, {
      eval: true,
      workerData: this.path,
      execArgv: []
    })
    thread.unref()
    thread.on("message", () => this.copied())
    // without a thread nothing is lost: see `maxLogPages`
    thread.on("error", () => {})
    return thread
  }

  /**
   * Between two transactions the log does not grow: once its last pages are in the database too, the next transaction
   * starts it from the beginning. Otherwise it would grow as long as the writer is never idle.
   */
  private copied(): void {
    this.busy = false
    try {
      this.finish.get()
    } catch {
      // another process is at it; the next checkpoint tries again
    }
  }
}
