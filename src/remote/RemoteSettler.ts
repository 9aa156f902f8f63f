/** Stores how attempts in other processes ended, and counts and logs them as a pool does its own. */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type * as QueueLimits from "../domain/QueueLimits.ts"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { ClaimedTask } from "../domain/TaskRecord.ts"
import * as Metrics from "../observability/Metrics.ts"
import { CurrentTally } from "../observability/Tally.ts"
import { Notifier, work as someWork } from "../store/Notifier.ts"
import { TaskStore } from "../store/TaskStore.ts"
import * as AttemptLog from "../worker/AttemptLog.ts"
import type { Ended } from "../worker/Endings.ts"
import * as Executor from "../worker/Executor.ts"
import * as LimitRegistrar from "../worker/LimitRegistrar.ts"
import { PoolBreakers } from "../worker/PoolBreakers.ts"
import * as PoolTally from "../worker/PoolTally.ts"
import * as Settler from "../worker/Settler.ts"
import type { ClaimFacts } from "./ClaimToken.ts"
import { RemoteAttempt } from "./RemoteAttempt.ts"
import * as RemoteEnds from "./RemoteEnds.ts"
import type { RemoteEnd, Settled } from "./RemoteTask.ts"

/** An end that is to be stored: what the worker says, or that the time was up. */
export interface Item {
  readonly facts: ClaimFacts
  /** Nothing where the type is not known any more. */
  readonly definition: AnyTaskDefinition | undefined
  readonly end: RemoteEnd | "timeout"
}

interface Decided {
  readonly settlement: Settlement
  readonly attempt: RemoteAttempt | undefined
}

const outcomes = {
  Complete: "completed",
  Retry: "retry",
  Fail: "failed",
  Cancel: "cancelled",
  Snooze: "snoozed",
  Release: "released"
} as const

const states = { applied: "applied", already: "already", stale: "lost" } as const

/** Decides what a stored type became whose definition is not known any more: nothing is lost, and it is not run here. */
const released = ({ claim, id }: ClaimFacts): Settlement => ({ _tag: "Release", id, claim })

/** Makes a settler for a server. */
export const make = Effect.fnUntraced(function*(limitsOfQueues: QueueLimits.Rules) {
  const store = yield* TaskStore
  const notifier = yield* Notifier
  const recorder = new Metrics.Recorder(yield* Effect.context<never>())
  const tally = yield* CurrentTally
  const breakers = yield* PoolBreakers.make
  const log = yield* AttemptLog.make("Debug")

  /** One call for all; where the store cannot keep one of them, each by itself. */
  const apply = (
    settlements: ReadonlyArray<Settlement>
  ): Effect.Effect<ReadonlyArray<readonly [Settlement, SettleAnswer]>, StoreError> =>
    store.settle(settlements).pipe(
      Effect.map((answers) => settlements.map((settlement, index) => [settlement, answers[index]!] as const)),
      Effect.catchIf(({ refused }) => refused === true, (error) => {
        if (settlements.length > 1) {
          return Effect.map(Effect.forEach(settlements, (one) => apply([one])), (all) => all.flat())
        }
        const failed = Executor.refused(settlements[0]!, error.reason)
        return Effect.map(store.settle([failed]), ([answer]) => [[failed, answer!] as const])
      })
    )

  /** Counts tasks that a worker has claimed. */
  const started = ({ dueAt, queue, startBy, type }: ClaimedTask, now: number): void => {
    recorder.claimed(type, now - dueAt)
    tally?.started(queue, type, now - dueAt)
    if (startBy !== null) recorder.started(queue, type, now > startBy)
  }

  const settle = Effect.fnUntraced(function*(items: ReadonlyArray<Item>, now: number) {
    const decided = yield* Effect.forEach(items, ({ definition, end, facts }): Effect.Effect<Decided> => {
      if (definition === undefined) return Effect.succeed({ settlement: released(facts), attempt: undefined })
      const attempt = new RemoteAttempt(facts, definition, now)
      const becomes = end === "timeout"
        ? Effect.map(
          RemoteEnds.timedOut(attempt),
          (settlement): RemoteEnds.Decided => ({ settlement, exit: undefined })
        )
        : RemoteEnds.decide(attempt, end)
      return Effect.flatMap(
        becomes,
        ({ exit, settlement }) =>
          Effect.as(breakers.tell(attempt, settlement, exit) ?? Effect.void, { settlement, attempt })
      )
    })
    if (decided.length === 0) return []
    const applied = yield* apply(decided.map(({ settlement }) => settlement))
    const ended: Array<Ended> = []
    const answers: Array<SettleAnswer> = []
    applied.forEach(([settlement, answer], index) => {
      const { attempt } = decided[index]!
      // What was settled before has been counted then
      if (attempt === undefined || answer === "already") return
      ended.push({ attempt, settlement })
      answers.push(answer)
    })
    recorder.settled(Settler.endsOf(ended, answers))
    if (tally !== undefined) PoolTally.add(tally, ended, answers)
    yield* log.settled(ended, answers)
    if (store.announcesRoom !== true && LimitRegistrar.haveMadeRoom(ended, limitsOfQueues)) {
      yield* notifier.publish(someWork)
    }
    return applied.map(([settlement, answer]): Settled => ({
      state: states[answer],
      ...answer === "applied" && {
        outcome: outcomes[settlement._tag],
        ..."delayMs" in settlement && { delayMs: settlement.delayMs },
        ...settlement._tag === "Fail" && settlement.failure.kind === "invalid" && { issue: settlement.failure.message }
      }
    }))
  })

  return { started, settle }
})
