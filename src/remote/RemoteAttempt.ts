/** An attempt that runs in another process, as far as its token tells of it: enough to judge, count and log its end. */
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { EndedAttempt } from "../worker/Endings.ts"
import type { ClaimFacts } from "./ClaimToken.ts"

/** The attempt of a claim. Times are milliseconds of the store's clock, as this process knows it. */
export class RemoteAttempt implements EndedAttempt {
  readonly facts: ClaimFacts
  readonly definition: AnyTaskDefinition
  readonly endedAt: number
  /** A worker elsewhere completes a task by settling it, not before. */
  readonly completion = "none"

  constructor(facts: ClaimFacts, definition: AnyTaskDefinition, endedAt: number) {
    this.facts = facts
    this.definition = definition
    this.endedAt = Math.max(endedAt, facts.claimedAt)
  }

  get id(): string {
    return this.facts.id
  }

  get claim(): number {
    return this.facts.claim
  }

  get type(): string {
    return this.facts.type
  }

  get queue(): string {
    return this.facts.queue
  }

  get slot(): number {
    return this.facts.slot
  }

  get startedAt(): number {
    return this.facts.claimedAt
  }

  get task(): EndedAttempt["task"] {
    return this.facts
  }

  get annotations(): Readonly<Record<string, unknown>> {
    const { attempt, id, instance, slot } = this.facts
    return { worker_id: `${instance}/${slot}`, job_id: id, attempt }
  }

  /** A worker elsewhere protects no calls: breakers are told how its attempts end. */
  isProtecting(): boolean {
    return false
  }
}
