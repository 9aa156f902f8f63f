/** How much is kept of what may be large, and how much of it is read at once. */
import * as Bounds from "./Bounds.ts"
import type { TaskFailure, TaskRecord } from "./TaskRecord.ts"

/** A failure as the history keeps it: without large details, which are kept once, in the task's latest failure. */
export const brief = (failure: TaskFailure): TaskFailure => {
  const { error, ...rest } = failure
  return error === undefined || Buffer.byteLength(JSON.stringify(error)) <= Bounds.maxHistoryDetailBytes
    ? failure
    : rest
}

/** Characters of what may be large in a task. */
export const sizeOf = ({ payload, result }: Pick<TaskRecord, "payload" | "result">): number =>
  payload.length + (result === null ? 0 : result.length)

/** As many of a page's first tasks as fit into it; one in any case. */
export const fitting = <Task extends Pick<TaskRecord, "payload" | "result">>(
  tasks: Iterable<Task>
): ReadonlyArray<Task> => {
  const page: Array<Task> = []
  let size = 0
  for (const task of tasks) {
    size += sizeOf(task)
    if (page.length > 0 && size > Bounds.maxPageSize) break
    page.push(task)
  }
  return page
}
