/** The handlers that this process can run, by task type. */
import { Context, Effect, Layer, type Scope } from "effect"
import * as StoredType from "../domain/StoredType.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { HandlerContext, TaskContext } from "./TaskContext.ts"

/** A definition with the code that runs it, closed over the services it needs. */
export interface Handler {
  readonly definition: AnyTaskDefinition
  readonly run: (payload: unknown, context: HandlerContext<any>) => Effect.Effect<unknown, unknown, TaskContext>
  /** The services of the handler's layer; the executor adds the attempt's `TaskContext`. */
  readonly services: Context.Context<never>
}

/** Handlers register here when their layer is built, and leave when its scope closes. */
export class HandlerRegistry extends Context.Service<HandlerRegistry, {
  readonly register: (handler: Handler) => Effect.Effect<void, never, Scope.Scope>
  readonly find: (type: string) => Handler | undefined
  /** The types that can be run as they are stored, each version of one by itself; the same array until that changes. */
  readonly types: () => ReadonlyArray<string>
  /** Calls a listener after each change until the scope closes. */
  readonly onChange: (listener: () => void) => Effect.Effect<void, never, Scope.Scope>
}>()("taskforge/worker/HandlerRegistry") {
  /** An empty registry. */
  static readonly layer: Layer.Layer<HandlerRegistry> = Layer.sync(HandlerRegistry, () => {
    const handlers = new Map<string, Handler>()
    const listeners = new Set<() => void>()
    let types: ReadonlyArray<string> = []
    const changed = () => {
      types = [...handlers.values()].flatMap(({ definition: { type, version } }) => StoredType.upTo(type, version))
      for (const listener of listeners) listener()
    }
    return HandlerRegistry.of({
      register: (handler) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.suspend(() => {
            const type = handler.definition.type
            if (handlers.has(type)) {
              return Effect.die(
                new Error(`Task type ${JSON.stringify(type)} has two handlers; provide one layer per type`)
              )
            }
            handlers.set(type, handler)
            changed()
            return Effect.void
          }),
          () =>
            Effect.sync(() => {
              handlers.delete(handler.definition.type)
              changed()
            })
        )),
      find: (type) => handlers.get(type),
      types: () => types,
      onChange: (listener) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() => listeners.add(listener)),
          () => Effect.sync(() => listeners.delete(listener))
        ))
    })
  })
}

/** A layer that registers a handler, or what an effect makes, with the services that it needs. */
export const registered = <H extends (...args: never) => unknown, R, EX, RX>(
  definition: AnyTaskDefinition,
  handler: H | Effect.Effect<H, EX, RX>,
  runOf: (handler: H) => Handler["run"]
): Layer.Layer<never, EX, HandlerRegistry | R | Exclude<RX, Scope.Scope>> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const registry = yield* HandlerRegistry
    const run = Effect.isEffect(handler) ? yield* handler : handler
    const services = yield* Effect.context<R>()
    yield* registry.register({ definition, run: runOf(run), services })
  }))
