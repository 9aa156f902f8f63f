/**
 * Executions that this process has suspended until another one ends. An attempt of that one tells of its end in the write that ends it. Where
 * it ends without one (it was cancelled while it waited, has expired, ran longer than its timeout or was quarantined), the store hints that
 * it has finished, and those that wait are told here. A hint may be lost, and another process may have suspended them: `Waits` says when they look
 * by themselves.
 */
import { Effect, Latch, type Scope } from "effect"
import type * as ExecutionRecords from "../flow/ExecutionRecords.ts"
import type { Notifier } from "../store/Notifier.ts"

/** Waits that are known at most: some hundred bytes each. Those beyond look by themselves. */
const maxKnown = 10_000

/** Executions of this process that wait for others. */
export class ChildEnds {
  private readonly waiting = new Map<string, Map<string, ExecutionRecords.Address>>()
  private readonly childrenOf = new Map<string, Set<string>>()
  private readonly finished = new Set<string>()
  private readonly some = Latch.makeUnsafe(false)
  private size = 0

  /** To be called for an execution that is about to suspend until another one ends. */
  wait(parent: ExecutionRecords.Address, child: string): void {
    if (this.size >= maxKnown) return
    const waiting = this.waiting.get(child)
    if (waiting?.has(parent.id) === true) return
    if (waiting === undefined) this.waiting.set(child, new Map([[parent.id, parent]]))
    else waiting.set(parent.id, parent)
    const children = this.childrenOf.get(parent.id)
    if (children === undefined) this.childrenOf.set(parent.id, new Set([child]))
    else children.add(child)
    this.size++
  }

  /** To be called for an execution that runs: it says again what it waits for. */
  runs(parent: string): void {
    for (const child of this.childrenOf.get(parent) ?? []) {
      const waiting = this.waiting.get(child)
      if (waiting?.delete(parent) === true) this.size--
      if (waiting?.size === 0) this.waiting.delete(child)
    }
    this.childrenOf.delete(parent)
  }

  /** Those that wait for one that has ended, which are forgotten. */
  take(child: string): ReadonlyArray<ExecutionRecords.Address> {
    this.finished.delete(child)
    const parents = [...this.waiting.get(child)?.values() ?? []]
    this.waiting.delete(child)
    this.size -= parents.length
    for (const { id } of parents) {
      const children = this.childrenOf.get(id)
      children?.delete(child)
      if (children?.size === 0) this.childrenOf.delete(id)
    }
    return parents
  }

  /** Listens until the scope closes. `told` is called for each child that has finished and that some wait for. */
  readonly listen = (
    notifier: Notifier["Service"],
    told: (child: string) => Effect.Effect<void>
  ): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen({ self: this }, function*() {
      yield* notifier.listen((hint) => {
        if (hint._tag !== "Finished" || this.size === 0) return
        for (const id of hint.ids) if (this.waiting.has(id)) this.finished.add(id)
        if (this.finished.size > 0) this.some.openUnsafe()
      })
      const tell = Effect.gen({ self: this }, function*() {
        yield* this.some.await
        this.some.closeUnsafe()
        for (const child of this.finished) {
          this.finished.delete(child)
          yield* told(child)
        }
      })
      yield* Effect.forkScoped(Effect.forever(tell))
    })
}
