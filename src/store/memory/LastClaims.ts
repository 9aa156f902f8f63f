import type { ClaimedTask } from "../../domain/TaskRecord.ts"

interface LastClaim {
  readonly nonce: number
  readonly at: number
  readonly tasks: ReadonlyArray<ClaimedTask>
}

/** The last claim of each worker that gave tasks, so that repeating its nonce gives them again. */
export class LastClaims {
  private readonly byWorker = new Map<string, LastClaim>()

  /** What the worker's last claim gave, if it bore this nonce. */
  get(worker: string, nonce: number): ReadonlyArray<ClaimedTask> | undefined {
    const last = this.byWorker.get(worker)
    return last?.nonce === nonce ? last.tasks : undefined
  }

  remember(worker: string, last: LastClaim): void {
    this.byWorker.set(worker, last)
  }

  /** Forgets the claims made by then, so that workers that have gone leave nothing behind. */
  forget(until: number): void {
    for (const [worker, { at }] of this.byWorker) if (at <= until) this.byWorker.delete(worker)
  }
}
