/** The address of a client behind proxies. */
import { Effect, type Layer } from "effect"
import { HttpMiddleware, HttpRouter } from "effect/http"
import type { IpNetwork } from "effect/net"

/** Believes `X-Forwarded-For` of these proxies; without any, the address is the connection's. */
export const layer = (
  trustedProxies: ReadonlyArray<IpNetwork.IpNetwork>
): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.use((router) =>
    trustedProxies.length === 0
      ? Effect.void
      : router.addGlobalMiddleware(HttpMiddleware.xForwardedHeaders({ trustedProxies }))
  )
