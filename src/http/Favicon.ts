/** The picture that browsers show for the server's pages. They ask for it by themselves, so it is open to every client. */
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { GuardedRoute } from "./api/NeededRole.ts"

/** Where the picture is. */
export const path = "/favicon.svg"

/** Where browsers look for it when a page, such as JSON, names none. */
const usual = "/favicon.ico"

/** Who may read it. */
export const routes: ReadonlyArray<GuardedRoute> = [
  { method: "GET", path, needed: "public" },
  { method: "GET", path: usual, needed: "public" }
]

const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" ` +
  `fill="#b4470f"/><path d="M8 9h16v4h-6v11h-4V13H8z" fill="#fff"/></svg>`

/** Serves the picture. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use(
  Effect.fnUntraced(function*(router) {
    const answer = HttpServerResponse.text(picture, {
      contentType: "image/svg+xml",
      headers: {
        "cache-control": "public, max-age=86400",
        "content-security-policy": "default-src 'none'",
        "x-content-type-options": "nosniff"
      }
    })
    yield* router.add("GET", path, answer)
    yield* router.add("GET", usual, answer)
  })
)
