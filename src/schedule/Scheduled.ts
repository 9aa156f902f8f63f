/**
 * What a schedule is set to: a timetable, the task of each tick, and what becomes of ticks. Made by `schedule` of a task type. It is
 * checked where it is set: see `Plan.ts`.
 */
import type { Exit } from "effect"
import type { InvalidOption, InvalidPayload } from "../domain/Errors.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type * as Timetable from "../domain/Timetable.ts"
import { fromPayload, type Submission } from "../queue/Submission.ts"
import * as ScheduleOptions from "./ScheduleOptions.ts"

/** A task at each tick of a timetable. */
export interface Scheduled {
  readonly timetable: Timetable.Input
  /** Each task, or why its payload does not fit. */
  readonly submission: Exit.Exit<Submission, InvalidPayload | InvalidOption>
  readonly options: ScheduleOptions.ScheduleOptions
}

/**
 * What a schedule does, from a typed payload. A tick is one task by itself, so the key that the definition makes of payloads is left out:
 * with it, all ticks would be the task of the first one, as long as that is kept.
 */
export const make = (
  definition: AnyTaskDefinition,
  timetable: Timetable.Input,
  payload: unknown,
  options: ScheduleOptions.ScheduleOptions = {}
): Scheduled => ({
  timetable,
  submission: fromPayload(unkeyed(definition), payload, ScheduleOptions.ofTasks(options), 0),
  options
})

/** A definition without the keys that it makes of payloads. */
export const unkeyed = (definition: AnyTaskDefinition): AnyTaskDefinition => ({
  ...definition,
  idempotencyKey: undefined
})
