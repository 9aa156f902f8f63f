/** What goes out: what tasks may do, a request, and what comes back. */
import type { Duration, Effect } from "effect"
import type { LookupFunction } from "node:net"
import type { OutboundError } from "./OutboundErrors.ts"

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
