/** What serves the API. It needs `@effect/platform-node`. */
export * as HttpServer from "./HttpServer.ts"
export { TaskCatalog } from "./TaskCatalog.ts"
