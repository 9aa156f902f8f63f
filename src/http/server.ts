/** What serves the API. It needs `@effect/platform-node`. */
export { TaskCatalog } from "./TaskCatalog.ts"
export * as TaskServer from "./TaskServer.ts"
export type { Options as RateLimitOptions, Rate } from "./RateLimits.ts"
export type { Options as RouteOptions } from "./Routes.ts"
