/**
 * The API of the engine in this process, without a server in between: requests go straight to the routes.
 * Whatever works against a server works against a bare store.
 */
import { Effect, Layer } from "effect"
import { FetchHttpClient, type HttpClient, HttpEffect, HttpRouter, HttpServer } from "effect/http"
import { EventFeed } from "../../events/EventFeed.ts"
import * as RateLimiterStore from "../../store/memory/RateLimits.ts"
import * as Routes from "../Routes.ts"

/** Where requests seem to go. */
export const url = "http://localhost"

/** A client whose requests are answered by the routes. */
export const layer = FetchHttpClient.layer.pipe(
  Layer.provide(Layer.effect(
    FetchHttpClient.Fetch,
    Effect.gen(function*() {
      const routes = yield* HttpRouter.toHttpEffect(Routes.layer({ requireKeys: "never" }))
      const handle = HttpEffect.toWebHandler(routes)
      return (input, init) => handle(new Request(input, init))
    })
  )),
  Layer.provide([
    Layer.succeed(HttpRouter.RouterConfig, Routes.routerConfig),
    HttpServer.layerServices,
    RateLimiterStore.layer,
    EventFeed.layer
  ])
) satisfies Layer.Layer<HttpClient.HttpClient, unknown, unknown>
