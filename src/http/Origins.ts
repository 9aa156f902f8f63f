/** Cross-origin requests from browsers: only pages of listed origins may make them. */
import { Effect, type Layer } from "effect"
import { HttpMiddleware, HttpRouter } from "effect/http"

/** Answers preflights and marks answers for the origins; without any, browsers keep other pages out. */
export const layer = (origins: ReadonlyArray<string>): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.use((router) => {
    if (origins.length === 0) return Effect.void
    const allowed = new Set(origins)
    return router.addGlobalMiddleware(HttpMiddleware.cors({
      // A list of one would be answered to every origin
      allowedOrigins: (origin) => allowed.has(origin),
      allowedMethods: ["GET", "HEAD", "POST", "DELETE"],
      allowedHeaders: ["authorization", "content-type", "last-event-id", "x-api-key"],
      exposedHeaders: ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
      maxAge: 600
    }))
  })
