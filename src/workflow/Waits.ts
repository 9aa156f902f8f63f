/** What one run of an execution waits for. */
import type { TaskRecord } from "../domain/TaskRecord.ts"
import * as ExecutionRecords from "../flow/ExecutionRecords.ts"
import * as StepRecords from "../flow/StepRecords.ts"

/**
 * When an execution looks by itself whether its child has ended, in milliseconds: where no attempt of the child tells, and the process that
 * `ChildEnds` tells of it is gone. As long as the child is old, within these bounds.
 */
const minChildMs = 10_000
const maxChildMs = 3_600_000

/** When an execution looks again whether a full queue has room for a child, in milliseconds. */
const roomMs = 1000

/** What begins the names of the deferreds that Effect makes for races: these wait for what their effects wait for. */
const racePrefix = "raceAll/"

/** See above. Times are by the store's clock. */
export class Waits {
  /** Names of deferreds and sleeps that it was told have not come. */
  readonly missed = new Set<string>()
  /** For people, besides sleeps. */
  readonly kept: Array<ExecutionRecords.Wait> = []
  private wakesAt = Infinity
  private looksAt = Infinity

  /** When the first sleep ends; `null` where there is none. */
  get sleepsUntil(): number | null {
    return this.wakesAt === Infinity ? null : this.wakesAt
  }

  /** A sleep that is not over. */
  onSleep(until: number): void {
    this.wakesAt = Math.min(this.wakesAt, until)
  }

  /** A deferred that has not been completed. */
  onDeferred(name: string): void {
    if (!name.startsWith(racePrefix)) this.keep({ _tag: "Deferred", name })
  }

  /** Another execution that has not ended. */
  onChild({ createdAt, id, type }: Pick<TaskRecord, "id" | "type" | "createdAt">, now: number): void {
    this.keep({ _tag: "Child", id, workflow: type.slice(ExecutionRecords.typePrefix.length) })
    this.looksAt = Math.min(this.looksAt, now + Math.min(Math.max(now - createdAt, minChildMs), maxChildMs))
  }

  /** A child for which the queue has no room. */
  onFull(now: number): void {
    this.looksAt = Math.min(this.looksAt, now + roomMs)
  }

  /** For how long the execution has nothing to do, unless something comes. */
  delayMs(now: number): number {
    return Math.max(0, Math.min(StepRecords.forEverMs, this.wakesAt - now, this.looksAt - now))
  }

  private keep(wait: ExecutionRecords.Wait): void {
    if (this.kept.length < ExecutionRecords.maxWaits) this.kept.push(wait)
  }
}
