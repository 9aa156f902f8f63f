/**
 * Every connection that a task causes is made here. The address that was checked is the one connected to: checking a
 * name first and connecting to it then would let it resolve differently the second time.
 */
import type { Dispatcher } from "@effect/platform-node/Undici"
import { Effect, Schema, type Scope } from "effect"
import { lookup as systemLookup } from "node:dns"
import { isIP, type LookupFunction } from "node:net"
import * as AddressPolicy from "./AddressPolicy.ts"

/** Connections to one host at most. */
const connectionsPerHost = 16

/** How long a connection may take to be made. */
const connectTimeoutMillis = 10_000

/** Why no connection was made. */
export class AddressRefused extends Schema.TaggedError<AddressRefused>()("AddressRefused", {
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** Pooled connections to allowed addresses, as long as the scope. */
export const makeDispatcher = (options: {
  readonly allow: ReadonlyArray<string>
  readonly lookup: LookupFunction | undefined
}): Effect.Effect<Dispatcher, never, Scope.Scope> => {
  const policy = AddressPolicy.make(options.allow)
  const lookup = guarded(policy, options.lookup ?? (systemLookup as LookupFunction))
  return Effect.acquireRelease(
    // The default export: bundlers lose the names of a CommonJS module that is exported again
    Effect.map(
      Effect.promise(() => import("@effect/platform-node/Undici")),
      ({ default: { Agent, buildConnector } }) => {
        const connect = buildConnector({ lookup, timeout: connectTimeoutMillis })
        return new Agent({
          connections: connectionsPerHost,
          connect: (target, callback) => {
            // An address in the URL is never looked up
            const host = target.hostname.replace(/^\[|\]$/g, "")
            const reason = isIP(host) === 0 ? undefined : policy.refuse(host, host)
            if (reason === undefined) connect(target, callback)
            else callback(new AddressRefused({ reason }), null)
          }
        })
      }
    ),
    (agent) => Effect.promise(() => agent.destroy())
  )
}

/** Resolves a name and refuses it when any of its addresses is not allowed. */
const guarded =
  (policy: AddressPolicy.AddressPolicy, lookup: LookupFunction): LookupFunction => (host, options, callback) =>
    lookup(host, { ...options, all: true }, (error, found, family) => {
      if (error !== null) return callback(error, [])
      const addresses = typeof found === "string" ? [{ address: found, family: family ?? isIP(found) }] : found
      for (const { address } of addresses) {
        const reason = policy.refuse(host, address)
        if (reason !== undefined) return callback(new AddressRefused({ reason: `${host}: ${reason}` }), [])
      }
      const [first] = addresses
      if (options.all === true || first === undefined) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
