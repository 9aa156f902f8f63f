/**
 * Circuit breakers of dependencies: a mail server, a host, a database. A type declares those that its handler needs. When one of them
 * fails too often, its tasks wait, without an attempt that would fail; then one at a time tries, until one succeeds. All
 * instances that share the store share them.
 *
 * @example
 * ```ts
 * const Smtp = Breaker.make("smtp", { failures: 5, within: "1 minute", openFor: "30 seconds" })
 * const Welcome = Task.make("welcome", { payload: { to: Schema.String }, breakers: [Smtp] })
 * ```
 */
import type { Effect } from "effect"
import * as Rule from "./domain/Breaker.ts"
import { TaskContext } from "./worker/TaskContext.ts"

/** A breaker of task types. */
export interface Breaker<in Payload> extends Rule.Rule<Payload> {
  /**
   * Makes one call of the dependency in a handler whose type declares the breaker. The breaker is then told how its calls end, and
   * not how the attempt does. While it is open the call is not made: the attempt ends, and the task waits until the dependency may be
   * tried, without spending a retry.
   *
   * @example
   * ```ts
   * const WelcomeLive = Welcome.toLayer(({ to }) => Effect.andThen(render(to), (text) => Smtp.protect(send(to, text))))
   * ```
   */
  readonly protect: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | TaskContext>
}

/** What may be said about a breaker. */
export type Options<Payload> = Rule.Options<Payload>

/**
 * A breaker with a name. Types that name the same one share it. Throws `InvalidOption` where something is outside of its bound.
 *
 * @example
 * ```ts
 * const Web = Breaker.make("web", {
 *   failures: 10,
 *   key: ({ url }: { readonly url: string }) => new URL(url).host,
 *   countsAsFailure: (error) => !(error instanceof NotFound)
 * })
 * ```
 */
export const make = <Payload = unknown>(name: string, options: Options<Payload>): Breaker<Payload> => {
  const rule = Rule.ruleOf(name, options)
  return { ...rule, protect: (call) => TaskContext.use(({ protect }) => protect(rule, call)) }
}
