/**
 * One log line per ended attempt, with the fields `worker_id`, `job_id` and `duration` in milliseconds. Retries are
 * logged as warnings, dead letters as errors with the defect's stack; completions as `Info` where a person reads the
 * log (the server), else as `Debug`, because a busy program would write nothing else.
 */
import { Duration, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as LogLevels from "../domain/LogLevels.ts"
import * as LogModule from "../domain/LogModule.ts"
import type { SettleAnswer } from "../domain/Settlement.ts"
import type { TaskFailure } from "../domain/TaskRecord.ts"
import type { Attempt } from "./Attempt.ts"
import type { Ended, EndedAttempt } from "./Endings.ts"
import * as Settler from "./Settler.ts"

/** Asks for the log level first: a level that is off costs nothing per task. */
export const make = Effect.fnUntraced(function*(completions: "Info" | "Debug") {
  const successes = yield* LogLevels.probe("attempts", completions)
  const isSilent = ({ settlement }: Ended, answer: SettleAnswer | undefined) =>
    settlement._tag === "Complete" && answer !== "stale" && !successes()
  return {
    settled: (batch: ReadonlyArray<Ended>, answers: ReadonlyArray<SettleAnswer>): Effect.Effect<void> =>
      batch.every((ending, index) => isSilent(ending, answers[index]))
        ? Effect.void
        : Effect.forEach(
          batch,
          (ending, index) => isSilent(ending, answers[index]) ? Effect.void : line(ending, answers[index], completions),
          { discard: true }
        ),
    abandoned: (attempt: Attempt): Effect.Effect<void> =>
      annotated(
        attempt,
        Effect.logError(
          `task ${attempt.type} goes on after it was interrupted (${attempt.reason}); ` +
            "make its uninterruptible parts short"
        )
      )
  }
})

const line = (ending: Ended, answer: SettleAnswer | undefined, completions: "Info" | "Debug"): Effect.Effect<void> =>
  annotated(ending.attempt, sentence(ending, answer, completions))

/** The delay of an attempt that ends to wait for something that has no time, such as the completion of a deferred. */
const maxDelayMs = Duration.toMillis(Bounds.maxDelay)

const sentence = (ending: Ended, answer: SettleAnswer | undefined, completions: "Info" | "Debug") => {
  const { attempt, settlement } = ending
  const name = `task ${attempt.type}`
  if (answer === "stale") return Effect.logWarning(`${name} was taken over; this attempt changed nothing`)
  if (Settler.kept(ending, answer) !== settlement._tag) return completedBefore(ending, completions)
  switch (settlement._tag) {
    case "Complete":
      return Effect.logWithLevel(completions)(`${name} completed`)
    case "Retry":
      return Effect.logWarning(
        `${name} failed, retry in ${settlement.delayMs} ms: ${describe(settlement.failure)}`,
        ...stackOf(settlement.failure)
      )
    case "Fail":
      return Effect.logError(`${name} failed for good: ${describe(settlement.failure)}`, ...stackOf(settlement.failure))
    case "Cancel":
      return Effect.logInfo(`${name} cancelled`)
    case "Snooze":
      return Effect.logInfo(
        settlement.delayMs >= maxDelayMs
          ? `${name} waits until something wakes it`
          : `${name} snoozed for ${settlement.delayMs} ms`
      )
    case "Release":
      return Effect.logInfo(`${name} released for another instance`)
  }
}

/** The handler has completed the task with `complete` and then ended in another way, which changes nothing. */
const completedBefore = ({ attempt: { type }, settlement }: Ended, completions: "Info" | "Debug") =>
  settlement._tag === "Fail" || settlement._tag === "Retry"
    ? Effect.logWarning(
      `task ${type} completed, then its handler failed, which changes nothing: ${describe(settlement.failure)}`,
      ...stackOf(settlement.failure)
    )
    : Effect.logWithLevel(completions)(`task ${type} completed`)

const describe = (failure: TaskFailure): string => `${failure.tag}: ${failure.message}`

const stackOf = (failure: TaskFailure): ReadonlyArray<string> => failure.stack === undefined ? [] : [failure.stack]

const annotated = (attempt: EndedAttempt, log: Effect.Effect<void>): Effect.Effect<void> =>
  LogModule.within("attempts")(log).pipe(
    Effect.annotateLogs({
      ...attempt.annotations,
      duration: Math.round((attempt.endedAt - attempt.startedAt) * 1000) / 1000
    })
  )
