/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import {
  type CancelAnswer,
  keyedForMs,
  lastClaimForMs,
  type RemoveAnswer,
  type RerunAnswer,
  type Retention
} from "../TaskStore.ts"
import { lettersAs } from "./Attempt.ts"
import { type Runner, script } from "./Runner.ts"
import * as OperateScripts from "./scripts/Operate.ts"
import * as PauseScripts from "./scripts/Pause.ts"
import { prune } from "./scripts/Prune.ts"
import { stateNames } from "./Text.ts"

const runCancel = script<string>(OperateScripts.cancel)
const runRerun = script<string>(OperateScripts.rerun)
const runRemove = script<string>(OperateScripts.remove)
const runPause = script<number>(PauseScripts.pause)
const runPaused = script<ReadonlyArray<string>>(PauseScripts.paused)
const runPrune = script<number>(prune)

const cancelAnswers: Readonly<Record<string, CancelAnswer>> = {
  C: "cancelled",
  R: "requested",
  F: "finished",
  U: "unknown"
}
const removeAnswers: Readonly<Record<string, RemoveAnswer>> = { A: "removed", N: "unfinished", U: "unknown" }

const rerunAnswerOf = (letter: string): RerunAnswer =>
  letter === "A"
    ? { _tag: "rerun" }
    : letter === "U"
    ? { _tag: "unknown" }
    : { _tag: "conflict", state: stateNames[letter]! }

/** The operations of one deployment. */
export const make = (runner: Runner, headStartMs: number) => ({
  cancel: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<CancelAnswer>, StoreError> =>
    Effect.map(
      runner("cancel", runCancel, [String(headStartMs), ...ids]),
      (letters) => lettersAs(letters, cancelAnswers)
    ),

  rerun: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RerunAnswer>, StoreError> =>
    Effect.map(
      runner("rerun", runRerun, [String(headStartMs), ...ids]),
      (letters) => Array.from(letters, rerunAnswerOf)
    ),

  remove: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RemoveAnswer>, StoreError> =>
    Effect.map(runner("remove", runRemove, ids), (letters) => lettersAs(letters, removeAnswers)),

  pause: (queue: string, paused: boolean): Effect.Effect<void, StoreError> =>
    Effect.asVoid(runner("pause", runPause, [queue, paused ? "1" : "0"])),

  paused: Effect.map(
    Effect.suspend(() => runner("read the paused queues", runPaused, [])),
    (queues) => queues.toSorted()
  ),

  prune: (
    { failedForMs, finishedForMs, maxFinished, maxKeyedFinished }: Retention,
    limit: number
  ): Effect.Effect<number, StoreError> =>
    runner(
      "prune",
      runPrune,
      [limit, finishedForMs, failedForMs, maxFinished, keyedForMs, lastClaimForMs, maxKeyedFinished].map(String)
    )
})
