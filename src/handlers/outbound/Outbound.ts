/**
 * All HTTP that tasks send goes through here. It bounds what a request may cost and reach: time, bytes, redirects, and
 * addresses, which are checked when a connection is made, so after the name was resolved and for each redirect. A
 * breaker per host stops calling one that keeps failing; connections are pooled per host.
 */
import { Context, Effect, Layer } from "effect"
import type { Options, Send } from "./OutboundRequest.ts"

/** Sends requests. */
export class Outbound extends Context.Service<Outbound, {
  /** Sends a request and reads the answer. A host whose circuit is open answers `LeftAlone`. */
  readonly send: Send
}>()("taskforge/handlers/outbound/Outbound") {
  /** The client is loaded with the first request: a server that sends none need not hold it in memory. */
  static readonly layer = (options: Options = {}): Layer.Layer<Outbound> =>
    Layer.effect(
      Outbound,
      Effect.gen(function*() {
        const scope = yield* Effect.scope
        const client = yield* Effect.cached(
          Effect.flatMap(Effect.promise(() => import("./OutboundClient.ts")), ({ make }) => make(options, scope))
        )
        return Outbound.of({ send: (request) => Effect.flatMap(client, (send) => send(request)) })
      })
    )
}
