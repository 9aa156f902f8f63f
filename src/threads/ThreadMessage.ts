/** What a process and its threads tell each other. Values travel as JSON texts, encoded by the definition's schemas. */
import type { LogLevel, Schema } from "effect"
import type { LogLine } from "../logs/LogLine.ts"
import type { TaskContext } from "../worker/TaskContext.ts"

/** Work for a thread: one attempt. */
export interface Job {
  /** The URL of the module that exports `handler`; see `ThreadHandler`. */
  readonly module: string
  readonly payload: string
  readonly attempt: Omit<
    TaskContext["Service"],
    "progress" | "snooze" | "charge" | "holdBack" | "protect" | "earlier" | "steps"
  >
  /** Lines below this level are not logged. */
  readonly logLevel: LogLevel.LogLevel
}

/** A line that the thread's handler has logged, as it would be kept. */
export type Logged = Pick<LogLine, "level" | "text" | "annotations" | "cause">

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

/** A message from a thread: how far its job is, what it logs, or the end of it. */
export type Reply =
  | { readonly _tag: "Progress"; readonly fraction: number }
  | { readonly _tag: "Logged"; readonly line: Logged }
  | Done
