/**
 * Hints between the parts of one engine, and with some drivers between processes: there is work, stop this task,
 * these tasks have finished. A hint is never needed for correctness; losing one costs one poll interval.
 */
import { Context, Effect, Layer, type Scope } from "effect"

/** One hint. */
export type Hint =
  | { readonly _tag: "Work" }
  | { readonly _tag: "Cancel"; readonly ids: ReadonlyArray<string> }
  | { readonly _tag: "Finished"; readonly ids: ReadonlyArray<string> }
  /** The log of events has grown, or a reader begins to read it. */
  | { readonly _tag: "Events" }

/** There is work to claim. */
export const work: Hint = { _tag: "Work" }

/** Look at the log of events. */
export const events: Hint = { _tag: "Events" }

/** Carries hints to all listeners. */
export class Notifier extends Context.Service<Notifier, {
  /** Tells every listener. Never fails: what cannot be delivered is found by polling. */
  readonly publish: (hint: Hint) => Effect.Effect<void>
  /** Calls a listener for each hint until the scope closes. It must return at once and never throw. */
  readonly listen: (listener: (hint: Hint) => void) => Effect.Effect<void, never, Scope.Scope>
  /**
   * How this process learns of what others do now: by their `hints`, or by `polling` alone while these do not arrive. Left
   * out where the driver does not know.
   */
  readonly arriving?: Effect.Effect<"hints" | "polling"> | undefined
}>()("taskforge/store/Notifier") {
  /** Hints within one process. */
  static readonly layerMemory: Layer.Layer<Notifier> = Layer.sync(Notifier, () => {
    const listeners = new Set<(hint: Hint) => void>()
    return Notifier.of({
      publish: (hint) =>
        Effect.sync(() => {
          for (const listener of listeners) listener(hint)
        }),
      listen: (listener) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() => listeners.add(listener)),
          () => Effect.sync(() => listeners.delete(listener))
        ))
    })
  })
}
