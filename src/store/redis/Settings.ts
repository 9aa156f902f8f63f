/**
 * What belongs to the stored queue: the layout that it is kept in, and settings that every process must agree with.
 */
import { Duration, Effect } from "effect"
import * as DurationText from "../../domain/DurationText.ts"
import { type StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import { type Runner, script } from "./Runner.ts"
import { open } from "./scripts/Open.ts"

/**
 * The layout that this version of the driver writes: keys, texts, and what scripts make of them. It reads earlier ones
 * too. Since 2, pending tasks may be in blocks; since 3, lanes are known as long as they have tasks; since 4, API keys are
 * records.
 */
const layout = 4

const runOpen = script<readonly [version: string, headStartMs: string]>(open)

/** Stores the settings of a new store; fails when an old one has others. `where` names it. */
export const agree = (
  runner: Runner,
  where: string,
  headStartMs: number
): Effect.Effect<void, StoreError | StoreIncompatible> =>
  Effect.flatMap(runner("open", runOpen, [String(layout), String(headStartMs)]), ([version, stored]) => {
    if (Number(version) > layout) {
      return Effect.fail(
        new StoreIncompatible({
          reason: `${where} has layout ${version}, written by a newer version; this version knows layouts up to ` +
            `${layout}. Upgrade this process, or give it another prefix`
        })
      )
    }
    return Number(stored) === headStartMs
      ? Effect.void
      : Effect.fail(
        new StoreIncompatible({
          reason: `${where} was created with a head start of ${text(Number(stored))}, but this process is configured ` +
            `with ${text(headStartMs)}: ranks would disagree. Configure ${text(Number(stored))}, or use another prefix`
        })
      )
  })

const text = (millis: number): string => DurationText.format(Duration.millis(millis))
