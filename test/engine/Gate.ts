/** A handler that waits for the test, and tells it what happened. */
import { Clock, Effect, Latch } from "effect"
import { TaskContext } from "../../src/worker/TaskContext.ts"

export class Gate {
  /** The claims of the attempts that have started, by task id. */
  readonly started: Array<{ readonly id: string; readonly claim: number; readonly at: number }> = []
  /** The ids of the tasks whose attempts were interrupted. */
  readonly interrupted: Array<string> = []
  /** The ids of the tasks whose attempts went through. */
  readonly passed: Array<string> = []
  /** Attempts at the same time, at most. */
  most = 0
  private readonly latch = Latch.makeUnsafe(false)
  private inside = 0

  /** Waits until {@link open}. */
  readonly run: Effect.Effect<void, never, TaskContext> = Effect.gen({ self: this }, function*() {
    const { claim, id } = yield* TaskContext
    this.started.push({ id, claim, at: yield* Clock.currentTimeMillis })
    this.most = Math.max(this.most, ++this.inside)
    yield* this.latch.await.pipe(
      Effect.onInterrupt(() => Effect.sync(() => this.interrupted.push(id))),
      Effect.ensuring(Effect.sync(() => this.inside--))
    )
    this.passed.push(id)
  })

  /** How many attempts have started. */
  get count(): number {
    return this.started.length
  }

  /** Lets everybody through, now and later. */
  open(): void {
    this.latch.openUnsafe()
  }
}
