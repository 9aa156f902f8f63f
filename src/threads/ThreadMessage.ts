/** What a process and its threads tell each other. Values travel as JSON texts, encoded by the definition's schemas. */
import type { Schema } from "effect"
import type { TaskContext } from "../worker/TaskContext.ts"

/** Work for a thread: one attempt. */
export interface Job {
  /** The URL of the module that exports `handler`; see `ThreadHandler`. */
  readonly module: string
  readonly payload: string
  readonly attempt: Omit<TaskContext["Service"], "progress" | "snooze">
}

/** How a job ended. */
export type Ending =
  | { readonly _tag: "Succeeded"; readonly result: string }
  | { readonly _tag: "Failed"; readonly error: Schema.Json }
  | { readonly _tag: "Snoozed"; readonly delayMs: number }
  | {
    readonly _tag: "Died"
    readonly name: string
    readonly message: string
    readonly stack: string | undefined
  }

/** The end of a job, and whether the thread had better do no other: it has kept much of the memory that it may take. */
export type Done = Ending & { readonly isWorn?: boolean }

/** A message from a thread: how far its job is, or the end of it. */
export type Reply = { readonly _tag: "Progress"; readonly fraction: number } | Done
