/** What serves the API. It needs `@effect/platform-node`. */
export { TaskCatalog } from "./TaskCatalog.ts"
export * as TaskRoutes from "./TaskRoutes.ts"
export * as TaskServer from "./TaskServer.ts"
export type { Options as RateLimitOptions, Rate } from "./RateLimits.ts"
export type { Services as RouteServices } from "./TaskRoutes.ts"
export type { Options as RouteOptions } from "./Routes.ts"
