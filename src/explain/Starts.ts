/** Whether tasks start by when they should, as a verdict says it of a queue: read from the newest ones. */
import { Duration, Effect } from "effect"
import * as DurationText from "../domain/DurationText.ts"
import type { StoreError } from "../domain/Errors.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** Tasks of each state that are looked at. */
const maxStarts = 20

/** Whether tasks that should start within a time do. */
export interface Starts {
  /** How many have such a time. */
  readonly timed: number
  /** How many of these have started too late, or wait and are late. */
  readonly late: number
  /** How late the latest of these is, in milliseconds; 0 when none is. */
  readonly maxLateMs: number
}

/** How the newest tasks that run, and the newest that wait, stand to the time by which they should start. */
export const startsOf = Effect.fnUntraced(function*(
  tasks: TaskStore["Service"],
  queue: string | undefined,
  { pending, running }: { readonly pending: number; readonly running: number },
  now: number
): Effect.fn.Return<Starts, StoreError> {
  const queues = queue === undefined ? {} : { queues: [queue] }
  const starts = { timed: 0, late: 0, maxLateMs: 0 }
  for (const [state, count] of [["running", running], ["pending", pending]] as const) {
    if (count === 0) continue
    const page = yield* tasks.list({ states: [state], ...queues, limit: maxStarts })
    for (const { startBy, startedAt } of page.tasks) {
      if (startBy === null) continue
      const lateMs = Math.max(0, (state === "running" ? startedAt ?? now : now) - startBy)
      starts.timed++
      if (lateMs > 0) starts.late++
      starts.maxLateMs = Math.max(starts.maxLateMs, lateMs)
    }
  }
  return starts
})

/** What a verdict says of it: nothing where none is late. */
export const lateText = ({ late, maxLateMs, timed }: Starts): string =>
  late === 0 ?
    "" :
    ` Starts are late: ${late} of the newest ${timed} that should start within a time, by up to ${
      DurationText.format(Duration.millis(maxLateMs))
    }.`
