/**
 * To which spans the work of the engine belongs. What a caller asks for is part of the caller's span. What the engine does for itself is part
 * of none: an engine that has nothing to do makes no traces.
 */
import { Context, Effect, type Fiber, Layer, Tracer } from "effect"

/** Whether spans that are made in this fiber go anywhere. */
export const isTracing = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined && cache.tracer !== Tracer.nativeTracer && cache.tracerEnabled

/** Runs what serves all callers, such as a store or a loop, outside of the span in which it happens to be started. */
export const apart = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(
    effect,
    (context: Context.Context<R>) =>
      Context.getOrUndefined(context, Tracer.ParentSpan) === undefined
        ? context
        : Context.omit(Tracer.ParentSpan)(context) as Context.Context<R>
  )

/** The same of what a layer builds. */
export const layerApart = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.fromBuild((memoMap, scope) => apart(Layer.buildWithMemoMap(layer, memoMap, scope)))

/** Lets an effect make spans as parts of a span that there is, and none where there is none. */
export const inParentOnly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    fiber.cache.span === undefined && isTracing(fiber) ? Effect.withTracerEnabled(effect, false) : effect
  )
