import { Duration } from "effect"
import type { RunningTask } from "../store/InstanceStore.ts"
import type { Attempts } from "./Attempts.ts"

/** A slot as people see it. */
export interface SlotView {
  /** Its number, from 1. */
  readonly slot: number
  /** The task that runs in it. */
  readonly task: { readonly id: string; readonly type: string; readonly runningFor: Duration.Duration } | undefined
}

/** All slots, each with the task that it runs; behind them those that are gone once their tasks have ended. */
export const slotsOf = (size: number, running: ReadonlyArray<RunningTask>): ReadonlyArray<SlotView> => {
  const busy = new Map(running.map((task) => [task.slot, task]))
  const leaving = [...busy.keys()].filter((slot) => slot > size).sort((a, b) => a - b)
  return [...Array.from({ length: size }, (_, index) => index + 1), ...leaving].map((slot): SlotView => {
    const task = busy.get(slot)
    return { slot, task: task && { id: task.id, type: task.type, runningFor: Duration.millis(task.forMs) } }
  })
}

/** What runs at a time of the monotonic clock. */
export const runningOf = (attempts: Attempts, now: number): ReadonlyArray<RunningTask> =>
  [...attempts].filter((attempt) => !attempt.ended).map(({ id, slot, startedAt, type }) => ({
    slot,
    id,
    type,
    forMs: Math.round(now - startedAt)
  }))
