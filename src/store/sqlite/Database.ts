/**
 * Opens the file and closes it with the scope; and the statements that are prepared for it.
 */
import { Effect, type Scope } from "effect"
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import { refuseHeadStart, refuseReading } from "../Driver.ts"
import type { Reserve } from "./Disk.ts"
import * as Failure from "./Failure.ts"
import * as Migrations from "./Migrations.ts"

/** The path of a database that lives in memory only. */
export const inMemory = ":memory:"

/** An open, migrated database whose stored settings fit this process. On a full disk the reserve is the room to open it. */
export const open = (
  path: string,
  headStartMs: number,
  { readOnly = false, reserve }: { readonly reserve?: Reserve; readonly readOnly?: boolean | undefined } = {}
): Effect.Effect<DatabaseSync, StoreError | StoreIncompatible, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        try {
          return readOnly ? connectReading(path, headStartMs) : connect(path, headStartMs)
        } catch (cause) {
          if (!(Failure.isFull(cause) && reserve?.giveUp() === true)) throw cause
          return connect(path, headStartMs)
        }
      },
      catch: (cause) => explain(path, cause)
    }).pipe(
      // two processes that create the file together meet at its lock
      Effect.retry(Failure.whileLocked)
    ),
    (database) => Effect.sync(() => close(database))
  )

const connect = (path: string, headStartMs: number): DatabaseSync => {
  if (path !== inMemory) createPrivately(path)
  // timeout 0: SQLite's own wait for a lock blocks the whole process
  const database = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: false })
  try {
    const isNew = Migrations.inspect(database, path) === 0
    configure(database)
    Migrations.migrate(database, path)
    agreeOnHeadStart(database, path, headStartMs)
    if (!isNew) skipClaims(database)
    database.exec("PRAGMA synchronous = NORMAL")
    return database
  } catch (cause) {
    database.close()
    throw cause
  }
}

/** The same for reading only: SQLite refuses what writes. */
const connectReading = (path: string, headStartMs: number): DatabaseSync => {
  const missing = path === inMemory || existsSync(path) ? undefined : refuseReading(path, 0, Migrations.latest)
  if (missing !== undefined) throw missing
  const database = new DatabaseSync(path, { timeout: 0, readOnly: true })
  try {
    const refusal = refuseReading(path, Migrations.inspect(database, path), Migrations.latest)
    if (refusal !== undefined) throw refusal
    database.exec("PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY")
    agreeOnHeadStart(database, path, headStartMs)
    return database
  } catch (cause) {
    database.close()
    throw cause
  }
}

/**
 * Makes the file and its folders where they are missing, for their owner only: payloads and results may be secret. SQLite
 * gives its log the permissions of the file. A file that is there is not opened: closing it would give up the locks of
 * every store that this process has on it, and the next process to close the file would remove the log under them.
 */
const createPrivately = (path: string): void => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  if (!existsSync(path)) closeSync(openSync(path, "a", 0o600))
}

/**
 * - WAL: readers of other processes never block the writer, and a commit is one write and one sync.
 * - `synchronous` FULL at first, because what opening writes must not be undone; then NORMAL, and the log is synced by
 *   `WriteAheadLog`, which does not stop the process.
 * - `cache_size` 16 MB: the hot end of each index stays in memory with a million tasks; 64 MB was no faster.
 * - `journal_size_limit` gives back the space of a log that grew in a burst; the log is brought into the database by
 *   a `Checkpointer`.
 * - `mmap_size` stays 0: no faster here, and an I/O error on a mapped page kills the process.
 */
const configure = (database: DatabaseSync): void =>
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -16384;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA temp_store = MEMORY
  `)

const close = (database: DatabaseSync): void => {
  try {
    // leaves one tidy file behind; another process that still reads may prevent it, which does no harm
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)")
  } catch {
    // the log is replayed at the next start
  }
  database.close()
}

const explain = (path: string, cause: unknown): StoreError | StoreIncompatible => {
  if (cause instanceof StoreIncompatible) return cause
  const error = Failure.storeError("open", path, cause)
  return Failure.is(cause, "notADatabase") || Failure.is(cause, "corrupt")
    ? new StoreIncompatible({ reason: error.reason })
    : error
}

/** Stores the head start in a new file; throws `StoreIncompatible` when an old file has another one. */
const agreeOnHeadStart = (database: DatabaseSync, path: string, headStartMs: number): void => {
  const stored = prepare<[value: number]>(database, "SELECT value FROM setting WHERE name = 'head_start_ms'")
  if (stored.get() === undefined) {
    prepare(database, "INSERT OR IGNORE INTO setting VALUES ('head_start_ms', ?)").run(headStartMs)
  }
  const refusal = refuseHeadStart(path, "a new file", stored.get()![0], headStartMs)
  if (refusal !== undefined) throw refusal
}

/**
 * Leaves out more claim numbers than a power failure can undo, whenever a file is opened again. Claims are not waited
 * for on disk, and systems outside may remember their numbers: the next ones must be greater. The log is synced after
 * eight thousand pages at the latest, which hold fewer claims than that.
 */
const skipClaims = (database: DatabaseSync): void => database.exec("UPDATE tally SET claim = claim + 1000000")

/** What the driver stores: SQLite's integers and reals are numbers here, below 2^53. */
export type Value = string | number | null

/** A prepared statement whose rows are tuples of columns: objects cost a third more per row. */
export interface Statement<Row extends ReadonlyArray<Value>> {
  /** The first row. */
  get(...values: ReadonlyArray<Value>): Row | undefined
  /** Every row. */
  all(...values: ReadonlyArray<Value>): Array<Row>
  /** Runs it for its effect. */
  run(...values: ReadonlyArray<Value>): { readonly changes: number | bigint }
}

/** Prepares a statement once; the row type is the caller's knowledge of its columns. */
export const prepare = <Row extends ReadonlyArray<Value> = readonly []>(
  database: DatabaseSync,
  sql: string
): Statement<Row> => {
  const statement = database.prepare(sql)
  statement.setReturnArrays(true)
  // node:sqlite types rows as records, which they are not once arrays are asked for
  return statement as unknown as Statement<Row>
}
