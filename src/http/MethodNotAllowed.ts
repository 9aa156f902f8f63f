/** Answers methods that a known path does not have with 405 and the ones it has. */
import { Effect, type Layer } from "effect"
import { HttpRouter } from "effect/http"
import { Api } from "./api/Api.ts"
import { type GuardedRoute, routesOf } from "./api/NeededRole.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

/** Covers the API's paths, and those of pages, which have only GET. */
export const layer = (
  pages: ReadonlyArray<GuardedRoute>
): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    for (const { allow, method, path } of missing(pages)) {
      yield* router.add(
        method,
        path,
        ErrorAnswer.make(405, "method_not_allowed", `This path takes ${allow}`, { allow })
      )
    }
  }))

/** Who may learn that a path does not have a method. */
export const routes = (pages: ReadonlyArray<GuardedRoute>): ReadonlyArray<GuardedRoute> =>
  missing(pages).map(({ method, path }) => ({ method, path, needed: "read" }))

const missing = (pages: ReadonlyArray<GuardedRoute>) =>
  Array.from(knownMethods(pages)).flatMap(([path, known]) => {
    const allow = [...known].join(", ")
    return methods.filter((method) => !known.has(method)).map((method) => ({ allow, method, path }))
  })

const knownMethods = (pages: ReadonlyArray<GuardedRoute>) => {
  const byPath = new Map<HttpRouter.PathInput, Set<string>>()
  for (const { method, path } of [...routesOf(Api), ...pages]) {
    const known = byPath.get(path as HttpRouter.PathInput)
    if (known === undefined) byPath.set(path as HttpRouter.PathInput, new Set([method]))
    else known.add(method)
  }
  return byPath
}
