/**
 * When the next scheduled task is due, and when the next task that waits expires. Each claim wants to know, and it changes with few
 * tasks: it is read from the file again when something about one of those has changed.
 */
import type { DatabaseSync } from "node:sqlite"
import type { Change } from "../../domain/Settlement.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { prepare, type Statement } from "./Database.ts"

type Time = Statement<[at: number | null]>

/** The times of a file, as the open transaction has them. */
export class Upcoming {
  private readonly readDue: Time
  private readonly readExpiry: Time
  /** `undefined` where it is not known, `null` where there is no such task. */
  private due: number | null | undefined
  private expiry: number | null | undefined
  private version: number | undefined

  constructor(database: DatabaseSync) {
    this.readDue = prepare(database, "SELECT min(due_at) FROM task WHERE state = 0 AND waits_for = 0")
    this.readExpiry = prepare(
      database,
      "SELECT min(expires_at) FROM task INDEXED BY task_expires WHERE state < 2 AND expires_at IS NOT NULL"
    )
  }

  /** When the next scheduled task is due. */
  dueAt(version: number): number | null {
    this.refresh(version)
    return this.due === undefined ? this.due = this.readDue.get()![0] : this.due
  }

  /** Whether a task that waits may have expired. */
  mayExpire(version: number, now: number): boolean {
    this.refresh(version)
    if (this.expiry === undefined) this.expiry = this.readExpiry.get()![0]
    return this.expiry !== null && this.expiry <= now
  }

  /** To be called for a task that has changed. */
  changed(task: TaskRecord, change: Change): void {
    if (
      task.state === "scheduled" || change.state === "scheduled" || task.expiresAt !== null || change.expiresAt !== null
    ) this.forget()
  }

  /** To be called when scheduled tasks, or some that expire, have come or gone, and when a transaction was rolled back. */
  forget(): void {
    this.due = undefined
    this.expiry = undefined
  }

  private refresh(version: number): void {
    if (version !== this.version) this.forget()
    this.version = version
  }
}
