/**
 * The settings that belong to the stored queue: every process that opens the file must agree with them.
 */
import { Duration } from "effect"
import type { DatabaseSync } from "node:sqlite"
import * as DurationText from "../../domain/DurationText.ts"
import { StoreIncompatible } from "../../domain/Errors.ts"
import { prepare } from "./Statement.ts"

/** Stores the head start in a new file; throws `StoreIncompatible` when an old file has another one. */
export const agreeOnHeadStart = (database: DatabaseSync, path: string, headStartMs: number): void => {
  const stored = prepare<[value: number]>(database, "SELECT value FROM setting WHERE name = 'head_start_ms'")
  if (stored.get() === undefined) {
    prepare(database, "INSERT OR IGNORE INTO setting VALUES ('head_start_ms', ?)").run(headStartMs)
  }
  const [value] = stored.get()!
  if (value !== headStartMs) {
    throw new StoreIncompatible({
      reason: `${path} was created with a head start of ${text(value)}, but this process is configured with ` +
        `${text(headStartMs)}: ranks would disagree. Configure ${text(value)}, or use a new file`
    })
  }
}

const text = (millis: number): string => DurationText.format(Duration.millis(millis))
