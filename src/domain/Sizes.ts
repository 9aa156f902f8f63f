/** How much is kept of what may be large. */
import * as Bounds from "./Bounds.ts"
import type { TaskFailure } from "./TaskRecord.ts"

/** A failure as the history keeps it: without large details, which are kept once, in the task's latest failure. */
export const brief = (failure: TaskFailure): TaskFailure => {
  const { error, ...rest } = failure
  return error === undefined || Buffer.byteLength(JSON.stringify(error)) <= Bounds.maxHistoryDetailBytes
    ? failure
    : rest
}
