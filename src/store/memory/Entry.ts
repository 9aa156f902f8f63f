import type { TaskRecord } from "../../domain/TaskRecord.ts"

/**
 * A task as the memory store holds it: the record itself, changed in place.
 *
 * Lists keep references to entries and skip those that have moved on. A task that comes back from a finished state
 * gets a new entry, so that an old reference can never be mistaken for the new one.
 */
export type Entry =
  & { -readonly [Field in keyof TaskRecord]: TaskRecord[Field] }
  & {
    rank: number
    /** Its place among the running tasks, −1 when it is none of them. */
    place: number
    /** Removed or replaced: references to it are void. */
    dead: boolean
  }
