export { Api } from "./api/Api.ts"
export * as HttpTaskQueue from "./client/HttpTaskQueue.ts"
export * as HttpServer from "./HttpServer.ts"
export { TaskCatalog } from "./TaskCatalog.ts"
