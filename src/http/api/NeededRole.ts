/** Which role an endpoint needs. Every endpoint of the API says it, and the router's gate reads it. */
import { Context } from "effect"
import { HttpApi, type HttpApiGroup } from "effect/http-api"
import type { Role } from "../../domain/ApiKey.ts"

/** A role, or `public` for what every caller may do, with or without a key. */
export type Needed = Role | "public"

/** The annotation of an endpoint that names the role. */
export class NeededRole extends Context.Service<NeededRole, Needed>()("taskforge/http/api/NeededRole") {}

/** The annotation of an endpoint that takes a key in its query, because a browser cannot send headers there. */
export class TakesKeyInQuery extends Context.Reference<boolean>("taskforge/http/api/TakesKeyInQuery", {
  defaultValue: () => false
}) {}

/**
 * The annotation of an endpoint that is answered without a look at who asks or at how often, as either would ask the store:
 * for probes, which must be true while that is away.
 */
export class IsProbe extends Context.Reference<boolean>("taskforge/http/api/IsProbe", {
  defaultValue: () => false
}) {}

/** What the gate knows about one route. */
export interface GuardedRoute {
  readonly method: string
  /** The path as the router knows it, such as `/api/v1/tasks/:id`. */
  readonly path: string
  readonly needed: Needed
  readonly takesKeyInQuery?: boolean | undefined
  readonly isProbe?: boolean | undefined
}

/** A page that is open to every client. */
export const publicPage = (path: string): GuardedRoute => ({ method: "GET", path, needed: "public" })

/** The routes of an API. An endpoint that names no role is a mistake of the API's author: it throws. */
export const routesOf = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>
): ReadonlyArray<GuardedRoute> => {
  const routes: Array<GuardedRoute> = []
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint: { annotations, method, name, path } }) => {
      const needed = Context.getOrUndefined(annotations, NeededRole)
      if (needed === undefined) throw new Error(`The endpoint ${name} (${method} ${path}) names no role`)
      routes.push({
        method,
        path,
        needed,
        takesKeyInQuery: Context.get(annotations, TakesKeyInQuery),
        isProbe: Context.get(annotations, IsProbe)
      })
    }
  })
  return routes
}
