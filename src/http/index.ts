/** What a client of a server needs: the API's definitions, and its queue. */
export { Api } from "./api/Api.ts"
export { BodyTooLarge, InvalidRequest, RequestCheck, UnsupportedMediaType } from "./api/RequestCheck.ts"
export * as HttpTaskQueue from "./client/HttpTaskQueue.ts"
export * as HttpSchedules from "./client/HttpSchedules.ts"
export * as HttpSignals from "./client/HttpSignals.ts"
export { Schedules } from "../schedule/Schedules.ts"
export { Signals } from "../flow/Signals.ts"
export { TaskQueue } from "../queue/TaskQueue.ts"
