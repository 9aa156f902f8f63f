/** What a client of a server needs: the API's definitions, and its queue. */
export { Api } from "./api/Api.ts"
export { RequestCheck } from "./api/RequestCheck.ts"
export { BodyTooLarge, InvalidRequest, UnsupportedMediaType } from "./api/RequestErrors.ts"
export * as HttpTaskQueue from "./client/HttpTaskQueue.ts"
export { TaskQueue } from "../queue/TaskQueue.ts"
