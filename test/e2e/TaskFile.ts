/**
 * What a task file holds, read straight from SQLite: the judge of the process tests is not the code under test.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"

/** States by their number in the file. */
const states = ["scheduled", "pending", "running", "completed", "failed", "cancelled"] as const

/** A stored task. */
export interface StoredTask {
  readonly id: string
  readonly type: string
  readonly state: (typeof states)[number]
  /** How often it was claimed. */
  readonly claims: number
  /** The number of its last claim, unique in the file. */
  readonly claim: number
  readonly settledClaim: number
  readonly failures: number
  readonly crashes: number
  /** When its last attempt began, in milliseconds of the clock that servers on one machine share. */
  readonly startedAt: number | null
  /** Until when it is held, while it runs. */
  readonly leaseUntil: number | null
  readonly completedAt: number | null
  readonly result: string | null
  readonly history: ReadonlyArray<{ readonly claim: number; readonly outcome: string }>
}

/** All tasks of the file in a folder. */
export const read = (directory: string): ReadonlyArray<StoredTask> =>
  withFile(directory, (database) =>
    database.prepare("SELECT * FROM task ORDER BY seq").all().map((row) => ({
      id: String(row["id"]),
      type: String(row["type"]),
      state: states[Number(row["state"])]!,
      claims: Number(row["claims"]),
      claim: Number(row["claim"]),
      settledClaim: Number(row["settled_claim"]),
      failures: Number(row["failures"]),
      crashes: Number(row["crashes"]),
      startedAt: row["started_at"] as number | null,
      leaseUntil: row["lease_until"] as number | null,
      completedAt: row["completed_at"] as number | null,
      result: row["result"] as string | null,
      history: JSON.parse(String(row["history"] ?? "[]"))
    })))

/** The same, and nothing before a process has made the file. */
export const readIfThere = (directory: string): ReadonlyArray<StoredTask> => {
  if (!existsSync(join(directory, fileName))) return []
  const isMade = withFile(
    directory,
    (database) => database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'task'").get() !== undefined
  )
  return isMade ? read(directory) : []
}

/** Whether a process is in the middle of a write. */
export const isLocked = (directory: string): boolean => {
  const database = new DatabaseSync(join(directory, fileName), { timeout: 0 })
  try {
    database.exec("BEGIN IMMEDIATE; ROLLBACK")
    return false
  } catch {
    return true
  } finally {
    database.close()
  }
}

const fileName = "tasks.db"

const withFile = <A>(directory: string, use: (database: DatabaseSync) => A): A => {
  const database = new DatabaseSync(join(directory, fileName), { readOnly: true, timeout: 5000 })
  try {
    return use(database)
  } finally {
    database.close()
  }
}
