/** What a client of a server needs: the API's definitions, and its queue. */
export { Api } from "./api/Api.ts"
export * as HttpTaskQueue from "./client/HttpTaskQueue.ts"
