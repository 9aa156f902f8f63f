/** SQLite files that tasks read. */
import { DatabaseSync } from "node:sqlite"

/** Bytes of a text, a blob or a row that a query makes or reads at most. SQLite's own limit is a gigabyte. */
const maxValueBytes = 64 * 1024 * 1024

/** How long a writer that locks the whole file is waited for. It is waited for on a thread. */
const lockTimeoutMs = 5000

/**
 * Opens a file for reading. What is too large is refused before there is memory for it; versions of `node:sqlite` without
 * limits leave that to the limit of the process.
 */
export const open = (path: string): DatabaseSync => {
  const database = new DatabaseSync(path, { readOnly: true, timeout: lockTimeoutMs, limits: { length: maxValueBytes } })
  // What is sorted would go to files that have no bound, on a disk that others need; the memory of the process has one
  database.exec("PRAGMA temp_store = MEMORY")
  return database
}
