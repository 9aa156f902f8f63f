/** What a client of a server needs: the API's definitions, and its queue. */
export { Api } from "./api/Api.ts"
export { BodyTooLarge, InvalidRequest, RequestCheck, UnsupportedMediaType } from "./api/RequestCheck.ts"
export * as HttpTaskQueue from "./client/HttpTaskQueue.ts"
export { TaskQueue } from "../queue/TaskQueue.ts"
