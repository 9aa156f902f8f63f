/** How much of what was found fits into an answer. */
import type { AttemptRecord, TaskFailure } from "../domain/TaskRecord.ts"

/** How many of the first things fit into `maxBytes` together. At least one does, so that every answer gets ahead. */
export const fitting = (sizes: Iterable<number>, maxBytes: number = Infinity): number => {
  let [count, bytes] = [0, 0]
  for (const size of sizes) {
    bytes += size
    if (count > 0 && bytes > maxBytes) break
    count++
  }
  return count
}

/** What may be large in a task. */
export interface Texts {
  readonly payload?: string
  readonly result: string | null
  readonly failure: TaskFailure | null
  readonly history?: ReadonlyArray<AttemptRecord>
}

/** Bytes of UTF-8 in what may be large in a task or an outcome. */
export const bytesOf = ({ failure, history, payload, result }: Texts): number =>
  (payload === undefined ? 0 : Buffer.byteLength(payload)) +
  (result === null ? 0 : Buffer.byteLength(result)) +
  (failure === null ? 0 : Buffer.byteLength(JSON.stringify(failure))) +
  (history === undefined || history.length === 0 ? 0 : Buffer.byteLength(JSON.stringify(history)))
