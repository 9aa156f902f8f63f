import type { ClaimedTask } from "../../domain/TaskRecord.ts"

interface LastClaim {
  readonly nonce: number
  readonly at: number
  readonly tasks: ReadonlyArray<ClaimedTask>
}

/** The last claim of each instance that gave tasks, so that repeating its nonce gives them again. */
export class LastClaims {
  private readonly byInstance = new Map<string, LastClaim>()

  /** What the instance's last claim gave, if it bore this nonce. */
  get(instance: string, nonce: number): ReadonlyArray<ClaimedTask> | undefined {
    const last = this.byInstance.get(instance)
    return last?.nonce === nonce ? last.tasks : undefined
  }

  remember(instance: string, last: LastClaim): void {
    this.byInstance.set(instance, last)
  }

  /** Forgets the claims made by then, so that instances that have gone leave nothing behind. */
  forget(until: number): void {
    for (const [instance, { at }] of this.byInstance) if (at <= until) this.byInstance.delete(instance)
  }
}
