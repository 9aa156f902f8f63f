/**
 * What workers in other processes log, kept with their attempts. Each request adds to what is stored: another server may have written
 * the lines before.
 */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import * as LogLine from "../logs/LogLine.ts"
import * as TaskLogs from "../logs/TaskLogs.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import type { ClaimFacts } from "./ClaimToken.ts"
import type { RemoteLine } from "./RemoteTask.ts"

/** When it is first looked whether a task is still there. */
const dueInMs = 60 * 60 * 1000

/** Attempts whose lines are written at the same time. */
const concurrency = 8

/** Lines of one attempt. */
export interface Logged {
  readonly facts: ClaimFacts
  readonly lines: ReadonlyArray<RemoteLine>
}

/** Adds lines to those of their attempts. `now` is the time of lines that have none. */
export const append = (logs: ReadonlyArray<Logged>, now: number): Effect.Effect<void, StoreError, RecordStore> =>
  Effect.forEach(
    [...Map.groupBy(logs.filter(({ lines }) => lines.length > 0), ({ facts }) => facts.claim).values()],
    (ofClaim) => {
      const { attempt, claim, id, instance } = ofClaim[0]!.facts
      const addTo: TaskLogs.Addition["addTo"] = (buffer) => {
        for (const { at = now, level, text } of ofClaim.flatMap(({ lines }) => lines)) {
          buffer.add((n) => LogLine.encodeText(n, at, level, text))
        }
      }
      return TaskLogs.append({ id, claim, attempt, instance, addTo }, dueInMs).pipe(
        // A line is worth less than the attempt that goes on: what the store keeps not is left out
        Effect.catchTags({
          InvalidOption: ({ message }) => Effect.logWarning(`the store keeps no log of task ${id}: ${message}`),
          RecordConflict: () => Effect.logWarning(`lines of task ${id} were left out: others were written all the time`)
        })
      )
    },
    { discard: true, concurrency }
  )
