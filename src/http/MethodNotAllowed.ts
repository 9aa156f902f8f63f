/** Answers methods that a known path does not have with 405 and the ones it has. */
import { Effect, type Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApi } from "effect/http-api"
import { Api } from "./api/Api.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

/** Covers the API's paths, and those of pages, which have only GET. */
export const layer = (
  pages: ReadonlyArray<HttpRouter.PathInput>
): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    for (const [path, known] of knownMethods(pages)) {
      const allow = [...known].join(", ")
      const answer = ErrorAnswer.make(405, "method_not_allowed", `This path takes ${allow}`, { allow })
      for (const method of methods) {
        if (!known.has(method)) yield* router.add(method, path, answer)
      }
    }
  }))

const knownMethods = (pages: ReadonlyArray<HttpRouter.PathInput>) => {
  const byPath = new Map<HttpRouter.PathInput, Set<string>>()
  for (const path of pages) byPath.set(path, new Set(["GET"]))
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint: { method, ...endpoint } }) => {
      const path = endpoint.path as HttpRouter.PathInput
      const known = byPath.get(path)
      if (known === undefined) byPath.set(path, new Set([method]))
      else known.add(method)
    }
  })
  return byPath
}
