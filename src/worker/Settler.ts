/**
 * Settles the endings of attempts in batches. An ending stays here until the store has answered for it: a batch that
 * cannot be settled now is tried again until it is through, nothing is dropped, and the bounded list of endings holds
 * back the slots until then.
 *
 * A batch that the store refuses for what is in it is taken apart, because trying it again would never help: the ending
 * that the store cannot keep becomes a failure with the store's reason, and all others are settled as they are.
 */
import { Cause, Duration, Effect, Schedule } from "effect"
import { StoreError } from "../domain/Errors.ts"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import * as Thrown from "../domain/Thrown.ts"
import type { AttemptEnd } from "../observability/Metrics.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import type { Attempts } from "./Attempts.ts"
import { type Ended, type Ending, type Endings, sizeOf } from "./Endings.ts"
import * as Executor from "./Executor.ts"

/**
 * What the store has kept of an ending. Where the handler has completed the task itself, that stands, whatever the handler
 * did afterwards.
 */
export const kept = ({ attempt, settlement }: Ended, answer: SettleAnswer | undefined): Settlement["_tag"] =>
  answer === "already" && attempt.completion === "final" ? "Complete" : settlement._tag

/** The attempts of a batch whose endings count. */
export const endsOf = (
  batch: ReadonlyArray<Ended>,
  answers: ReadonlyArray<SettleAnswer>
): ReadonlyArray<AttemptEnd> => {
  const ends: Array<AttemptEnd> = []
  batch.forEach((ending, index) => {
    if (answers[index] === "stale") return
    const { endedAt, startedAt, type } = ending.attempt
    const { settlement } = ending
    const outcome = kept(ending, answers[index])
    const kind = outcome !== "Complete" && "failure" in settlement ? settlement.failure.kind : undefined
    ends.push({ type, outcome, durationMs: endedAt - startedAt, kind })
  })
  return ends
}

/** Ends the spans of attempts that the store has answered for. */
export const endSpans = (batch: ReadonlyArray<Ending>, answers: ReadonlyArray<SettleAnswer>): void =>
  batch.forEach((ending, index) => {
    const { spans } = ending.attempt
    if (spans === undefined) return
    const outcome = answers[index] === "stale" ? undefined : kept(ending, answers[index])
    spans.settled(outcome?.toLowerCase() ?? "lost", outcome === "Fail" || outcome === "Retry")
  })

/** Endings sent to the store together at most. */
const maxBatch = 1024

/** Characters of results that they have together at most, unless a single one has more. */
const maxBatchSize = 4 * 1024 * 1024

/** How long an ending may wait to be stored before the pool is said to stand still, in milliseconds. */
const maxStallMs = 30_000

/** Waits between attempts to flush a batch at shutdown: doubling from 20 ms to 500 ms. */
const flushBackoff = Schedule.min([Schedule.exponential("20 millis"), Schedule.spaced("500 millis")])

/** Starts the settler; closing the scope flushes what waits, for `flushForMs` at most. */
export const start = Effect.fnUntraced(function*(options: {
  readonly store: TaskStore["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly attempts: Attempts
  readonly endings: Endings
  /** The longest wait before a batch that was refused is tried again, in milliseconds. */
  readonly retryWithinMs: number
  readonly flushForMs: number
  readonly monotonicMs: () => number
  readonly onSettled: (batch: ReadonlyArray<Ending>, answers: ReadonlyArray<SettleAnswer>) => Effect.Effect<void>
}) {
  const { attempts, endings, store } = options
  /** Taken from the queue, and not answered for by the store. */
  let taken: ReadonlyArray<Ending> = []

  /** As many of the taken as fit into one call, in their order. */
  const nextBatch = (): ReadonlyArray<Ending> => {
    let size = 0
    let end = 0
    for (; end < taken.length; end++) {
      size += sizeOf(taken[end]!)
      if (end > 0 && size > maxBatchSize) break
    }
    return end === taken.length ? taken : taken.slice(0, end)
  }

  /** The store has answered for the first of the taken. `batch` is what was told to it. */
  const answered = (batch: ReadonlyArray<Ending>, answers: ReadonlyArray<SettleAnswer>): Effect.Effect<void> => {
    endings.settled(taken.slice(0, batch.length))
    taken = taken.slice(batch.length)
    return options.onSettled(batch, answers)
  }

  /** Settles the first of the taken. */
  const settle = (batch: ReadonlyArray<Ending>): Effect.Effect<void, StoreError> =>
    Effect.matchCauseEffect(store.settle(batch.map(({ settlement }) => settlement)), {
      onSuccess: (answers) => answered(batch, answers),
      onFailure: (cause) => {
        if (!isAboutContent(cause)) return Effect.failCause(cause)
        if (batch.length === 1) return settleAlone(batch[0]!, cause)
        const middle = batch.length >> 1
        return Effect.andThen(settle(batch.slice(0, middle)), Effect.suspend(() => settle(batch.slice(middle))))
      }
    })

  /**
   * Whether the store cannot keep this ending: it says so, or it dies of it. A broken connection may look like that, so the
   * ending is to blame only if the store then answers a read and dies of the ending again.
   */
  const isCulprit = ({ attempt, settlement }: Ending, cause: Cause.Cause<unknown>) =>
    isRefusal(cause)
      ? Effect.succeed(true)
      : Effect.catchDefect(
        Effect.andThen(
          store.get(attempt.id),
          Effect.matchCause(store.settle([settlement]), { onFailure: isAboutContent, onSuccess: () => false })
        ),
        (defect) => Effect.fail(new StoreError({ operation: "settle", reason: Thrown.show(defect).message }))
      )

  /** An ending that was refused by itself: fails its task with the reason, and at the worst leaves it to its lease. */
  const settleAlone = Effect.fnUntraced(function*(ending: Ending, cause: Cause.Cause<unknown>) {
    const reason = Cause.prettyErrors(cause)[0]?.message ?? "unknown"
    // Where the second try succeeded, the next one is answered as settled already
    if (!(yield* isCulprit(ending, cause))) return yield* new StoreError({ operation: "settle", reason })
    const { attempt } = ending
    const failed: Ending = { attempt, settlement: Executor.refused(attempt, reason) }
    yield* Effect.matchCauseEffect(store.settle([failed.settlement]), {
      onSuccess: (answers) => answered([failed], answers),
      onFailure: (cause) =>
        isAboutContent(cause)
          ? Effect.andThen(
            Effect.logError(`the end of task ${attempt.id} cannot be stored; its lease will run out`, cause),
            answered([failed], ["stale"])
          )
          : Effect.failCause(cause)
    })
  })

  /** The first ending wakes the settler; where that pays, others of the same turn of the scheduler go with it. */
  const sameTurn = Effect.suspend(() =>
    store.answersAtOnce === true && attempts.active > 0 ? Effect.yieldNow : Effect.void
  )

  const step = Effect.suspend(() => {
    if (taken.length > 0) return settle(nextBatch())
    return Effect.flatMap(Effect.andThen(endings.await, sameTurn), () => {
      taken = endings.take(maxBatch)
      return settle(nextBatch())
    })
  })

  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      while (attempts.unsettled > 0) yield* Effect.ignore(Effect.retry(step, flushBackoff))
    }).pipe(
      Effect.timeoutOrElse({
        duration: options.flushForMs,
        orElse: () =>
          Effect.logError(
            `${attempts.unsettled} finished attempts could not be settled before shutdown; ` +
              "their leases will run out and the tasks will run again"
          )
      }),
      Effect.andThen(Effect.sync(() => endings.release())),
      Effect.interruptible
    )
  )
  yield* options.supervisor.watch("settler", () => {
    const oldest = taken[0] ?? endings.first
    const forMs = oldest === undefined ? 0 : options.monotonicMs() - oldest.attempt.endedAt
    return forMs < maxStallMs ? undefined : {
      reason: `${attempts.unsettled} attempts have ended, and the store has not taken what became of them`,
      advice: "see whether the store takes writes; slots stay busy once too many wait",
      lasts: Duration.millis(forMs)
    }
  })
  yield* options.supervisor.loop("settler", step, { maxBackoff: options.retryWithinMs })
})

/** The store said that it cannot keep what it was given. */
const isRefusal = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) =>
    Cause.isFailReason(reason) && reason.error instanceof StoreError && reason.error.refused === true
  )

/** The store said so, or died of it: a store that is only out of reach does neither. */
const isAboutContent = (cause: Cause.Cause<unknown>): boolean =>
  !Cause.hasInterrupts(cause) && (isRefusal(cause) || cause.reasons.some(Cause.isDieReason))
