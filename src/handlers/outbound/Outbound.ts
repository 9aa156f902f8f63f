/**
 * All HTTP that tasks send goes through here. It bounds what a request may cost and reach: time, bytes, redirects, and
 * addresses, which are checked when a connection is made, so after the name was resolved and for each redirect. A
 * breaker per host stops calling one that keeps failing; connections are pooled per host.
 */
import { Context, type Duration, Effect, Layer } from "effect"
import type { LookupFunction } from "node:net"
import type { OutboundError } from "./OutboundErrors.ts"

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

/** What tasks may do. Every field has a default. */
export interface Options {
  /** Addresses, ranges and hosts beyond the public Internet; see `AddressPolicy`. Default: none. */
  readonly allow?: ReadonlyArray<string> | undefined
  /** Time for one request with all its redirects, unless it says less. Default 30 s. */
  readonly timeout?: Duration.Input | undefined
  /** Bytes of an answer at most. Default 10 MiB. */
  readonly maxBytes?: number | undefined
  /** Redirects followed at most. Default 5. */
  readonly maxRedirects?: number | undefined
  /** Failures in a row before a host is left alone. Default 5. */
  readonly breakAfter?: number | undefined
  /** How long a host is left alone then. Default 30 s. */
  readonly breakFor?: Duration.Input | undefined
  /** How names are resolved. Default: as the system does. */
  readonly lookup?: LookupFunction | undefined
}

/** A request. */
export interface OutboundRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE"
  readonly url: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | undefined
  /** Less time than the server allows. */
  readonly timeout?: Duration.Duration | undefined
  /** Fewer bytes than the server allows. */
  readonly maxBytes?: number | undefined
  /** `same` follows redirects that keep the method and the body; `none` takes them as the answer. Default `all`. */
  readonly redirects?: "all" | "same" | "none" | undefined
}

/** A good answer: its status is below 400. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** Where it came from in the end. */
  readonly url: string
  readonly redirects: number
}

/** The host failed so often that it is left alone for a while: nothing was sent. */
export interface LeftAlone {
  readonly _tag: "LeftAlone"
  readonly retryAfter: Duration.Duration
}

/** Sends a request and reads the answer. */
export type Send = (request: OutboundRequest) => Effect.Effect<Answer | LeftAlone, OutboundError>
