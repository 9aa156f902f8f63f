/** The API's description for machines, with the task types that this server knows. Made when it is first asked for. */
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { OpenApi } from "effect/http-api"
import { Api } from "./api/Api.ts"
import { completeDocument } from "./api/completeDocument.ts"
import type { GuardedRoute } from "./api/NeededRole.ts"
import { TaskCatalog } from "./TaskCatalog.ts"
import { specialise } from "./TaskTypeSchemas.ts"

/** Where the document is. */
const path = "/openapi.json"

/** Who may read it. */
export const route: GuardedRoute = { method: "GET", path, needed: "public" }

/** Serves the document of an API that is under a path of the server, or at its root. */
export const layer = (base: string): Layer.Layer<never, never, HttpRouter.HttpRouter | TaskCatalog> =>
  HttpRouter.use(
    Effect.fnUntraced(function*(router) {
      const api = describe(yield* TaskCatalog, base)
      const document = yield* Effect.cached(Effect.sync(() => HttpServerResponse.jsonUnsafe(OpenApi.fromApi(api))))
      yield* router.add("GET", path, document)
    })
  )

/** The API whose description knows the types of a catalog, and where it is. */
export const describe = ({ definitions }: TaskCatalog["Service"], base: string = "") =>
  Api.annotate(OpenApi.Transform, (document) => {
    if (base !== "") document["servers"] = [{ url: base }]
    completeDocument(document as Parameters<typeof completeDocument>[0])
    const components = document["components"]
    return components?.schemas === undefined
      ? document
      : { ...document, components: { ...components, schemas: specialise(components.schemas, definitions) } }
  })
